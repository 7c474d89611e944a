//! The statements that make and change schemas and tables, and the quoting of every name in them.

use std::collections::{BTreeMap, BTreeSet};

use super::engine::{Engine, KeyedRows};
use model::error::{Code, Error, Result};
use model::schema::{
    ACTIVE, ColumnSchema, ColumnType, DELETED, SYNCED_AT, SchemaChange, TableSchema, VALID_FROM, VALID_TO, changes,
};

/// The table that records every sync of a connection, in the connection's schema. No table of a connector has this name.
pub const SYNCS: &str = "_syncs";

/// The type of instants in tables of ours.
pub(super) const INSTANT: ColumnType = ColumnType::UtcDatetime(None);

/// A name as SQL reads it: any text but one with a NUL in it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL reads it.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Makes the connection's schema and its `_syncs`.
pub(super) fn create_connection<E: Engine>(engine: &E, schema: &str) -> String {
    let [text, instant, json] =
        [ColumnType::String, INSTANT, ColumnType::Json].map(|column_type| engine.type_name(column_type));
    format!(
        "{}CREATE TABLE {} (id {text}, started_at {instant}, ended_at {instant}, outcome {text}, error {text}, \
         rows {json}, state_before {text}, state_after {text});\n{}",
        engine.create_schema(schema),
        engine.table(schema, SYNCS),
        // A sync looks for its own row and for those still running, however many there are.
        engine.create_key(schema, SYNCS, &["outcome", "id"].map(str::to_owned), KeyedRows::All)
    )
}

/// Every statement that leads from the tables `old` to the tables `new`, as one text; empty if nothing changes.
pub(super) fn migrate<E: Engine>(engine: &E, schema: &str, old: &[TableSchema], new: &[TableSchema]) -> Result<String> {
    new.iter().try_for_each(check_width::<E>)?;
    let (mut sql, mut first_versions) = (String::new(), String::new());
    let changes = changes(old, new);
    let rebuilt = tables_rebuilt(engine, &changes);
    for table in &rebuilt {
        sql.push_str(&rebuild(engine, schema, &old[*table], new, *table)?);
    }
    for change in changes {
        match change {
            SchemaChange::NewColumn { table, .. } | SchemaChange::Widened { table, .. } if rebuilt.contains(&table) => {
            }
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
            SchemaChange::HistoryBegun { table } => {
                sql.push_str(&add_history(engine, schema, &new[table]));
                first_versions.push_str(&make_first_versions(engine, schema, &new[table]));
            }
        }
    }
    for (index, (was, now)) in old.iter().zip(new).enumerate() {
        if was.key.is_empty() && !rebuilt.contains(&index) {
            sql.push_str(&create_key(engine, schema, now, KeyedRows::of(was)));
        }
    }
    // Last: DuckDB refuses to alter a table whose rows the same transaction has changed.
    Ok(sql + &first_versions)
}

/// The tables that are made anew because so many of their columns change: an engine may copy all that it knows of a table
/// for each column.
fn tables_rebuilt<E: Engine>(engine: &E, changes: &[SchemaChange]) -> BTreeSet<usize> {
    let mut altered: BTreeMap<usize, usize> = BTreeMap::new();
    for change in changes {
        match *change {
            SchemaChange::NewColumn { table, .. } => *altered.entry(table).or_default() += 1,
            SchemaChange::Widened { table, from, to, .. } if engine.type_name(from) != engine.type_name(to) => {
                *altered.entry(table).or_default() += 1;
            }
            _ => {}
        }
    }
    altered.retain(|_, columns| *columns > E::ALTERS_MAX);
    altered.into_keys().collect()
}

/// Makes a table anew with its rows and the columns it has now; its history, if it begins now, is added afterwards.
fn rebuild<E: Engine>(
    engine: &E,
    schema: &str,
    old: &TableSchema,
    new: &[TableSchema],
    table: usize,
) -> Result<String> {
    let now = &new[table];
    let is_taken = |name: &str| new.iter().any(|table| table.name.eq_ignore_ascii_case(name));
    let spare =
        (0..=new.len()).map(|number| format!("_elt_rebuilt_{number}")).find(|name| !is_taken(name)).unwrap_or_default();
    let shape = TableSchema { name: spare.clone(), history: old.history, ..now.clone() };
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for (was, now) in old.columns.iter().zip(&now.columns) {
        let name = quoted(&now.name);
        let value = engine.expression(&name, was.column_type, now.column_type);
        values.push(value.ok_or_else(|| no_conversion(was.column_type, now.column_type))?);
        names.push(name);
    }
    for name in old.system_columns() {
        names.push(quoted(name));
        values.push(quoted(name));
    }
    let (target, made) = (engine.table(schema, &now.name), engine.table(schema, &spare));
    Ok(format!(
        "{}INSERT INTO {made} ({}) SELECT {} FROM {target};\nDROP TABLE {target};\nALTER TABLE {made} RENAME TO {};\n",
        create_table(engine, schema, &shape),
        names.join(", "),
        values.join(", "),
        quoted(&now.name)
    ))
}

/// The columns of a table's versions, and their types.
fn history_columns<E: Engine>(engine: &E) -> [String; 3] {
    [(VALID_FROM, INSTANT), (VALID_TO, INSTANT), (ACTIVE, ColumnType::Boolean)]
        .map(|(name, column_type)| format!("{} {}", quoted(name), engine.type_name(column_type)))
}

fn add_history<E: Engine>(engine: &E, schema: &str, table: &TableSchema) -> String {
    let target = engine.table(schema, &table.name);
    history_columns(engine).map(|column| format!("ALTER TABLE {target} ADD COLUMN {column};\n")).concat()
}

/// The rows of a table become its first versions: those that are there have been so since they were last written at the
/// latest, those marked as deleted ended when they were marked, and nobody knows when they began.
fn make_first_versions<E: Engine>(engine: &E, schema: &str, table: &TableSchema) -> String {
    let [deleted, synced_at, from, to, active] = [DELETED, SYNCED_AT, VALID_FROM, VALID_TO, ACTIVE].map(quoted);
    format!(
        "{}UPDATE {} SET {active} = NOT {deleted}, {from} = CASE WHEN NOT {deleted} THEN {synced_at} END, \
         {to} = CASE WHEN {deleted} THEN {synced_at} END;\n{}",
        engine.drop_key(schema, &table.name),
        engine.table(schema, &table.name),
        create_key(engine, schema, table, KeyedRows::Active),
    )
}

/// Makes that rows are found by their key; a table that never had a row has none.
fn create_key<E: Engine>(engine: &E, schema: &str, table: &TableSchema, rows: KeyedRows) -> String {
    if table.key.is_empty() {
        return String::new();
    }
    engine.create_key(schema, &table.name, &key(table), rows)
}

fn key(table: &TableSchema) -> Vec<String> {
    table.key.iter().map(|column| quoted(&table.columns[*column].name)).collect()
}

/// Makes a temporary table for rows as a table without history has them.
pub(super) fn create_temporary<E: Engine>(engine: &E, name: &str, table: &TableSchema) -> String {
    format!("CREATE TEMP TABLE {} ({})", quoted(name), row_columns(engine, table))
}

/// What every table has.
fn row_columns<E: Engine>(engine: &E, table: &TableSchema) -> String {
    let columns: String = table.columns.iter().map(|column| definition(engine, column) + ", ").collect();
    let (instant, boolean) = (engine.type_name(INSTANT), engine.type_name(ColumnType::Boolean));
    format!("{columns}{} {instant}, {} {boolean} NOT NULL", quoted(SYNCED_AT), quoted(DELETED))
}

fn check_width<E: Engine>(table: &TableSchema) -> Result<()> {
    let most = E::COLUMNS_MAX - table.system_columns().len();
    if table.columns.len() <= most {
        return Ok(());
    }
    let what =
        format!("give the table {} {} columns: this warehouse holds {most}", quoted(&table.name), table.columns.len());
    Err(Error::new(Code::LimitColumns, what).hint(
        "Choose a destination that holds wider tables, such as duckdb:PATH, or leave the table out with --table.",
    ))
}

fn create_table<E: Engine>(engine: &E, schema: &str, table: &TableSchema) -> String {
    let history = history_columns(engine).map(|column| format!(", {column}")).concat();
    format!(
        "CREATE TABLE {} ({}{});\n{}",
        engine.table(schema, &table.name),
        row_columns(engine, table),
        if table.history { &history } else { "" },
        create_key(engine, schema, table, KeyedRows::of(table))
    )
}

fn definition<E: Engine>(engine: &E, column: &ColumnSchema) -> String {
    format!("{} {}", quoted(&column.name), engine.type_name(column.column_type))
}

/// The schema asked for a step that the lattice does not have.
pub(super) fn no_conversion(from: ColumnType, to: ColumnType) -> Error {
    Error::new(Code::HostBug, format!("convert values of type {from} to type {to}"))
}
