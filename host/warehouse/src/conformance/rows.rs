//! What operations leave in a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, Int64Array, StringArray};
use proptest::prelude::*;

use super::Home;
use super::build::*;
use crate::sql::batch_of;
use crate::{Deletes, OpenRequest, Segment, SyncRecord};
use model::schema::{ColumnType, SYNCED_AT, TableSchema};

pub(super) fn upserts_replace_whole_rows_and_patches_overlay<H: Home>() {
    let home = H::new();
    let (mut to, _) = home.open("c");
    commit(&mut *to, &pairs(), vec![fresh(upserts(0, &[(1, Some("a")), (2, Some("b")), (3, Some("c"))]))]).unwrap();
    let found = commit(
        &mut *to,
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
    assert_eq!(home.dump("c", &pairs()[0]), ["1|x|false", "2|-|false", "3|c|true", "4|-|false"]);
}

pub(super) fn a_truncate_marks_what_came_before_it_and_an_upsert_revives<H: Home>() {
    let home = H::new();
    let (mut to, _) = home.open("c");
    commit(&mut *to, &pairs(), vec![upserts(0, &[(1, Some("a")), (2, Some("b")), (3, Some("c"))])]).unwrap();
    let mut segments = vec![upserts(0, &[(4, Some("d"))]), truncate(0)];
    segments.push(Segment { truncates: true, ..upserts(0, &[(2, Some("again"))]) });
    segments.push(patches(0, &[(3, Some(Some("late")), false)]));
    assert_eq!(commit(&mut *to, &pairs(), segments).unwrap().ignored, vec![0]);
    drop(to);
    assert_eq!(home.dump("c", &pairs()[0]), ["1|a|true", "2|again|false", "3|late|true", "4|d|true"]);
}

/// Rows of `pairs`, some of them deleted already.
fn arriving(rows: &[(i64, &str, bool)]) -> Segment {
    let keys: Vec<i64> = rows.iter().map(|row| row.0).collect();
    let values: Vec<Option<&str>> = rows.iter().map(|row| Some(row.1)).collect();
    let deleted: Vec<bool> = rows.iter().map(|row| row.2).collect();
    segment(0, &[(0, LONG, longs(&keys)), (1, TEXT, texts(&values))], &deleted)
}

pub(super) fn rows_can_arrive_deleted<H: Home>() {
    let home = H::new();
    let (mut to, _) = home.open("c");
    commit(&mut *to, &pairs(), vec![fresh(arriving(&[(1, "a", true), (2, "b", false), (3, "c", false)]))]).unwrap();
    commit(&mut *to, &pairs(), vec![arriving(&[(1, "x", false), (2, "y", true), (4, "z", true)])]).unwrap();
    drop(to);
    assert_eq!(home.dump("c", &pairs()[0]), ["1|x|false", "2|y|true", "3|c|false", "4|z|true"]);
}

pub(super) fn columns_that_a_segment_does_not_have_become_null_in_rows_and_stay_in_patches<H: Home>() {
    let home = H::new();
    let (mut to, _) = home.open("c");
    commit(&mut *to, &pairs(), vec![upserts(0, &[(1, Some("a")), (2, Some("b"))])]).unwrap();
    let only_key = live(0, &[(0, LONG, longs(&[1, 3]))]);
    let fresh_key = fresh(live(0, &[(0, LONG, longs(&[4]))]));
    let mut delete = live(0, &[(0, LONG, longs(&[]))]);
    let yes = BooleanArray::from(vec![true]);
    delete.patches = batch_of(vec![longs(&[2]), Arc::new(yes.clone()), Arc::new(yes)]).unwrap();
    commit(&mut *to, &pairs(), vec![only_key, fresh_key, delete]).unwrap();
    drop(to);
    assert_eq!(home.dump("c", &pairs()[0]), ["1|-|false", "2|b|true", "3|-|false", "4|-|false"]);
}

pub(super) fn a_key_is_all_of_its_columns<H: Home>() {
    let home = H::new();
    let tables = vec![TableSchema { key: vec![2, 0], ..table("t", &[("a", LONG), ("v", TEXT), ("b", TEXT)]) }];
    let rows = |rows: &[(i64, &str, &str)]| -> Vec<Values> {
        let column = |value: fn(&(i64, &str, &str)) -> String| {
            Arc::new(StringArray::from_iter_values(rows.iter().map(value))) as _
        };
        let keys: Vec<i64> = rows.iter().map(|row| row.0).collect();
        vec![
            (2, TEXT, column(|row| row.1.to_owned())),
            (0, LONG, longs(&keys)),
            (1, TEXT, column(|row| row.2.to_owned())),
        ]
    };
    let (mut to, _) = home.open("c");
    let first = rows(&[(1, "x", "1x"), (1, "y", "1y"), (2, "x", "2x"), (2, "y", "2y")]);
    commit(&mut *to, &tables, vec![fresh(live(0, &first))]).unwrap();
    let segments =
        vec![live(0, &rows(&[(1, "y", "new")])), patches_of(0, &rows(&[(2, "x", "patch"), (3, "x", "none")]))];
    assert_eq!(commit(&mut *to, &tables, segments).unwrap().ignored, [1]);
    drop(to);
    assert_eq!(home.dump("c", &tables[0]), ["1|1x|x|false", "1|new|y|false", "2|2y|y|false", "2|patch|x|false"]);
}

pub(super) fn keys_are_told_apart_by_every_byte<H: Home>() {
    let home = H::new();
    let tables = vec![table("t", &[("id", TEXT), ("v", TEXT)])];
    // Composed and decomposed, upper and lower case, with a space at the end, numbers that are equal.
    let keys = ["a", "A", "a ", "é", "e\u{301}", "ß", "ss", "1", "1.0", "01", "", " ", "ı", "i", "ﬁ", "fi", "-0", "0"];
    let rows = |value: &str| -> Vec<Values> {
        vec![
            (0, TEXT, texts(&keys.map(Some))),
            (1, TEXT, Arc::new(StringArray::from_iter_values(keys.iter().map(|key| format!("{value} {key}"))))),
        ]
    };
    let (mut to, _) = home.open("c");
    commit(&mut *to, &tables, vec![fresh(live(0, &rows("first")))]).unwrap();
    commit(&mut *to, &tables, vec![live(0, &rows("second"))]).unwrap();
    assert_eq!(commit(&mut *to, &tables, vec![patches_of(0, &rows("third"))]).unwrap().ignored, [0]);
    drop(to);
    let mut expected: Vec<String> = keys.iter().map(|key| format!("{key}|third {key}|false")).collect();
    let mut found = home.dump("c", &tables[0]);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

pub(super) fn hard_deletes_remove_rows<H: Home>() {
    let home = H::new();
    let (mut to, _) = home.begin(OpenRequest { deletes: Deletes::Hard, ..request("c") }).unwrap();
    let rows = [(1, "a", false), (2, "b", false), (3, "c", true)];
    commit(&mut *to, &pairs(), vec![fresh(arriving(&rows))]).unwrap();
    assert_eq!(home.dump("c", &pairs()[0]), ["1|a|false", "2|b|false"]);
    let segments = vec![arriving(&[(2, "x", true), (4, "d", false), (5, "e", false)]), patches(0, &[(5, None, true)])];
    assert_eq!(commit(&mut *to, &pairs(), segments).unwrap().ignored, [0]);
    assert_eq!(home.dump("c", &pairs()[0]), ["1|a|false", "4|d|false"]);
    // An update revives no row, and there is none any more.
    let late = patches(0, &[(1, Some(Some("late")), false)]);
    assert_eq!(commit(&mut *to, &pairs(), vec![truncate(0), late]).unwrap().ignored, [1]);
    assert!(home.dump("c", &pairs()[0]).is_empty());
    commit(&mut *to, &pairs(), vec![arriving(&[(1, "again", false)])]).unwrap();
    assert_eq!(to.finish(&SyncRecord::default()).unwrap(), [1]);
    drop(to);
    assert_eq!(home.dump("c", &pairs()[0]), ["1|again|false"]);
}

/// A connection that marked its deleted rows so far removes them from now on.
pub(super) fn hard_deletes_remove_what_was_marked_before<H: Home>() {
    let home = H::new();
    let (mut to, _) = home.open("c");
    commit(&mut *to, &pairs(), vec![fresh(arriving(&[(1, "a", false), (2, "b", true)]))]).unwrap();
    commit(&mut *to, &pairs(), vec![patches(0, &[(1, None, true)]), upserts(0, &[(3, Some("c"))])]).unwrap();
    drop(to);
    assert_eq!(home.dump("c", &pairs()[0]), ["1|a|true", "2|b|true", "3|c|false"]);
    let (mut to, _) = home.begin(OpenRequest { deletes: Deletes::Hard, ..request("c") }).unwrap();
    commit(&mut *to, &pairs(), vec![upserts(0, &[(4, Some("d"))])]).unwrap();
    drop(to);
    assert_eq!(home.dump("c", &pairs()[0]), ["3|c|false", "4|d|false"]);
}

pub(super) fn synced_at_never_stands_still<H: Home>() {
    let home = H::new();
    let synced_at = table("t", &[("id", LONG), (SYNCED_AT, ColumnType::UtcDatetime(None))]);
    let (mut to, _) = home.open("c");
    commit(&mut *to, &pairs(), vec![fresh(upserts(0, &[(1, None), (2, None), (3, None), (4, None)]))]).unwrap();
    commit(&mut *to, &pairs(), vec![upserts(0, &[(2, None)])]).unwrap();
    drop(to);
    let (mut to, _) = home.open("c");
    commit(&mut *to, &pairs(), vec![patches(0, &[(3, Some(None), false)])]).unwrap();
    // The row that is marked last was live; the marks of rows that were deleted before stay as old as they are.
    commit(&mut *to, &pairs(), vec![patches(0, &[(4, None, true)])]).unwrap();
    drop(to);
    let at = |us: u32, id: u8, deleted: bool| format!("{id}|2023-11-14T22:13:20.{us:06}Z|{deleted}");
    let expected = [at(1, 1, false), at(2, 2, false), at(3, 3, false), at(4, 4, true)];
    assert_eq!(home.dump("c", &synced_at), expected);
    let (mut to, _) = home.open("c");
    commit(&mut *to, &pairs(), vec![truncate(0)]).unwrap();
    drop(to);
    assert_eq!(home.dump("c", &synced_at), [at(5, 1, true), at(5, 2, true), at(5, 3, true), at(4, 4, true)]);
}

pub(super) fn fifty_thousand_rows_at_once<H: Home>() {
    const ROWS: i64 = 50_000;
    let home = H::new();
    let tables = vec![table("t", &[("id", TEXT), ("n", LONG), ("x", ColumnType::Double), ("v", TEXT)])];
    let rows = |ids: std::ops::Range<i64>, version: i64| {
        let texts =
            |write: &dyn Fn(i64) -> String| Arc::new(StringArray::from_iter_values(ids.clone().map(write))) as _;
        let half = |id: i64| f64::from(i32::try_from(id).unwrap()) / 2.0;
        live(
            0,
            &[
                (0, TEXT, texts(&|id| id.to_string())),
                (1, LONG, Arc::new(Int64Array::from_iter_values(ids.clone().map(|id| id + version)))),
                (2, ColumnType::Double, Arc::new(Float64Array::from_iter_values(ids.clone().map(half)))),
                (3, TEXT, texts(&|id| format!("a text of some length for row {id}, version {version}"))),
            ],
        )
    };
    let (mut to, _) = home.open("c");
    commit(&mut *to, &tables, vec![fresh(rows(0..ROWS, 0))]).unwrap();
    commit(&mut *to, &tables, vec![rows(ROWS / 2..ROWS + ROWS / 2, 1)]).unwrap();
    assert_eq!(to.finish(&SyncRecord::default()).unwrap(), [75_000]);
    drop(to);
    let found = home.dump("c", &tables[0]);
    assert_eq!(found.len(), 75_000);
    for (id, row) in found.iter().enumerate() {
        let version = usize::from(id >= 25_000);
        let half = if id % 2 == 0 { (id / 2).to_string() } else { format!("{}.5", id / 2) };
        let text = format!("a text of some length for row {id}, version {version}");
        assert_eq!(*row, format!("{id}|{}|{half}|{text}|false", id + version));
    }
}

pub(super) fn the_batch_of_a_segment_may_be_empty<H: Home>() {
    let home = H::new();
    let mut to = home.begin_staging_at_most(request("c"), 0);
    to.stage(vec![upserts(0, &[]), fresh(upserts(0, &[])), patches(0, &[])], &pairs()).unwrap();
    to.stage(vec![], &pairs()).unwrap();
    commit(&mut *to, &pairs(), vec![upserts(0, &[])]).unwrap();
    drop(to);
    assert!(home.dump("c", &pairs()[0]).is_empty());
}

pub(super) fn staging_in_temporary_tables_and_in_memory_is_the_same<H: Home>() {
    type Step = (u8, BTreeMap<i64, Option<String>>);
    let step = (0u8..4, proptest::collection::btree_map(0i64..12, proptest::option::of("[a-z]{0,20}"), 0..8));
    let steps = proptest::collection::vec(step, 1..12);
    let limit = prop_oneof![Just(0usize), Just(2_000), Just(usize::MAX)];
    let run = |steps: &[Step], limit: usize, staged: bool| {
        let home = H::new();
        let mut to = home.begin_staging_at_most(request("c"), limit);
        let mut segments = Vec::new();
        for (kind, rows) in steps {
            let made = segment_of(*kind, rows);
            if staged { to.stage(vec![made], &pairs()).unwrap() } else { segments.push(made) }
        }
        let ignored = commit(&mut *to, &pairs(), segments).unwrap().ignored;
        drop(to);
        (ignored, home.dump("c", &pairs()[0]))
    };
    proptest!(ProptestConfig::with_cases(12), |(steps in steps, limit in limit)| {
        let one_by_one = {
            let home = H::new();
            let (mut to, _) = home.open("c");
            let mut ignored = 0;
            for (kind, rows) in &steps {
                ignored += commit(&mut *to, &pairs(), vec![segment_of(*kind, rows)]).unwrap().ignored[0];
            }
            drop(to);
            (vec![ignored], home.dump("c", &pairs()[0]))
        };
        prop_assert_eq!(&run(&steps, limit, true), &one_by_one);
        prop_assert_eq!(&run(&steps, limit, false), &one_by_one);
    });
}

fn segment_of(kind: u8, rows: &BTreeMap<i64, Option<String>>) -> Segment {
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

pub(super) fn a_staged_segment_is_converted_when_its_column_has_widened<H: Home>() {
    for bytes_max in [0, usize::MAX] {
        let home = H::new();
        let mut to = home.begin_staging_at_most(request("c"), bytes_max);
        let narrow = vec![table("t", &[("id", LONG), ("v", LONG)])];
        let numbers = |rows: [(i64, i64); 2]| {
            [(0, LONG, longs(&rows.map(|row| row.0))), (1, LONG, longs(&rows.map(|row| row.1)))]
        };
        commit(&mut *to, &narrow, vec![live(0, &numbers([(1, 10), (2, 20)]))]).unwrap();
        to.stage(vec![live(0, &numbers([(2, 21), (3, 30)]))], &narrow).unwrap();
        to.stage(vec![patches_of(0, &numbers([(1, 11), (9, 90)]))], &narrow).unwrap();
        to.stage(vec![upserts(0, &[(4, Some("x"))])], &pairs()).unwrap();
        assert_eq!(commit(&mut *to, &pairs(), vec![]).unwrap().ignored, [1]);
        drop(to);
        assert_eq!(home.dump("c", &pairs()[0]), ["1|11|false", "2|21|false", "3|30|false", "4|x|false"]);
    }
}
