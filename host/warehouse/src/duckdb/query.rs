//! Any SQL that reads, on a file that nobody writes.

use std::ops::ControlFlow;
use std::path::Path;

use arrow::array::RecordBatch;
use duckdb::{Connection, Statement};

use super::errors::{self, EngineError, failed};
use super::open::OpenFile;
use super::value::Values;
use crate::{Access, Column, RowSink};
use model::error::{Code, Error, Result};

/// Runs a query that only reads, and hands its rows to the sink as they come: they are never all in memory. The file is
/// opened read-only, and no statement can reach another file.
pub(crate) fn query(path: &Path, sql: &str, sink: &mut dyn RowSink) -> Result<()> {
    let file = OpenFile::open(path, Access::Read)?;
    stream(file.engine(), sql, sink)
}

/// Runs a query and hands its rows to the sink as they come.
pub(super) fn stream(engine: &Connection, sql: &str, sink: &mut dyn RowSink) -> Result<()> {
    if sql.contains('\0') {
        return Err(Error::new(Code::QueryFailed, "run the query: it contains a NUL"));
    }
    let mut statement = engine.prepare(sql).map_err(query_failed)?;
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
