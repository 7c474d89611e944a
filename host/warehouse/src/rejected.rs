//! The records of a connection that were set aside, read back from its table `_rejected`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::sql::ddl::{literal, quoted};
use crate::{Access, Column, DestinationUrl, RowSink, TableInfo, Value, query, warehouse};
use model::error::{Code, Error, Result};
use model::schema::{ColumnType, DELETED, REJECTED, SYNCED_AT};

/// A record that was set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectedRecord {
    /// The sync that did.
    pub sync: String,
    /// The connector's name of the table it was meant for.
    pub table: String,
    /// Its number among the table's records in that sync.
    pub position: u64,
    /// What was to be done with it.
    pub operation: String,
    /// Why that could not be.
    pub reason: String,
    /// Its bytes.
    pub record: Vec<u8>,
}

/// Hands over the records of a connection that were set aside, in order, until `take` breaks off.
pub fn rejected(
    url: &DestinationUrl,
    connection: &str,
    take: &mut dyn FnMut(RejectedRecord) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let tables = warehouse(url, Access::Read)?.tables()?;
    if !tables.iter().any(|table| table.connection == connection && table.name == REJECTED) {
        return Ok(());
    }
    let bytes = if matches!(url, DestinationUrl::Postgres(_)) { "encode(record, 'hex')" } else { "hex(record)" };
    let sql = format!(
        "SELECT sync, \"table\", \"position\", operation, reason, {bytes} FROM {} WHERE NOT {} ORDER BY sync, \"table\", \"position\"",
        named(url, connection, REJECTED),
        quoted(DELETED)
    );
    query(url, &sql, &mut Taker { take })
}

struct Taker<'t> {
    take: &'t mut dyn FnMut(RejectedRecord) -> Result<ControlFlow<()>>,
}

impl RowSink for Taker<'_> {
    fn columns(&mut self, _columns: &[Column]) -> Result<()> {
        Ok(())
    }

    fn row(&mut self, row: &[Value]) -> Result<ControlFlow<()>> {
        let text = |index: usize| row.get(index).and_then(Value::text).unwrap_or_default();
        let damaged = || {
            Error::new(Code::WarehouseCorrupted, format!("read a row of {}", quoted(REJECTED)))
                .hint("Was the table changed by hand? Remove what is not the host's from it.")
        };
        (self.take)(RejectedRecord {
            sync: text(0).to_owned(),
            table: text(1).to_owned(),
            position: text(2).parse().map_err(|_| damaged())?,
            operation: text(3).to_owned(),
            reason: text(4).to_owned(),
            record: from_hex(text(5)).ok_or_else(damaged)?,
        })
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn named(url: &DestinationUrl, connection: &str, table: &str) -> String {
    let parts: Vec<String> = url.table_name(connection, table).iter().map(|part| quoted(part)).collect();
    parts.join(".")
}

/// A record that was set aside, by its sync and position, and a text for each column of its key, in the order of the columns.
pub type Keyed = ((String, u64), Vec<String>);

/// Which of some records of a table were overtaken: a row of their key was written after they were set aside.
pub fn overtaken(url: &DestinationUrl, (table, records): (&TableInfo, &[Keyed])) -> Result<BTreeSet<(String, u64)>> {
    /// Records that one statement looks for.
    const RECORDS_MAX: usize = 200;
    let mut found = Found::default();
    for some in records.chunks(RECORDS_MAX) {
        let terms: Vec<String> = some.iter().map(|record| term(table, record)).collect();
        let sql = format!(
            "SELECT DISTINCT r.sync, r.\"position\" FROM {} AS r JOIN {} AS t ON t.{SYNCED_AT} > r.{SYNCED_AT} \
             WHERE r.\"table\" = {} AND ({})",
            named(url, &table.connection, REJECTED),
            named(url, &table.connection, &table.name),
            literal(&table.source_name),
            terms.join(" OR ")
        );
        query(url, &sql, &mut found)?;
    }
    Ok(found.0)
}

fn term(table: &TableInfo, ((sync, position), key): &Keyed) -> String {
    let columns = table.columns.iter().filter(|column| column.is_key);
    let equal = columns
        .zip(key)
        .map(|(column, text)| format!(" AND CAST(t.{} AS TEXT) = {}", quoted(&column.name), literal(text)));
    format!("(r.sync = {} AND r.\"position\" = {position}{})", literal(sync), equal.collect::<String>())
}

/// Whether every engine writes a key of this type as the record does.
pub fn is_written_alike(column_type: ColumnType) -> bool {
    use ColumnType as T;
    matches!(column_type, T::Short | T::Int | T::Long { .. } | T::String)
}

#[derive(Default)]
struct Found(BTreeSet<(String, u64)>);

impl RowSink for Found {
    fn columns(&mut self, _columns: &[Column]) -> Result<()> {
        Ok(())
    }

    fn row(&mut self, row: &[Value]) -> Result<ControlFlow<()>> {
        if let [sync, position] = row
            && let (Some(sync), Some(Ok(position))) = (sync.text(), position.text().map(str::parse))
        {
            self.0.insert((sync.to_owned(), position));
        }
        Ok(ControlFlow::Continue(()))
    }
}
