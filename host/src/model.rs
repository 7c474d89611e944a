//! The nouns of a sync, as plain data: what a connector says about itself, configuration, tables, operations.
//!
//! Pure: no I/O, no types of other crates. Each mirrors an item of `wit/connector.wit`, which explains the rules.

mod configuration;
mod description;
mod table;

pub use configuration::Configuration;
pub use description::{Description, Field, RateLimit, Secrecy};
pub use table::{Column, DataType, Selection, Table};

/// What a batch does with its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// Replaces the whole row.
    Upsert,
    /// Changes the columns given.
    Update,
    /// Marks the row as deleted.
    Delete,
    /// Marks every row issued before.
    Truncate,
}

/// What a guest handed over in one `operations.write`: operations of one kind on one table.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The table's name as the connector gave it.
    pub table: String,
    /// What to do.
    pub kind: OperationKind,
    /// JSON objects, one a line. Not validated yet.
    pub rows: Vec<u8>,
}
