//! The statements that make and change schemas and tables, and the quoting of every name in them.

use super::convert;
use crate::error::{Code, Error, Result};
use crate::schema::{ColumnSchema, ColumnType, DELETED, SYNCED_AT, SchemaChange, TableSchema, changes};

/// The table that records every sync of a connection, in the connection's schema. No table of a connector has this name.
pub const SYNCS: &str = "_syncs";

/// A name as SQL reads it: any text but one with a NUL in it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL reads it.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Where a connection's tables live. The catalog is always named: a schema may have the same name as the file.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The database, named by DuckDB after the file.
    pub(super) catalog: String,
    /// The connection's schema.
    pub(super) schema: String,
}

impl Place {
    pub(super) fn schema(&self) -> String {
        format!("{}.{}", quoted(&self.catalog), quoted(&self.schema))
    }

    pub(super) fn table(&self, name: &str) -> String {
        format!("{}.{}", self.schema(), quoted(name))
    }
}

/// Makes the connection's schema and its `_syncs`.
pub(super) fn create_schema(place: &Place) -> String {
    format!(
        "CREATE SCHEMA IF NOT EXISTS {};\nCREATE TABLE IF NOT EXISTS {} (id VARCHAR, started_at TIMESTAMPTZ, ended_at TIMESTAMPTZ, \
         outcome VARCHAR, error VARCHAR, rows JSON, state_before VARCHAR, state_after VARCHAR);\n",
        place.schema(),
        place.table(SYNCS)
    )
}

/// Every statement that leads from the tables `old` to the tables `new`, as one text; empty if nothing changes.
pub(super) fn migrate(place: &Place, old: &[TableSchema], new: &[TableSchema]) -> Result<String> {
    let mut sql = String::new();
    for change in changes(old, new) {
        match change {
            SchemaChange::NewTable { table } => sql.push_str(&create_table(place, &new[table])),
            SchemaChange::NewColumn { table, column } => {
                let (table, column) = (&new[table], &new[table].columns[column]);
                let (target, column) = (place.table(&table.name), definition(column));
                sql.extend(["ALTER TABLE ", &target, " ADD COLUMN ", &column, ";\n"]);
            }
            SchemaChange::Widened { table, column, from, to } => {
                let table = &new[table];
                sql.push_str(&widen(&place.table(&table.name), &table.columns[column], from, to)?);
            }
        }
    }
    Ok(sql)
}

fn create_table(place: &Place, table: &TableSchema) -> String {
    let columns: String = table.columns.iter().map(|column| definition(column) + ", ").collect();
    format!(
        "CREATE TABLE {} ({columns}{} TIMESTAMPTZ, {} BOOLEAN NOT NULL);\n",
        place.table(&table.name),
        quoted(SYNCED_AT),
        quoted(DELETED)
    )
}

fn definition(column: &ColumnSchema) -> String {
    format!("{} {}", quoted(&column.name), convert::duckdb_type(column.column_type))
}

fn widen(table: &str, column: &ColumnSchema, from: ColumnType, to: ColumnType) -> Result<String> {
    let (before, after) = (convert::duckdb_type(from), convert::duckdb_type(to));
    if before == after {
        return Ok(String::new());
    }
    let name = quoted(&column.name);
    let value = convert::expression(&name, from, to).ok_or_else(|| no_conversion(from, to))?;
    Ok(format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {after} USING {value};\n"))
}

/// The schema asked for a step that the lattice does not have.
pub(super) fn no_conversion(from: ColumnType, to: ColumnType) -> Error {
    Error::new(Code::HostBug, format!("convert values of type {from} to type {to}"))
}
