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

use super::DataType;

/// The name of the column that identifies rows of a table without a primary key.
pub const ROW_ID: &str = "_row_id";
/// The name of the column with the instant of the transaction that wrote the row.
pub const SYNCED_AT: &str = "_synced_at";
/// The name of the column that marks deleted rows.
pub const DELETED: &str = "_deleted";
/// The name of the column with the instant from which on a version of a row was there.
pub const VALID_FROM: &str = "_valid_from";
/// The name of the column with the instant from which on it was not there any more; NULL while it is.
pub const VALID_TO: &str = "_valid_to";
/// The name of the column that marks the version of a row that is there now.
pub const ACTIVE: &str = "_active";

/// The table of a connection's records that were set aside. No table of a connector has this name.
pub const REJECTED: &str = "_rejected";
/// Its columns: the sync, the connector's name of the table, which record of the table in that sync it was, what was to be done
/// with it, why that cannot be, and the record's bytes. The first three are its key.
pub const REJECTED_COLUMNS: [(&str, DataType); 6] = [
    ("sync", DataType::String),
    ("table", DataType::String),
    ("position", DataType::Long),
    ("operation", DataType::String),
    ("reason", DataType::String),
    ("record", DataType::Binary),
];

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
    /// The columns in order of appearance, without the host's own (`system_columns`). Columns are only ever added, so an
    /// index stays valid.
    pub columns: Vec<ColumnSchema>,
    /// Whether the table keeps every version of its rows, in three more columns of the host's. Never given up again.
    pub history: bool,
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
    /// The table of a connection's records that were set aside.
    pub fn rejected() -> Self {
        let column = |(name, data_type): &(&str, DataType)| ColumnSchema {
            source_name: (*name).to_owned(),
            name: (*name).to_owned(),
            column_type: ColumnType::declared(*data_type),
            declared: true,
        };
        let columns = REJECTED_COLUMNS.iter().map(column).collect();
        let name = REJECTED.to_owned();
        Self { source_name: name.clone(), name, key: vec![0, 1, 2], columns, history: false }
    }

    /// Whether it is that one.
    pub fn is_rejected(&self) -> bool {
        let names = self.columns.iter().map(|column| column.name.as_str());
        self.name == REJECTED && names.eq(REJECTED_COLUMNS.iter().map(|(name, _)| *name))
    }

    /// The host's own columns.
    pub fn system_columns(&self) -> &'static [&'static str] {
        const ALL: [&str; 5] = [SYNCED_AT, DELETED, VALID_FROM, VALID_TO, ACTIVE];
        if self.history { &ALL } else { &ALL[..2] }
    }

    /// Whether rows are identified by a hash of the record.
    pub fn is_keyless(&self) -> bool {
        matches!(self.key.as_slice(), [only] if self.columns.get(*only).is_some_and(|column| column.source_name == ROW_ID))
    }
}
