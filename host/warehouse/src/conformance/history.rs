//! Tables that keep their history: which versions there are, whatever the order of segments, stages and commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use proptest::prelude::*;

use super::build::*;
use super::{EngineHome, Home};
use crate::sql::batch_of;
use crate::{Access, Commit, Destination, OpenRequest, Opened, Segment, ShrinkMax, StartFrom, SyncRecord, Versions};
use model::error::Code;
use model::schema::{ColumnType, ROW_ID, TableSchema};

/// A row of a table with history as a test wants to see it; instants are numbers of commits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    key: String,
    /// None where nobody knows.
    from: Option<u32>,
    to: Option<u32>,
    values: String,
    deleted: bool,
    synced_at: u32,
}

/// `commit_of` sets the clock to the same instant for every commit, so the n-th of a connection has the n-th microsecond.
fn commit_number(instant: &str) -> Option<u32> {
    let fraction = instant.strip_prefix("2023-11-14T22:13:20.").and_then(|rest| rest.strip_suffix('Z'));
    fraction.map(|digits| format!("{digits:0<6}").parse().unwrap())
}

/// The versions in a table, by key and time; what must be true of any is checked on the way.
fn versions<H: Home>(home: &H, connection: &str, table: &TableSchema) -> Vec<Version> {
    let mut all = table.clone();
    all.columns.extend(system_columns(table));
    let read = |row: String| {
        let cells: Vec<&str> = row.split('|').collect();
        let [values @ .., synced_at, from, to, active, deleted] = cells.as_slice() else { panic!("{row}") };
        let version = Version {
            key: table.key.iter().map(|column| values[*column]).collect::<Vec<_>>().join("|"),
            from: commit_number(from),
            to: commit_number(to),
            values: (0..values.len())
                .filter(|index| !table.key.contains(index))
                .map(|index| values[index])
                .collect::<Vec<_>>()
                .join("|"),
            deleted: *deleted == "true",
            synced_at: commit_number(synced_at).unwrap(),
        };
        assert_eq!(*active == "true", version.to.is_none(), "active as long as it has no end: {row}");
        assert!(version.from.is_some() || version.to.is_some(), "a version has an end or a beginning: {row}");
        assert!(!(version.deleted && version.to.is_none()), "what is there is not deleted: {row}");
        version
    };
    let mut found: Vec<Version> = home.dump(connection, &all).into_iter().map(read).collect();
    found.sort();
    for pair in found.windows(2).filter(|pair| pair[0].key == pair[1].key) {
        let (Some(end), Some(begin)) = (pair[0].to, pair[1].from) else { panic!("two are active: {pair:?}") };
        assert!(end <= begin, "they overlap: {pair:?}");
    }
    for version in &found {
        assert!(version.to.is_none_or(|to| version.from.is_none_or(|from| from < to)), "empty: {version:?}");
    }
    found
}

/// `key values from-to`, a cross where a deletion ended it.
fn lines(versions: &[Version]) -> Vec<String> {
    let shown = |commit: Option<u32>| commit.map_or_else(String::new, |commit| commit.to_string());
    let line = |version: &Version| {
        let end = if version.deleted { "x" } else { "" };
        format!("{} {} {}-{}{end}", version.key, version.values, shown(version.from), shown(version.to))
    };
    versions.iter().map(line).collect()
}

fn history<H: Home>(home: &H, table: &TableSchema) -> Vec<String> {
    lines(&versions(home, "c", table))
}

fn begin<H: Home>(home: &H) -> (Box<dyn Destination>, Opened) {
    home.begin(history_request("c")).unwrap()
}

fn kept() -> Vec<TableSchema> {
    vec![history_table("h", &[("id", LONG), ("v", TEXT)])]
}

/// Commits and returns how many versions began and ended, and how many operations found no row.
fn counted(to: &mut dyn Destination, tables: &[TableSchema], segments: Vec<Segment>) -> (u64, u64, u64) {
    let done = commit(to, tables, segments).unwrap();
    let Versions { begun, ended } = done.versions[0];
    (begun, ended, done.ignored[0])
}

pub(super) fn every_change_ends_a_version_and_begins_one<H: Home>() {
    let home = H::new();
    let (mut to, _) = begin(&home);
    let mut play = |segments| counted(&mut *to, &kept(), segments);
    assert_eq!(play(vec![fresh(upserts(0, &[(1, Some("a")), (2, Some("b")), (3, None)]))]), (3, 0, 0));
    // The same again is no change, whether by upsert or by update.
    let again = vec![upserts(0, &[(1, Some("a")), (2, Some("c"))]), patches(0, &[(3, Some(None), false)])];
    assert_eq!(play(again), (1, 1, 0));
    // A patch keeps what it does not give; one without a row is ignored.
    let patched = patches(0, &[(1, Some(None), false), (2, None, true), (3, None, false), (9, None, true)]);
    assert_eq!(play(vec![patched]), (1, 2, 1));
    // What is deleted is not updated or deleted again, and comes back by an upsert alone.
    assert_eq!(play(vec![patches(0, &[(2, Some(Some("late")), false)])]), (0, 0, 1));
    assert_eq!(play(vec![patches(0, &[(2, None, true)])]), (0, 0, 1));
    assert_eq!(play(vec![upserts(0, &[(2, Some("c"))])]), (1, 0, 0));
    assert_eq!(play(vec![truncate(0)]), (0, 3, 0));
    let revived = Segment { truncates: true, ..upserts(0, &[(1, Some("z"))]) };
    assert_eq!(play(vec![revived]), (1, 0, 0));
    // A truncate and the same row again is no change.
    let same = Segment { truncates: true, ..upserts(0, &[(1, Some("z"))]) };
    assert_eq!(play(vec![same]), (0, 0, 0));
    assert_eq!(to.finish(&SyncRecord::default()).unwrap(), [1]);
    drop(to);
    let expected = ["1 a 1-3", "1 - 3-7x", "1 z 8-", "2 b 1-2", "2 c 2-3x", "2 c 6-7x", "3 - 1-7x"];
    assert_eq!(history(&home, &kept()[0]), expected);
    // Written by the transaction that confirmed, began or ended them.
    let synced: Vec<u32> = versions(&home, "c", &kept()[0]).iter().map(|version| version.synced_at).collect();
    assert_eq!(synced, [3, 7, 9, 2, 3, 7, 7]);
    let info = home.look().tables().unwrap();
    assert_eq!((info[0].rows, info[0].deleted_rows, info[0].versions), (1, 4, Some(7)));
    assert_eq!(begin(&home).1.tables, kept());
}

pub(super) fn a_key_gets_one_version_at_most_in_a_transaction<H: Home>() {
    for bytes_max in [0, usize::MAX] {
        let home = H::new();
        let mut to = home.begin_staging_at_most(history_request("c"), bytes_max);
        let mut play = |staged: Vec<Segment>, segments| {
            for segment in staged {
                to.stage(vec![segment], &kept()).unwrap();
            }
            counted(&mut *to, &kept(), segments)
        };
        let first = [(1, Some("a")), (2, Some("a")), (3, Some("a")), (4, Some("a"))];
        assert_eq!(play(vec![fresh(upserts(0, &first[..2]))], vec![fresh(upserts(0, &first[2..]))]), (4, 0, 0));
        // There and back again; changed twice; deleted and back; changed, deleted.
        let staged = vec![
            upserts(0, &[(1, Some("b")), (2, Some("b"))]),
            patches(0, &[(3, None, true), (4, Some(Some("b")), false)]),
            patches(0, &[(2, Some(Some("c")), false), (4, None, true), (5, None, true)]),
        ];
        assert_eq!(play(staged, vec![upserts(0, &[(1, Some("a")), (3, Some("a"))])]), (1, 2, 1));
        // Between truncates.
        let staged = vec![truncate(0), upserts(0, &[(6, Some("x")), (1, Some("a"))])];
        let last = Segment { truncates: true, ..upserts(0, &[(2, Some("c")), (7, Some("y"))]) };
        assert_eq!(play(staged, vec![last, patches(0, &[(3, Some(Some("late")), false)])]), (1, 2, 0));
        drop(to);
        let expected = ["1 a 1-3x", "2 a 1-2", "2 c 2-", "3 a 1-3x", "4 a 1-2x", "7 y 3-"];
        assert_eq!(history(&home, &kept()[0]), expected, "{bytes_max} bytes in memory");
    }
}

pub(super) fn rows_that_arrive_deleted_leave_no_version<H: Home>() {
    let home = H::new();
    let (mut to, _) = begin(&home);
    let rows = |rows: &[(i64, &str, bool)]| {
        let keys: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let values: Vec<Option<&str>> = rows.iter().map(|row| Some(row.1)).collect();
        let deleted: Vec<bool> = rows.iter().map(|row| row.2).collect();
        segment(0, &[(0, LONG, longs(&keys)), (1, TEXT, texts(&values))], &deleted)
    };
    assert_eq!(counted(&mut *to, &kept(), vec![fresh(rows(&[(1, "a", true), (2, "b", false)]))]), (1, 0, 0));
    assert_eq!(counted(&mut *to, &kept(), vec![rows(&[(1, "a", true), (2, "c", true)])]), (0, 1, 0));
    drop(to);
    assert_eq!(history(&home, &kept()[0]), ["2 b 1-2x"]);
}

pub(super) fn nothing_has_changed_only_if_every_bit_is_the_same<H: Home>() {
    let home = H::new();
    let kinds = [ColumnType::Double, ColumnType::Json, TEXT, ColumnType::Boolean, ColumnType::Float];
    let columns: Vec<(String, ColumnType)> = (0..).map(|n| format!("v{n}")).zip(kinds).collect();
    let columns: Vec<(&str, ColumnType)> = columns.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    let tables = vec![history_table("h", &[&[("id", LONG)], &columns[..]].concat())];
    type Row = (Option<f64>, Option<&'static str>, Option<&'static str>, Option<bool>, Option<f32>);
    let base: Row = (Some(0.0), Some("{\"a\":1}"), Some(""), Some(false), Some(1.5));
    let others: [Row; 8] = [
        (Some(-0.0), base.1, base.2, base.3, base.4),
        (base.0, Some("{\"a\": 1}"), base.2, base.3, base.4),
        (base.0, base.1, None, base.3, base.4),
        (base.0, base.1, Some(" "), base.3, base.4),
        (base.0, base.1, base.2, None, base.4),
        (base.0, base.1, base.2, base.3, None),
        (None, base.1, base.2, base.3, base.4),
        (Some(0.1 + 0.2), base.1, base.2, base.3, base.4),
    ];
    let rows = |rows: &[Row]| {
        let keys: Vec<i64> = (0..).take(rows.len()).collect();
        let arrays: [ArrayRef; 5] = [
            Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.0))),
            Arc::new(StringArray::from_iter(rows.iter().map(|row| row.1))),
            Arc::new(StringArray::from_iter(rows.iter().map(|row| row.2))),
            Arc::new(BooleanArray::from_iter(rows.iter().map(|row| row.3))),
            Arc::new(arrow::array::Float32Array::from_iter(rows.iter().map(|row| row.4))),
        ];
        let mut values: Vec<Values> = vec![(0, LONG, longs(&keys))];
        values.extend(kinds.iter().zip(arrays).enumerate().map(|(index, (kind, array))| (index + 1, *kind, array)));
        live(0, &values)
    };
    let (mut to, _) = begin(&home);
    let count = others.len() as u64;
    assert_eq!(counted(&mut *to, &tables, vec![rows(&[base; 8])]), (count, 0, 0));
    assert_eq!(counted(&mut *to, &tables, vec![rows(&[base; 8])]), (0, 0, 0));
    assert_eq!(counted(&mut *to, &tables, vec![rows(&others)]), (count, count, 0));
    assert_eq!(counted(&mut *to, &tables, vec![rows(&others)]), (0, 0, 0));
    assert_eq!(counted(&mut *to, &tables, vec![rows(&[base; 8])]), (count, count, 0));
    // Before the file is closed: DuckDB 1.5 writes -0 among many 0 as one of them.
    let negative = versions(&home, "c", &tables[0]).iter().filter(|version| version.values.starts_with("-0|")).count();
    assert_eq!(negative, 1, "-0 is kept");
}

pub(super) fn rows_that_were_there_become_first_versions<H: Home>() {
    let home = H::new();
    let before = vec![table("h", &[("id", LONG), ("v", TEXT)])];
    let (mut to, _) = home.open("c");
    commit(&mut *to, &before, vec![fresh(upserts(0, &[(1, Some("a")), (2, Some("b")), (3, Some("c"))]))]).unwrap();
    commit(&mut *to, &before, vec![upserts(0, &[(2, Some("x"))]), patches(0, &[(3, None, true)])]).unwrap();
    drop(to);
    let (mut to, opened) = begin(&home);
    assert_eq!(opened.tables, before);
    // Together with a new column, a wider one, and the first changes.
    let after = vec![history_table("h", &[("id", LONG), ("v", TEXT), ("w", LONG)])];
    assert_eq!(
        counted(&mut *to, &after, vec![upserts(0, &[(1, Some("a")), (2, Some("y")), (3, Some("c"))])]),
        (2, 1, 0)
    );
    drop(to);
    let expected = ["1 a|- 1-", "2 x|- 2-3", "2 y|- 3-", "3 c|- -2x", "3 c|- 3-"];
    assert_eq!(history(&home, &after[0]), expected);
    // A sync that asks for nothing goes on with it.
    let (mut to, opened) = home.open("c");
    assert_eq!(opened.tables, after);
    assert_eq!(counted(&mut *to, &after, vec![truncate(0)]), (0, 3, 0));
}

pub(super) fn versions_widen_with_their_table<H: Home>() {
    let home = H::new();
    let narrow = vec![history_table("h", &[("id", LONG), ("v", LONG)])];
    let wide = vec![history_table("h", &[("id", LONG), ("v", TEXT), ("w", LONG)])];
    let (mut to, _) = begin(&home);
    let numbers = |rows: &[(i64, i64)]| {
        let (keys, values): (Vec<i64>, Vec<i64>) = rows.iter().copied().unzip();
        live(0, &[(0, LONG, longs(&keys)), (1, LONG, longs(&values))])
    };
    counted(&mut *to, &narrow, vec![fresh(numbers(&[(1, 7), (2, 8)]))]);
    counted(&mut *to, &narrow, vec![numbers(&[(1, 9)])]);
    // A segment from before the column widened, and one from after it: the text of a number is the number.
    let late = vec![numbers(&[(2, 8)]), upserts(0, &[(1, Some("9")), (3, Some("x"))])];
    assert_eq!(counted(&mut *to, &wide, late), (1, 0, 0));
    assert_eq!(counted(&mut *to, &wide, vec![numbers(&[(2, 5)])]), (1, 1, 0));
    drop(to);
    let expected = ["1 7|- 1-2", "1 9|- 2-", "2 8|- 1-4", "2 5|- 4-", "3 x|- 3-"];
    assert_eq!(history(&home, &wide[0]), expected);
}

pub(super) fn versions_that_did_not_come_back_end_with_the_refresh<H: Home>() {
    let home = H::new();
    let (mut to, _) = begin(&home);
    commit(&mut *to, &kept(), vec![fresh(upserts(0, &[(1, Some("a")), (2, Some("b")), (3, Some("c"))]))]).unwrap();
    drop(to);
    let (mut to, _) = home.begin(OpenRequest { start_from: StartFrom::Beginning, ..request("c") }).unwrap();
    assert_eq!(counted(&mut *to, &kept(), vec![upserts(0, &[(1, Some("a"))])]), (0, 0, 0));
    let last = Commit { is_last: true, ..commit_of(&kept(), vec![upserts(0, &[(2, Some("x"))])]) };
    let done = to.commit(last).unwrap();
    assert_eq!((done.swept, done.versions), (vec![1], vec![Versions { begun: 1, ended: 2 }]));
    drop(to);
    assert_eq!(history(&home, &kept()[0]), ["1 a 1-", "2 b 1-3", "2 x 3-", "3 c 1-3x"]);
}

pub(super) fn versions_are_not_all_ended_unless_that_is_allowed<H: Home>() {
    let home = H::new();
    let (mut to, _) = begin(&home);
    commit(&mut *to, &kept(), vec![fresh(upserts(0, &[(1, Some("a")), (2, Some("b"))]))]).unwrap();
    drop(to);
    let last = |segments| Commit { is_last: true, ..commit_of(&kept(), segments) };
    for start_from in [StartFrom::LastCommit, StartFrom::Beginning] {
        let careful = OpenRequest { start_from, shrink_max: ShrinkMax::NotAll, ..request("c") };
        let (mut to, _) = home.begin(careful).unwrap();
        let nothing = if start_from == StartFrom::Beginning { vec![] } else { vec![truncate(0)] };
        assert_eq!(code(to.commit(last(nothing))), Code::TableShrinks);
    }
    assert_eq!(history(&home, &kept()[0]), ["1 a 1-", "2 b 1-"]);
}

pub(super) fn a_key_of_two_columns_and_many_others<H: Home>() {
    let home = H::new();
    let names: Vec<String> = (0..900).map(|index| format!("column {index}")).collect();
    let columns: Vec<(&str, ColumnType)> = names.iter().map(|name| (name.as_str(), LONG)).collect();
    let tables = vec![TableSchema { key: vec![899, 0], ..history_table("wide", &columns) }];
    let values = |last: [i64; 2]| -> Vec<Values> {
        (0..900)
            .map(|index| {
                let values = match index {
                    0 => [1, 1],
                    899 => [1, 2],
                    898 => last,
                    _ => [7, 7],
                };
                (index, LONG, longs(&values))
            })
            .collect()
    };
    let (mut to, _) = begin(&home);
    assert_eq!(counted(&mut *to, &tables, vec![fresh(live(0, &values([3, 4])))]), (2, 0, 0));
    assert_eq!(counted(&mut *to, &tables, vec![live(0, &values([3, 5]))]), (1, 1, 0));
    assert_eq!(counted(&mut *to, &tables, vec![patches_of(0, &values([6, 5]))]), (1, 1, 0));
    drop(to);
    let found = versions(&home, "c", &tables[0]);
    let ends: Vec<_> = found.iter().map(|version| (version.key.as_str(), version.from, version.to)).collect();
    let expected =
        [("1|1", Some(1), Some(3)), ("1|1", Some(3), None), ("2|1", Some(1), Some(2)), ("2|1", Some(2), None)];
    assert_eq!(ends, expected);
}

pub(super) fn a_table_without_a_key_tells_when_its_rows_were_there<H: Home>() {
    let home = H::new();
    let tables = vec![history_table("h", &[(ROW_ID, TEXT), ("v", TEXT)])];
    let rows = |rows: &[(&str, &str)]| {
        let (hashes, values): (Vec<_>, Vec<_>) = rows.iter().map(|(hash, value)| (Some(*hash), Some(*value))).unzip();
        live(0, &[(0, TEXT, texts(&hashes)), (1, TEXT, texts(&values))])
    };
    let (mut to, _) = begin(&home);
    assert_eq!(counted(&mut *to, &tables, vec![fresh(rows(&[("#a", "a"), ("#b", "b")]))]), (2, 0, 0));
    let again = Segment { truncates: true, ..rows(&[("#b", "b")]) };
    assert_eq!(counted(&mut *to, &tables, vec![again]), (0, 1, 0));
    assert_eq!(counted(&mut *to, &tables, vec![rows(&[("#a", "a")])]), (1, 0, 0));
    drop(to);
    assert_eq!(history(&home, &tables[0]), ["#a a 1-2x", "#a a 3-", "#b b 1-"]);
}

pub(super) fn a_reset_forgets_that_there_was_a_history<H: Home>() {
    let home = H::new();
    let (mut to, _) = begin(&home);
    commit(&mut *to, &kept(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    drop(to);
    assert_eq!(home.look().reset("c").unwrap().tables, ["h"]);
    let (mut to, opened) = home.open("c");
    assert!(opened.tables.is_empty());
    let plain = [table("h", &[("id", LONG), ("v", TEXT)])];
    commit(&mut *to, &plain, vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    drop(to);
    assert_eq!(home.look().tables().unwrap()[0].versions, None);
    assert_eq!(home.dump("c", &plain[0]), ["1|a|false"]);
}

pub(super) fn older_programs_are_kept_out_once_there_is_a_history<H: EngineHome>() {
    use crate::sql::{Engine as _, SYSTEM, Scalar};
    let home: H = EngineHome::new();
    let format = || {
        let mut engine = home.engine(Access::Write).unwrap();
        let sql = format!("SELECT max(version) FROM {}", engine.table(SYSTEM, "format"));
        engine.query(&sql, &[]).unwrap()[0][0].clone()
    };
    drop(home.open("c"));
    assert_eq!(format(), Scalar::Integer(1));
    for _ in 0..2 {
        drop(begin(&home));
        assert_eq!(format(), Scalar::Integer(2));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Upsert(i64, Option<i64>),
    Update(i64, Option<Option<i64>>),
    Delete(i64),
    Truncate,
}

/// What happens after a step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    Nothing,
    /// What came so far is a segment of its own.
    Segment,
    /// It is staged.
    Stage,
    Commit,
}

/// Rows by key.
type Rows = BTreeMap<i64, Option<i64>>;

/// Applies one operation by the letter.
fn apply(rows: &mut Rows, step: &Step) {
    match *step {
        Step::Upsert(key, value) => drop(rows.insert(key, value)),
        Step::Update(key, Some(value)) => drop(rows.get_mut(&key).map(|old| *old = value)),
        Step::Update(_, None) => {}
        Step::Delete(key) => drop(rows.remove(&key)),
        Step::Truncate => rows.clear(),
    }
}

/// Operations since the last segment, folded as a sync does it.
#[derive(Default)]
struct Folded {
    truncates: bool,
    rows: BTreeMap<i64, (Option<i64>, bool)>,
    patches: BTreeMap<i64, (Option<Option<i64>>, bool)>,
}

impl Folded {
    fn add(&mut self, step: &Step) {
        match *step {
            Step::Upsert(key, value) => {
                self.patches.remove(&key);
                self.rows.insert(key, (value, false));
            }
            Step::Update(key, given) => match self.rows.get_mut(&key) {
                Some(row) => row.0 = given.unwrap_or(row.0),
                None => {
                    let patch = self.patches.entry(key).or_default();
                    patch.0 = given.or(patch.0);
                }
            },
            Step::Delete(key) => match self.rows.get_mut(&key) {
                Some(row) => row.1 = true,
                None => self.patches.entry(key).or_default().1 = true,
            },
            Step::Truncate => {
                self.truncates = true;
                self.rows.values_mut().for_each(|row| row.1 = true);
                self.patches.values_mut().for_each(|patch| patch.1 = true);
            }
        }
    }

    fn is_empty(&self) -> bool {
        !self.truncates && self.rows.is_empty() && self.patches.is_empty()
    }

    /// As a segment of both tables. `seen`: keys of earlier segments.
    fn take(&mut self, kind: ColumnType, seen: &mut BTreeSet<i64>) -> [Segment; 2] {
        let folded = std::mem::take(self);
        let array = |values: Vec<Option<i64>>| -> ArrayRef {
            match kind {
                TEXT => Arc::new(StringArray::from_iter(values.iter().map(|value| value.map(|v| v.to_string())))),
                _ => Arc::new(Int64Array::from(values)),
            }
        };
        let flags = |flags: Vec<bool>| -> ArrayRef { Arc::new(BooleanArray::from(flags)) };
        let keys: Vec<i64> = folded.rows.keys().copied().collect();
        let is_fresh = keys.iter().filter(|key| !seen.insert(**key)).count() == 0;
        let deleted: Vec<bool> = folded.rows.values().map(|row| row.1).collect();
        let values = array(folded.rows.values().map(|row| row.0).collect());
        let mut made = segment(0, &[(0, LONG, longs(&keys)), (1, kind, values)], &deleted);
        let keys: Vec<i64> = folded.patches.keys().copied().collect();
        made.patches = batch_of(vec![
            longs(&keys),
            array(folded.patches.values().map(|patch| patch.0.flatten()).collect()),
            flags(vec![true; keys.len()]),
            flags(folded.patches.values().map(|patch| patch.0.is_some()).collect()),
            flags(folded.patches.values().map(|patch| patch.1).collect()),
        ])
        .unwrap();
        (made.truncates, made.fresh) = (folded.truncates, is_fresh);
        [made.clone(), Segment { table: 1, ..made }]
    }
}

/// What a stream leaves: the rows at each commit, and what the destination says.
struct Played {
    at_commits: Vec<Rows>,
    versions: Versions,
    rows_now: Vec<u64>,
}

/// The tables `t`, which keeps no history, and `h`, which does, under the same operations. The values are text from step
/// `wide_at` on.
fn play(to: &mut dyn Destination, steps: &[(Step, Cut)], wide_at: usize) -> Played {
    let mut played = Played { at_commits: vec![], versions: Versions::default(), rows_now: vec![] };
    let (mut rows, mut folded, mut segments) = (Rows::new(), Folded::default(), Vec::new());
    let mut seen = BTreeSet::new();
    for (number, (step, cut)) in steps.iter().enumerate() {
        let kind = if number >= wide_at { TEXT } else { LONG };
        if number == wide_at && !folded.is_empty() {
            segments.extend(folded.take(LONG, &mut seen));
        }
        apply(&mut rows, step);
        folded.add(step);
        let cut = if number + 1 == steps.len() { Cut::Commit } else { *cut };
        if cut == Cut::Nothing {
            continue;
        }
        segments.extend(folded.take(kind, &mut seen));
        let columns = [("id", LONG), ("v", kind)];
        let tables = [table("t", &columns), history_table("h", &columns)];
        match cut {
            Cut::Nothing | Cut::Segment => {}
            Cut::Stage => to.stage(std::mem::take(&mut segments), &tables).unwrap(),
            Cut::Commit => {
                let done = commit(to, &tables, std::mem::take(&mut segments)).unwrap();
                played.versions.add(done.versions[1]);
                played.at_commits.push(rows.clone());
            }
        }
    }
    played.rows_now = to.finish(&SyncRecord::default()).unwrap();
    played
}

/// The versions that the rows at each commit amount to.
fn expected(at_commits: &[Rows]) -> Vec<String> {
    let keys: BTreeSet<i64> = at_commits.iter().flat_map(|rows| rows.keys().copied()).collect();
    let mut lines = Vec::new();
    for key in keys {
        let mut open: Option<(usize, Option<i64>)> = None;
        for (number, rows) in (1..).zip(at_commits) {
            let now = rows.get(&key).copied();
            if let Some((from, value)) = open.take_if(|(_, value)| Some(*value) != now) {
                lines.push(line(key, value, from, Some(number), now.is_none()));
            }
            if let (None, Some(value)) = (&open, now) {
                open = Some((number, value));
            }
        }
        if let Some((from, value)) = open {
            lines.push(line(key, value, from, None, false));
        }
    }
    lines
}

fn line(key: i64, value: Option<i64>, from: usize, to: Option<usize>, deleted: bool) -> String {
    let value = value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let to = to.map_or_else(String::new, |to| to.to_string());
    format!("{key} {value} {from}-{to}{}", if deleted { "x" } else { "" })
}

fn steps() -> impl Strategy<Value = Vec<(Step, Cut)>> {
    let value = || prop_oneof![1 => Just(None), 4 => (0i64..3).prop_map(Some)];
    let step = prop_oneof![
        8 => (0i64..5, value()).prop_map(|(key, value)| Step::Upsert(key, value)),
        4 => (0i64..5, proptest::option::of(value())).prop_map(|(key, given)| Step::Update(key, given)),
        4 => (0i64..5).prop_map(Step::Delete),
        1 => Just(Step::Truncate),
    ];
    let cut =
        prop_oneof![6 => Just(Cut::Nothing), 1 => Just(Cut::Segment), 1 => Just(Cut::Stage), 4 => Just(Cut::Commit)];
    proptest::collection::vec((step, cut), 1..30)
}

pub(super) fn any_stream_leaves_the_states_at_its_commits<H: Home>() {
    let home = H::new();
    let number = AtomicU32::new(0);
    let limit = prop_oneof![Just(0usize), Just(usize::MAX)];
    proptest!(ProptestConfig::with_cases(30), |(steps in steps(), wide_at in 0usize..40, limit in limit)| {
        let connection = format!("c{}", number.fetch_add(1, Ordering::Relaxed));
        let mut to = home.begin_staging_at_most(history_request(&connection), limit);
        let played = play(&mut *to, &steps, wide_at);
        drop(to);
        let columns = [("id", LONG), ("v", if wide_at < steps.len() { TEXT } else { LONG })];
        let found = versions(&home, &connection, &history_table("h", &columns));
        prop_assert_eq!(lines(&found), expected(&played.at_commits));
        // The active versions are the rows of a table without history, down to the instant they were written.
        let mut plain = table("t", &columns);
        plain.columns.extend(system_columns(&plain));
        let rows = home.dump(&connection, &plain);
        let rows: Vec<&str> = rows.iter().filter_map(|row| row.strip_suffix("Z|false")).collect();
        let active: Vec<&Version> = found.iter().filter(|version| version.to.is_none()).collect();
        let as_rows: Vec<String> = active
            .iter()
            .map(|version| {
                let fraction = format!("{:06}", version.synced_at);
                let fraction = fraction.trim_end_matches('0');
                format!("{}|{}|2023-11-14T22:13:20.{fraction}", version.key, version.values)
            })
            .collect();
        prop_assert_eq!(rows, as_rows);
        let (begun, ended) = (found.len() as u64, (found.len() - active.len()) as u64);
        prop_assert_eq!(played.versions, Versions { begun, ended });
        prop_assert_eq!(played.rows_now, [active.len() as u64; 2]);
    });
}
