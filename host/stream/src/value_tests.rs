//! What records become: keys whatever comes first, times however they are spelled, rows without a key.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

use super::tables::{NameRules, Settings, Tables};
use arrow::array::{Array, AsArray};
use model::error::{Code, Result};
use model::schema::{ColumnType, OnMismatch, SchemaContract, TableSchema, Timestamps};
use model::{Batch, OperationKind, Selection, Table};
use sandbox::Limits;

const INFER: SchemaContract =
    SchemaContract { freeze_columns: false, freeze_types: false, fail: false, on_mismatch: OnMismatch::Fail };

fn tables(
    key: &[&str],
    known: Vec<TableSchema>,
    (timestamps, contract): (Timestamps, SchemaContract),
) -> Result<Tables> {
    let primary_key = key.iter().map(|name| (*name).to_owned()).collect();
    let empty = vec![false; known.len()];
    let settings = Settings {
        selection: Selection::All,
        history: Selection::none(),
        limits: Limits { json_depth_max: 256, ..Limits::default() },
        timestamps,
        sample_records: 0,
        contract,
        names: NameRules { bytes_max: 1_000, reserved: &[] },
    };
    Tables::new(vec![Table { name: "t".into(), primary_key, columns: vec![] }], known, &empty, settings)
}

fn take(tables: &mut Tables, rows: &[&str]) -> Result<()> {
    for row in rows {
        let batch = Batch { table: "t".into(), kind: OperationKind::Upsert, rows: row.as_bytes().to_vec() };
        tables.take(&batch, u64::MAX)?;
    }
    Ok(())
}

/// The type of a column after records in this order, or why one was refused.
fn outcome(key: &[&str], column: &str, rows: &[&str]) -> Result<String, Code> {
    let mut tables = tables(key, vec![], (Timestamps::Infer, INFER)).unwrap();
    take(&mut tables, rows).map_err(|error| error.code())?;
    let column = tables.schemas()[0].columns.iter().find(|one| one.source_name == column).unwrap();
    Ok(column.column_type.to_string())
}

#[test]
fn the_order_of_keys_decides_nothing() {
    for (keys, expected) in [
        (["1", "18446744073709551615"], Ok("DECIMAL(38,0)")),
        (["1", "1.5"], Ok("DOUBLE")),
        (["1", "9007199254740993"], Ok("LONG")),
        (["12345678901234567890.25", "7"], Ok("DECIMAL(22,2)")),
        (["\"a\"", "\"b\""], Ok("STRING")),
        (["\"2024-01-01T00:00:00Z\"", "\"b\""], Ok("STRING")),
        (["1", "\"1\""], Err(Code::RecordKeyType)),
        (["true", "\"true\""], Err(Code::RecordKeyType)),
        (["9007199254740993", "1.5"], Err(Code::RecordKeyType)),
        (["1.5", "18446744073709551615"], Err(Code::RecordKeyType)),
    ] {
        for order in [[0, 1], [1, 0]] {
            let rows = order.map(|index| format!("{{\"id\":{}}}", keys[index]));
            let found = outcome(&["id"], "id", &rows.each_ref().map(String::as_str));
            assert_eq!(found.as_deref(), expected.as_ref().map(|text| *text), "{rows:?}");
        }
    }
}

#[test]
fn key_columns_in_another_order_are_the_same_key() {
    let mut first = tables(&["a", "b"], vec![], (Timestamps::Infer, INFER)).unwrap();
    take(&mut first, &[r#"{"a":1,"b":2}"#]).unwrap();
    let known = first.schemas().to_vec();
    let mut second = tables(&["b", "a"], known.clone(), (Timestamps::Infer, INFER)).unwrap();
    take(&mut second, &[r#"{"b":2,"a":1}"#]).unwrap();
    assert_eq!(second.schemas()[0].key, known[0].key);
    for other in [&["a"][..], &["a", "c"], &["a", "b", "c"]] {
        assert!(tables(other, known.clone(), (Timestamps::Infer, INFER)).is_err(), "{other:?}");
    }
}

#[test]
fn a_frozen_column_of_instants_takes_every_spelling() {
    let mut first = tables(&["id"], vec![], (Timestamps::Exact, INFER)).unwrap();
    take(&mut first, &[r#"{"id":1,"at":"2024-01-01T10:00:00.5Z"}"#]).unwrap();
    let known = first.schemas().to_vec();
    assert_eq!(known[0].columns[1].column_type.to_string(), "UTC_DATETIME[T1Z]");
    let frozen = SchemaContract { freeze_types: true, ..INFER };
    let other = [r#"{"id":2,"at":"2024-01-01 13:00:00+02:00"}"#];
    // A table of the rule of one format goes on under that of instants: nothing to change in the warehouse.
    let mut second = tables(&["id"], known.clone(), (Timestamps::Infer, frozen)).unwrap();
    take(&mut second, &other).unwrap();
    assert_eq!(second.schemas()[0].columns[1].column_type, ColumnType::UtcDatetime(None));
    // The other way round it goes on as it was made.
    let mut third = tables(&["id"], second.schemas().to_vec(), (Timestamps::Exact, frozen)).unwrap();
    take(&mut third, &other).unwrap();
    let mut exact = tables(&["id"], known, (Timestamps::Exact, frozen)).unwrap();
    assert_eq!(take(&mut exact, &other).map_err(|error| error.code()), Err(Code::ValueMismatch));
}

/// The texts of a column after everything was taken.
fn texts(rows: &[&str], column: &str) -> Vec<String> {
    let mut tables = tables(&[], vec![], (Timestamps::Infer, INFER)).unwrap();
    take(&mut tables, rows).unwrap();
    tables.checkpoint();
    let segment = tables.segments().unwrap().remove(0);
    let index = tables.schemas()[0].columns.iter().position(|one| one.source_name == column).unwrap();
    let place = segment.columns.iter().position(|one| one.column == index).unwrap();
    let array = segment.rows.column(place).as_string::<i32>().clone();
    (0..array.len()).map(|row| array.value(row).to_owned()).collect()
}

#[test]
fn rows_without_a_key_that_look_the_same_are_one() {
    let rows = [
        r#"{"a":1,"b":"é","at":"2024-01-01T10:00:00Z"}"#,
        r#"{"at":"2024-01-01 12:00:00.0+02:00","a":1.0,"b":"\u00e9","c":null}"#,
        r#"{"a":1e0,"at":"2024-01-01t10:00:00z","b":"é"}"#,
    ];
    assert_eq!(texts(&rows, "b"), ["é"]);
}

#[test]
fn spellings_in_a_column_of_text_are_two_rows() {
    let rows =
        [r#"{"s":"x"}"#, r#"{"s":"2024-01-01T10:00:00Z"}"#, r#"{"s":"2024-01-01T12:00:00+02:00"}"#, r#"{"s":"x"}"#];
    assert_eq!(texts(&rows, "s").len(), 3);
}

#[test]
fn json_is_compact_and_as_deep_as_the_limit_says() {
    assert_eq!(texts(&[r#"{"j": {"b" : [ 1.50, "a b" ], "a":null}}"#], "j"), [r#"{"b":[1.50,"a b"],"a":null}"#]);
    let nested = |depth: usize| format!("{{\"j\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(texts(&[&nested(256)], "j")[0].len(), 512);
    assert_eq!(outcome(&[], "j", &[&nested(257)]), Err(Code::LimitDepth));
}

#[test]
fn half_a_surrogate_in_any_depth_is_an_invalid_record() {
    for row in [r#"{"a":"\ud83d"}"#, r#"{"a":[{"b":"\udc00"}]}"#, r#"{"a":{"\ud83d":1}}"#] {
        assert_eq!(outcome(&[], "a", &[row]), Err(Code::RecordInvalid), "{row}");
    }
}
