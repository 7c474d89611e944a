//! Any SQL that reads, in a transaction that can do nothing else; rows come in pieces through a cursor.

use std::ops::ControlFlow;

use postgres::types::Type;
use postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::address::PostgresAddress;
use super::errors::{Failure, ServerError, failed};
use super::open;
use crate::{Access, Column, RowSink, Value};
use model::error::{Code, Error, Result};

/// Rows fetched at once.
const FETCH: &str = "FETCH 1000 FROM elt_query";

/// Runs a query and hands its rows to the sink as they come: they are never all in memory.
pub(crate) fn query(address: &PostgresAddress, sql: &str, sink: &mut dyn RowSink) -> Result<()> {
    if sql.contains('\0') {
        return Err(Error::new(Code::QueryFailed, "run the query: it contains a NUL"));
    }
    let mut client = open::open(address, Access::Read)?.client;
    let begin = "SET search_path = public; BEGIN READ ONLY";
    client.batch_execute(begin).map_err(|error| failed("begin a transaction")(error.into()))?;
    // Also makes sure that this is one statement: several could end the transaction that only reads.
    let prepared = client.prepare(sql).map_err(query_failed)?;
    let kinds: Vec<Type> = prepared.columns().iter().map(|column| column.type_().clone()).collect();
    if kinds.is_empty() {
        return Err(Error::new(Code::QueryFailed, "run the query: it gives no rows").hint(READS_ONLY));
    }
    let describe =
        |column: &postgres::Column| Column { name: column.name().to_owned(), is_number: is_number(column.type_()) };
    sink.columns(&prepared.columns().iter().map(describe).collect::<Vec<_>>())?;
    drop(prepared);
    if !declare(&mut client, sql)? {
        let rows = client.simple_query(sql).map_err(query_failed)?;
        return hand_over(&rows, &kinds, sink).map(drop);
    }
    loop {
        let rows = client.simple_query(FETCH).map_err(query_failed)?;
        let is_last = !rows.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_)));
        if is_last || hand_over(&rows, &kinds, sink)?.is_break() {
            return Ok(());
        }
    }
}

/// Whether there is a cursor for the statement now; SHOW and EXPLAIN have none, and few rows.
fn declare(client: &mut Client, sql: &str) -> Result<bool> {
    client.batch_execute("SAVEPOINT before").map_err(query_failed)?;
    let declared = client.batch_execute(&format!("DECLARE elt_query NO SCROLL CURSOR FOR {sql}"));
    match declared {
        Ok(()) => Ok(true),
        Err(error) if error.as_db_error().is_some() => {
            client.batch_execute("ROLLBACK TO before").map_err(query_failed)?;
            Ok(false)
        }
        Err(error) => Err(query_failed(error)),
    }
}

fn hand_over(messages: &[SimpleQueryMessage], kinds: &[Type], sink: &mut dyn RowSink) -> Result<ControlFlow<()>> {
    for message in messages {
        let SimpleQueryMessage::Row(row) = message else { continue };
        let cells = kinds.iter().enumerate().map(|(index, kind)| value(cell(row, index), kind));
        if sink.row(&cells.collect::<Vec<_>>())?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn cell(row: &SimpleQueryRow, index: usize) -> Option<&str> {
    row.try_get(index).unwrap_or_default()
}

fn is_number(kind: &Type) -> bool {
    [Type::INT2, Type::INT4, Type::INT8, Type::OID, Type::NUMERIC, Type::FLOAT4, Type::FLOAT8].contains(kind)
}

/// A value as the server writes it, instants and timestamps as in RFC 3339 (the session is in UTC).
fn value(text: Option<&str>, kind: &Type) -> Value {
    let Some(text) = text else { return Value::Null };
    match *kind {
        Type::BOOL => Value::Boolean(text == "t"),
        Type::JSON | Type::JSONB => Value::Json(text.to_owned()),
        Type::TIMESTAMP => Value::Text(text.replacen(' ', "T", 1)),
        Type::TIMESTAMPTZ => match text.strip_suffix("+00") {
            Some(instant) => Value::Text(instant.replacen(' ', "T", 1) + "Z"),
            None => Value::Text(text.to_owned()),
        },
        // JSON has no notation for infinity and what is not a number.
        _ if is_number(kind) && text.ends_with(|last: char| last.is_ascii_digit()) => Value::Number(text.to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}

const READS_ONLY: &str =
    "Queries can only read. Rows change through a sync, and `host reset` drops a connection's tables.";

fn query_failed(error: postgres::Error) -> Error {
    let refused = error.as_db_error().map(|refusal| refusal.code().clone());
    let Some(state) = refused else { return failed("run the query")(Failure::Postgres(error)) };
    let made = Error::new(Code::QueryFailed, "run the query").because(ServerError::of(&error));
    if state == postgres::error::SqlState::READ_ONLY_SQL_TRANSACTION { made.hint(READS_ONLY) } else { made }
}
