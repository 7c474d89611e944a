//! Property: the tables depend on the stream of operations alone, never on how it was batched, folded or committed.
//!
//! Random streams go through `Tables` cut in random places; the segments are applied to a table of text by the letter of
//! `Segment`'s documentation, and compared with a reference that applies one operation after the other.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;

use super::column::{Cell, text_of};
use super::tables::{Settings, Tables};
use model::schema::SchemaContract;
use model::schema::{ColumnType, TableSchema};
use model::{Batch, OperationKind, Selection, Table};
use sandbox::Limits;
use warehouse::Segment;

/// An operation as the connector makes it: kind, key, fields with their JSON text.
#[derive(Clone, Debug)]
struct Step {
    kind: OperationKind,
    /// JSON text.
    key: &'static str,
    fields: Vec<(&'static str, &'static str)>,
}

/// What happens after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Nothing,
    /// The batch ends.
    Batch,
    /// A checkpoint.
    Checkpoint,
    /// A checkpoint that is committed.
    Commit,
    /// Rows without a checkpoint are staged.
    Spill,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    /// Column to text; absent is NULL.
    values: BTreeMap<String, String>,
    deleted: bool,
}

type Rows = BTreeMap<String, Row>;

const VALUES: [&str; 12] = [
    "null",
    "1",
    "-7",
    "9007199254740993",
    "2.5",
    "12345678901234567890",
    "true",
    "\"x\"",
    "\"\"",
    "\"2024-02-29\"",
    "\"2024-01-01T10:00:00.50+02:00\"",
    "{\"a\": [1]}",
];

/// Keys of one type, among them two that are equal.
const KEYS: [[&str; 6]; 2] = [["0", "1", "2", "3", "4", "5"], ["0.5", "0.0", "-0.0", "100.25", "-1.5", "2.5"]];

/// The same for equal keys.
fn canonical(key: &str) -> String {
    if key.parse() == Ok(0.0) { "zero".to_owned() } else { key.to_owned() }
}

fn steps() -> impl Strategy<Value = Vec<(Step, Cut)>> {
    prop::sample::select(KEYS.to_vec()).prop_flat_map(steps_with)
}

fn steps_with(keys: [&'static str; 6]) -> impl Strategy<Value = Vec<(Step, Cut)>> {
    use OperationKind::{Delete, Truncate, Update, Upsert};
    let kind = prop_oneof![8 => Just(Upsert), 4 => Just(Update), 3 => Just(Delete), 1 => Just(Truncate)];
    let field = (prop::sample::select(vec!["a", "b", "c"]), prop::sample::select(VALUES.to_vec()));
    let step = (kind, prop::sample::select(keys.to_vec()), prop::collection::vec(field, 0..4))
        .prop_map(|(kind, key, fields)| Step { kind, key, fields });
    let cut = prop_oneof![
        6 => Just(Cut::Nothing), 2 => Just(Cut::Batch), 2 => Just(Cut::Checkpoint), 1 => Just(Cut::Commit), 1 => Just(Cut::Spill),
    ];
    prop::collection::vec((step, cut), 1..40)
}

/// One operation after the other.
fn reference(steps: &[(Step, Cut)]) -> Rows {
    let mut rows = Rows::new();
    for (step, _) in steps {
        let key = canonical(step.key);
        let given: BTreeMap<&str, &str> = step.fields.iter().copied().collect();
        match step.kind {
            OperationKind::Truncate => rows.values_mut().for_each(|row| row.deleted = true),
            OperationKind::Delete => drop(rows.get_mut(&key).map(|row| row.deleted = true)),
            OperationKind::Upsert => {
                let values = given.iter().filter(|(_, raw)| **raw != "null");
                let values = values.map(|(name, raw)| ((*name).to_owned(), plain(raw))).collect();
                rows.insert(key, Row { values, deleted: false });
            }
            OperationKind::Update => {
                let Some(row) = rows.get_mut(&key) else { continue };
                for (name, raw) in given {
                    match raw {
                        "null" => drop(row.values.remove(name)),
                        raw => drop(row.values.insert(name.to_owned(), plain(raw))),
                    }
                }
            }
        }
    }
    rows
}

/// The text that a value has in a STRING column.
fn plain(raw: &str) -> String {
    raw.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(raw).to_owned()
}

/// The steps through the decoder, cut where they say.
fn decoded(steps: &[(Step, Cut)]) -> Rows {
    let declared = vec![Table { name: "t".into(), primary_key: vec!["id".into()], columns: vec![] }];
    let settings = Settings {
        selection: Selection::All,
        history: Selection::none(),
        limits: Limits::default(),
        time: true,
        sample_records: 0,
        contract: SchemaContract::default(),
        names: super::tables::NameRules { bytes_max: 1_000, reserved: &[] },
        texts: super::unstorable::TextRules { nul_fits: false, any_json_fits: false },
        records: model::RecordRules::default(),
        sync: "s".into(),
    };
    let mut tables = Tables::new(declared, vec![], &[], settings).unwrap();
    let mut rows = Rows::new();
    let mut batch: Option<Batch> = None;
    for (step, cut) in steps {
        if batch.as_ref().is_some_and(|batch| batch.kind != step.kind || step.kind == OperationKind::Truncate) {
            tables.take(&batch.take().unwrap(), u64::MAX).unwrap();
        }
        let batch_now = batch.get_or_insert_with(|| Batch { table: "t".into(), kind: step.kind, rows: vec![] });
        if step.kind != OperationKind::Truncate {
            let fields = step.fields.iter().map(|(name, raw)| format!(",\"{name}\":{raw}"));
            batch_now.rows.extend(format!("{{\"id\":{}{}}}\n", step.key, fields.collect::<String>()).into_bytes());
        }
        if *cut == Cut::Nothing {
            continue;
        }
        tables.take(&batch.take().unwrap(), u64::MAX).unwrap();
        match cut {
            Cut::Nothing | Cut::Batch => {}
            Cut::Checkpoint => tables.checkpoint(),
            Cut::Commit => {
                tables.checkpoint();
                apply(&mut rows, tables.segments().unwrap(), tables.checkpointed());
            }
            Cut::Spill => apply(&mut rows, tables.spill().unwrap(), tables.schemas()),
        }
    }
    if let Some(batch) = batch {
        tables.take(&batch, u64::MAX).unwrap();
    }
    tables.checkpoint();
    apply(&mut rows, tables.segments().unwrap(), tables.checkpointed());
    rows
}

/// Applies segments by the letter of `Segment`'s documentation.
fn apply(rows: &mut Rows, segments: Vec<Segment>, tables: &[TableSchema]) {
    for segment in segments {
        let table = &tables[segment.table];
        if segment.truncates {
            rows.values_mut().for_each(|row| row.deleted = true);
        }
        let width = segment.columns.len();
        let name = |index: usize| table.columns[segment.columns[index].column].source_name.clone();
        for at in 0..segment.rows.num_rows() {
            let (key, values) = values(&segment, &segment.rows, at, &name);
            let deleted = segment.rows.column(width).as_boolean().value(at);
            assert!(!(segment.fresh && rows.contains_key(&key)), "a fresh segment has no key that is there");
            rows.insert(key, Row { values, deleted });
        }
        for at in 0..segment.patches.num_rows() {
            let (key, values) = values(&segment, &segment.patches, at, &name);
            let Some(row) = rows.get_mut(&key) else { continue };
            for index in 0..width {
                if segment.patches.column(width + index).as_boolean().value(at) && name(index) != "id" {
                    match values.get(&name(index)) {
                        Some(value) => drop(row.values.insert(name(index), value.clone())),
                        None => drop(row.values.remove(&name(index))),
                    }
                }
            }
            row.deleted |= segment.patches.column(2 * width).as_boolean().value(at);
        }
    }
}

fn values(
    segment: &Segment,
    batch: &RecordBatch,
    at: usize,
    name: &impl Fn(usize) -> String,
) -> (String, BTreeMap<String, String>) {
    let mut found = BTreeMap::new();
    for (index, column) in segment.columns.iter().enumerate() {
        let array = batch.column(index);
        if !array.is_null(at) {
            found.insert(name(index), text(array.as_ref(), at, column.column_type));
        }
    }
    (canonical(&found.remove("id").expect("every row has its key")), found)
}

fn text(array: &dyn Array, at: usize, column_type: ColumnType) -> String {
    use ColumnType as T;
    let cell = match column_type {
        T::Boolean => Cell::Boolean(array.as_boolean().value(at)),
        T::Long { .. } => Cell::Integer(array.as_primitive::<Int64Type>().value(at)),
        T::Double => Cell::Double(array.as_primitive::<Float64Type>().value(at)),
        T::Decimal { .. } => Cell::Decimal(array.as_primitive::<Decimal128Type>().value(at)),
        T::NaiveDate => Cell::Integer(array.as_primitive::<Date32Type>().value(at).into()),
        T::NaiveDatetime(_) | T::UtcDatetime(_) => {
            Cell::Integer(array.as_primitive::<TimestampMicrosecondType>().value(at))
        }
        _ => Cell::Text(array.as_string::<i32>().value(at).as_bytes()),
    };
    text_of(cell, column_type)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn tables_depend_on_the_stream_alone(steps in steps(), cuts in prop::collection::vec(0u8..5, 40)) {
        let expected = reference(&steps);
        let found = decoded(&steps);
        prop_assert!(found == expected, "found {found:#?}\nexpected {expected:#?}");
        let choices = [Cut::Nothing, Cut::Batch, Cut::Checkpoint, Cut::Commit, Cut::Spill];
        let recut: Vec<_> = steps.iter().zip(cuts).map(|((step, _), cut)| (step.clone(), choices[usize::from(cut)])).collect();
        let found = decoded(&recut);
        prop_assert!(found == expected, "cut differently: found {found:#?}\nexpected {expected:#?}");
    }
}
