//! The tables a connector fills: name and primary key; every column and its type is inferred from the records.

use crate::bindings::elt::connector::types;

pub use types::DataType;

/// A table of the connector.
///
/// ```
/// use elt_sdk::prelude::*;
///
/// let orders = Table::new("orders", ["id"]);
/// let lines = Table::new("order_lines", ["order_id", "line"]).column("price", DataType::Decimal((12, 2)));
/// let events = Table::new("events", []); // no key: the host identifies rows by a hash of the whole record
/// ```
#[derive(Debug, Clone)]
pub struct Table(types::Table);

impl Table {
    /// A table and the columns that identify a row, in order. Without a key, equal records are one row.
    pub fn new<const N: usize>(name: impl Into<String>, primary_key: [&str; N]) -> Self {
        let primary_key = primary_key.iter().map(|&column| column.to_owned()).collect();
        Self(types::Table { name: name.into(), primary_key, columns: Vec::new() })
    }

    /// Fixes the type of one column. Only for types that the records do not show, decimals and bytes for instance.
    #[must_use]
    pub fn column(mut self, name: impl Into<String>, data_type: DataType) -> Self {
        self.0.columns.push(types::Column { name: name.into(), data_type });
        self
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The columns that identify a row, in order.
    pub fn primary_key(&self) -> &[String] {
        &self.0.primary_key
    }
}

impl From<Table> for types::Table {
    fn from(table: Table) -> Self {
        table.0
    }
}
