//! Few rows go as parameters, many through a temporary table: both read the same.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
    Int32Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::record_batch::RecordBatch;

use super::{Home, open, rows_of};
use crate::Access;
use crate::conformance::EngineHome as _;
use crate::conformance::build::*;
use crate::postgres::{Postgres, inline};
use crate::sql::{Engine as _, LoadColumn, Scalar, Target, batch_of};
use model::schema::ColumnType;

/// A column of every type, with a NULL in each.
fn every_type() -> (Vec<LoadColumn>, RecordBatch) {
    let decimal = |precision, scale, units: [Option<i128>; 3]| -> ArrayRef {
        let scale: u8 = scale;
        let array = Decimal128Array::from(units.to_vec());
        Arc::new(array.with_precision_and_scale(precision, scale.cast_signed()).unwrap())
    };
    let instants = TimestampMicrosecondArray::from(vec![Some(-1), None, Some(1_700_000_000_123_456)]);
    let columns: Vec<(ColumnType, ArrayRef)> = vec![
        (ColumnType::Boolean, Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        (ColumnType::Short, Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(1)]))),
        (ColumnType::Int, Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(1)]))),
        (LONG, longs(&[i64::MIN, 0, i64::MAX])),
        (ColumnType::Decimal { precision: 38, scale: 9 }, decimal(38, 9, [Some(-10i128.pow(37)), None, Some(5)])),
        (ColumnType::Decimal { precision: 5, scale: 0 }, decimal(5, 0, [Some(0), None, Some(99_999)])),
        (ColumnType::Float, Arc::new(Float32Array::from(vec![Some(f32::NAN), None, Some(-0.0)]))),
        (ColumnType::Double, Arc::new(Float64Array::from(vec![Some(f64::INFINITY), None, Some(0.1)]))),
        (ColumnType::NaiveDate, Arc::new(Date32Array::from(vec![Some(-1), None, Some(20_000)]))),
        (ColumnType::NaiveTime, Arc::new(Time64MicrosecondArray::from(vec![Some(1), None, Some(86_399_999_999)]))),
        (ColumnType::NaiveDatetime(None), Arc::new(instants.clone())),
        (ColumnType::UtcDatetime(None), Arc::new(instants.with_timezone("UTC"))),
        (ColumnType::Binary, Arc::new(BinaryArray::from(vec![Some(&b"\0\xff"[..]), None, Some(b"")]))),
        (TEXT, texts(&[Some("{\"a,\\'"), None, Some("")])),
        (ColumnType::Json, Arc::new(StringArray::from(vec![Some("{\"a\": [1]}"), None, Some("null")]))),
        (ColumnType::Xml, texts(&[Some("<a/>"), None, Some("NULL")])),
    ];
    let into = columns
        .iter()
        .enumerate()
        .map(|(at, (column_type, _))| LoadColumn { name: format!("c{at}"), column_type: *column_type });
    (into.collect(), batch_of(columns.iter().map(|(_, array)| Arc::clone(array)).collect()).unwrap())
}

#[test]
fn every_value_arrives_as_it_does_in_a_table() {
    let home = Home::new();
    let mut engine = home.engine(Access::Write).unwrap();
    let (columns, rows) = every_type();
    let definitions: Vec<String> =
        columns.iter().map(|column| format!("{} {}", column.name, engine.type_name(column.column_type))).collect();
    let definitions = definitions.join(", ");
    engine
        .run(&format!("CREATE SCHEMA s; CREATE TABLE s.copied ({definitions}); CREATE TABLE s.sent ({definitions})"))
        .unwrap();
    engine.load(Target::Table { schema: "s", name: "copied" }, &columns, &rows).unwrap();
    let table = engine.inlined(&columns, &rows).unwrap();
    let sent = engine.execute_with(&format!("INSERT INTO s.sent SELECT * FROM {table} AS s"), &columns, &rows).unwrap();
    assert_eq!(sent, 3);
    let [copied, sent] =
        ["copied", "sent"].map(|table| rows_of(&home.0, &format!("SELECT * FROM s.{table} ORDER BY c3")));
    let (copied, sent) = (copied.unwrap(), sent.unwrap());
    assert_eq!(copied.len(), 3);
    assert_eq!(copied, sent);
}

#[test]
fn a_statement_stays_small() {
    let fits = |columns: usize, rows: usize, bytes: usize| {
        let value = "x".repeat(bytes);
        let arrays = (0..columns).map(|_| texts(&vec![Some(value.as_str()); rows])).collect();
        let into: Vec<LoadColumn> =
            (0..columns).map(|at| LoadColumn { name: format!("c{at}"), column_type: TEXT }).collect();
        inline::table(&into, &batch_of(arrays).unwrap()).is_some()
    };
    assert!(fits(1, 1_000, 1) && fits(200, 1, 1) && fits(1, 1, 1_000_000));
    assert!(!fits(1, 1_001, 1) && !fits(201, 1, 1) && !fits(1, 1, 2_000_000) && !fits(1, 1_000, 2_000));
}

/// Whether the session has ever made a temporary table.
fn has_temporary(engine: &mut Postgres) -> bool {
    engine.query("SELECT pg_my_temp_schema() <> 0::oid", &[]).unwrap() == [[Scalar::Boolean(true)]]
}

#[test]
fn few_rows_change_nothing_in_the_server_s_own_catalog() {
    let home = Home::new();
    let mut to = open(&home.0);
    commit(&mut to, &pairs(), vec![fresh(upserts(0, &[(1, Some("a")), (2, Some("a"))]))]).unwrap();
    let few =
        vec![upserts(0, &[(2, Some("b")), (3, None)]), patches(0, &[(1, Some(Some("p")), false), (9, None, true)])];
    let committed = commit(&mut to, &pairs(), few).unwrap();
    assert_eq!(committed.ignored, [1]);
    assert!(!has_temporary(to.engine_mut()));
    assert_eq!(rows_of(&home.0, "SELECT id, v FROM c.t ORDER BY id").unwrap(), ["1|p", "2|b", "3|-"]);
    let many: Vec<(i64, Option<&str>)> = (0..1_001).map(|id| (id, Some("m"))).collect();
    commit(&mut to, &pairs(), vec![upserts(0, &many)]).unwrap();
    assert!(has_temporary(to.engine_mut()));
    assert_eq!(rows_of(&home.0, "SELECT v, count(*) FROM c.t GROUP BY v").unwrap(), ["m|1001"]);
}

#[test]
fn a_sync_looks_for_its_own_tables_only_by_name() {
    let home = Home::new();
    let mut to = open(&home.0);
    commit(&mut to, &pairs(), vec![]).unwrap();
    let engine = to.engine_mut();
    engine.run("CREATE VIEW c.seen AS SELECT 1; CREATE TABLE c.\"O'd \"\"d\" (a int); INSERT INTO c.\"O'd \"\"d\" VALUES (1)").unwrap();
    let names = [("c", "t"), ("c", "O'd \"d"), ("c", "seen"), ("c", "T"), ("C", "t"), ("nowhere", "t")];
    let found = engine.find_tables(&names).unwrap();
    let found: Vec<(&str, bool)> = found.iter().map(|((_, name), has_rows)| (name.as_str(), *has_rows)).collect();
    assert_eq!(found, [("O'd \"d", true), ("seen", true), ("t", false)]);
}
