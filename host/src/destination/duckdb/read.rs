//! Looking at a warehouse without a sync: queries, tables, connections and their state; and forgetting a connection.

use std::ops::ControlFlow;
use std::path::Path;

use arrow::array::RecordBatch;
use duckdb::{Connection, Statement};

use super::catalog::{Catalog, Census, ConnectionRow, SYSTEM};
use super::ddl::{Place, SYNCS, quoted};
use super::errors::{self, EngineError, failed};
use super::open::{Access, Warehouse};
use super::value::{Value, Values};
use crate::error::{Code, Error, Result};
use crate::schema::{ColumnType, DELETED, SYNCED_AT, TableSchema};

/// A column of a query's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Whether values are numbers: for the alignment of a printed table.
    pub is_number: bool,
}

/// Takes the rows of a query, one by one.
pub trait RowSink {
    /// The columns; called once, before the first row.
    fn columns(&mut self, columns: &[Column]) -> Result<()>;

    /// A row; `Break` ends the query.
    fn row(&mut self, row: &[Value]) -> Result<ControlFlow<()>>;
}

/// Runs a query that only reads, and hands its rows to the sink as they come: they are never all in memory. The file is
/// opened read-only, and no statement can reach another file.
pub fn query(path: &Path, sql: &str, sink: &mut dyn RowSink) -> Result<()> {
    let warehouse = Warehouse::open(path, Access::Read)?;
    if sql.contains('\0') {
        return Err(Error::new(Code::QueryFailed, "run the query: it contains a NUL"));
    }
    let mut statement = warehouse.engine()?.prepare(sql).map_err(query_failed)?;
    // Only starts the query: the iterator it returns panics where `step` gives an error.
    let _ = statement.stream_arrow([]).map_err(query_failed)?;
    let is_json = columns_of(&statement, sink)?;
    while let Some(batch) = statement.step().map_err(query_failed)? {
        if rows_of(&RecordBatch::from(&batch), &is_json, sink)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Announces the columns and returns which of them are JSON text.
fn columns_of(statement: &Statement<'_>, sink: &mut dyn RowSink) -> Result<Vec<bool>> {
    let schema = statement.schema();
    let describe = |field: &arrow::datatypes::FieldRef| Column {
        name: field.name().clone(),
        is_number: field.data_type().is_numeric(),
    };
    sink.columns(&schema.fields().iter().map(describe).collect::<Vec<_>>())?;
    let alias = |index| statement.column_logical_type(index).get_alias();
    Ok((0..schema.fields().len()).map(|index| alias(index).as_deref() == Some("JSON")).collect())
}

fn rows_of(batch: &RecordBatch, is_json: &[bool], sink: &mut dyn RowSink) -> Result<ControlFlow<()>> {
    let columns = batch.columns().iter().zip(is_json);
    let columns: Vec<Values> = columns.map(|(array, is_json)| Values::new(array.as_ref(), *is_json)).collect();
    let mut row = Vec::with_capacity(columns.len());
    for index in 0..batch.num_rows() {
        row.clear();
        row.extend(columns.iter().map(|column| column.get(index)));
        if sink.row(&row)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn query_failed(error: duckdb::Error) -> Error {
    let text = error.to_string();
    if errors::is_about_the_file(&text) {
        return failed("run the query")(error);
    }
    let failed = Error::new(Code::QueryFailed, "run the query").because(EngineError::of(&error));
    if text.contains("read-only mode") || text.contains("read-only transaction") {
        return failed
            .hint("Queries can only read. Rows change through a sync, and `host reset` drops a connection's tables.");
    }
    if text.contains("disabled by configuration") || text.contains("configuration has been locked") {
        return failed.hint("Queries see the warehouse only: no other files, no extensions, no settings.");
    }
    failed
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
    /// Rows that are not deleted.
    pub rows: u64,
    /// Rows marked as deleted.
    pub deleted_rows: u64,
    /// The columns, without `_synced_at` and `_deleted`.
    pub columns: Vec<TableColumn>,
    /// The last commit that wrote a row, in microseconds since 1970.
    pub synced_at_us: Option<i64>,
}

/// A column as `host tables` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// The column's name in the warehouse.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
    /// Whether the connector fixed the type.
    pub declared: bool,
    /// Whether it is part of the primary key.
    pub is_key: bool,
}

/// Every table that syncs have written, by connection and in the order in which they were made.
pub fn tables(path: &Path) -> Result<Vec<TableInfo>> {
    let mut found = Vec::new();
    let warehouse = Warehouse::open(path, Access::Read)?;
    let engine = warehouse.engine()?;
    for row in known_connections(engine)? {
        let place = place(engine, &row.connection)?;
        let catalog = Catalog { engine, place: &place };
        for table in catalog.tables()? {
            found.push(table_info(engine, &place, table)?);
        }
    }
    Ok(found)
}

fn table_info(engine: &Connection, place: &Place, table: TableSchema) -> Result<TableInfo> {
    let deleted = quoted(DELETED);
    let sql = format!(
        "SELECT count(*) FILTER (NOT {deleted}), count(*) FILTER ({deleted}), epoch_us(max({})) FROM {}",
        quoted(SYNCED_AT),
        place.table(&table.name)
    );
    let counts = engine.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let (rows, deleted_rows, synced_at_us) =
        counts.map_err(failed(format!("count the rows of {}", place.table(&table.name))))?;
    let key = table.key;
    let columns = table.columns.into_iter().enumerate().map(|(index, column)| TableColumn {
        name: column.name,
        column_type: column.column_type,
        declared: column.declared,
        is_key: key.contains(&index),
    });
    Ok(TableInfo {
        connection: place.schema.clone(),
        name: table.name,
        source_name: table.source_name,
        rows,
        deleted_rows,
        columns: columns.collect(),
        synced_at_us,
    })
}

/// How many rows that are not deleted each table has.
pub(super) fn count(engine: &Connection, place: &Place, tables: &[TableSchema]) -> Result<Vec<u64>> {
    /// Tables counted by one statement.
    const TABLES_MAX: usize = 100;
    let mut counts = Vec::with_capacity(tables.len());
    for some in tables.chunks(TABLES_MAX) {
        let one = |(index, table): (usize, &TableSchema)| {
            format!(
                "SELECT {index} AS i, count(*) AS n FROM {} WHERE NOT {}",
                place.table(&table.name),
                quoted(DELETED)
            )
        };
        let all: Vec<String> = some.iter().enumerate().map(one).collect();
        let sql = format!("SELECT n FROM ({}) ORDER BY i", all.join(" UNION ALL "));
        let read =
            || -> Result<Vec<u64>, duckdb::Error> { engine.prepare(&sql)?.query_map([], |row| row.get(0))?.collect() };
        counts.extend(read().map_err(failed("count the rows of the tables"))?);
    }
    Ok(counts)
}

/// The rows of every connection that has tables or a history here.
pub fn connections(path: &Path) -> Result<Vec<ConnectionRow>> {
    known_connections(Warehouse::open(path, Access::Read)?.engine()?)
}

/// The row of one connection; none if no sync of it was ever begun, or it was reset since.
pub fn state(path: &Path, connection: &str) -> Result<Option<ConnectionRow>> {
    Ok(connections(path)?.into_iter().find(|row| row.connection == connection))
}

fn known_connections(engine: &Connection) -> Result<Vec<ConnectionRow>> {
    let system = place(engine, SYSTEM)?;
    if !Census::take(engine, &system).map_err(failed("read the list of tables"))?.has_catalog() {
        return Ok(Vec::new());
    }
    let catalog = Catalog { engine, place: &system };
    catalog.check_format()?;
    catalog.connections().map_err(failed("read the connections"))
}

fn place(engine: &Connection, schema: &str) -> Result<Place> {
    let catalog = engine.query_row("SELECT current_database()", [], |row| row.get(0));
    Ok(Place { catalog: catalog.map_err(failed("read the name of the database"))?, schema: schema.to_owned() })
}

/// What a reset dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The tables, by their names in the warehouse.
    pub tables: Vec<String>,
    /// Whether the schema is gone; it stays if something else is in it.
    pub schema: bool,
}

/// Drops a connection's tables and its history and forgets its state, in one transaction; none if there is no such
/// connection. A sync of it that is under way cannot commit any more.
pub fn reset(path: &Path, connection: &str) -> Result<Option<Dropped>> {
    if state(path, connection)?.is_none() {
        return Ok(None);
    }
    let warehouse = Warehouse::open(path, Access::Write)?;
    let engine = warehouse.engine()?;
    let place = place(engine, connection)?;
    engine.execute_batch("BEGIN").map_err(failed("begin a transaction"))?;
    let dropped = drop_all(engine, &place)
        .and_then(|dropped| engine.execute_batch("COMMIT").map(|()| dropped).map_err(failed("commit the reset")));
    if dropped.is_err() {
        // The first error tells what happened; a transaction that cannot be rolled back is over already.
        let _ = engine.execute_batch("ROLLBACK");
    }
    dropped.map(Some)
}

fn drop_all(engine: &Connection, place: &Place) -> Result<Dropped> {
    let catalog = Catalog { engine, place };
    let tables: Vec<String> = catalog.tables()?.into_iter().map(|table| table.name).collect();
    for table in tables.iter().map(String::as_str).chain([SYNCS]) {
        let sql = format!("DROP TABLE IF EXISTS {}", place.table(table));
        engine.execute_batch(&sql).map_err(failed(format!("drop the table {}", place.table(table))))?;
    }
    catalog.forget().map_err(failed("forget the state"))?;
    let schema = !place.schema.eq_ignore_ascii_case("main") && is_bare(engine, place)?;
    if schema {
        let sql = format!("DROP SCHEMA {}", place.schema());
        engine.execute_batch(&sql).map_err(failed(format!("drop the schema {}", place.schema())))?;
    }
    Ok(Dropped { tables, schema })
}

/// Whether nothing is left in the schema.
fn is_bare(engine: &Connection, place: &Place) -> Result<bool> {
    let sources = ["duckdb_tables()", "duckdb_views()", "duckdb_sequences()", "duckdb_types()", "duckdb_functions()"];
    let one = |source| format!("SELECT 1 FROM {source} WHERE database_name = ?1 AND schema_name = ?2");
    let all: Vec<String> = sources.iter().map(one).collect();
    let sql = format!("SELECT count(*) = 0 FROM ({})", all.join(" UNION ALL "));
    let bare = engine.query_row(&sql, duckdb::params![place.catalog, place.schema], |row| row.get(0));
    bare.map_err(failed("look for what else is in the schema"))
}
