//! A load of a million rows for benchmarks, and a clock.

#![allow(clippy::print_stdout, reason = "a benchmark prints figures and is read by its author")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray, new_empty_array,
};

use super::build::arrow_type;
use crate::sql::batch_of;
use crate::{
    Commit, Deletes, Destination, OpenRequest, Opened, Segment, SegmentColumn, ShrinkMax, StartFrom, SyncRecord,
};
use model::Selection;
use model::error::Result;
use model::schema::{ColumnSchema, ColumnType, TableSchema};

pub(crate) const ROWS: usize = 1_000_000;

/// How the keys of a load look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Keys {
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
    TableSchema { source_name: "records".to_owned(), name: "records".to_owned(), key: vec![0], columns, history: false }
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

pub(crate) fn batch(keys: Keys, ids: std::ops::Range<usize>, version: u64) -> Segment {
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
        rows: batch_of(arrays).unwrap(),
        patches: batch_of(empty).unwrap(),
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

/// What some work cost.
pub(crate) struct Clock {
    wall: Duration,
    cpu: Duration,
}

impl Clock {
    pub(crate) fn zero() -> Self {
        Self { wall: Duration::ZERO, cpu: Duration::ZERO }
    }

    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (started, used) = (Instant::now(), cpu());
        let result = work();
        self.wall += started.elapsed();
        self.cpu += cpu() - used;
        result
    }

    pub(crate) fn print(&self, what: &str, rows: usize) {
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

pub(crate) fn request() -> OpenRequest {
    let sync = SyncRecord { id: fastrand::u64(..).to_string(), outcome: "running".to_owned(), ..SyncRecord::default() };
    OpenRequest {
        connection: "c".to_owned(),
        sync,
        start_from: StartFrom::LastCommit,
        deletes: Deletes::Soft,
        history: false,
        shrink_max: ShrinkMax::Percent(100),
    }
}

pub(crate) fn commit(keys: Keys, segments: Vec<Segment>, sync: SyncRecord) -> Commit {
    Commit {
        tables: vec![schema(keys)],
        segments,
        state: Some("{}".to_owned()),
        synced_at_us: 1,
        is_last: false,
        selection: Selection::All,
        sync,
    }
}

type Begin<'a> = &'a dyn Fn(OpenRequest) -> Result<(Box<dyn Destination>, Opened)>;

/// Loads a million rows and then all of them again, in transactions of 50,000.
pub(crate) fn load_twice(begin: Begin<'_>, keys: Keys) {
    for (what, version, fresh) in [("first load", 0, true), ("again", 1, false)] {
        let mut clock = Clock::zero();
        let (mut to, _) = clock.time(|| begin(request()).unwrap());
        for first in (0..ROWS).step_by(50_000) {
            let segment = Segment { fresh, ..batch(keys, first..first + 50_000, version) };
            clock.time(|| to.commit(commit(keys, vec![segment], SyncRecord::default())).unwrap());
        }
        let memory = to.memory_bytes();
        clock.time(|| drop(to));
        clock.print(&format!("the whole destination, {keys:?}: {what}"), ROWS);
        println!("{memory:?} bytes in the engine");
    }
}

/// Loads a million rows into a table that keeps its history, then the same again, then all of them changed.
pub(crate) fn load_history(begin: Begin<'_>, keys: Keys) {
    for (what, version, fresh) in [("first load", 0, true), ("nothing changed", 0, false), ("all changed", 1, false)] {
        let mut clock = Clock::zero();
        let (mut to, _) = clock.time(|| begin(OpenRequest { history: true, ..request() }).unwrap());
        for first in (0..ROWS).step_by(50_000) {
            let segment = Segment { fresh, ..batch(keys, first..first + 50_000, version) };
            let mut commit = commit(keys, vec![segment], SyncRecord::default());
            commit.tables[0].history = true;
            clock.time(|| to.commit(commit).unwrap());
        }
        clock.time(|| drop(to));
        clock.print(&format!("with history, {keys:?}: {what}"), ROWS);
    }
}

fn write_one(begin: Begin<'_>, id: usize) -> [Duration; 4] {
    let request = request();
    let sync = SyncRecord { ended_at_us: Some(2), outcome: "succeeded".to_owned(), ..request.sync.clone() };
    let started = Instant::now();
    let (mut to, _) = begin(request).unwrap();
    let opened = started.elapsed();
    to.commit(commit(Keys::RandomText, vec![batch(Keys::RandomText, id..id + 1, 0)], sync.clone())).unwrap();
    let committed = started.elapsed();
    to.finish(&sync).unwrap();
    let finished = started.elapsed();
    drop(to);
    [opened, committed - opened, finished - committed, started.elapsed()]
}

/// A sync of one record into a table with so many rows.
pub(crate) fn one_record(begin: Begin<'_>, rows: usize) {
    if rows > 0 {
        let (mut to, _) = begin(request()).unwrap();
        for first in (0..rows).step_by(50_000) {
            let segment = Segment { fresh: true, ..batch(Keys::RandomText, first..first + 50_000, 0) };
            to.commit(commit(Keys::RandomText, vec![segment], SyncRecord::default())).unwrap();
        }
    }
    println!("first: {:?}", write_one(begin, 0));
    let mut times: Vec<[Duration; 4]> = (0..30).map(|round| write_one(begin, round % 7)).collect();
    times.sort_by_key(|times| times[3]);
    println!(
        "{rows} rows there: open, commit, finish, all with close: least {:.1?} median {:.1?}",
        times[0], times[15]
    );
}
