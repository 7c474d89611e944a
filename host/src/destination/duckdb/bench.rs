//! Figures behind docs/decisions/0001-duckdb-merge.md: what each way of writing costs.
//!
//! `cargo test --release -p host --lib duckdb::bench -- --ignored --nocapture --test-threads 1`

#![allow(clippy::pedantic, clippy::print_stdout, reason = "a benchmark prints figures and is read by its author")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_empty_array,
};
use duckdb::vtab::arrow::{ArrowVTab, arrow_recordbatch_to_query_params};
use duckdb::{Config, Connection};

use super::DuckDb;
use super::ddl::{self, Place};
use super::merge::Merge;
use super::stage::{self, Staged};
use super::tests::arrow_type;
use crate::destination::{Commit, Destination, OpenRequest, Segment, SegmentColumn, SyncRecord};
use crate::schema::{ColumnSchema, ColumnType, TableSchema};

const ROWS: usize = 1_000_000;

/// How the keys of a load look.
#[derive(Clone, Copy, PartialEq)]
enum Keys {
    Integers,
    RandomText,
}

fn columns(keys: Keys) -> Vec<(&'static str, ColumnType)> {
    let long = ColumnType::Long { exact: true };
    let key = if keys == Keys::Integers { long } else { ColumnType::String };
    vec![
        ("record_id", key),
        ("name", ColumnType::String),
        ("email", ColumnType::String),
        ("count", long),
        ("total", long),
        ("score", ColumnType::Double),
        ("amount", ColumnType::Decimal { precision: 18, scale: 4 }),
        ("active", ColumnType::Boolean),
        ("born", ColumnType::NaiveDate),
        ("updated_at", ColumnType::UtcDatetime(None)),
        ("tags", ColumnType::Json),
        ("note", ColumnType::String),
    ]
}

fn schema(keys: Keys) -> TableSchema {
    let column = |(name, column_type): (&str, ColumnType)| ColumnSchema {
        source_name: name.to_owned(),
        name: name.to_owned(),
        column_type,
        declared: false,
    };
    let columns = columns(keys).into_iter().map(column).collect();
    TableSchema { source_name: "records".to_owned(), name: "records".to_owned(), key: vec![0], columns }
}

/// A reproducible scramble of a number.
fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn text(ids: &[u64], write: impl Fn(u64) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(ids.iter().map(|id| write(*id))))
}

fn batch(keys: Keys, ids: std::ops::Range<usize>, version: u64) -> Segment {
    let ids: Vec<u64> = ids.map(|id| id as u64).collect();
    let noise: Vec<u64> = ids.iter().map(|id| mixed(id.wrapping_mul(31) + version)).collect();
    let longs = |shift: u32| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(noise.iter().map(|noise| (noise >> shift) as i64)))
    };
    let key: ArrayRef = match keys {
        Keys::Integers => Arc::new(Int64Array::from_iter_values(ids.iter().map(|id| *id as i64))),
        Keys::RandomText => text(&ids, |id| format!("{:016x}", mixed(id))),
    };
    let amounts = Decimal128Array::from_iter_values(noise.iter().map(|noise| i128::from(noise >> 20)));
    let instants = TimestampMicrosecondArray::from_iter_values(noise.iter().map(|noise| (noise >> 14) as i64))
        .with_timezone("UTC");
    let arrays: Vec<ArrayRef> = vec![
        key,
        text(&noise, |noise| format!("Name {} {}", noise % 1_000, noise % 77)),
        text(&noise, |noise| format!("user{}@example.com", noise % 1_000_000)),
        longs(50),
        longs(16),
        Arc::new(Float64Array::from_iter_values(noise.iter().map(|noise| (noise >> 11) as f64 / 1e9))),
        Arc::new(amounts.with_precision_and_scale(18, 4).unwrap()),
        Arc::new(BooleanArray::from_iter(noise.iter().map(|noise| Some(noise % 3 == 0)))),
        Arc::new(Date32Array::from_iter_values(noise.iter().map(|noise| (noise % 20_000) as i32))),
        Arc::new(instants),
        text(&noise, |noise| {
            format!("{{\"tags\":[\"a{}\",\"b{}\"],\"n\":{}}}", noise % 10, noise % 100, noise % 1_000)
        }),
        text(&noise, |noise| format!("A note of some length, as people write them, number {noise}")),
        Arc::new(BooleanArray::from(vec![false; ids.len()])),
    ];
    let columns = columns(keys);
    let mut empty: Vec<ArrayRef> = columns.iter().map(|(_, kind)| new_empty_array(&arrow_type(*kind))).collect();
    empty.extend((0..=columns.len()).map(|_| Arc::new(BooleanArray::from(Vec::<bool>::new())) as ArrayRef));
    let columns = columns.iter().enumerate().map(|(column, (_, kind))| SegmentColumn { column, column_type: *kind });
    Segment {
        table: 0,
        truncates: false,
        columns: columns.collect(),
        rows: stage::batch_of(arrays).unwrap(),
        patches: stage::batch_of(empty).unwrap(),
        fresh: false,
    }
}

/// CPU time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks = |index: usize| fields[index].parse::<u64>().unwrap();
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

struct Clock {
    wall: Duration,
    cpu: Duration,
}

impl Clock {
    fn zero() -> Self {
        Self { wall: Duration::ZERO, cpu: Duration::ZERO }
    }

    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (started, used) = (Instant::now(), cpu());
        let result = work();
        self.wall += started.elapsed();
        self.cpu += cpu() - used;
        result
    }

    fn print(&self, what: &str, rows: usize) {
        let (rows, wall, cpu) =
            (f64::from(u32::try_from(rows).unwrap()), self.wall.as_secs_f64(), self.cpu.as_secs_f64());
        println!(
            "{what:<64} {:>9.0} rows/s {:>9.0} rows/CPU s {:>6.2} us CPU/row",
            rows / wall,
            rows / cpu,
            cpu / rows * 1e6
        );
    }
}

fn settings(more: &[(&str, &str)]) -> Config {
    let mut config = Config::default().max_memory(super::open::MEMORY_LIMIT).unwrap();
    for (key, value) in more {
        config = config.with(key, value).unwrap();
    }
    config
}

struct Bench {
    _home: tempfile::TempDir,
    engine: Connection,
    place: Place,
    table: TableSchema,
    keys: Keys,
}

impl Bench {
    fn new(keys: Keys, more: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let engine = Connection::open_with_flags(home.path().join("w.db"), settings(more)).unwrap();
        let place = Place { catalog: "w".to_owned(), schema: "c".to_owned() };
        engine.execute_batch(&ddl::create_schema(&place)).unwrap();
        let table = schema(keys);
        engine.execute_batch(&ddl::migrate(&place, &[], std::slice::from_ref(&table)).unwrap()).unwrap();
        Self { _home: home, engine, place, table, keys }
    }

    /// Every row once, `rows` per transaction; `write` does the work of a transaction.
    fn run(&self, what: &str, rows: usize, version: u64, write: impl Fn(&Self, Segment)) {
        let total = if rows < 5_000 { ROWS / 10 } else { ROWS };
        self.measure((rows, total), version, write).print(what, total);
    }

    fn measure(&self, (rows, total): (usize, usize), version: u64, write: impl Fn(&Self, Segment)) -> Clock {
        let mut clock = Clock::zero();
        for first in (0..total).step_by(rows) {
            let segment = batch(self.keys, first..first + rows, version);
            clock.time(|| {
                self.engine.execute_batch("BEGIN").unwrap();
                write(self, segment);
                self.engine.execute_batch("COMMIT").unwrap();
            });
        }
        clock.time(|| self.engine.execute_batch("CHECKPOINT").unwrap());
        clock
    }

    fn apply(&self, segment: Segment) {
        let merge = Merge { engine: &self.engine, place: &self.place, table: &self.table, synced_at_us: 1 };
        merge.apply(&Staged::from(segment)).unwrap();
    }
}

fn fresh(bench: &Bench, segment: Segment) {
    bench.apply(Segment { fresh: true, ..segment });
}

fn merged(bench: &Bench, segment: Segment) {
    bench.apply(segment);
}

/// A fresh load that takes the way of a load into a table with rows, but without the delete.
fn through_stage(bench: &Bench, segment: Segment) {
    let columns = stage::stage_columns(&segment.columns, false);
    stage::write(&bench.engine, "s", &columns, &segment.rows).unwrap();
    let sql = format!(
        "INSERT INTO {} SELECT * EXCLUDE d, TIMESTAMPTZ 'epoch', d FROM temp.main.s; DROP TABLE temp.main.s",
        bench.place.table("records")
    );
    bench.engine.execute_batch(&sql).unwrap();
}

/// The crate's table function over Arrow batches instead of a temporary table.
fn arrow_table(bench: &Bench, segment: Segment) {
    let target = bench.place.table("records");
    let parameters = |batch: &RecordBatch| arrow_recordbatch_to_query_params(batch.clone());
    let keys = segment.rows.project(&[0]).unwrap();
    bench
        .engine
        .execute(&format!("DELETE FROM {target} t USING arrow(?, ?) s WHERE t.record_id = s.c0"), parameters(&keys))
        .unwrap();
    let sql = format!("INSERT INTO {target} SELECT * EXCLUDE c12, TIMESTAMPTZ 'epoch', c12 FROM arrow(?, ?)");
    bench.engine.execute(&sql, parameters(&segment.rows)).unwrap();
}

/// Whole rows through a temporary table.
fn rows_staged(bench: &Bench, segment: Segment) {
    let columns = stage::stage_columns(&segment.columns, false);
    stage::write(&bench.engine, "s", &columns, &segment.rows).unwrap();
    let target = bench.place.table("records");
    let sql = format!(
        "DELETE FROM {target} t USING temp.main.s s WHERE t.record_id = s.c0; \
         INSERT INTO {target} SELECT * EXCLUDE d, TIMESTAMPTZ 'epoch', d FROM temp.main.s; DROP TABLE temp.main.s"
    );
    bench.engine.execute_batch(&sql).unwrap();
}

/// Every column of rows that are there, by UPDATE.
fn updated(bench: &Bench, segment: Segment) {
    let columns = stage::stage_columns(&segment.columns, false);
    stage::write(&bench.engine, "s", &columns, &segment.rows).unwrap();
    let sets: Vec<String> =
        (1..12).map(|index| format!("\"{}\" = s.c{index}", bench.table.columns[index].name)).collect();
    let target = bench.place.table("records");
    let sql = format!(
        "UPDATE {target} t SET {} FROM temp.main.s s WHERE t.record_id = s.c0; DROP TABLE temp.main.s",
        sets.join(", ")
    );
    bench.engine.execute_batch(&sql).unwrap();
}

/// Two columns given, as patches.
fn patched(bench: &Bench, segment: Segment) {
    let columns: Vec<SegmentColumn> = [0, 3, 11].map(|index| segment.columns[index]).to_vec();
    let count = segment.rows.num_rows();
    let mut arrays: Vec<ArrayRef> = [0, 3, 11].map(|index| Arc::clone(segment.rows.column(index))).to_vec();
    arrays.extend((0..3).map(|_| Arc::new(BooleanArray::from(vec![true; count])) as ArrayRef));
    arrays.push(Arc::new(BooleanArray::from(vec![false; count])));
    let none =
        stage::batch_of(arrays.iter().take(3).chain(arrays.last()).map(|array| array.slice(0, 0)).collect()).unwrap();
    bench.apply(Segment { columns, rows: none, patches: stage::batch_of(arrays).unwrap(), ..segment });
}

/// A way of writing, its name, and whether the rows are there already.
type Way = (&'static str, bool, fn(&Bench, Segment));

const WAYS: &[Way] = &[
    ("first load: append into the table", false, fresh),
    ("first load: through a temporary table", false, through_stage),
    ("again: DELETE by keys in a temporary table, append", true, merged),
    ("again: DELETE + INSERT from a temporary table", true, rows_staged),
    ("again: DELETE + INSERT from arrow()", true, arrow_table),
    ("again: UPDATE of every column", true, updated),
    ("again: patches of two columns by UPDATE", true, patched),
];

#[test]
#[ignore = "a measurement"]
fn ways_of_writing() {
    let size = (50_000, ROWS / 2);
    for (name, keys) in [("integer", Keys::Integers), ("text", Keys::RandomText)] {
        let least = least_of_rounds(WAYS, |(_, again, write)| {
            let bench =
                Bench::new(keys, &[("checkpoint_threshold", super::open::CHECKPOINT_THRESHOLD), ("threads", "1")]);
            bench.engine.register_table_function::<ArrowVTab>("arrow").unwrap();
            if *again {
                bench.measure(size, 0, fresh);
            }
            vec![bench.measure(size, 1, write)]
        });
        for ((what, _, _), clocks) in WAYS.iter().zip(least) {
            clocks[0].print(&format!("{name} keys, {what}"), size.1);
        }
    }
}

/// The least of several rounds, one variant after the other in each, so that what else the machine does hits all alike.
fn least_of_rounds<V>(variants: &[V], mut measure: impl FnMut(&V) -> Vec<Clock>) -> Vec<Vec<Clock>> {
    const ROUNDS: usize = 4;
    let mut least: Vec<Vec<Clock>> = variants.iter().map(&mut measure).collect();
    for _ in 1..ROUNDS {
        for (variant, least) in variants.iter().zip(&mut least) {
            for (now, least) in measure(variant).into_iter().zip(least) {
                least.wall = least.wall.min(now.wall);
                least.cpu = least.cpu.min(now.cpu);
            }
        }
    }
    least
}

#[test]
#[ignore = "a measurement"]
fn settings_of_the_engine() {
    let variants: &[&[(&str, &str)]] = &[
        &[("threads", "2")],
        &[("threads", "1")],
        &[("threads", "1"), ("preserve_insertion_order", "false")],
        &[("threads", "1"), ("checkpoint_threshold", "64MiB")],
        &[("threads", "1"), ("checkpoint_threshold", "256MiB")],
        &[("threads", "1"), ("auto_checkpoint_skip_wal_threshold", "40000")],
    ];
    let size = (50_000, ROWS / 2);
    let least = least_of_rounds(variants, |variant| {
        let bench = Bench::new(Keys::RandomText, variant);
        vec![bench.measure(size, 0, fresh), bench.measure(size, 1, merged)]
    });
    for (variant, clocks) in variants.iter().zip(least) {
        clocks[0].print(&format!("{variant:?} first load"), size.1);
        clocks[1].print(&format!("{variant:?} again"), size.1);
    }
}

#[test]
#[ignore = "a measurement"]
fn sizes_of_a_transaction() {
    for rows in [1_000, 10_000, 50_000, 100_000, 200_000] {
        let bench = Bench::new(
            Keys::RandomText,
            &[("checkpoint_threshold", super::open::CHECKPOINT_THRESHOLD), ("threads", "1")],
        );
        bench.run(&format!("{rows} rows a transaction: first load"), rows, 0, fresh);
        bench.run(&format!("{rows} rows a transaction: again"), rows, 1, merged);
    }
}

fn request() -> OpenRequest {
    let sync = SyncRecord { id: fastrand::u64(..).to_string(), outcome: "running".to_owned(), ..SyncRecord::default() };
    OpenRequest { connection: "c".to_owned(), sync }
}

fn commit(segments: Vec<Segment>, sync: SyncRecord) -> Commit {
    Commit { tables: vec![schema(Keys::RandomText)], segments, state: Some("{}".to_owned()), synced_at_us: 1, sync }
}

fn write_one(path: &Path, id: usize) -> [Duration; 4] {
    let request = request();
    let sync = SyncRecord { ended_at_us: Some(2), outcome: "succeeded".to_owned(), ..request.sync.clone() };
    let started = Instant::now();
    let (mut to, _) = DuckDb::open(path, request).unwrap();
    let opened = started.elapsed();
    to.commit(commit(vec![batch(Keys::RandomText, id..id + 1, 0)], sync.clone())).unwrap();
    let committed = started.elapsed();
    to.finish(&sync).unwrap();
    let finished = started.elapsed();
    drop(to);
    [opened, committed - opened, finished - committed, started.elapsed()]
}

#[test]
#[ignore = "a measurement"]
fn a_sync_of_one_record() {
    for rows in [0, 1_000_000] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("w.db");
        if rows > 0 {
            let (mut to, _) = DuckDb::open(&path, request()).unwrap();
            for first in (0..rows).step_by(50_000) {
                let segment = Segment { fresh: true, ..batch(Keys::RandomText, first..first + 50_000, 0) };
                to.commit(commit(vec![segment], SyncRecord::default())).unwrap();
            }
        }
        println!("first: {:?}", write_one(&path, 0));
        let mut times: Vec<[Duration; 4]> = (0..30).map(|round| write_one(&path, round % 7)).collect();
        times.sort_by_key(|times| times[3]);
        println!(
            "{rows} rows there: open, commit, finish, all with close: least {:.1?} median {:.1?}",
            times[0], times[15]
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn the_whole_destination() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("w.db");
    for (what, version, fresh) in [("first load", 0, true), ("again", 1, false)] {
        let mut clock = Clock::zero();
        let (mut to, _) = clock.time(|| DuckDb::open(&path, request()).unwrap());
        for first in (0..ROWS).step_by(50_000) {
            let segment = Segment { fresh, ..batch(Keys::RandomText, first..first + 50_000, version) };
            clock.time(|| to.commit(commit(vec![segment], SyncRecord::default())).unwrap());
        }
        let memory = to.memory_bytes();
        clock.time(|| drop(to));
        clock.print(&format!("the whole destination, text keys: {what}"), ROWS);
        println!("{memory:?} bytes in the engine");
    }
}
