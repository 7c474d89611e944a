//! SQLite as a destination: a file in this process.
//!
//! The folder holds one file per concern: `open` (the file, its settings, functions of ours), `convert` (types), `value`
//! (what is stored for a value), `query` (any SQL that reads), `errors` (the engine's codes as ours). Everything else is
//! `sql`.
//!
//! SQLite has no schemas: the table `T` of the connection `C` is `C__T`. No connection's name has `__` in it or `_` at its
//! end, so that the first `__` of a table's name always ends the connection's, and no two tables can meet.

mod convert;
mod errors;
mod open;
mod query;
mod value;

#[cfg(test)]
mod bench;
#[cfg(test)]
pub(super) mod tests;

use std::path::Path;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

pub(super) use query::query;

use self::errors::failed;
use self::value::{Cells, Written};
use super::sql::ddl::{literal, quoted};
use super::sql::{Census, Engine, KeyedRows, LoadColumn, SYSTEM, Scalar, Target};
use super::{Access, SYNCS};
use model::error::{Error, Result};
use model::schema::{ColumnType, DELETED, SYNCED_AT, TableSchema};

/// What stands between a connection's name and a table's.
const SEPARATOR: &str = "__";
/// The kinds of indexes.
const KEY: &str = "key";
const DELETED_ROWS: &str = "deleted";
/// A column on the way to another type.
const WIDENED: &str = "_elt_widened";

/// A SQLite file, open for one session.
pub(super) struct Sqlite {
    engine: Connection,
}

impl Sqlite {
    /// Opens the file at `path`; for writing, makes it and its folder if they are not there.
    pub(super) fn open(path: &Path, access: Access) -> Result<Self> {
        Self::open_waiting(path, access, open::WAIT)
    }

    fn open_waiting(path: &Path, access: Access, wait: Duration) -> Result<Self> {
        Ok(Self { engine: open::open(path, access, wait)? })
    }

    /// Runs a statement with a parameter for each column, once for every row.
    fn run_for_each(&self, sql: &str, rows: &RecordBatch) -> rusqlite::Result<()> {
        let bad = |error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
        let columns = rows.columns().iter().map(|array| Cells::new(array.as_ref()).map_err(bad));
        let mut columns: Vec<(Cells<'_>, Written)> =
            columns.map(|cells| Ok((cells?, Written::default()))).collect::<rusqlite::Result<_>>()?;
        let mut statement = self.engine.prepare(sql)?;
        for row in 0..rows.num_rows() {
            for (index, (cells, written)) in columns.iter_mut().enumerate() {
                statement.raw_bind_parameter(index + 1, ToSqlOutput::Borrowed(cells.get(row, written)))?;
            }
            statement.raw_execute()?;
        }
        Ok(())
    }
}

/// `INSERT INTO table (columns) VALUES (?, …)`.
fn insert(table: &str, columns: &[LoadColumn]) -> String {
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    let values = vec!["?"; columns.len()];
    format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "))
}

/// The name of an index of a table.
fn index(kind: &str, schema: &str, table: &str) -> String {
    quoted(&full_name(SYSTEM, &format!("{kind}__{}", full_name(schema, table))))
}

/// A table's name in the file.
pub(super) fn full_name(schema: &str, table: &str) -> String {
    format!("{schema}{SEPARATOR}{table}")
}

impl ToSql for Scalar {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Boolean(value) => ValueRef::Integer((*value).into()),
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
        }))
    }
}

fn scalar(cell: ValueRef<'_>) -> Scalar {
    match cell {
        ValueRef::Integer(value) => Scalar::Integer(value),
        ValueRef::Text(bytes) => Scalar::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Scalar::Null,
    }
}

impl Engine for Sqlite {
    type Failure = rusqlite::Error;

    /// One that has read cannot begin to write when another has written since, so every transaction begins as a writer.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    /// This build would take more, but no other program could open the file.
    const COLUMNS_MAX: usize = 2_000;
    const COLUMNS_RESERVED: &'static [&'static str] = &[WIDENED];

    fn refuses(connection: &str) -> Option<&'static str> {
        if connection.contains(SEPARATOR) || connection.ends_with('_') {
            return Some("in SQLite, `__` ends the connection's name in the name of a table");
        }
        let reserved = connection.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"));
        reserved.then_some("SQLite keeps names that begin with `sqlite_` for itself")
    }

    fn type_name(&self, column_type: ColumnType) -> String {
        convert::sqlite_type(column_type).to_owned()
    }

    fn expression(&self, value: &str, from: ColumnType, to: ColumnType) -> Option<String> {
        convert::expression(value, from, to)
    }

    fn table(&self, schema: &str, name: &str) -> String {
        format!("main.{}", quoted(&full_name(schema, name)))
    }

    fn temporary(&self, name: &str) -> String {
        format!("temp.{}", quoted(name))
    }

    fn instant(&self, us: i64) -> String {
        let mut text = String::new();
        value::instant_text(us, true, &mut text);
        literal(&text)
    }

    fn micros(&self, instant: &str) -> String {
        format!("{}({instant})", convert::MICROS_OF)
    }

    fn create_schema(&self, _schema: &str) -> String {
        String::new()
    }

    fn drop_schema(&self, _schema: &str) -> String {
        String::new()
    }

    /// The indexes' names are ones that no table can have: no connection is called `_elt`.
    fn create_key(&self, schema: &str, table: &str, columns: &[String], rows: KeyedRows) -> String {
        let (target, columns) = (quoted(&full_name(schema, table)), columns.join(", "));
        let (name, condition) = (index(KEY, schema, table), rows.condition());
        let key = format!("CREATE UNIQUE INDEX main.{name} ON {target} ({columns}){condition};\n");
        if schema == SYSTEM || table == SYNCS || rows == KeyedRows::Active {
            return key;
        }
        // Holds deleted rows only, so it costs nothing while there are none.
        let (name, deleted) = (index(DELETED_ROWS, schema, table), quoted(DELETED));
        format!("{key}CREATE INDEX main.{name} ON {target} ({deleted}) WHERE {deleted};\n")
    }

    fn drop_key(&self, schema: &str, table: &str) -> String {
        [KEY, DELETED_ROWS].map(|kind| format!("DROP INDEX main.{};\n", index(kind, schema, table))).concat()
    }

    /// From two indexes, of which one has the keys and the other the deleted rows: a table is ten times as much to read.
    fn count_live(&self, table: &str) -> String {
        format!("(SELECT count(*) FROM {table}) - (SELECT count(*) FROM {table} WHERE {}) AS n", quoted(DELETED))
    }

    /// SQLite cannot change a column's type: a new column takes its place, as the last one of the table.
    fn widen(&self, table: &str, column: &str, (from, to): (ColumnType, ColumnType)) -> Option<String> {
        let (name, kind) = (quoted(column), self.type_name(to));
        let value = self.expression(&name, from, to)?;
        Some(format!(
            "ALTER TABLE {table} ADD COLUMN {WIDENED} {kind};\n\
             UPDATE {table} SET {WIDENED} = {value} WHERE {name} IS NOT NULL;\n\
             ALTER TABLE {table} DROP COLUMN {name};\n\
             ALTER TABLE {table} RENAME COLUMN {WIDENED} TO {name};\n"
        ))
    }

    fn delete_matching(&self, table: &str, stage: &str, key: &[(String, String)]) -> String {
        let (columns, values): (Vec<&str>, Vec<&str>) = key.iter().map(|(c, v)| (c.as_str(), v.as_str())).unzip();
        let (columns, values) = (columns.join(", "), values.join(", "));
        format!("DELETE FROM {table} WHERE ({columns}) IN (SELECT {values} FROM {stage} AS s)")
    }

    fn run(&mut self, sql: &str) -> Result<(), rusqlite::Error> {
        self.engine.execute_batch(sql)
    }

    fn execute(&mut self, sql: &str, values: &[Scalar]) -> Result<u64, rusqlite::Error> {
        self.engine.execute(sql, rusqlite::params_from_iter(values)).map(|changed| changed as u64)
    }

    fn query(&mut self, sql: &str, values: &[Scalar]) -> Result<Vec<Vec<Scalar>>, rusqlite::Error> {
        let mut statement = self.engine.prepare(sql)?;
        let columns = statement.column_count();
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| {
            (0..columns).map(|index| row.get_ref(index).map(scalar)).collect()
        })?;
        rows.collect()
    }

    fn load(&mut self, target: Target<'_>, columns: &[LoadColumn], rows: &RecordBatch) -> Result<(), rusqlite::Error> {
        let table = match target {
            Target::Table { schema, name } => self.table(schema, name),
            Target::Temporary(name) => self.temporary(name),
        };
        self.run_for_each(&insert(&table, columns), rows)
    }

    /// An upsert finds a row once; to delete it first would also write its index twice.
    fn replace(
        &mut self,
        schema: &str,
        table: &TableSchema,
        columns: &[LoadColumn],
        rows: &RecordBatch,
    ) -> Result<bool, rusqlite::Error> {
        let key: Vec<String> = table.key.iter().map(|column| quoted(&table.columns[*column].name)).collect();
        let others = table.columns.iter().enumerate().filter(|(index, _)| !table.key.contains(index));
        let names = others.map(|(_, column)| column.name.as_str()).chain([DELETED, SYNCED_AT]);
        let sets: Vec<String> = names.map(quoted).map(|name| format!("{name} = excluded.{name}")).collect();
        let insert = insert(&self.table(schema, &table.name), columns);
        let sql = format!("{insert} ON CONFLICT ({}) DO UPDATE SET {}", key.join(", "), sets.join(", "));
        self.run_for_each(&sql, rows).map(|()| true)
    }

    fn census(&mut self, schemas: &[&str]) -> Result<Census, rusqlite::Error> {
        let mut statement = self.engine.prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table'")?;
        let names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut census = Census::new();
        for name in names {
            let Some((schema, table)) = name.split_once(SEPARATOR).filter(|(schema, _)| schemas.contains(schema))
            else {
                continue;
            };
            let sql = format!("SELECT EXISTS (SELECT 1 FROM main.{})", quoted(&name));
            let has_rows = self.engine.query_row(&sql, [], |row| row.get(0))?;
            census.insert((schema.to_owned(), table.to_owned()), has_rows);
        }
        Ok(census)
    }

    /// There is no schema that could be dropped.
    fn is_bare(&mut self, _schema: &str) -> Result<bool, rusqlite::Error> {
        Ok(false)
    }

    fn memory_bytes(&mut self) -> Option<u64> {
        None
    }

    fn is_conflict(failure: &rusqlite::Error) -> bool {
        errors::is_conflict(failure)
    }

    fn failed(what: String, failure: rusqlite::Error) -> Error {
        failed(what)(failure)
    }
}
