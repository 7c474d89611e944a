//! Figures behind docs/decisions/0005-postgres-merge.md: what each way of writing rows by key costs.
//!
//! `cargo test --release -p host --lib postgres::bench -- --ignored --nocapture --test-threads 1`

#![allow(clippy::pedantic, clippy::print_stdout, reason = "a benchmark prints figures and is read by its author")]

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::record_batch::RecordBatch;

use super::Postgres;
use super::tests::{Home, server_settings};
use crate::Access;
use crate::conformance::EngineHome as _;
use crate::conformance::build::*;
use crate::conformance::load::{Keys, load_history};
use crate::sql::{Engine as _, LoadColumn, SqlDestination, Target, batch_of};
use model::schema::ColumnType;

const ROWS: usize = 200_000;
const COMMIT_ROWS: usize = 50_000;

fn columns() -> Vec<(&'static str, ColumnType)> {
    vec![
        ("record_id", TEXT),
        ("name", TEXT),
        ("email", TEXT),
        ("count", LONG),
        ("total", LONG),
        ("score", ColumnType::Double),
        ("amount", ColumnType::Decimal { precision: 18, scale: 4 }),
        ("active", ColumnType::Boolean),
        ("born", ColumnType::NaiveDate),
        ("updated_at", ColumnType::UtcDatetime(None)),
        ("tags", ColumnType::Json),
        ("note", TEXT),
    ]
}

/// A reproducible scramble of a number.
fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn values(ids: std::ops::Range<usize>, version: u64) -> Vec<Values> {
    let ids: Vec<u64> = ids.map(|id| id as u64).collect();
    let noise: Vec<u64> = ids.iter().map(|id| mixed(id.wrapping_mul(31) + version)).collect();
    let text = |from: &[u64], write: fn(u64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(from.iter().map(|value| write(*value))))
    };
    let longs = |shift: u32| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(noise.iter().map(|noise| (noise >> shift) as i64)))
    };
    let amounts = Decimal128Array::from_iter_values(noise.iter().map(|noise| i128::from(noise >> 20)));
    let instants = noise.iter().map(|noise| (noise >> 14) as i64);
    let arrays: Vec<ArrayRef> = vec![
        text(&ids, |id| format!("{:016x}", mixed(id))),
        text(&noise, |noise| format!("Name {} {}", noise % 1_000, noise % 77)),
        text(&noise, |noise| format!("user{}@example.com", noise % 1_000_000)),
        longs(50),
        longs(16),
        Arc::new(Float64Array::from_iter_values(noise.iter().map(|noise| (noise >> 11) as f64 / 1e9))),
        Arc::new(amounts.with_precision_and_scale(18, 4).unwrap()),
        Arc::new(BooleanArray::from_iter(noise.iter().map(|noise| Some(noise % 3 == 0)))),
        Arc::new(Date32Array::from_iter_values(noise.iter().map(|noise| (noise % 20_000) as i32))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(instants).with_timezone("UTC")),
        text(&noise, |noise| {
            format!("{{\"tags\":[\"a{}\",\"b{}\"],\"n\":{}}}", noise % 10, noise % 100, noise % 1_000)
        }),
        text(&noise, |noise| format!("A note of some length, as people write them, number {noise}")),
    ];
    columns().iter().zip(arrays).enumerate().map(|(index, ((_, kind), array))| (index, *kind, array)).collect()
}

/// How rows get into the table.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// COPY of the keys, DELETE by join, COPY of the rows.
    DeleteAndCopy,
    /// COPY of the rows into a temporary table, INSERT … ON CONFLICT DO UPDATE.
    OnConflict,
}

/// How rows are found.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Index {
    Unique,
    /// Not unique, over the hash of the text.
    Hashed,
    /// The access method `hash`.
    HashMethod,
}

fn load(engine: &mut Postgres, target: Target<'_>, columns: &[(&str, ColumnType)], arrays: Vec<ArrayRef>) {
    let into: Vec<LoadColumn> =
        columns.iter().map(|(name, kind)| LoadColumn { name: (*name).to_owned(), column_type: *kind }).collect();
    let rows: RecordBatch = batch_of(arrays).unwrap();
    engine.load(target, &into, &rows).unwrap();
}

fn write(engine: &mut Postgres, way: Way, index: Index, values: &[Values], fresh: bool) {
    let columns = columns();
    let arrays: Vec<ArrayRef> = values.iter().map(|(_, _, array)| Arc::clone(array)).collect();
    let table = Target::Table { schema: "s", name: "t" };
    engine.run("BEGIN").unwrap();
    let definitions: Vec<String> =
        columns.iter().map(|(name, kind)| format!("{name} {}", engine.type_name(*kind))).collect();
    match way {
        Way::DeleteAndCopy => {
            if !fresh {
                engine.run("CREATE TEMP TABLE stage (record_id text)").unwrap();
                load(engine, Target::Temporary("stage"), &columns[..1], arrays[..1].to_vec());
                let same = match index {
                    Index::Hashed => "hashtextextended(t.record_id, 0) = hashtextextended(x.record_id, 0) AND ",
                    _ => "",
                };
                let sql = format!("DELETE FROM s.t USING pg_temp.stage x WHERE {same}t.record_id = x.record_id");
                assert_eq!(engine.execute(&sql, &[]).unwrap(), values[0].2.len() as u64);
                engine.run("DROP TABLE pg_temp.stage").unwrap();
            }
            load(engine, table, &columns, arrays);
        }
        Way::OnConflict if fresh => load(engine, table, &columns, arrays),
        Way::OnConflict => {
            engine.run(&format!("CREATE TEMP TABLE stage ({})", definitions.join(", "))).unwrap();
            load(engine, Target::Temporary("stage"), &columns, arrays);
            let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
            let sets: Vec<String> = names[1..].iter().map(|name| format!("{name} = excluded.{name}")).collect();
            let sql = format!(
                "INSERT INTO s.t ({0}) SELECT {0} FROM pg_temp.stage ON CONFLICT (record_id) DO UPDATE SET {1}",
                names.join(", "),
                sets.join(", ")
            );
            engine.run(&sql).unwrap();
            engine.run("DROP TABLE pg_temp.stage").unwrap();
        }
    }
    engine.run("COMMIT").unwrap();
}

#[test]
#[ignore = "a measurement"]
fn ways_to_write_by_key() {
    println!("{}", server_settings());
    for (way, index) in [
        (Way::DeleteAndCopy, Index::Unique),
        (Way::OnConflict, Index::Unique),
        (Way::DeleteAndCopy, Index::Hashed),
        (Way::DeleteAndCopy, Index::HashMethod),
    ] {
        let mut engine = Home::new().engine(Access::Write).unwrap();
        let definitions: Vec<String> =
            columns().iter().map(|(name, kind)| format!("{name} {}", engine.type_name(*kind))).collect();
        let key = match index {
            Index::Unique => "CREATE UNIQUE INDEX ON s.t (record_id)",
            Index::Hashed => "CREATE INDEX ON s.t (hashtextextended(record_id, 0))",
            Index::HashMethod => "CREATE INDEX ON s.t USING hash (record_id)",
        };
        engine.run(&format!("CREATE SCHEMA s; CREATE TABLE s.t ({}); {key}", definitions.join(", "))).unwrap();
        for (what, version, fresh) in [("first load", 0, true), ("again", 1, false), ("once more", 2, false)] {
            let mut seconds = 0.0;
            for first in (0..ROWS).step_by(COMMIT_ROWS) {
                let values = values(first..first + COMMIT_ROWS, version);
                let started = Instant::now();
                write(&mut engine, way, index, &values, fresh);
                seconds += started.elapsed().as_secs_f64();
            }
            println!("{way:?} {index:?} {what:<12} {:>8.0} rows/s", ROWS as f64 / seconds);
        }
        let size =
            engine.query("SELECT pg_table_size('s.t') / 1000000, pg_indexes_size('s.t') / 1000000", &[]).unwrap();
        println!("MB of table, index: {:?}", size[0]);
    }
}

#[test]
#[ignore = "a measurement"]
fn the_whole_destination() {
    let home = Home::new();
    let tables = [table("records", &columns())];
    for (what, version, is_fresh) in [("first load", 0, true), ("again", 1, false)] {
        let (to, _) = SqlDestination::begin(home.engine(Access::Write).unwrap(), request("c")).unwrap();
        let mut to = to;
        let mut seconds = 0.0;
        for first in (0..ROWS).step_by(COMMIT_ROWS) {
            let segment = live(0, &values(first..first + COMMIT_ROWS, version));
            let segment = if is_fresh { fresh(segment) } else { segment };
            let started = Instant::now();
            commit(&mut to, &tables, vec![segment]).unwrap();
            seconds += started.elapsed().as_secs_f64();
        }
        println!("the whole destination, text keys: {what:<12} {:>8.0} rows/s", ROWS as f64 / seconds);
    }
}

#[test]
#[ignore = "a measurement"]
fn tables_that_keep_their_history() {
    use crate::conformance::Home as _;
    let home: Home = crate::conformance::EngineHome::new();
    load_history(&|request| home.begin(request), Keys::Integers);
}
