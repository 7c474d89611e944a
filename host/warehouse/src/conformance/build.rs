//! Tables, segments and commits for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray, new_empty_array};
use arrow::datatypes::{DataType, TimeUnit};

use crate::sql::batch_of;
use crate::{
    Commit, Committed, Deletes, Destination, OpenRequest, Segment, SegmentColumn, ShrinkMax, StartFrom, SyncRecord,
};
use model::Selection;
use model::error::{Code, Error, Result};
use model::schema::{ACTIVE, ColumnSchema, ColumnType, SYNCED_AT, TableSchema, VALID_FROM, VALID_TO};

pub(crate) const LONG: ColumnType = ColumnType::Long { exact: true };
pub(crate) const TEXT: ColumnType = ColumnType::String;

/// A sync that goes on where the last one ended; each has an identity of its own.
pub(crate) fn request(connection: &str) -> OpenRequest {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let id = format!("{:09}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let sync = SyncRecord { id, started_at_us: 1_000_000, outcome: "running".to_owned(), ..SyncRecord::default() };
    let connection = connection.to_owned();
    let (start_from, shrink_max) = (StartFrom::LastCommit, ShrinkMax::Percent(100));
    OpenRequest { connection, sync, start_from, deletes: Deletes::Soft, history: false, shrink_max }
}

/// One in which tables may begin to keep their history.
pub(crate) fn history_request(connection: &str) -> OpenRequest {
    OpenRequest { history: true, ..request(connection) }
}

/// A table whose key is its first column.
pub(crate) fn table(name: &str, columns: &[(&str, ColumnType)]) -> TableSchema {
    let column = |(name, column_type): &(&str, ColumnType)| ColumnSchema {
        source_name: (*name).to_owned(),
        name: (*name).to_owned(),
        column_type: *column_type,
        declared: false,
    };
    TableSchema {
        source_name: name.to_owned(),
        name: name.to_owned(),
        key: vec![0],
        columns: columns.iter().map(column).collect(),
        history: false,
    }
}

/// The same, and it keeps its history.
pub(crate) fn history_table(name: &str, columns: &[(&str, ColumnType)]) -> TableSchema {
    TableSchema { history: true, ..table(name, columns) }
}

/// The host's own columns but `_deleted`, for looking at them.
pub(crate) fn system_columns(of: &TableSchema) -> Vec<ColumnSchema> {
    let instant = ColumnType::UtcDatetime(None);
    let all = [(SYNCED_AT, instant), (VALID_FROM, instant), (VALID_TO, instant), (ACTIVE, ColumnType::Boolean)];
    table("", &all[..if of.history { 4 } else { 1 }]).columns
}

pub(crate) fn arrow_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Short => DataType::Int16,
        ColumnType::Int => DataType::Int32,
        ColumnType::Long { .. } => DataType::Int64,
        ColumnType::Decimal { precision, scale } => DataType::Decimal128(precision, scale.cast_signed()),
        ColumnType::Float => DataType::Float32,
        ColumnType::Double => DataType::Float64,
        ColumnType::NaiveDate => DataType::Date32,
        ColumnType::NaiveTime => DataType::Time64(TimeUnit::Microsecond),
        ColumnType::NaiveDatetime(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
        ColumnType::UtcDatetime(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Binary => DataType::Binary,
        ColumnType::Xml | ColumnType::String | ColumnType::Json => DataType::Utf8,
    }
}

/// A segment's columns: position in the table, type and values.
pub(crate) type Values = (usize, ColumnType, ArrayRef);

fn segment_columns(columns: &[Values]) -> Vec<SegmentColumn> {
    columns.iter().map(|(column, kind, _)| SegmentColumn { column: *column, column_type: *kind }).collect()
}

fn flags(flags: Vec<bool>) -> ArrayRef {
    Arc::new(BooleanArray::from(flags))
}

/// Rows that replace those of their keys.
pub(crate) fn segment(table: usize, columns: &[Values], deleted: &[bool]) -> Segment {
    let mut arrays: Vec<ArrayRef> = columns.iter().map(|(_, _, array)| Arc::clone(array)).collect();
    arrays.push(flags(deleted.to_vec()));
    let mut empty: Vec<ArrayRef> = columns.iter().map(|(_, kind, _)| new_empty_array(&arrow_type(*kind))).collect();
    empty.extend((0..=columns.len()).map(|_| new_empty_array(&DataType::Boolean)));
    Segment {
        table,
        truncates: false,
        columns: segment_columns(columns),
        rows: batch_of(arrays).unwrap(),
        patches: batch_of(empty).unwrap(),
        fresh: false,
    }
}

/// Rows of which none is deleted.
pub(crate) fn live(table: usize, columns: &[Values]) -> Segment {
    segment(table, columns, &vec![false; columns[0].2.len()])
}

/// Patches that give every one of the columns.
pub(crate) fn patches_of(table: usize, columns: &[Values]) -> Segment {
    let rows = columns[0].2.len();
    let empty: Vec<Values> = columns.iter().map(|(at, kind, array)| (*at, *kind, array.slice(0, 0))).collect();
    let mut arrays: Vec<ArrayRef> = columns.iter().map(|(_, _, array)| Arc::clone(array)).collect();
    arrays.extend(columns.iter().map(|_| flags(vec![true; rows])));
    arrays.push(flags(vec![false; rows]));
    Segment { patches: batch_of(arrays).unwrap(), ..live(table, &empty) }
}

pub(crate) fn longs(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

pub(crate) fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// The tables of most tests: `t` with a LONG key and a text.
pub(crate) fn pairs() -> Vec<TableSchema> {
    vec![table("t", &[("id", LONG), ("v", TEXT)])]
}

/// Rows of such a table.
pub(crate) fn upserts(table: usize, rows: &[(i64, Option<&str>)]) -> Segment {
    let (keys, values): (Vec<i64>, Vec<Option<&str>>) = rows.iter().copied().unzip();
    live(table, &[(0, LONG, longs(&keys)), (1, TEXT, texts(&values))])
}

/// Patches of such a table: the text if given, and whether to mark as deleted.
pub(crate) fn patches(table: usize, patches: &[(i64, Option<Option<&str>>, bool)]) -> Segment {
    let mut made = upserts(table, &[]);
    let keys: Vec<i64> = patches.iter().map(|patch| patch.0).collect();
    let values: Vec<Option<&str>> = patches.iter().map(|patch| patch.1.flatten()).collect();
    made.patches = batch_of(vec![
        longs(&keys),
        texts(&values),
        flags(vec![true; keys.len()]),
        flags(patches.iter().map(|patch| patch.1.is_some()).collect()),
        flags(patches.iter().map(|patch| patch.2).collect()),
    ])
    .unwrap();
    made
}

pub(crate) fn truncate(table: usize) -> Segment {
    Segment { truncates: true, ..upserts(table, &[]) }
}

pub(crate) fn fresh(segment: Segment) -> Segment {
    Segment { fresh: true, ..segment }
}

pub(crate) fn commit_of(tables: &[TableSchema], segments: Vec<Segment>) -> Commit {
    Commit {
        tables: tables.to_vec(),
        segments,
        state: Some("{\"cursor\":1}".to_owned()),
        synced_at_us: 1_700_000_000_000_001,
        is_last: false,
        selection: Selection::All,
        sync: SyncRecord { id: "none".to_owned(), outcome: "running".to_owned(), ..SyncRecord::default() },
    }
}

pub(crate) fn commit(to: &mut dyn Destination, tables: &[TableSchema], segments: Vec<Segment>) -> Result<Committed> {
    to.commit(commit_of(tables, segments))
}

/// The code of an error that says what to do about it.
pub(crate) fn code<T>(result: Result<T, Error>) -> Code {
    let error = result.err().unwrap();
    assert!(error.advice().is_some_and(|hint| !hint.is_empty()), "no hint: {}", error.chain());
    error.code()
}
