//! The statements that make and change schemas and tables, and the quoting of every name in them.

use super::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::schema::{ColumnSchema, ColumnType, DELETED, SYNCED_AT, SchemaChange, TableSchema, changes};

/// The table that records every sync of a connection, in the connection's schema. No table of a connector has this name.
pub const SYNCS: &str = "_syncs";

/// The type of instants in tables of ours.
pub(super) const INSTANT: ColumnType = ColumnType::UtcDatetime(None);

/// A name as SQL reads it: any text but one with a NUL in it.
pub(in crate::destination) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL reads it.
pub(in crate::destination) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Makes the connection's schema and its `_syncs`.
pub(super) fn create_connection<E: Engine>(engine: &E, schema: &str) -> String {
    let [text, instant, json] =
        [ColumnType::String, INSTANT, ColumnType::Json].map(|column_type| engine.type_name(column_type));
    format!(
        "{}CREATE TABLE IF NOT EXISTS {} (id {text}, started_at {instant}, ended_at {instant}, outcome {text}, \
         error {text}, rows {json}, state_before {text}, state_after {text});\n",
        engine.create_schema(schema),
        engine.table(schema, SYNCS)
    )
}

/// Every statement that leads from the tables `old` to the tables `new`, as one text; empty if nothing changes.
pub(super) fn migrate<E: Engine>(engine: &E, schema: &str, old: &[TableSchema], new: &[TableSchema]) -> Result<String> {
    new.iter().try_for_each(check_width::<E>)?;
    let mut sql = String::new();
    for change in changes(old, new) {
        match change {
            SchemaChange::NewTable { table } => sql.push_str(&create_table(engine, schema, &new[table])),
            SchemaChange::NewColumn { table, column } => {
                let (table, column) = (&new[table], &new[table].columns[column]);
                let (target, column) = (engine.table(schema, &table.name), definition(engine, column));
                sql.extend(["ALTER TABLE ", &target, " ADD COLUMN ", &column, ";\n"]);
            }
            SchemaChange::Widened { table, column, from, to } => {
                if engine.type_name(from) != engine.type_name(to) {
                    let (name, column) = (&new[table].name, &new[table].columns[column].name);
                    let widen = engine.widen(&engine.table(schema, name), column, (from, to));
                    sql.push_str(&widen.ok_or_else(|| no_conversion(from, to))?);
                }
            }
        }
    }
    Ok(sql)
}

fn check_width<E: Engine>(table: &TableSchema) -> Result<()> {
    const SYSTEM_COLUMNS: usize = 2;
    if table.columns.len() + SYSTEM_COLUMNS <= E::COLUMNS_MAX {
        return Ok(());
    }
    let most = E::COLUMNS_MAX - SYSTEM_COLUMNS;
    let what =
        format!("give the table {} {} columns: this warehouse holds {most}", quoted(&table.name), table.columns.len());
    Err(Error::new(Code::LimitColumns, what).hint(
        "Choose a destination that holds wider tables, such as duckdb:PATH, or leave the table out with --table.",
    ))
}

fn create_table<E: Engine>(engine: &E, schema: &str, table: &TableSchema) -> String {
    let columns: String = table.columns.iter().map(|column| definition(engine, column) + ", ").collect();
    let key: Vec<String> = table.key.iter().map(|column| quoted(&table.columns[*column].name)).collect();
    format!(
        "CREATE TABLE {} ({columns}{} {}, {} {} NOT NULL);\n{}",
        engine.table(schema, &table.name),
        quoted(SYNCED_AT),
        engine.type_name(INSTANT),
        quoted(DELETED),
        engine.type_name(ColumnType::Boolean),
        engine.create_key(schema, &table.name, &key)
    )
}

fn definition<E: Engine>(engine: &E, column: &ColumnSchema) -> String {
    format!("{} {}", quoted(&column.name), engine.type_name(column.column_type))
}

/// The schema asked for a step that the lattice does not have.
pub(super) fn no_conversion(from: ColumnType, to: ColumnType) -> Error {
    Error::new(Code::HostBug, format!("convert values of type {from} to type {to}"))
}
