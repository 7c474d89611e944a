//! Bad records are set aside and leave no trace in their tables; the others lose nothing.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

use arrow::array::AsArray;
use proptest::prelude::*;

use super::notes::NoteKind;
use super::tables::{NameRules, Settings, Tables};
use super::unstorable::TextRules;
use model::error::{Code, Result};
use model::schema::SchemaContract;
use model::{Batch, Column, DataType, OnBadRecord, OnUnstorable, OperationKind, RecordRules, Selection, Table};
use sandbox::Limits;
use warehouse::Segment;

const QUARANTINE: RecordRules =
    RecordRules { on_bad_record: OnBadRecord::Quarantine, on_unstorable: OnUnstorable::Fail, rejected_max: 1_000 };

fn tables(records: RecordRules) -> Tables {
    let price = Column { name: "price".into(), data_type: DataType::Int };
    let declared = vec![
        Table { name: "t".into(), primary_key: vec!["id".into()], columns: vec![price] },
        Table { name: "loose".into(), primary_key: vec![], columns: vec![] },
    ];
    let settings = Settings {
        selection: Selection::All,
        history: Selection::none(),
        limits: Limits { row_bytes_max: 200, json_depth_max: 5, ..Limits::default() },
        time: true,
        sample_records: 0,
        contract: SchemaContract::default(),
        names: NameRules { bytes_max: 1_000, reserved: &[] },
        texts: TextRules { nul_fits: false, any_json_fits: false },
        records,
        sync: "s".into(),
    };
    Tables::new(declared, vec![], &[], settings).unwrap()
}

fn upsert(tables: &mut Tables, table: &str, rows: impl Into<Vec<u8>>) -> Result<()> {
    let batch = Batch { table: table.into(), kind: OperationKind::Upsert, rows: rows.into() };
    tables.take(&batch, u64::MAX).map(drop)
}

/// Records of the table `t` that are none, each with the code of why.
fn bad() -> Vec<(Vec<u8>, Code)> {
    let deep = format!(r#"{{"id":1,"deep":{}{}}}"#, "[".repeat(6), "]".repeat(6));
    let large = format!(r#"{{"id":1,"large":"{}"}}"#, "x".repeat(300));
    let text: [(&str, Code); 14] = [
        ("null", Code::RecordInvalid),
        ("[1]", Code::RecordInvalid),
        ("\"x\"", Code::RecordInvalid),
        (r#"{"new_1":1,"id":6, oops}"#, Code::RecordInvalid),
        (r#"{"new_2":1}"#, Code::RecordKeyMissing),
        (r#"{"new_3":1,"a":"wide","id":null}"#, Code::RecordKeyMissing),
        (r#"{"a":1.5,"b":[1],"id":{"x":1}}"#, Code::RecordKeyType),
        (r#"{"id":2,"a":"text","a":true,"price":"n/a"}"#, Code::ValueMismatch),
        (r#"{"id":2,"new_4":1,"b":"\ud800"}"#, Code::ValueUnstorable),
        (r#"{"id":2,"c":{"d":["\udc00"]}}"#, Code::ValueUnstorable),
        (r#"{"id":2,"a":"2024-01-01","b":"\u0000"}"#, Code::ValueUnstorable),
        (r#"{"id":2,"c":{"d\u0000":1}}"#, Code::ValueUnstorable),
        (&deep, Code::LimitDepth),
        (&large, Code::LimitRowBytes),
    ];
    let mut bad: Vec<_> = text.iter().map(|(line, code)| (line.as_bytes().to_vec(), *code)).collect();
    bad.push((b"{\"id\":3,\"a\":\"\xff\"}".to_vec(), Code::RecordInvalid));
    bad
}

/// What is set aside: reason and bytes, in order.
fn set_aside(segments: &[Segment], tables: &Tables) -> Vec<(String, Vec<u8>)> {
    let of_rejected = |segment: &&Segment| tables.schemas()[segment.table].is_rejected();
    let Some(segment) = segments.iter().find(of_rejected) else { return Vec::new() };
    let (reasons, records) = (segment.rows.column(4).as_string::<i32>(), segment.rows.column(5).as_binary::<i32>());
    (0..segment.rows.num_rows()).map(|row| (reasons.value(row).to_owned(), records.value(row).to_vec())).collect()
}

#[test]
fn every_kind_of_bad_record_ends_the_sync_or_is_set_aside() {
    for (line, code) in bad() {
        let mut strict = tables(RecordRules::default());
        upsert(&mut strict, "t", r#"{"id":1,"a":1}"#).unwrap();
        let error = upsert(&mut strict, "t", line.clone()).unwrap_err();
        assert_eq!(error.code(), code, "{}", error.chain());
        assert!(error.to_string().contains("record 2 of table \"t\""), "{error}");
        assert!(code == Code::RecordInvalid || error.advice().unwrap().contains("--on-bad-record"), "{error:?}");

        let mut patient = tables(QUARANTINE);
        upsert(&mut patient, "t", r#"{"id":1,"a":1}"#).unwrap();
        let before = patient.schemas()[0].clone();
        upsert(&mut patient, "t", line.clone()).unwrap();
        assert_eq!(patient.schemas()[0], before);
        patient.checkpoint();
        let segments = patient.segments().unwrap();
        let [(reason, record)] = &set_aside(&segments, &patient)[..] else { panic!("one record is set aside") };
        assert!(reason.starts_with(code.as_str()) && *record == line, "{reason}");
    }
}

#[test]
fn what_follows_the_last_checkpoint_is_not_set_aside() {
    let mut tables = tables(QUARANTINE);
    upsert(&mut tables, "t", "null").unwrap();
    tables.checkpoint();
    upsert(&mut tables, "t", "null\nnull").unwrap();
    tables.drop_uncheckpointed();
    let segments = tables.segments().unwrap();
    assert_eq!(set_aside(&segments, &tables).len(), 1);
    assert_eq!(tables.take_folded()[0].rejected, 1);
}

#[test]
fn more_than_the_limit_end_the_sync() {
    let mut tables = tables(RecordRules { rejected_max: 2, ..QUARANTINE });
    upsert(&mut tables, "t", "null\nnull").unwrap();
    assert_eq!(upsert(&mut tables, "t", "null").unwrap_err().code(), Code::LimitRejected);
}

#[test]
fn a_text_that_cannot_be_stored_is_replaced_but_in_a_key() {
    let mut tables = tables(RecordRules { on_unstorable: OnUnstorable::Replace, ..RecordRules::default() });
    let row = r#"{"id":1,"a":"x\ud800","b":{"c":["\u0000"]},"d":"\ud83e\udd80"}"#;
    upsert(&mut tables, "t", row).unwrap();
    let notes: Vec<_> = tables.notes().iter().map(|note| (note.column.as_str(), note.kind)).collect();
    assert_eq!(notes, [("a", NoteKind::Replaced), ("b", NoteKind::Replaced)]);
    // Two records that differ only in what is replaced stay two.
    upsert(&mut tables, "loose", "{\"x\":\"\\ud800\"}\n{\"x\":\"\\ud801\"}").unwrap();
    tables.checkpoint();
    let segments = tables.segments().unwrap();
    assert_eq!(segments[0].rows.column(2).as_string::<i32>().value(0), "x\u{fffd}");
    assert_eq!(segments[0].rows.column(3).as_string::<i32>().value(0), r#"{"c":["\ufffd"]}"#);
    assert_eq!(segments[1].rows.num_rows(), 2);
    let key = upsert(&mut tables, "t", r#"{"id":"\ud800"}"#);
    assert_eq!(key.unwrap_err().code(), Code::ValueUnstorable);
}

#[test]
fn a_table_that_is_declared_is_made_without_a_row_and_gets_its_key_with_the_first() {
    let mut first = tables(QUARANTINE);
    assert_eq!(first.without_operations(), ["t", "loose"]);
    upsert(&mut first, "t", "null").unwrap();
    first.add_declared().unwrap();
    first.checkpoint();
    assert_eq!(first.without_operations(), ["loose"]);
    let known: Vec<_> = first.checkpointed().iter().map(|table| (table.name.clone(), table.key.clone())).collect();
    let expected = [("t".to_owned(), vec![]), ("_rejected".to_owned(), vec![0, 1, 2]), ("loose".to_owned(), vec![0])];
    assert_eq!(known, expected);
}

#[test]
fn a_name_with_a_nul_is_refused_with_table_and_column() {
    let error = upsert(&mut tables(QUARANTINE), "t", r#"{"id":1,"a\u0000b":1}"#).unwrap_err().chain();
    assert!(error.contains("\"a\\0b\"") && error.contains("table \"t\"") && error.contains("NUL"), "{error}");
    let error = upsert(&mut tables(QUARANTINE), "u\0", r#"{"id":1}"#).unwrap_err().chain();
    assert!(error.contains("\"u\\0\"") && error.contains("NUL"), "{error}");
}

/// Good records of the table `t`; the first decides what the key is.
fn good() -> impl Strategy<Value = String> {
    let field = (
        prop::sample::select(vec!["a", "b", "c"]),
        prop::sample::select(vec!["null", "1", "2.5", "true", "\"x\"", "\"2024-02-29\"", "[1]"]),
    );
    (0u8..5, prop::collection::vec(field, 0..4)).prop_map(|(id, fields)| {
        let fields = fields.iter().map(|(name, raw)| format!(",\"{name}\":{raw}"));
        format!("{{\"id\":{id}{}}}", fields.collect::<String>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever stands between them, the table is that of the good records alone, and every bad one is set aside as it came.
    #[test]
    fn quarantine_loses_no_good_record(
        steps in prop::collection::vec((good(), prop::collection::vec(0usize..15, 0..3), 0u8..4), 1..20),
    ) {
        let bad = bad();
        let (mut found, mut expected) = (tables(QUARANTINE), tables(RecordRules::default()));
        let (mut found_segments, mut expected_segments, mut expected_bad) = (vec![], vec![], vec![]);
        for (good, bads, cut) in &steps {
            upsert(&mut expected, "t", good.as_str()).unwrap();
            let mut lines = good.clone().into_bytes();
            for index in bads {
                lines.push(b'\n');
                lines.extend(&bad[*index].0);
                expected_bad.push(bad[*index].0.clone());
            }
            upsert(&mut found, "t", lines).unwrap();
            for (tables, segments) in [(&mut found, &mut found_segments), (&mut expected, &mut expected_segments)] {
                match cut {
                    0 => {}
                    1 => tables.checkpoint(),
                    _ => segments.extend(tables.spill().unwrap()),
                }
            }
        }
        found_segments.extend(found.spill().unwrap());
        expected_segments.extend(expected.spill().unwrap());
        prop_assert_eq!(&found.schemas()[0], &expected.schemas()[0]);
        let of_table = |segments: &[Segment]| -> Vec<String> {
            let own = segments.iter().filter(|segment| segment.table == 0);
            own.map(|segment| format!("{:?} {:?} {:?}", segment.columns, segment.rows, segment.patches)).collect()
        };
        prop_assert_eq!(of_table(&found_segments), of_table(&expected_segments));
        let kept: Vec<Vec<u8>> = found_segments
            .iter()
            .flat_map(|segment| set_aside(std::slice::from_ref(segment), &found))
            .map(|(_, record)| record)
            .collect();
        prop_assert_eq!(kept, expected_bad);
    }
}
