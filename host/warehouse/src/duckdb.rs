//! DuckDB as a destination: a file in this process.
//!
//! The folder holds one file per concern: `open` (the file, its lock, its settings), `convert` (types), `query` (any SQL
//! that reads), `errors` (the engine's words as codes). Everything else is `sql`.

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

use arrow::record_batch::RecordBatch;
use duckdb::types::{ToSqlOutput, Value as Cell};
use duckdb::{Connection, ToSql};

pub(super) use query::query;

use self::errors::failed;
use self::open::OpenFile;
use super::sql::ddl::{literal, quoted};
use super::sql::{Census, Engine, KeyedRows, LoadColumn, Scalar, Target};
use super::{Access, RowSink};
use model::error::{Error, Result};
use model::schema::ColumnType;

/// Rows that an appender collects before they go into the table: a few of the engine's vectors. What it collects is a
/// copy in memory that the engine does not count, and rows are quicker to move while they are in the processor's cache.
const APPEND_ROWS: usize = 2 * 2_048;

/// A DuckDB file, open for one session.
pub(super) struct DuckDb {
    file: OpenFile,
    /// The database, named by DuckDB after the file. It is always named in statements: a schema may have the same name.
    catalog: String,
}

impl DuckDb {
    /// Opens the file at `path`; for writing, makes it and its folder if they are not there.
    pub(super) fn open(path: &Path, access: Access) -> Result<Self> {
        let file = OpenFile::open(path, access)?;
        let catalog = file.engine().query_row("SELECT current_database()", [], |row| row.get(0));
        let catalog = catalog.map_err(failed("read the name of the database"))?;
        Ok(Self { file, catalog })
    }

    /// An engine without a file, for rows on their way: it may read and write the files of these folders, and spills into
    /// one of its own.
    pub(super) fn in_memory(folders: &[&Path], spill: &Path, access: Access) -> Result<Self> {
        let file = OpenFile::in_memory(folders, spill, open::threads(access))?;
        Ok(Self { file, catalog: "memory".to_owned() })
    }

    /// Runs a query that only reads, as `query` does.
    pub(super) fn query_into(&self, sql: &str, sink: &mut dyn RowSink) -> Result<()> {
        query::stream(self.engine(), sql, sink)
    }

    fn engine(&self) -> &Connection {
        self.file.engine()
    }

    fn schema(&self, schema: &str) -> String {
        format!("{}.{}", quoted(&self.catalog), quoted(schema))
    }
}

impl ToSql for Scalar {
    fn to_sql(&self) -> duckdb::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Cell::Null),
            Self::Boolean(value) => ToSqlOutput::Owned(Cell::Boolean(*value)),
            Self::Integer(value) => ToSqlOutput::Owned(Cell::BigInt(*value)),
            Self::Text(value) => value.to_sql()?,
        })
    }
}

/// A cell of a small result: integers of any width are one kind.
fn scalar(cell: Cell) -> Scalar {
    match cell {
        Cell::Boolean(value) => Scalar::Boolean(value),
        Cell::TinyInt(value) => Scalar::Integer(value.into()),
        Cell::SmallInt(value) => Scalar::Integer(value.into()),
        Cell::Int(value) => Scalar::Integer(value.into()),
        Cell::BigInt(value) => Scalar::Integer(value),
        Cell::HugeInt(value) => i64::try_from(value).map_or(Scalar::Null, Scalar::Integer),
        Cell::UTinyInt(value) => Scalar::Integer(value.into()),
        Cell::USmallInt(value) => Scalar::Integer(value.into()),
        Cell::UInt(value) => Scalar::Integer(value.into()),
        Cell::UBigInt(value) => i64::try_from(value).map_or(Scalar::Null, Scalar::Integer),
        Cell::Text(value) => Scalar::Text(value),
        _ => Scalar::Null,
    }
}

impl Engine for DuckDb {
    type Failure = duckdb::Error;

    /// Each such statement copies what the engine knows of every column, and the transaction keeps all copies: with 1,000
    /// columns a gigabyte.
    const ALTERS_MAX: usize = 50;

    fn type_name(&self, column_type: ColumnType) -> String {
        convert::duckdb_type(column_type)
    }

    fn expression(&self, value: &str, from: ColumnType, to: ColumnType) -> Option<String> {
        convert::expression(value, from, to)
    }

    fn table(&self, schema: &str, name: &str) -> String {
        format!("{}.{}", self.schema(schema), quoted(name))
    }

    fn temporary(&self, name: &str) -> String {
        format!("temp.main.{}", quoted(name))
    }

    /// As text which every build of the engine reads the same way, whatever the session's zone.
    fn instant(&self, us: i64) -> String {
        let text =
            jiff::Timestamp::from_microsecond(us).map_or_else(|_| "infinity".to_owned(), |time| time.to_string());
        format!("TIMESTAMPTZ {}", literal(&text))
    }

    fn micros(&self, instant: &str) -> String {
        format!("epoch_us({instant})")
    }

    fn create_schema(&self, schema: &str) -> String {
        format!("CREATE SCHEMA IF NOT EXISTS {};\n", self.schema(schema))
    }

    fn drop_schema(&self, schema: &str) -> String {
        if schema.eq_ignore_ascii_case("main") {
            return String::new();
        }
        format!("DROP SCHEMA {}", self.schema(schema))
    }

    /// No index: merging is two to seven times faster without one (docs/decisions/0001-duckdb-merge.md).
    fn create_key(&self, _schema: &str, _table: &str, _columns: &[String], _rows: KeyedRows) -> String {
        String::new()
    }

    fn run(&mut self, sql: &str) -> Result<(), duckdb::Error> {
        self.engine().execute_batch(sql)
    }

    fn execute(&mut self, sql: &str, values: &[Scalar]) -> Result<u64, duckdb::Error> {
        self.engine().execute(sql, duckdb::params_from_iter(values)).map(|changed| changed as u64)
    }

    fn query(&mut self, sql: &str, values: &[Scalar]) -> Result<Vec<Vec<Scalar>>, duckdb::Error> {
        let mut statement = self.engine().prepare(sql)?;
        let mut rows = statement.query(duckdb::params_from_iter(values))?;
        let mut found = Vec::new();
        let mut columns = None;
        while let Some(row) = rows.next()? {
            let columns = *columns.get_or_insert_with(|| row.as_ref().column_count());
            found.push((0..columns).map(|index| row.get(index).map(scalar)).collect::<Result<_, _>>()?);
        }
        Ok(found)
    }

    fn load(&mut self, target: Target<'_>, columns: &[LoadColumn], rows: &RecordBatch) -> Result<(), duckdb::Error> {
        let (table, catalog, schema) = match target {
            Target::Table { schema, name } => (name, self.catalog.as_str(), schema),
            Target::Temporary(name) => (name, "temp", "main"),
        };
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let mut appender = self.engine().appender_with_columns_to_catalog_and_db(table, catalog, schema, &names)?;
        for first in (0..rows.num_rows()).step_by(APPEND_ROWS) {
            appender.append_record_batch(rows.slice(first, APPEND_ROWS.min(rows.num_rows() - first)))?;
            // Dropping an appender swallows its errors.
            appender.flush()?;
        }
        Ok(())
    }

    /// One look at DuckDB's own catalog instead of a question per table. Its estimate of a table's rows is exact about
    /// whether there were ever any.
    fn census(&mut self, schemas: &[&str]) -> Result<Census, duckdb::Error> {
        let names: Vec<String> = schemas.iter().map(|schema| literal(schema)).collect();
        let sql = format!(
            "SELECT schema_name, table_name, estimated_size FROM duckdb_tables() \
             WHERE database_name = {} AND NOT temporary AND schema_name IN ({})",
            literal(&self.catalog),
            names.join(", ")
        );
        let mut statement = self.engine().prepare(&sql)?;
        let rows = statement
            .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get::<_, Option<i64>>(2)?.unwrap_or(0) > 0)))?;
        rows.collect()
    }

    fn is_bare(&mut self, schema: &str) -> Result<bool, duckdb::Error> {
        let sources =
            ["duckdb_tables()", "duckdb_views()", "duckdb_sequences()", "duckdb_types()", "duckdb_functions()"];
        let one = |source| format!("SELECT 1 FROM {source} WHERE database_name = ?1 AND schema_name = ?2");
        let all: Vec<String> = sources.iter().map(one).collect();
        let sql = format!("SELECT count(*) = 0 FROM ({})", all.join(" UNION ALL "));
        self.engine().query_row(&sql, duckdb::params![self.catalog, schema], |row| row.get(0))
    }

    fn memory_bytes(&mut self) -> Option<u64> {
        let sql = "SELECT CAST(sum(memory_usage_bytes) AS BIGINT) FROM duckdb_memory()";
        let bytes: i64 = self.engine().query_row(sql, [], |row| row.get(0)).ok()?;
        u64::try_from(bytes).ok()
    }

    fn is_conflict(failure: &duckdb::Error) -> bool {
        errors::is_conflict(failure)
    }

    fn failed(what: String, failure: duckdb::Error) -> Error {
        failed(what)(failure)
    }
}
