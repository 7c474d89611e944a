//! The schema contract: what is added, widened, left out, nulled or refused, and what is noted.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

use super::notes::NoteKind;
use super::tables::{Settings, Tables};
use model::error::{Code, Result};
use model::schema::{OnMismatch, SchemaContract, TableSchema};
use model::{Batch, Column, DataType, OperationKind, Selection, Table};
use sandbox::Limits;

const ALLOW: SchemaContract =
    SchemaContract { freeze_columns: false, freeze_types: false, fail: false, on_mismatch: OnMismatch::Fail };

fn declared() -> Vec<Table> {
    let price = Column { name: "price".into(), data_type: DataType::Int };
    vec![Table { name: "t".into(), primary_key: vec!["id".into()], columns: vec![price] }]
}

/// A sync under a contract, into tables that an earlier one left.
fn sync(contract: SchemaContract, known: Vec<TableSchema>) -> Tables {
    let empty = vec![false; known.len()];
    let settings = Settings {
        selection: Selection::All,
        history: Selection::none(),
        limits: Limits::default(),
        time: true,
        sample_records: 0,
        contract,
        names: super::tables::NameRules { bytes_max: 1_000, reserved: &[] },
        texts: super::unstorable::TextRules { nul_fits: false, any_json_fits: false },
        records: model::RecordRules::default(),
        sync: "s".into(),
    };
    Tables::new(declared(), known, &empty, settings).unwrap()
}

fn upsert(tables: &mut Tables, table: &str, rows: &str) -> Result<()> {
    let batch = Batch { table: table.into(), kind: OperationKind::Upsert, rows: rows.as_bytes().to_vec() };
    tables.take(&batch, u64::MAX).map(drop)
}

/// What a first sync made: id LONG, price INT (declared), a LONG, at UTC_DATETIME.
fn known() -> Vec<TableSchema> {
    let mut tables = sync(ALLOW, vec![]);
    upsert(&mut tables, "t", r#"{"id": 1, "price": 2, "a": 3, "at": "2024-01-01T00:00:00Z"}"#).unwrap();
    tables.schemas().to_vec()
}

fn columns(tables: &Tables) -> String {
    let columns = tables.schemas()[0].columns.iter();
    let all: Vec<String> =
        columns.map(|column| format!("{} {}", column.name, column.column_type.data_type())).collect();
    all.join(", ")
}

fn code(contract: SchemaContract, table: &str, row: &str) -> Code {
    upsert(&mut sync(contract, known()), table, row).unwrap_err().code()
}

const BEFORE: &str = "price INT, id LONG, a LONG, at UTC_DATETIME";

#[test]
fn without_a_contract_columns_come_and_widen() {
    let mut tables = sync(ALLOW, known());
    upsert(&mut tables, "t", r#"{"id": 2, "a": "x", "b": true}"#).unwrap();
    assert_eq!(columns(&tables), "price INT, id LONG, a STRING, at UTC_DATETIME, b BOOLEAN");
    assert!(tables.notes().is_empty());
}

#[test]
fn frozen_columns_leave_new_fields_out_and_say_so() {
    let mut tables = sync(SchemaContract { freeze_columns: true, ..ALLOW }, known());
    upsert(&mut tables, "t", "{\"id\": 2, \"a\": \"x\", \"b\": true}\n{\"id\": 3, \"b\": 7, \"c\": null}").unwrap();
    assert_eq!(columns(&tables), "price INT, id LONG, a STRING, at UTC_DATETIME");
    let [note] = tables.notes() else { panic!("one note: {:?}", tables.notes()) };
    assert_eq!((note.column.as_str(), note.kind, note.values), ("b", NoteKind::LeftOut, 2));
    assert_eq!(note.to_string(), "record 1 of table \"t\": true in \"b\" has no column and gets none; it is left out");
    // A table that is new has no columns to freeze.
    upsert(&mut tables, "u", r#"{"x": 1}"#).unwrap();
    assert_eq!(tables.schemas()[1].columns.len(), 2);
}

#[test]
fn frozen_types_make_another_type_a_mismatch() {
    let frozen = SchemaContract { freeze_types: true, ..ALLOW };
    assert_eq!(code(frozen, "t", r#"{"id": 2, "a": 1.5}"#), Code::ValueMismatch);
    assert_eq!(code(frozen, "t", r#"{"id": 2, "at": "2024-01-01T00:00:00.5Z"}"#), Code::ValueMismatch);
    // Another type only in what is remembered, a column that this sync made, and null are none.
    let mut tables = sync(frozen, known());
    let rows = "{\"id\": 2, \"a\": 9007199254740993, \"b\": 1}\n{\"id\": 3, \"a\": null, \"b\": \"x\"}";
    upsert(&mut tables, "t", rows).unwrap();
    assert_eq!(columns(&tables), format!("{BEFORE}, b STRING"));
}

#[test]
fn a_mismatch_becomes_null_and_is_noted() {
    for contract in [ALLOW, SchemaContract { freeze_types: true, ..ALLOW }] {
        let mut tables = sync(SchemaContract { on_mismatch: OnMismatch::Null, ..contract }, known());
        upsert(&mut tables, "t", "{\"id\": 2, \"price\": 1.5}\n{\"id\": 3, \"price\": \"n/a\"}").unwrap();
        assert_eq!(columns(&tables), BEFORE);
        let [note] = tables.notes() else { panic!("one note: {:?}", tables.notes()) };
        assert_eq!((note.kind, note.values, note.first_value.as_str()), (NoteKind::Nulled, 2, "1.5"));
        tables.checkpoint();
        let rows = &tables.segments().unwrap()[0].rows;
        assert_eq!((rows.num_rows(), rows.column(0).null_count()), (2, 2));
    }
}

#[test]
fn a_mismatch_can_widen_a_declared_column() {
    let mut tables = sync(SchemaContract { on_mismatch: OnMismatch::Widen, ..ALLOW }, known());
    upsert(&mut tables, "t", "{\"id\": 2, \"price\": 7}\n{\"id\": 3, \"price\": \"n/a\"}").unwrap();
    assert_eq!(columns(&tables), "price STRING, id LONG, a LONG, at UTC_DATETIME");
    assert!(!tables.schemas()[0].columns[0].declared);
    assert_eq!(code(ALLOW, "t", r#"{"id": 3, "price": "n/a"}"#), Code::ValueMismatch);
}

#[test]
fn fail_refuses_every_change() {
    let fail = SchemaContract { fail: true, ..ALLOW };
    assert_eq!(code(fail, "t", r#"{"id": 2, "b": 1}"#), Code::SchemaChanged);
    assert_eq!(code(fail, "t", r#"{"id": 2, "a": "x"}"#), Code::SchemaChanged);
    assert_eq!(code(fail, "u", r#"{"x": 1}"#), Code::SchemaChanged);
    assert_eq!(code(fail, "t", r#"{"id": 2, "price": "x"}"#), Code::ValueMismatch);
    let mut tables = sync(fail, known());
    upsert(&mut tables, "t", r#"{"id": 2, "a": 4, "b": null}"#).unwrap();
    assert_eq!(columns(&tables), BEFORE);
    // The first sync of a connection makes its tables.
    upsert(&mut sync(fail, vec![]), "t", r#"{"id": 2, "b": 1}"#).unwrap();
}

#[test]
fn a_key_is_never_nulled() {
    let mut keyed = known();
    keyed[0].columns[1].declared = true;
    let mut tables = sync(SchemaContract { on_mismatch: OnMismatch::Null, ..ALLOW }, keyed);
    assert_eq!(upsert(&mut tables, "t", r#"{"id": "x"}"#).unwrap_err().code(), Code::RecordKeyType);
}

/// Not every warehouse compares JSON.
#[test]
fn a_key_that_is_an_object_is_its_text() {
    let mut tables = sync(ALLOW, vec![]);
    upsert(&mut tables, "t", "{\"id\": {\"a\": 1}}\n{\"id\": [1]}\n{\"id\": \"x\"}").unwrap();
    assert_eq!(columns(&tables), "price INT, id STRING");
}

/// A later version of the connector declares a column that was inferred so far.
#[test]
fn what_is_declared_later_is_honoured() {
    let mut before = known();
    for column in &mut before[0].columns {
        column.declared = false;
    }
    let mut tables = sync(ALLOW, before);
    let refused = upsert(&mut tables, "t", r#"{"id": 2, "price": "much"}"#).unwrap_err();
    assert_eq!(refused.code(), Code::ValueMismatch);
}
