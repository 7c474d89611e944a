//! The nouns of a sync, as plain data: what a connector says about itself, configuration, tables, operations, the types of
//! columns (`schema`) and errors (`error`).
//!
//! Pure: no I/O, no types of other crates in what it gives. The nouns of the contract mirror items of `wit/connector.wit`,
//! which explains the rules.

mod bad_record;
mod configuration;
mod connection;
mod description;
pub mod error;
pub mod json;
mod operation;
pub mod schema;
mod table;

pub use bad_record::{OnBadRecord, OnUnstorable, REJECTED_MAX, RecordRules};
pub use configuration::Configuration;
pub use connection::connection_name;
pub use description::{Description, Field, RateLimit, Secrecy};
pub use operation::{Batch, LogLevel, OperationKind};
pub use table::{Column, DataType, Selection, Table};
