//! Full refreshes: rows that did not come back are swept at the last commit, and never before.

use super::Home;
use super::build::*;
use crate::{Commit, Deletes, Destination, OpenRequest, ShrinkMax, StartFrom};
use model::Selection;
use model::error::Code;
use model::schema::TableSchema;

fn tables() -> Vec<TableSchema> {
    vec![table("t", &[("id", LONG), ("v", TEXT)]), table("u", &[("id", LONG), ("v", TEXT)])]
}

/// A warehouse with three rows in `t` and two in `u`.
fn filled<H: Home>() -> H {
    let home = H::new();
    let (mut to, _) = home.open("c");
    let rows = [(1, Some("old")), (2, Some("old")), (3, Some("old"))];
    let last = Commit { is_last: true, ..commit_of(&tables(), vec![upserts(0, &rows), upserts(1, &rows[..2])]) };
    assert_eq!(to.commit(last).unwrap().swept, [0, 0]);
    home
}

fn starting_from(start_from: StartFrom) -> OpenRequest {
    OpenRequest { start_from, ..request("c") }
}

/// Commits a row of `t`; returns how many rows of each table were swept.
fn bring(to: &mut dyn Destination, id: i64, is_last: bool) -> Vec<u64> {
    let segments = vec![upserts(0, &[(id, Some("new"))])];
    to.commit(Commit { is_last, ..commit_of(&tables(), segments) }).unwrap().swept
}

pub(super) fn rows_that_did_not_come_back_are_swept_at_the_last_commit<H: Home>() {
    let home: H = filled();
    let (mut to, _) = home.begin(starting_from(StartFrom::Beginning)).unwrap();
    assert_eq!(bring(&mut *to, 1, false), [0, 0]);
    assert_eq!(home.dump("c", &tables()[0]), ["1|new|false", "2|old|false", "3|old|false"]);
    assert!(home.look().connections().unwrap()[0].refresh.is_some());
    assert_eq!(bring(&mut *to, 4, true), [2, 2]);
    drop(to);
    assert_eq!(home.dump("c", &tables()[0]), ["1|new|false", "2|old|true", "3|old|true", "4|new|false"]);
    assert_eq!(home.dump("c", &tables()[1]), ["1|old|true", "2|old|true"]);
    assert_eq!(home.look().connections().unwrap()[0].refresh, None);
    let (mut to, _) = home.open("c");
    assert_eq!(bring(&mut *to, 5, true), [0, 0]);
}

pub(super) fn swept_rows_are_removed_by_hard_deletes<H: Home>() {
    let home: H = filled();
    let hard = OpenRequest { deletes: Deletes::Hard, ..starting_from(StartFrom::Beginning) };
    let (mut to, _) = home.begin(hard).unwrap();
    assert_eq!(bring(&mut *to, 2, true), [2, 2]);
    drop(to);
    assert_eq!(home.dump("c", &tables()[0]), ["2|new|false"]);
    assert!(home.dump("c", &tables()[1]).is_empty());
}

pub(super) fn a_refresh_goes_on_in_a_later_sync<H: Home>() {
    let home: H = filled();
    let (mut to, _) = home.begin(starting_from(StartFrom::Beginning)).unwrap();
    bring(&mut *to, 1, false);
    drop(to);
    let (mut to, _) = home.open("c");
    assert_eq!(bring(&mut *to, 2, false), [0, 0]);
    drop(to);
    let (mut to, _) = home.open("c");
    assert_eq!(bring(&mut *to, 4, true), [1, 2]);
    drop(to);
    assert_eq!(home.dump("c", &tables()[0]), ["1|new|false", "2|new|false", "3|old|true", "4|new|false"]);
}

pub(super) fn a_refresh_that_died_before_its_first_commit_sweeps_nothing<H: Home>() {
    let home: H = filled();
    let (mut to, _) = home.begin(starting_from(StartFrom::Beginning)).unwrap();
    to.stage(vec![upserts(0, &[(1, Some("staged"))])], &tables()).unwrap();
    drop(to);
    let (mut to, _) = home.open("c");
    assert_eq!(bring(&mut *to, 4, true), [0, 0]);
    drop(to);
    assert_eq!(home.dump("c", &tables()[0]), ["1|old|false", "2|old|false", "3|old|false", "4|new|false"]);
}

pub(super) fn a_refresh_sweeps_selected_tables_only<H: Home>() {
    let home: H = filled();
    let only = |name: &str| Selection::Tables(vec![name.to_owned()]);
    let (mut to, _) = home.begin(starting_from(StartFrom::Beginning)).unwrap();
    let first = commit_of(&tables(), vec![upserts(0, &[(1, Some("new"))])]);
    to.commit(Commit { selection: only("t"), ..first }).unwrap();
    drop(to);
    // The refresh began with `t`; a sync of another table does not end it for rows of that one.
    let (mut to, _) = home.open("c");
    let last = Commit { is_last: true, ..commit_of(&tables(), vec![]) };
    assert_eq!(to.commit(Commit { selection: Selection::All, ..last }).unwrap().swept, [2, 0]);
    drop(to);
    assert_eq!(home.dump("c", &tables()[0]), ["1|new|false", "2|old|true", "3|old|true"]);
    assert_eq!(home.dump("c", &tables()[1]), ["1|old|false", "2|old|false"]);
}

pub(super) fn a_given_state_gives_the_refresh_up<H: Home>() {
    let home: H = filled();
    let (mut to, _) = home.begin(starting_from(StartFrom::Beginning)).unwrap();
    bring(&mut *to, 1, false);
    drop(to);
    let (mut to, _) = home.begin(starting_from(StartFrom::GivenState)).unwrap();
    bring(&mut *to, 4, false);
    drop(to);
    let (mut to, _) = home.open("c");
    assert_eq!(bring(&mut *to, 5, true), [0, 0]);
    drop(to);
    let rows = ["1|new|false", "2|old|false", "3|old|false", "4|new|false", "5|new|false"];
    assert_eq!(home.dump("c", &tables()[0]), rows);
}

pub(super) fn a_state_that_was_set_gives_the_refresh_up<H: Home>() {
    let home: H = filled();
    let (mut to, _) = home.begin(starting_from(StartFrom::Beginning)).unwrap();
    bring(&mut *to, 1, false);
    drop(to);
    home.look().set_state("c", Some("{}".to_owned()), 0).unwrap();
    let (mut to, _) = home.open("c");
    assert_eq!(bring(&mut *to, 4, true), [0, 0]);
}

pub(super) fn a_refresh_that_begins_anew_sweeps_what_the_one_before_it_brought<H: Home>() {
    let home: H = filled();
    let (mut to, _) = home.begin(starting_from(StartFrom::Beginning)).unwrap();
    bring(&mut *to, 2, false);
    drop(to);
    let (mut to, _) = home.begin(starting_from(StartFrom::Beginning)).unwrap();
    assert_eq!(bring(&mut *to, 3, true), [2, 2]);
    drop(to);
    assert_eq!(home.dump("c", &tables()[0]), ["1|old|true", "2|new|true", "3|new|false"]);
}

/// A sync that may not empty a table.
fn careful(start_from: StartFrom) -> OpenRequest {
    OpenRequest { shrink_max: ShrinkMax::NotAll, ..starting_from(start_from) }
}

pub(super) fn a_truncate_that_would_empty_a_table_waits_for_rows<H: Home>() {
    for deletes in [Deletes::Soft, Deletes::Hard] {
        let home: H = filled();
        let (mut to, _) = home.begin(OpenRequest { deletes, ..careful(StartFrom::LastCommit) }).unwrap();
        let refused = to.commit(commit_of(&tables(), vec![truncate(0), upserts(1, &[(9, Some("new"))])]));
        assert_eq!(code(refused), Code::TableShrinks);
        assert_eq!(home.dump("c", &tables()[0]), ["1|old|false", "2|old|false", "3|old|false"]);
        assert_eq!(home.dump("c", &tables()[1]), ["1|old|false", "2|old|false"]);
        // The rows come later: then all of it is one transaction.
        to.commit(commit_of(&tables(), vec![upserts(0, &[(2, Some("new"))])])).unwrap();
        drop(to);
        let live = |table: usize| {
            home.dump("c", &tables()[table]).into_iter().filter(|row| row.ends_with("false")).collect::<Vec<_>>()
        };
        assert_eq!(live(0), ["2|new|false"]);
        assert_eq!(live(1), ["1|old|false", "2|old|false", "9|new|false"]);
    }
}

pub(super) fn a_refresh_that_brings_nothing_back_is_refused<H: Home>() {
    let home: H = filled();
    let (mut to, _) = home.begin(careful(StartFrom::Beginning)).unwrap();
    let last = |segments| Commit { is_last: true, ..commit_of(&tables(), segments) };
    // One row of the first table comes back, none of the second.
    assert_eq!(code(to.commit(last(vec![upserts(0, &[(1, Some("new"))])]))), Code::TableShrinks);
    drop(to);
    assert_eq!(home.dump("c", &tables()[0]), ["1|old|false", "2|old|false", "3|old|false"]);
    assert_eq!(home.dump("c", &tables()[1]), ["1|old|false", "2|old|false"]);
    let allowed = OpenRequest { shrink_max: ShrinkMax::Percent(100), ..careful(StartFrom::Beginning) };
    let (mut to, _) = home.begin(allowed).unwrap();
    assert_eq!(to.commit(last(vec![])).unwrap().swept, [3, 2]);
}

pub(super) fn a_share_of_a_table_may_go_and_no_more<H: Home>() {
    for (percent, goes) in [(0, false), (33, false), (34, true), (99, true)] {
        let home: H = filled();
        let shrink_max = ShrinkMax::Percent(percent);
        let (mut to, _) = home.begin(OpenRequest { shrink_max, ..starting_from(StartFrom::LastCommit) }).unwrap();
        let rows = upserts(0, &[(1, Some("new")), (7, Some("new"))]);
        let made = to.commit(commit_of(&tables(), vec![truncate(0), rows]));
        assert_eq!(made.map(drop).map_err(|error| error.code()), if goes { Ok(()) } else { Err(Code::TableShrinks) });
    }
}

pub(super) fn what_was_staged_is_there_after_a_refused_commit<H: Home>() {
    let home: H = filled();
    // Every segment goes through a temporary table.
    let mut to = home.begin_staging_at_most(careful(StartFrom::LastCommit), 0);
    to.stage(vec![truncate(0), patches(1, &[(1, Some(Some("patched")), false)])], &tables()).unwrap();
    to.stage(vec![upserts(1, &[(5, Some("staged"))])], &tables()).unwrap();
    for _ in 0..2 {
        assert_eq!(code(to.commit(commit_of(&tables(), vec![]))), Code::TableShrinks);
    }
    to.commit(commit_of(&tables(), vec![upserts(0, &[(4, Some("new"))])])).unwrap();
    drop(to);
    assert_eq!(home.dump("c", &tables()[0]), ["1|old|true", "2|old|true", "3|old|true", "4|new|false"]);
    assert_eq!(home.dump("c", &tables()[1]), ["1|patched|false", "2|old|false", "5|staged|false"]);
}

pub(super) fn a_table_that_had_no_rows_may_be_truncated<H: Home>() {
    let home = H::new();
    let (mut to, _) = home.begin(careful(StartFrom::LastCommit)).unwrap();
    to.commit(commit_of(&tables(), vec![truncate(0)])).unwrap();
    // Rows that this sync brought itself may go again.
    to.commit(commit_of(&tables(), vec![truncate(0), upserts(0, &[(1, Some("new"))])])).unwrap();
    to.commit(commit_of(&tables(), vec![truncate(0)])).unwrap();
    drop(to);
    // Rows that are all marked as deleted are none.
    let (mut to, _) = home.begin(careful(StartFrom::LastCommit)).unwrap();
    to.commit(commit_of(&tables(), vec![truncate(0)])).unwrap();
}
