//! The destination against real files: what a commit leaves behind, and what it must not.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, RecordBatch, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    new_empty_array,
};
use arrow::datatypes::{DataType, TimeUnit};
use proptest::prelude::*;

use super::{Column, DuckDb, RowSink, Value, query};
use crate::destination::sql::{Engine as _, SqlDestination, batch_of};
use crate::destination::{
    Access, Commit, Committed, Deletes, Destination, OpenRequest, Opened, Segment, SegmentColumn, StartFrom,
    SyncRecord, Warehouse,
};
use crate::error::{Code, Error, Result};
use crate::model::Selection;
use crate::schema::value::{Moment, double_text, moment, moment_text, units_text};
use crate::schema::{ColumnSchema, ColumnType, Offset, TableSchema, TimeFormat};

const LONG: ColumnType = ColumnType::Long { exact: true };
const TEXT: ColumnType = ColumnType::String;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("warehouse.db")
    }

    fn open(&self, connection: &str) -> (Open, Opened) {
        open(&self.file(), request(connection)).unwrap()
    }

    fn look(&self, access: Access) -> Result<DuckDb> {
        DuckDb::open(&self.file(), access)
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        rows(&self.file(), sql).unwrap()
    }
}

type Open = SqlDestination<DuckDb>;

pub(super) fn open(path: &Path, request: OpenRequest) -> Result<(Open, Opened)> {
    SqlDestination::begin(DuckDb::open(path, Access::Write)?, request)
}

fn request(connection: &str) -> OpenRequest {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let id = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
    let sync = SyncRecord { id, started_at_us: 1_000_000, outcome: "running".to_owned(), ..SyncRecord::default() };
    let connection = connection.to_owned();
    OpenRequest { connection, sync, start_from: StartFrom::LastCommit, deletes: Deletes::Soft }
}

/// Rows as text, cells separated by `|`, NULL as `-`.
fn rows(path: &Path, sql: &str) -> Result<Vec<String>> {
    #[derive(Default)]
    struct Rows(Vec<String>);
    impl RowSink for Rows {
        fn columns(&mut self, _columns: &[Column]) -> Result<()> {
            Ok(())
        }
        fn row(&mut self, row: &[Value]) -> Result<ControlFlow<()>> {
            self.0.push(row.iter().map(|value| value.text().unwrap_or("-")).collect::<Vec<_>>().join("|"));
            Ok(ControlFlow::Continue(()))
        }
    }
    let mut found = Rows::default();
    query(path, sql, &mut found)?;
    Ok(found.0)
}

fn table(name: &str, columns: &[(&str, ColumnType)]) -> TableSchema {
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
    }
}

pub(super) fn arrow_type(column_type: ColumnType) -> DataType {
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

/// Columns of a segment by position in the table, with arrays of the segment's rows.
fn segment(table: usize, columns: &[(usize, ColumnType, ArrayRef)], deleted: &[bool]) -> Segment {
    let mut arrays: Vec<ArrayRef> = columns.iter().map(|(_, _, array)| Arc::clone(array)).collect();
    arrays.push(Arc::new(BooleanArray::from(deleted.to_vec())));
    let mut empty: Vec<ArrayRef> = columns.iter().map(|(_, kind, _)| new_empty_array(&arrow_type(*kind))).collect();
    empty.extend((0..=columns.len()).map(|_| new_empty_array(&DataType::Boolean)));
    Segment {
        table,
        truncates: false,
        columns: columns
            .iter()
            .map(|(column, kind, _)| SegmentColumn { column: *column, column_type: *kind })
            .collect(),
        rows: batch_of(arrays).unwrap(),
        patches: batch_of(empty).unwrap(),
        fresh: false,
    }
}

fn longs(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// Rows of a table with a LONG key and a text.
fn upserts(table: usize, rows: &[(i64, Option<&str>)]) -> Segment {
    let (keys, values): (Vec<i64>, Vec<Option<&str>>) = rows.iter().copied().unzip();
    segment(table, &[(0, LONG, longs(&keys)), (1, TEXT, texts(&values))], &vec![false; rows.len()])
}

/// Patches of such a table: the text if given, and whether to mark as deleted.
fn patches(table: usize, patches: &[(i64, Option<Option<&str>>, bool)]) -> Segment {
    let mut made = upserts(table, &[]);
    let keys: Vec<i64> = patches.iter().map(|patch| patch.0).collect();
    let values: Vec<Option<&str>> = patches.iter().map(|patch| patch.1.flatten()).collect();
    let given: Vec<bool> = patches.iter().map(|patch| patch.1.is_some()).collect();
    let deleted: Vec<bool> = patches.iter().map(|patch| patch.2).collect();
    made.patches = batch_of(vec![
        longs(&keys),
        texts(&values),
        Arc::new(BooleanArray::from(vec![true; keys.len()])),
        Arc::new(BooleanArray::from(given)),
        Arc::new(BooleanArray::from(deleted)),
    ])
    .unwrap();
    made
}

fn truncate(table: usize) -> Segment {
    Segment { truncates: true, ..upserts(table, &[]) }
}

fn fresh(segment: Segment) -> Segment {
    Segment { fresh: true, ..segment }
}

fn commit_of(tables: &[TableSchema], segments: Vec<Segment>) -> Commit {
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

fn commit(destination: &mut Open, tables: &[TableSchema], segments: Vec<Segment>) -> Result<Committed> {
    destination.commit(commit_of(tables, segments))
}

fn pairs() -> Vec<TableSchema> {
    vec![table("t", &[("id", LONG), ("v", TEXT)])]
}

const PAIRS: &str = "SELECT id, v, _deleted FROM c.t ORDER BY id";

#[test]
fn upserts_replace_whole_rows_and_patches_overlay() {
    let home = Home::new();
    let (mut to, opened) = home.open("c");
    assert_eq!((opened.sequence, opened.state, opened.tables.len()), (0, None, 0));
    commit(&mut to, &pairs(), vec![fresh(upserts(0, &[(1, Some("a")), (2, Some("b")), (3, Some("c"))]))]).unwrap();
    let found = commit(
        &mut to,
        &pairs(),
        vec![
            upserts(0, &[(2, None), (4, Some("d"))]),
            patches(
                0,
                &[(1, Some(Some("x")), false), (3, None, true), (4, Some(None), false), (9, Some(Some("-")), false)],
            ),
        ],
    );
    assert_eq!(found.unwrap().ignored, vec![1]);
    assert_eq!(to.finish(&SyncRecord::default()).unwrap(), vec![3]);
    drop(to);
    assert_eq!(home.rows(PAIRS), ["1|x|false", "2|-|false", "3|c|true", "4|-|false"]);
    assert_eq!(home.rows("SELECT DISTINCT _synced_at FROM c.t"), ["2023-11-14T22:13:20.000002Z"]);
}

#[test]
fn a_truncate_marks_what_came_before_it_and_an_upsert_revives() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a")), (2, Some("b")), (3, Some("c"))])]).unwrap();
    let mut segments = vec![upserts(0, &[(4, Some("d"))]), truncate(0)];
    segments.push(Segment { truncates: true, ..upserts(0, &[(2, Some("again"))]) });
    segments.push(patches(0, &[(3, Some(Some("late")), false)]));
    assert_eq!(commit(&mut to, &pairs(), segments).unwrap().ignored, vec![0]);
    drop(to);
    assert_eq!(home.rows(PAIRS), ["1|a|true", "2|again|false", "3|late|true", "4|d|true"]);
}

#[test]
fn rows_can_arrive_deleted() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    let mut one = upserts(0, &[(1, Some("a")), (2, Some("b"))]);
    one = segment(
        0,
        &[(0, LONG, Arc::clone(one.rows.column(0))), (1, TEXT, Arc::clone(one.rows.column(1)))],
        &[true, false],
    );
    commit(&mut to, &pairs(), vec![fresh(one)]).unwrap();
    drop(to);
    assert_eq!(home.rows(PAIRS), ["1|a|true", "2|b|false"]);
}

#[test]
fn columns_that_a_segment_does_not_have_become_null_in_rows_and_stay_in_patches() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a")), (2, Some("b"))])]).unwrap();
    let only_key = segment(0, &[(0, LONG, longs(&[1, 3]))], &[false, false]);
    let fresh_key = fresh(segment(0, &[(0, LONG, longs(&[4]))], &[false]));
    let mut delete = segment(0, &[(0, LONG, longs(&[]))], &[]);
    let (yes, no) = (BooleanArray::from(vec![true]), BooleanArray::from(vec![false]));
    delete.patches = batch_of(vec![longs(&[2]), Arc::new(yes.clone()), Arc::new(yes)]).unwrap();
    drop(no);
    commit(&mut to, &pairs(), vec![only_key, fresh_key, delete]).unwrap();
    drop(to);
    assert_eq!(home.rows(PAIRS), ["1|-|false", "2|b|true", "3|-|false", "4|-|false"]);
}

#[test]
fn tables_columns_and_types_change_in_the_transaction_of_their_rows() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    let first = vec![table("t", &[("id", LONG), ("v", LONG)])];
    let numbers = |values: &[(i64, i64)], kind| {
        let (keys, values): (Vec<i64>, Vec<i64>) = values.iter().copied().unzip();
        segment(0, &[(0, LONG, longs(&keys)), (1, kind, longs(&values))], &vec![false; keys.len()])
    };
    commit(&mut to, &first, vec![fresh(numbers(&[(1, 10), (2, 20)], LONG))]).unwrap();
    let second = vec![
        table("t", &[("id", LONG), ("v", TEXT), ("new", ColumnType::Boolean)]),
        table("u", &[("id", LONG), ("v", TEXT)]),
    ];
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None]));
    let wide = segment(
        0,
        &[(0, LONG, longs(&[4, 5])), (1, TEXT, texts(&[Some("x"), None])), (2, ColumnType::Boolean, flags)],
        &[false, false],
    );
    // The first segment was made before the column widened.
    let segments =
        vec![numbers(&[(2, 21)], LONG), fresh(numbers(&[(3, 30)], LONG)), wide, upserts(1, &[(1, Some("u"))])];
    commit(&mut to, &second, segments).unwrap();
    drop(to);
    assert_eq!(
        home.rows("SELECT id, v, \"new\", _deleted FROM c.t ORDER BY id"),
        ["1|10|-|false", "2|21|-|false", "3|30|-|false", "4|x|true|false", "5|-|-|false"]
    );
    let (_to, opened) = home.open("c");
    assert_eq!(opened.tables, second);
    assert_eq!(opened.empty, [false, false]);
}

#[test]
fn a_sync_opens_where_the_last_commit_ended() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    let tables = vec![
        table("t", &[("id", LONG), ("v", TEXT)]),
        TableSchema { key: vec![1, 0], ..table("two keys", &[("a", LONG), ("b", TEXT)]) },
    ];
    commit(&mut to, &tables, vec![upserts(0, &[(1, None)])]).unwrap();
    commit(&mut to, &tables, vec![]).unwrap();
    drop(to);
    let (_to, opened) = home.open("c");
    assert_eq!(opened.tables, tables);
    assert_eq!(opened.empty, [false, true]);
    assert_eq!(opened.sequence, 2);
    assert_eq!(opened.state.as_deref(), Some("{\"cursor\":1}"));
}

#[test]
fn invariant_7_a_sync_that_was_overtaken_commits_nothing() {
    let home = Home::new();
    let (mut first, _) = home.open("c");
    commit(&mut first, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    let (mut second, opened) = home.open("c");
    assert_eq!(opened.sequence, 1);
    let error = commit(&mut first, &pairs(), vec![truncate(0), upserts(0, &[(2, Some("b"))])]).unwrap_err();
    assert_eq!(error.code(), Code::FencedOff);
    commit(&mut second, &pairs(), vec![upserts(0, &[(3, Some("c"))])]).unwrap();
    let error = commit(&mut first, &pairs(), vec![]).unwrap_err();
    assert_eq!(error.code(), Code::FencedOff);
    drop((first, second));
    assert_eq!(home.rows(PAIRS), ["1|a|false", "3|c|false"]);
}

#[test]
fn connections_do_not_fence_each_other_off() {
    let home = Home::new();
    let (mut one, _) = home.open("one");
    let (mut two, _) = home.open("two");
    commit(&mut one, &pairs(), vec![upserts(0, &[(1, Some("one"))])]).unwrap();
    commit(&mut two, &pairs(), vec![upserts(0, &[(1, Some("two"))])]).unwrap();
    drop((one, two));
    assert_eq!(home.rows("SELECT v FROM one.t UNION ALL SELECT v FROM two.t"), ["one", "two"]);
}

#[test]
fn invariant_8_what_was_not_committed_is_gone() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    to.stage(vec![upserts(0, &[(2, Some("b"))])], &pairs()).unwrap();
    drop(to);
    let (mut to, _) = home.open("c");
    to.stage(vec![upserts(0, &[(3, Some("c"))])], &pairs()).unwrap();
    to.discard().unwrap();
    commit(&mut to, &pairs(), vec![]).unwrap();
    drop(to);
    assert_eq!(home.rows(PAIRS), ["1|a|false"]);
    assert_eq!(home.rows("SELECT outcome FROM c._syncs ORDER BY id"), ["interrupted", "running"]);
}

#[test]
fn a_failed_commit_leaves_everything_as_it_was() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    let mut wrong = upserts(1, &[(1, Some("x"))]);
    wrong.columns[1].column = 7;
    let more = vec![pairs().remove(0), table("u", &[("id", LONG), ("v", TEXT)])];
    assert_eq!(commit(&mut to, &more, vec![upserts(0, &[(2, None)]), wrong]).unwrap_err().code(), Code::HostBug);
    commit(&mut to, &more, vec![upserts(0, &[(3, None)])]).unwrap();
    drop(to);
    assert_eq!(home.rows(PAIRS), ["1|a|false", "3|-|false"]);
    assert_eq!(home.rows("SELECT count(*) FROM c.u"), ["0"]);
}

#[test]
fn the_history_tells_how_each_sync_went() {
    let home = Home::new();
    let request = request("c");
    let id = request.sync.id.clone();
    let (mut to, _) = open(&home.file(), request).unwrap();
    let ended = SyncRecord {
        id,
        started_at_us: 1_000_000,
        ended_at_us: Some(2_500_000),
        outcome: "failed".to_owned(),
        error: Some("source-error: it's down".to_owned()),
        rows: "{\"t\":{\"upserted\":1}}".to_owned(),
        state_before: None,
        state_after: Some("{}".to_owned()),
    };
    assert!(to.finish(&ended).unwrap().is_empty());
    drop(to);
    assert_eq!(
        home.rows("SELECT started_at, ended_at, outcome, error, rows->>'$.t.upserted', state_before, state_after FROM c._syncs"),
        ["1970-01-01T00:00:01Z|1970-01-01T00:00:02.500Z|failed|source-error: it's down|1|-|{}"]
    );
}

#[test]
fn any_name_will_do() {
    let long = "x".repeat(1_000);
    for name in [
        "select",
        "a \"quoted\" name",
        "Größe 数据",
        "it's; DROP TABLE x --",
        "a.b",
        " ",
        "warehouse",
        long.as_str(),
        "main",
        "temp",
    ] {
        let home = Home::new();
        let tables = vec![table(name, &[("id", LONG), (name, TEXT)])];
        let (mut to, _) = home.open(name);
        commit(&mut to, &tables, vec![fresh(upserts(0, &[(1, Some("a"))]))]).unwrap();
        commit(&mut to, &tables, vec![upserts(0, &[(1, Some("b"))]), patches(0, &[(1, Some(Some("c")), false)])])
            .unwrap();
        let wider = vec![table(name, &[("id", LONG), (name, TEXT), ("x y", TEXT)])];
        commit(&mut to, &wider, vec![truncate(0)]).unwrap();
        assert_eq!(to.finish(&SyncRecord::default()).unwrap(), [0]);
        drop(to);
        let (to, opened) = home.open(name);
        assert_eq!(opened.tables, wider, "{name}");
        drop(to);
        let info = home.look(Access::Read).and_then(|mut warehouse| warehouse.tables()).unwrap();
        assert_eq!((info[0].name.as_str(), info[0].rows, info[0].deleted_rows), (name, 0, 1));
        assert_eq!(home.look(Access::Write).unwrap().reset(name).unwrap().tables, [name]);
    }
}

#[test]
fn names_that_cannot_be_a_schema_are_refused() {
    let home = Home::new();
    for name in ["", "_ELT", "information_schema", "pg_catalog", "a\0b"] {
        assert_eq!(open(&home.file(), request(name)).err().unwrap().code(), Code::Usage, "{name:?}");
    }
    drop(home.open("Orders"));
    assert_eq!(open(&home.file(), request("orders")).err().unwrap().code(), Code::Usage);
}

#[test]
fn a_thousand_columns() {
    let home = Home::new();
    let names: Vec<String> = (0..1_000).map(|index| format!("column {index}")).collect();
    let columns: Vec<(&str, ColumnType)> = names.iter().map(|name| (name.as_str(), LONG)).collect();
    let tables = vec![table("wide", &columns)];
    let arrays: Vec<_> = (0..1_000).map(|index| (index, LONG, longs(&[1, 2, 3]))).collect();
    let (mut to, _) = home.open("c");
    commit(&mut to, &tables, vec![fresh(segment(0, &arrays, &[false; 3]))]).unwrap();
    commit(&mut to, &tables, vec![segment(0, &arrays, &[false; 3])]).unwrap();
    drop(to);
    assert_eq!(home.rows("SELECT count(*), sum(\"column 999\") FROM c.wide"), ["3|6"]);
    assert_eq!(home.open("c").1.tables, tables);
}

#[test]
fn every_type_arrives_as_it_is_by_both_ways() {
    let home = Home::new();
    let columns: Vec<(&str, ColumnType, ArrayRef)> = vec![
        ("id", LONG, longs(&[1])),
        ("boolean", ColumnType::Boolean, Arc::new(BooleanArray::from(vec![true]))),
        ("short", ColumnType::Short, Arc::new(Int16Array::from(vec![-32_768]))),
        ("int", ColumnType::Int, Arc::new(Int32Array::from(vec![i32::MIN]))),
        ("long", ColumnType::Long { exact: false }, longs(&[i64::MIN])),
        ("d4", ColumnType::Decimal { precision: 4, scale: 2 }, decimal(-9_999, 4, 2)),
        ("d9", ColumnType::Decimal { precision: 9, scale: 9 }, decimal(5, 9, 9)),
        ("d18", ColumnType::Decimal { precision: 18, scale: 1 }, decimal(123_456_789_012_345_678, 18, 1)),
        ("d38", ColumnType::Decimal { precision: 38, scale: 0 }, decimal(10i128.pow(38) - 1, 38, 0)),
        ("float", ColumnType::Float, Arc::new(Float32Array::from(vec![0.1]))),
        ("double", ColumnType::Double, Arc::new(Float64Array::from(vec![0.1]))),
        ("date", ColumnType::NaiveDate, Arc::new(Date32Array::from(vec![-719_162]))),
        ("time", ColumnType::NaiveTime, Arc::new(Time64MicrosecondArray::from(vec![86_399_999_999]))),
        ("naive", ColumnType::NaiveDatetime(None), Arc::new(TimestampMicrosecondArray::from(vec![-1]))),
        (
            "utc",
            ColumnType::UtcDatetime(None),
            Arc::new(TimestampMicrosecondArray::from(vec![253_402_300_799_999_999]).with_timezone("UTC")),
        ),
        ("binary", ColumnType::Binary, Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..]]))),
        ("xml", ColumnType::Xml, texts(&[Some("<a/>")])),
        ("string", TEXT, texts(&[Some("a\0b 数据 a text that is longer than twelve bytes\0")])),
        ("json", ColumnType::Json, texts(&[Some("{\"a\": [1, 2.50, \"x\"]}")])),
    ];
    let schema: Vec<(&str, ColumnType)> = columns.iter().map(|(name, kind, _)| (*name, *kind)).collect();
    let tables = vec![table("t", &schema), table("u", &schema)];
    let arrays: Vec<_> =
        columns.into_iter().enumerate().map(|(index, (_, kind, array))| (index, kind, array)).collect();
    let (mut to, _) = home.open("c");
    commit(&mut to, &tables, vec![fresh(segment(0, &arrays, &[false])), segment(1, &arrays, &[false])]).unwrap();
    drop(to);
    let expected = "1|true|-32768|-2147483648|-9223372036854775808|-99.99|0.000000005|12345678901234567.8|\
                    99999999999999999999999999999999999999|0.1|0.1|0001-01-01|23:59:59.999999|1969-12-31T23:59:59.999999|\
                    9999-12-31T23:59:59.999999Z|\\x00ff|<a/>|a\0b 数据 a text that is longer than twelve bytes\0|\
                    {\"a\": [1, 2.50, \"x\"]}";
    for name in ["t", "u"] {
        assert_eq!(home.rows(&format!("SELECT * EXCLUDE (_synced_at, _deleted) FROM c.{name}")), [expected], "{name}");
    }
    assert_eq!(home.open("c").1.tables, tables);
}

fn decimal(value: i128, precision: u8, scale: u8) -> ArrayRef {
    Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale.cast_signed()).unwrap())
}

fn code<T>(result: Result<T, Error>) -> Code {
    let error = result.err().unwrap();
    assert!(error.advice().is_some_and(|hint| !hint.is_empty()), "no hint: {}", error.chain());
    error.code()
}

#[test]
fn files_that_are_no_warehouse_are_told_apart() {
    let home = Home::new();
    let at = |name: &str| home.0.path().join(name);
    std::fs::write(at("garbage"), vec![7u8; 100_000]).unwrap();
    std::fs::write(at("empty"), "").unwrap();
    std::fs::write(at("text"), "hello").unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    let open = |path: &Path| open(path, request("c"));
    assert_eq!(code(open(&at("garbage"))), Code::WarehouseCorrupted);
    assert_eq!(code(open(&at("empty"))), Code::WarehouseCorrupted);
    assert_eq!(code(open(&at("text"))), Code::WarehouseCorrupted);
    assert_eq!(code(open(&at("folder"))), Code::WarehouseUnwritable);
    assert_eq!(code(open(&at("text/below.db"))), Code::WarehouseUnwritable);
    assert_eq!(code(open(Path::new("/proc/nothing/w.db"))), Code::WarehouseUnwritable);
    assert_eq!(code(open(Path::new("/"))), Code::WarehouseUnwritable);
    assert_eq!(code(rows(&at("missing.db"), "SELECT 1")), Code::DestinationInvalid);
}

/// The other process of the tests below: opens the file named by the environment, says so, and waits to be ended.
#[test]
#[ignore = "runs in a process of its own"]
fn holds_the_file() {
    let Some(path) = std::env::var_os("WAREHOUSE_TO_HOLD") else { return };
    let (mut to, _) = open(Path::new(&path), request("c")).unwrap();
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("committed"))])]).unwrap();
    to.stage(vec![upserts(0, &[(2, Some("staged"))])], &pairs()).unwrap();
    let engine = to.engine_mut();
    engine.run("BEGIN; INSERT INTO c.t VALUES (3, 'not committed', now(), false)").unwrap();
    let path = Path::new(&path).with_extension("held");
    std::fs::write(path, "").unwrap();
    std::thread::sleep(std::time::Duration::from_secs(60));
}

fn other_process(path: &Path) -> std::process::Child {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "destination::duckdb::tests::holds_the_file"])
        .env("WAREHOUSE_TO_HOLD", path)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !path.with_extension("held").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child
}

#[test]
fn invariant_8_a_killed_process_leaves_what_it_committed() {
    let home = Home::new();
    let mut child = other_process(&home.file());
    let error = open(&home.file(), request("c")).err().unwrap();
    assert!(error.advice().unwrap().contains(&child.id().to_string()), "{:?}", error.advice());
    assert_eq!(code(rows(&home.file(), "SELECT 1")), Code::WarehouseInUse);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(home.rows(PAIRS), ["1|committed|false"]);
    let (to, opened) = home.open("c");
    assert_eq!((opened.sequence, opened.empty), (1, vec![false]));
    drop(to);
    assert_eq!(home.rows("SELECT outcome FROM c._syncs ORDER BY outcome"), ["interrupted", "running"]);
}

/// Only where a small file system can be mounted.
#[test]
fn a_full_disk_is_told_and_what_was_committed_stands() {
    let home = Home::new();
    let folder = home.0.path().join("small");
    std::fs::create_dir(&folder).unwrap();
    let mount = |arguments: &[&str]| {
        std::process::Command::new("mount").args(arguments).stderr(std::process::Stdio::null()).status()
    };
    let target = folder.to_str().unwrap();
    if !mount(&["-t", "tmpfs", "-o", "size=8m", "tmpfs", target]).is_ok_and(|status| status.success()) {
        return;
    }
    let path = folder.join("w.db");
    let noise = |first: i64| {
        (first..first + 20_000)
            .map(|id| (id, format!("{:x}", id.wrapping_mul(0x9e37_79b9_7f4a_7c15u64.cast_signed())).repeat(4)))
    };
    let outcome = (|| {
        for part in 0..100 {
            let (mut to, _) = open(&path, request("c"))?;
            let rows: Vec<(i64, String)> = noise(part * 20_000).collect();
            let rows: Vec<(i64, Option<&str>)> = rows.iter().map(|(id, text)| (*id, Some(text.as_str()))).collect();
            commit(&mut to, &pairs(), vec![fresh(upserts(0, &rows))])?;
        }
        Ok(())
    })();
    let counted = rows(&path, "SELECT count(*) % 20000, count(*) > 0 FROM c.t");
    let _ = std::process::Command::new("umount").arg(target).status();
    assert_eq!(code(outcome), Code::DiskFull);
    assert_eq!(counted.unwrap(), ["0|true"]);
}

#[test]
fn a_folder_is_made_for_the_warehouse() {
    let home = Home::new();
    let path = home.0.path().join("a/b/c.db");
    drop(open(&path, request("c")).unwrap());
    assert!(path.is_file());
}

#[test]
fn damage_is_found() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    let many: Vec<(i64, Option<&str>)> = (0..100_000).map(|id| (id, Some("some text"))).collect();
    commit(&mut to, &pairs(), vec![fresh(upserts(0, &many))]).unwrap();
    drop(to);
    let bytes = std::fs::read(home.file()).unwrap();
    for length in [0, 100, 4_096, 12_288, 20_000, bytes.len() - 1] {
        std::fs::write(home.file(), &bytes[..length]).unwrap();
        let read = open(&home.file(), request("c")).and_then(|(to, _)| {
            drop(to);
            rows(&home.file(), "SELECT sum(hash(t)) FROM c.t t")
        });
        assert_eq!(code(read), Code::WarehouseCorrupted, "{length} bytes");
    }
    let mut noise = bytes.clone();
    for byte in noise.iter_mut().skip(4_096).take(8_192) {
        *byte ^= 0x55;
    }
    std::fs::write(home.file(), &noise).unwrap();
    assert_eq!(code(open(&home.file(), request("c"))), Code::WarehouseCorrupted);
}

#[test]
fn a_catalog_of_a_newer_program_is_refused() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    to.engine_mut().run("UPDATE _elt.format SET version = 99").unwrap();
    drop(to);
    let error = open(&home.file(), request("c")).err().unwrap();
    assert!(error.to_string().contains("99"), "{error}");
    assert_eq!(code(home.look(Access::Read).and_then(|mut warehouse| warehouse.tables())), Code::DestinationFailed);
}

#[test]
fn a_table_dropped_by_hand_is_noticed() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    commit(&mut to, &pairs(), vec![]).unwrap();
    to.engine_mut().run("DROP TABLE c.t").unwrap();
    drop(to);
    assert_eq!(code(open(&home.file(), request("c"))), Code::DestinationFailed);
}

#[test]
fn queries_read_and_do_nothing_else() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    assert_eq!(code(rows(&home.file(), "SELECT 1")), Code::WarehouseInUse);
    drop(to);
    let outside = home.0.path().join("outside.csv");
    std::fs::write(&outside, "a\n1\n").unwrap();
    let refused = [
        "DELETE FROM c.t",
        "DROP TABLE c.t",
        "COMMIT; DELETE FROM c.t",
        "CREATE TABLE c.n (a INTEGER)",
        &format!("SELECT * FROM '{}'", outside.display()),
        &format!("SELECT * FROM read_csv('{}')", outside.display()),
        &format!("COPY c.t TO '{}'", home.0.path().join("out.csv").display()),
        &format!("ATTACH '{}'", home.0.path().join("other.db").display()),
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT * FROM nothing",
        "SELEC",
        "",
        "SELECT error('no') FROM c.t",
        "SELECT 1\0",
    ];
    for sql in refused {
        assert_eq!(rows(&home.file(), sql).err().unwrap().code(), Code::QueryFailed, "{sql}");
    }
    assert_eq!(home.rows(PAIRS), ["1|a|false"]);
}

#[test]
fn values_of_a_query_as_json() {
    struct Json(Vec<String>);
    impl RowSink for Json {
        fn columns(&mut self, columns: &[Column]) -> Result<()> {
            self.0.extend(columns.iter().map(|column| column.name.clone()));
            Ok(())
        }
        fn row(&mut self, row: &[Value]) -> Result<ControlFlow<()>> {
            self.0.extend(row.iter().map(|value| value.json().to_string()));
            Ok(ControlFlow::Break(()))
        }
    }
    let home = Home::new();
    drop(home.open("c"));
    let mut found = Json(Vec::new());
    let sql = "SELECT 1 AS a, true, NULL, 2.50::DECIMAL(4,2), 1e300::DOUBLE, 'x', json('{\"a\":1}'), [1, NULL], {'k': 'v'}, \
               MAP {'m': 1}, 'nan'::DOUBLE, 12345678901234567890123456789::HUGEINT, DATE '2024-02-29' FROM range(3000000)";
    query(&home.file(), sql, &mut found).unwrap();
    assert_eq!(found.0[0], "a");
    assert_eq!(
        found.0[13..],
        [
            "1",
            "true",
            "null",
            "2.5",
            "1e+300",
            "\"x\"",
            "{\"a\":1}",
            "[1,null]",
            "{\"k\":\"v\"}",
            "{\"m\":1}",
            "\"NaN\"",
            "\"12345678901234567890123456789\"",
            "\"2024-02-29\""
        ]
    );
}

#[test]
fn reset_forgets_one_connection() {
    let home = Home::new();
    for name in ["one", "two"] {
        let (mut to, _) = home.open(name);
        commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some(name))])]).unwrap();
    }
    let dropped = home.look(Access::Write).unwrap().reset("one").unwrap();
    assert_eq!((dropped.tables, dropped.schema), (vec!["t".to_owned()], true));
    assert_eq!(home.rows("SELECT v FROM two.t"), ["two"]);
    let (mut to, opened) = home.open("one");
    assert_eq!((opened.sequence, opened.state, opened.tables.len()), (0, None, 0));
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("new"))])]).unwrap();
    drop(to);
    let rows = home.look(Access::Read).unwrap().connections().unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.connection.as_str(), row.sequence)).collect::<Vec<_>>(),
        [("one", 1), ("two", 1)]
    );
    assert_eq!(rows[0].committed_at_us, Some(1_700_000_000_000_001));
    assert_eq!(rows[1].state.as_deref(), Some("{\"cursor\":1}"));
}

#[test]
fn memory_is_told() {
    let (mut to, _) = Home::new().open("c");
    assert!(to.memory_bytes().is_some());
}

#[test]
fn the_batch_of_a_segment_may_be_empty() {
    let home = Home::new();
    let (to, _) = home.open("c");
    let mut to = to.staging_at_most(0);
    to.stage(vec![upserts(0, &[]), fresh(upserts(0, &[])), patches(0, &[])], &pairs()).unwrap();
    to.stage(vec![], &pairs()).unwrap();
    commit(&mut to, &pairs(), vec![upserts(0, &[])]).unwrap();
    let _: &RecordBatch = &upserts(0, &[]).rows;
}

/// What values become in STRING: by ALTER of a column that holds them, and by a segment made before the widening.
fn widened(from: ColumnType, values: ArrayRef) -> (Vec<String>, Vec<String>) {
    let home = Home::new();
    let count = i64::try_from(values.len()).unwrap();
    let keys = longs(&(0..count).collect::<Vec<_>>());
    let rows = |table| {
        segment(table, &[(0, LONG, Arc::clone(&keys)), (1, from, Arc::clone(&values))], &vec![false; values.len()])
    };
    let narrow = vec![table("altered", &[("id", LONG), ("v", from)]), table("staged", &[("id", LONG), ("v", from)])];
    let wide = vec![table("altered", &[("id", LONG), ("v", TEXT)]), table("staged", &[("id", LONG), ("v", TEXT)])];
    let (mut to, _) = home.open("c");
    commit(&mut to, &narrow, vec![fresh(rows(0))]).unwrap();
    commit(&mut to, &wide, vec![fresh(rows(1))]).unwrap();
    drop(to);
    let read = |name: &str| home.rows(&format!("SELECT v FROM c.{name} ORDER BY id"));
    (read("altered"), read("staged"))
}

fn check_widened(from: ColumnType, values: ArrayRef, expected: &[String]) {
    let (altered, staged) = widened(from, values);
    assert_eq!((altered.len(), staged.len()), (expected.len(), expected.len()));
    for (expected, found) in expected.iter().zip(altered.iter().zip(&staged)) {
        assert_eq!((expected, expected), found, "{from}");
    }
}

#[test]
fn widening_gives_every_timestamp_back_as_it_came() {
    let offsets = ["", "Z", "+00:00", "-00:00", "+02:00", "-11:30", "+14:00", "+23:59", "-23:59"];
    let days = ["0001-01-01", "1582-10-10", "1600-02-29", "1969-12-31", "1970-01-01", "2024-02-29", "9999-12-31"];
    for offset in offsets {
        for digits in 0..=6 {
            for separator in ["T", " "] {
                let clocks = ["00:00:00.000000", "23:59:59.999999", "12:34:56.120001", "00:00:00.000001"];
                let end = if digits == 0 { 8 } else { 9 + digits };
                let texts: Vec<String> = days
                    .iter()
                    .flat_map(|day| {
                        clocks.iter().map(move |clock| format!("{day}{separator}{}{offset}", &clock[..end]))
                    })
                    .collect();
                check_moments(&texts);
            }
        }
    }
}

/// All of one format.
fn check_moments(texts: &[String]) {
    let read: Vec<(i64, TimeFormat)> = texts
        .iter()
        .map(|text| match moment(text) {
            Some(Moment::Timestamp(micros, format)) => (micros, format),
            other => panic!("{text}: {other:?}"),
        })
        .collect();
    let array = TimestampMicrosecondArray::from(read.iter().map(|(micros, _)| *micros).collect::<Vec<_>>());
    let format = read[0].1;
    if format.offset.is_some() {
        check_widened(ColumnType::UtcDatetime(Some(format)), Arc::new(array.with_timezone("UTC")), texts);
    } else {
        check_widened(ColumnType::NaiveDatetime(Some(format)), Arc::new(array), texts);
    }
}

#[test]
fn widening_does_not_depend_on_the_zone_of_the_session() {
    let home = Home::new();
    let utc =
        ColumnType::UtcDatetime(Some(TimeFormat { separator: 'T', fraction_digits: 0, offset: Some(Offset::Zulu) }));
    let (mut to, _) = home.open("c");
    // Known only to builds with ICU; without it there is but one zone.
    let _ = to.engine_mut().run("SET TimeZone = 'America/New_York'");
    let values: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC"));
    let rows = segment(0, &[(0, LONG, longs(&[1])), (1, utc, values)], &[false]);
    commit(&mut to, &[table("t", &[("id", LONG), ("v", utc)])], vec![rows]).unwrap();
    commit(&mut to, &pairs(), vec![]).unwrap();
    drop(to);
    assert_eq!(home.rows("SELECT v, _synced_at FROM c.t"), ["1970-01-01T00:00:00Z|2023-11-14T22:13:20.000001Z"]);
}

#[test]
fn widening_writes_other_values_as_the_schema_does() {
    let strings = |values: &[&str]| values.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    check_widened(
        ColumnType::Boolean,
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        &strings(&["true", "false", "-"]),
    );
    check_widened(
        LONG,
        longs(&[0, i64::MIN, i64::MAX]),
        &strings(&["0", "-9223372036854775808", "9223372036854775807"]),
    );
    check_widened(ColumnType::Short, Arc::new(Int16Array::from(vec![-1])), &strings(&["-1"]));
    check_widened(
        ColumnType::NaiveDate,
        Arc::new(Date32Array::from(vec![-719_162, -1, 2_932_896])),
        &strings(&["0001-01-01", "1969-12-31", "9999-12-31"]),
    );
    check_widened(
        ColumnType::Json,
        texts(&[Some("{\"b\": 1.50, \"a\":[ ]}"), None]),
        &strings(&["{\"b\": 1.50, \"a\":[ ]}", "-"]),
    );
    check_widened(ColumnType::Binary, Arc::new(BinaryArray::from(vec![&b"\xff\x00a"[..]])), &strings(&["/wBh"]));
    let utc: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_500_000, 0]).with_timezone("UTC"));
    check_widened(ColumnType::UtcDatetime(None), utc, &strings(&["1970-01-01T00:00:01.5Z", "1970-01-01T00:00:00Z"]));
    for (precision, scale) in [(38, 38), (38, 0), (38, 37), (25, 15), (1, 1), (4, 2)] {
        let most = 10i128.pow(u32::from(precision)) - 1;
        let values: Vec<i128> = [0, 1, -1, most, -most, 5 * 10i128.pow(u32::from(precision) - 1)].into_iter().collect();
        let expected: Vec<String> = values.iter().map(|units| units_text(*units, scale)).collect();
        let array = Decimal128Array::from(values).with_precision_and_scale(precision, scale.cast_signed()).unwrap();
        check_widened(ColumnType::Decimal { precision, scale }, Arc::new(array), &expected);
    }
}

#[test]
fn numbers_widen_to_wider_numbers() {
    let home = Home::new();
    let narrow = vec![table(
        "t",
        &[("id", LONG), ("a", LONG), ("b", LONG), ("c", ColumnType::Decimal { precision: 4, scale: 2 })],
    )];
    let wide_decimal = ColumnType::Decimal { precision: 38, scale: 19 };
    let wide = vec![table("t", &[("id", LONG), ("a", ColumnType::Double), ("b", wide_decimal), ("c", wide_decimal)])];
    let rows = segment(
        0,
        &[
            (0, LONG, longs(&[1])),
            (1, LONG, longs(&[1 << 53])),
            (2, LONG, longs(&[-7])),
            (3, ColumnType::Decimal { precision: 4, scale: 2 }, decimal(-9_999, 4, 2)),
        ],
        &[false],
    );
    let (mut to, _) = home.open("c");
    commit(&mut to, &narrow, vec![rows]).unwrap();
    commit(&mut to, &wide, vec![]).unwrap();
    drop(to);
    assert_eq!(
        home.rows("SELECT a::BIGINT, b, c FROM c.t"),
        ["9007199254740992|-7.0000000000000000000|-99.9900000000000000000"]
    );
}

#[test]
fn a_step_that_loses_is_no_step() {
    use ColumnType::{Double, Json, String};
    let decimal = |precision, scale| ColumnType::Decimal { precision, scale };
    let exact = |exact| ColumnType::Long { exact };
    for (from, to) in [
        (exact(false), Double),
        (decimal(4, 2), decimal(4, 1)),
        (decimal(4, 2), decimal(4, 3)),
        (exact(false), decimal(18, 0)),
        (String, Json),
        (Double, exact(false)),
    ] {
        assert_eq!(super::convert::expression("v", from, to), None, "{from} to {to}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn widening_writes_any_float_as_the_schema_does(bits in proptest::collection::vec(any::<u64>(), 500), shift in 0i32..20) {
        let scaled = bits.iter().map(|bits| f64::from(u16::try_from(bits & 0xffff).unwrap()) * 10f64.powi(10 - shift));
        let values: Vec<f64> = bits.iter().map(|bits| f64::from_bits(*bits)).filter(|value| value.is_finite()).chain(scaled).collect();
        let expected: Vec<String> = values.iter().map(|value| double_text(*value)).collect();
        check_widened(ColumnType::Double, Arc::new(Float64Array::from(values)), &expected);
    }

    #[test]
    fn widening_gives_any_instant_back(
        micros in proptest::collection::vec(-62_135_500_000_000_000i64..253_402_200_000_000_000, 200),
        minutes in 0u16..1_440, negative: bool, separator in prop_oneof![Just('T'), Just(' ')],
    ) {
        let format = TimeFormat { separator, fraction_digits: 6, offset: Some(Offset::Minutes { negative, minutes }) };
        let text = |micros: &i64| { let mut text = String::new(); moment_text(Moment::Timestamp(*micros, format), &mut text); text };
        let expected: Vec<String> = micros.iter().map(text).collect();
        check_widened(ColumnType::UtcDatetime(Some(format)), Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC")), &expected);
    }

    #[test]
    fn staging_in_temporary_tables_and_in_memory_is_the_same(
        steps in proptest::collection::vec((0u8..4, proptest::collection::btree_map(0i64..12, proptest::option::of("[a-z]{0,20}"), 0..8)), 1..12),
        limit in prop_oneof![Just(0usize), Just(2_000), Just(usize::MAX)],
    ) {
        let run = |limit: usize, staged: bool| {
            let home = Home::new();
            let (to, _) = home.open("c");
    let mut to = to.staging_at_most(limit);
            let mut segments = Vec::new();
            for (kind, rows) in &steps {
                let made = segment_of(*kind, rows);
                if staged { to.stage(vec![made], &pairs()).unwrap() } else { segments.push(made) }
            }
            let ignored = commit(&mut to, &pairs(), segments).unwrap().ignored;
            drop(to);
            (ignored, home.rows(PAIRS))
        };
        let one_by_one = {
            let home = Home::new();
            let (mut to, _) = home.open("c");
            let mut ignored = 0;
            for (kind, rows) in &steps {
                ignored += commit(&mut to, &pairs(), vec![segment_of(*kind, rows)]).unwrap().ignored[0];
            }
            drop(to);
            (vec![ignored], home.rows(PAIRS))
        };
        prop_assert_eq!(&run(limit, true), &one_by_one);
        prop_assert_eq!(&run(limit, false), &one_by_one);
    }
}

fn segment_of(kind: u8, rows: &std::collections::BTreeMap<i64, Option<String>>) -> Segment {
    match kind {
        0 | 1 => upserts(0, &rows.iter().map(|(key, value)| (*key, value.as_deref())).collect::<Vec<_>>()),
        2 => patches(
            0,
            &rows
                .iter()
                .map(|(key, value)| (*key, value.as_ref().map(|text| Some(text.as_str())), *key % 3 == 0))
                .collect::<Vec<_>>(),
        ),
        _ => Segment { truncates: true, ..segment_of(0, rows) },
    }
}
