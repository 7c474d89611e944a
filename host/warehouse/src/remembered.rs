//! What a warehouse remembers of its connections, as the rest of the host sees it.

use std::collections::BTreeSet;

use model::Selection;
use model::schema::ColumnType;

/// A connection's row: who may commit, how often that happened, and the state of the last commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionRow {
    /// The connection's name.
    pub connection: String,
    /// How many syncs took over so far; only the latest may commit.
    pub fence: u64,
    /// How many commits there were.
    pub sequence: u64,
    /// The state of the last commit.
    pub state: Option<String>,
    /// When that was, in microseconds since 1970.
    pub committed_at_us: Option<i64>,
    /// The full refresh under way, if any.
    pub refresh: Option<Refresh>,
}

/// A full refresh whose first commit is made and whose last is not, perhaps over several syncs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// `_synced_at` of its first commit: rows that still have an older one at its end did not come back.
    pub since_us: i64,
    /// The tables it reads, by their source names; none: all.
    tables: Option<BTreeSet<String>>,
}

impl Refresh {
    /// A refresh of what a sync selected.
    pub(super) fn of(since_us: i64, selection: &Selection) -> Self {
        let tables = match selection {
            Selection::All => None,
            Selection::Tables(names) => Some(names.iter().cloned().collect()),
        };
        Self { since_us, tables }
    }

    /// As it was remembered. A list that cannot be read means no table: then nothing is deleted.
    pub(super) fn new(since_us: i64, tables_json: Option<&str>) -> Self {
        Self { since_us, tables: tables_json.map(|json| serde_json::from_str(json).unwrap_or_default()) }
    }

    /// The tables as a JSON list; none: all.
    pub(super) fn tables_json(&self) -> Option<String> {
        self.tables.as_ref().map(|names| serde_json::json!(names).to_string())
    }

    /// Whether it reads a table.
    pub(super) fn includes(&self, source_name: &str) -> bool {
        self.tables.as_ref().is_none_or(|names| names.contains(source_name))
    }
}

/// A state that was durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRow {
    /// The number of the commit it belongs to.
    pub sequence: u64,
    /// The state; none if the connector never saved one.
    pub state: Option<String>,
    /// When the commit was made, in microseconds since 1970.
    pub committed_at_us: i64,
    /// The sync that made it (`id` in `_syncs`); empty where a person set the state.
    pub sync: String,
}

/// A table as `host tables` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// The connection, which is the schema.
    pub connection: String,
    /// The table's name in the warehouse.
    pub name: String,
    /// The connector's name of it.
    pub source_name: String,
    /// Rows that are there now.
    pub rows: u64,
    /// Rows marked as deleted; in a table that keeps its history, versions that a deletion ended.
    pub deleted_rows: u64,
    /// All versions of rows, those that are there now among them; none: the table keeps no history.
    pub versions: Option<u64>,
    /// The columns, without the host's own.
    pub columns: Vec<TableColumn>,
    /// The last commit that wrote a row, in microseconds since 1970.
    pub synced_at_us: Option<i64>,
}

/// A column as `host tables` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// The field's name in the records.
    pub source_name: String,
    /// The column's name in the warehouse.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
    /// Whether the connector fixed the type.
    pub declared: bool,
    /// Whether it is part of the primary key.
    pub is_key: bool,
}

/// What a reset dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The tables, by their names in the warehouse.
    pub tables: Vec<String>,
    /// Whether the schema is gone; it stays if something else is in it.
    pub schema: bool,
}
