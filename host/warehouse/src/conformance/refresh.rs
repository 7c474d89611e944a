//! Full refreshes: rows that did not come back are swept at the last commit, and never before.

use super::Home;
use super::build::*;
use crate::{Commit, Deletes, Destination, OpenRequest, StartFrom};
use model::Selection;
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
