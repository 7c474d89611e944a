//! A table's schema as JSON, in the files that destinations keep beside their rows.

use serde::{Deserialize, Serialize};

use model::schema::{ColumnSchema, TableSchema};

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TableDocument {
    source_name: String,
    name: String,
    key: Vec<usize>,
    columns: Vec<ColumnDocument>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ColumnDocument {
    source_name: String,
    name: String,
    #[serde(rename = "type")]
    column_type: String,
    declared: bool,
}

impl TableDocument {
    /// A table as it is written.
    pub(super) fn of(table: &TableSchema) -> Self {
        let column = |column: &ColumnSchema| ColumnDocument {
            source_name: column.source_name.clone(),
            name: column.name.clone(),
            column_type: column.column_type.to_string(),
            declared: column.declared,
        };
        Self {
            source_name: table.source_name.clone(),
            name: table.name.clone(),
            key: table.key.clone(),
            columns: table.columns.iter().map(column).collect(),
        }
    }

    /// The table that was written, or what is wrong with the text.
    pub(super) fn schema(self) -> Result<TableSchema, String> {
        let column = |column: ColumnDocument| {
            let column_type = column.column_type.parse().map_err(|error| format!("{error}"))?;
            let ColumnDocument { source_name, name, declared, .. } = column;
            Ok(ColumnSchema { source_name, name, column_type, declared })
        };
        let columns: Vec<ColumnSchema> = self.columns.into_iter().map(column).collect::<Result<_, String>>()?;
        // A table that never had a row may have no key yet.
        if self.key.iter().any(|index| *index >= columns.len()) {
            return Err(format!("the key of the table \"{}\" names no column", self.name));
        }
        Ok(TableSchema { source_name: self.source_name, name: self.name, key: self.key, columns, history: false })
    }
}
