//! Any SQL that reads.

use std::path::Path;

use rusqlite::Statement;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{Type, ValueRef};

use super::convert::sqlite_type;
use super::errors::{EngineError, failed, is_about_the_file};
use super::open::{self, WAIT};
use crate::{Access, Column, RowSink, Value};
use model::error::{Code, Error, Result};
use model::schema::ColumnType;
use model::schema::value::double_text;

/// PRAGMAs that only tell something.
const PRAGMAS: &[&str] = &[
    "collation_list",
    "compile_options",
    "database_list",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Runs a query that only reads, and hands its rows to the sink as they come: they are never all in memory. The file is
/// opened read-only, and no statement can reach another file.
pub(crate) fn query(path: &Path, sql: &str, sink: &mut dyn RowSink) -> Result<()> {
    let mut engine = open::open(path, Access::Read, WAIT)?;
    if sql.contains('\0') {
        return Err(Error::new(Code::QueryFailed, "run the query: it contains a NUL"));
    }
    engine.authorizer(Some(|context: AuthContext<'_>| authorize(&context))).map_err(failed("guard the query"))?;
    let mut statement = engine.prepare(sql).map_err(query_failed)?;
    if statement.column_count() == 0 {
        return Err(Error::new(Code::QueryFailed, "run the query: it gives no rows").hint(READ_ONLY));
    }
    run(&mut statement, sink)
}

fn authorize(context: &AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Function { .. } | AuthAction::Recursive => {
            Authorization::Allow
        }
        AuthAction::Pragma { pragma_name, .. } if PRAGMAS.contains(&pragma_name) => Authorization::Allow,
        _ => Authorization::Deny,
    }
}

/// What the declared type of a column says about its values. An expression has none.
#[derive(Clone, Copy, PartialEq)]
enum Declared {
    Boolean,
    Number,
    Json,
    Other,
    Nothing,
}

fn run(statement: &mut Statement<'_>, sink: &mut dyn RowSink) -> Result<()> {
    let is = |name: &str, column_type| name.eq_ignore_ascii_case(sqlite_type(column_type));
    let decimal = ColumnType::Decimal { precision: 1, scale: 0 };
    let declared = |name: Option<&str>| match name {
        None => Declared::Nothing,
        Some(name) if is(name, ColumnType::Boolean) => Declared::Boolean,
        Some(name) if is(name, ColumnType::Json) => Declared::Json,
        Some(name) if is(name, ColumnType::Int) || is(name, ColumnType::Double) || is(name, decimal) => {
            Declared::Number
        }
        Some(_) => Declared::Other,
    };
    let columns: Vec<(String, Declared)> =
        statement.columns().map(|column| (column.name().to_owned(), declared(column.decl_type()))).collect();
    let mut rows = statement.query([]).map_err(query_failed)?;
    let mut is_first = true;
    loop {
        let row = rows.next().map_err(query_failed)?;
        let cell = |index: usize| row.map_or(Ok(ValueRef::Null), |row| row.get_ref(index));
        if std::mem::take(&mut is_first) {
            let describe = |(index, (name, declared)): (usize, &(String, Declared))| {
                let counts = || cell(index).is_ok_and(|cell| matches!(cell.data_type(), Type::Integer | Type::Real));
                let is_number = *declared == Declared::Number || (*declared == Declared::Nothing && counts());
                Column { name: name.clone(), is_number }
            };
            sink.columns(&columns.iter().enumerate().map(describe).collect::<Vec<_>>())?;
        }
        if row.is_none() {
            return Ok(());
        }
        let values = columns.iter().enumerate().map(|(index, (_, declared))| Ok(value(cell(index)?, *declared)));
        let values = values.collect::<rusqlite::Result<Vec<Value>>>().map_err(query_failed)?;
        if sink.row(&values)?.is_break() {
            return Ok(());
        }
    }
}

fn value(cell: ValueRef<'_>, declared: Declared) -> Value {
    match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) if declared == Declared::Boolean => Value::Boolean(value != 0),
        ValueRef::Integer(value) => Value::Number(value.to_string()),
        ValueRef::Real(value) if value.is_finite() => Value::Number(double_text(value)),
        // JSON has no notation for infinity.
        ValueRef::Real(value) => Value::Text(value.to_string()),
        ValueRef::Blob(bytes) => {
            Value::Text(bytes.iter().fold("\\x".to_owned(), |text, byte| text + &format!("{byte:02x}")))
        }
        ValueRef::Text(bytes) => {
            let text = String::from_utf8_lossy(bytes).into_owned();
            match declared {
                Declared::Json => Value::Json(text),
                Declared::Number => Value::Number(text),
                _ => Value::Text(text),
            }
        }
    }
}

const READ_ONLY: &str =
    "Queries can only read. Rows change through a sync, and `host reset` drops a connection's tables.";

fn query_failed(error: rusqlite::Error) -> Error {
    if is_about_the_file(&error) && !error.to_string().contains("readonly") {
        return failed("run the query")(error);
    }
    let text = error.to_string();
    let failed = Error::new(Code::QueryFailed, "run the query").because(EngineError::of(&error));
    if text.contains("not authorized") || text.contains("readonly") || text.contains("Multiple statements") {
        return failed.hint(READ_ONLY);
    }
    failed
}
