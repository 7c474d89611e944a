//! What the host knows of a table's columns: types inferred from values, the lattice in which they widen, names.
//!
//! Pure: no I/O. The rules are in docs/TYPES.md; the lattice is property-tested.

mod change;
mod column_type;
mod contract;
mod name;
pub mod value;

pub use change::{SchemaChange, changes};
pub use column_type::{ColumnType, Offset, TimeFormat};
pub use contract::{OnMismatch, SchemaContract};
pub use name::{NameError, TakenNames};

/// The name of the column that identifies rows of a table without a primary key.
pub const ROW_ID: &str = "_row_id";
/// The name of the column with the instant of the transaction that wrote the row.
pub const SYNCED_AT: &str = "_synced_at";
/// The name of the column that marks deleted rows.
pub const DELETED: &str = "_deleted";

/// A table as it stands in the warehouse, or will after the next commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    /// The connector's name of the table.
    pub source_name: String,
    /// Its name in the warehouse: the same, or with a numbered suffix where that was taken.
    pub name: String,
    /// The columns of the primary key, as indices into `columns`, in the key's order. Never empty: a table without a
    /// key has the column `_row_id`, a hash of the whole record.
    pub key: Vec<usize>,
    /// The columns in order of appearance, without `_synced_at` and `_deleted`, which every table has. Columns are only
    /// ever added, so an index stays valid.
    pub columns: Vec<ColumnSchema>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSchema {
    /// The field's name in the records.
    pub source_name: String,
    /// Its name in the warehouse.
    pub name: String,
    /// Its type so far.
    pub column_type: ColumnType,
    /// Whether the connector fixed the type.
    pub declared: bool,
}

impl TableSchema {
    /// Whether rows are identified by a hash of the record.
    pub fn is_keyless(&self) -> bool {
        matches!(self.key.as_slice(), [only] if self.columns.get(*only).is_some_and(|column| column.source_name == ROW_ID))
    }
}
