//! The nouns of a sync, as plain data: what a connector says about itself, configuration, tables, operations.
//!
//! Pure: no I/O, no types of other crates. Each mirrors an item of `wit/connector.wit`, which explains the rules.

mod account;
mod configuration;
mod connection;
mod description;
pub mod error;
mod halt;
pub mod json;
mod operation;
pub mod schema;
mod table;

pub use account::{Account, Hold};
pub use configuration::Configuration;
pub use connection::connection_name;
pub use description::{Description, Field, RateLimit, Secrecy};
pub use halt::Halt;
pub use operation::{Batch, LogLevel, OperationKind};
pub use table::{Column, DataType, Selection, Table};
