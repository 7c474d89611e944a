//! Tables that keep their history, as a sync sees them: which ones do, and what their columns may be called.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

use super::tables::{NameRules, Settings, Tables};
use model::error::{Code, Result};
use model::schema::{SchemaContract, TableSchema};
use model::{Batch, OperationKind, Selection, Table};
use sandbox::Limits;

fn sync(history: Selection, known: Vec<TableSchema>) -> Result<Tables> {
    let declared = vec![Table { name: "t".into(), primary_key: vec!["id".into()], columns: vec![] }];
    let empty = vec![false; known.len()];
    let settings = Settings {
        selection: Selection::All,
        history,
        limits: Limits::default(),
        time: true,
        sample_records: 0,
        contract: SchemaContract::default(),
        names: NameRules { bytes_max: 1_000, reserved: &[] },
        texts: super::unstorable::TextRules { nul_fits: false, any_json_fits: false },
        records: model::RecordRules::default(),
        sync: "s".into(),
    };
    Tables::new(declared, known, &empty, settings)
}

fn only(table: &str) -> Selection {
    Selection::Tables(vec![table.into()])
}

fn upsert(tables: &mut Tables, table: &str, rows: &str) {
    let batch = Batch { table: table.into(), kind: OperationKind::Upsert, rows: rows.as_bytes().to_vec() };
    tables.take(&batch, u64::MAX).unwrap();
}

/// The columns of a table after a record that has the names of all the host's columns.
fn columns(history: Selection) -> Vec<String> {
    let mut tables = sync(history, vec![]).unwrap();
    upsert(&mut tables, "t", r#"{"id": 1, "_valid_from": 1, "_Valid_To": 2, "_active": 3, "_deleted": 4}"#);
    tables.schemas()[0].columns.iter().map(|column| column.name.clone()).collect()
}

#[test]
fn names_are_reserved_only_where_a_history_needs_them() {
    assert_eq!(columns(Selection::none()), ["id", "_valid_from", "_Valid_To", "_active", "_deleted_2"]);
    let numbered = ["id", "_valid_from_2", "_Valid_To_2", "_active_2", "_deleted_2"];
    assert_eq!(columns(only("t")), numbered);
    assert_eq!(columns(Selection::All), numbered);
}

#[test]
fn tables_keep_their_history_once_they_are_named() {
    let histories = |tables: &Tables| tables.checkpointed().iter().map(|table| table.history).collect::<Vec<_>>();
    let mut first = sync(only("t"), vec![]).unwrap();
    upsert(&mut first, "t", r#"{"id": 1}"#);
    upsert(&mut first, "u", r#"{"x": 1}"#);
    first.checkpoint();
    assert_eq!(histories(&first), [true, false]);
    let known = first.checkpointed().to_vec();
    assert_eq!(histories(&sync(Selection::none(), known.clone()).unwrap()), [true, false]);
    // At the first commit, whether rows come or not.
    assert_eq!(histories(&sync(Selection::All, known).unwrap()), [true, true]);
}

#[test]
fn a_column_that_has_such_a_name_stands_in_the_way() {
    let mut before = sync(Selection::none(), vec![]).unwrap();
    upsert(&mut before, "t", r#"{"id": 1, "_Active": true}"#);
    let error = sync(only("t"), before.schemas().to_vec()).err().unwrap();
    assert_eq!(error.code(), Code::Usage);
    assert!(error.to_string().contains("\"_Active\"") && error.advice().unwrap().contains("host reset"), "{error}");
}
