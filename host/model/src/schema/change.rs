//! What differs between two versions of a warehouse's schema: the one source of DDL, report lines and events.

use super::{ColumnType, TableSchema};

/// One difference. Names are those in the warehouse; `table` and `column` are indices into the new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaChange {
    /// A table that was not there.
    NewTable {
        /// Its index.
        table: usize,
    },
    /// A column that was not there, in a table that was.
    NewColumn {
        /// The table's index.
        table: usize,
        /// The column's index.
        column: usize,
    },
    /// A column whose type became wider (or remembers more: then `data_type` of both is the same).
    Widened {
        /// The table's index.
        table: usize,
        /// The column's index.
        column: usize,
        /// The type before.
        from: ColumnType,
        /// The type now.
        to: ColumnType,
    },
    /// A table that was there keeps its history from now on.
    HistoryBegun {
        /// The table's index.
        table: usize,
    },
}

/// Every change from `old` to `new`, tables and columns in order. Tables and columns are only ever added.
pub fn changes(old: &[TableSchema], new: &[TableSchema]) -> Vec<SchemaChange> {
    let mut found = Vec::new();
    for (table, after) in new.iter().enumerate() {
        let Some(before) = old.get(table) else {
            found.push(SchemaChange::NewTable { table });
            continue;
        };
        for (column, now) in after.columns.iter().enumerate() {
            match before.columns.get(column) {
                None => found.push(SchemaChange::NewColumn { table, column }),
                Some(was) if was.column_type != now.column_type => {
                    found.push(SchemaChange::Widened { table, column, from: was.column_type, to: now.column_type });
                }
                Some(_) => {}
            }
        }
        if after.history && !before.history {
            found.push(SchemaChange::HistoryBegun { table });
        }
    }
    found
}
