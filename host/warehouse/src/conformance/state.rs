//! What a warehouse remembers: the history of syncs and states, a state that was set, a reset.

use super::Home;
use super::build::*;
use crate::{Commit, SYNCS, SyncRecord};
use model::error::Code;
use model::schema::{ColumnType, TableSchema};

/// `_syncs` as a table.
fn syncs() -> TableSchema {
    let instant = ColumnType::UtcDatetime(None);
    table(
        SYNCS,
        &[
            ("id", TEXT),
            ("started_at", instant),
            ("ended_at", instant),
            ("outcome", TEXT),
            ("error", TEXT),
            ("rows", ColumnType::Json),
            ("state_before", TEXT),
            ("state_after", TEXT),
        ],
    )
}

/// The histories's columns `id` and `outcome`.
fn outcomes(home: &impl Home) -> Vec<String> {
    let mut some = syncs();
    some.columns.retain(|column| ["id", "outcome"].contains(&column.name.as_str()));
    home.dump("c", &some).iter().map(|row| row.split_once('|').unwrap().1.to_owned()).collect()
}

fn with_state(state: &str) -> Commit {
    Commit { state: Some(state.to_owned()), ..commit_of(&pairs(), vec![]) }
}

pub(super) fn the_history_tells_how_each_sync_went<H: Home>() {
    let home = H::new();
    let request = request("c");
    let running = request.sync.clone();
    let (mut to, _) = home.begin(request).unwrap();
    assert_eq!(outcomes(&home), ["running"]);
    let going = SyncRecord { rows: "{\"t\":{\"upserted\":1}}".to_owned(), ..running.clone() };
    to.commit(Commit { sync: going, ..commit_of(&pairs(), vec![upserts(0, &[(1, None)])]) }).unwrap();
    let columns = "1970-01-01T00:00:01Z|-|running|-|{\"t\":{\"upserted\":1}}|-|-";
    assert_eq!(home.dump("c", &syncs()), [format!("{}|{columns}", running.id)]);
    let ended = SyncRecord {
        ended_at_us: Some(2_500_000),
        outcome: "failed".to_owned(),
        error: Some("source-error: it's down".to_owned()),
        rows: "{\"t\":{\"upserted\":2}}".to_owned(),
        state_after: Some("{}".to_owned()),
        ..running.clone()
    };
    assert_eq!(to.finish(&ended).unwrap(), [1]);
    drop(to);
    let columns =
        "1970-01-01T00:00:01Z|1970-01-01T00:00:02.5Z|failed|source-error: it's down|{\"t\":{\"upserted\":2}}|-|{}";
    assert_eq!(home.dump("c", &syncs()), [format!("{}|{columns}", running.id)]);
    drop(home.open("c"));
    drop(home.open("c"));
    assert_eq!(outcomes(&home), ["failed", "interrupted", "running"]);
}

pub(super) fn states_are_kept_newest_first<H: Home>() {
    let home = H::new();
    let request = request("c");
    let sync = request.sync.clone();
    let (mut to, _) = home.begin(request).unwrap();
    assert!(home.look().states("c").unwrap().is_empty());
    for number in 1..=120 {
        to.commit(Commit { sync: sync.clone(), ..with_state(&number.to_string()) }).unwrap();
    }
    to.commit(Commit { state: None, sync: sync.clone(), ..with_state("") }).unwrap();
    drop(to);
    let states = home.look().states("c").unwrap();
    assert_eq!(states.len(), 100);
    assert_eq!(
        (states[0].sequence, states[0].state.as_deref(), states[0].sync.as_str()),
        (121, None, sync.id.as_str())
    );
    for (index, state) in states.iter().enumerate().skip(1) {
        let number = 121 - index as u64;
        assert_eq!((state.sequence, state.state.as_deref()), (number, Some(number.to_string().as_str())));
        assert!(state.committed_at_us < states[index - 1].committed_at_us);
    }
    assert!(home.look().states("another").unwrap().is_empty());
}

pub(super) fn a_state_that_was_set_is_where_the_next_sync_starts<H: Home>() {
    let home = H::new();
    let (mut to, _) = home.open("c");
    to.commit(Commit { segments: vec![upserts(0, &[(1, Some("a"))])], ..with_state("1") }).unwrap();
    assert_eq!(home.look().set_state("c", Some("it's \"set\"".to_owned()), 5).unwrap(), 2);
    assert_eq!(code(to.commit(with_state("2"))), Code::FencedOff);
    drop(to);
    let (mut to, opened) = home.open("c");
    assert_eq!((opened.sequence, opened.state.as_deref()), (2, Some("it's \"set\"")));
    assert_eq!(opened.tables, pairs());
    to.commit(with_state("3")).unwrap();
    drop(to);
    assert_eq!(home.look().set_state("c", None, 5).unwrap(), 4);
    assert_eq!(home.open("c").1.state, None);
    let states = home.look().states("c").unwrap();
    let states: Vec<_> = states.iter().map(|state| (state.state.as_deref(), state.sync.is_empty())).collect();
    assert_eq!(states, [(None, true), (Some("3"), false), (Some("it's \"set\""), true), (Some("1"), false)]);
    assert_eq!(home.dump("c", &pairs()[0]), ["1|a|false"]);
}

pub(super) fn reset_forgets_one_connection<H: Home>() {
    let home = H::new();
    for name in ["one", "two"] {
        let (mut to, _) = home.open(name);
        commit(&mut *to, &pairs(), vec![upserts(0, &[(1, Some(name))])]).unwrap();
    }
    let dropped = home.look().reset("one").unwrap();
    assert_eq!(dropped.tables, ["t"]);
    assert_eq!(home.dump("two", &pairs()[0]), ["1|two|false"]);
    assert!(home.look().states("one").unwrap().is_empty());
    let (mut to, opened) = home.open("one");
    assert_eq!((opened.sequence, opened.state, opened.tables.len()), (0, None, 0));
    commit(&mut *to, &pairs(), vec![upserts(0, &[(1, Some("new"))])]).unwrap();
    drop(to);
    assert_eq!(home.dump("one", &pairs()[0]), ["1|new|false"]);
    let rows = home.look().connections().unwrap();
    let found: Vec<_> = rows.iter().map(|row| (row.connection.as_str(), row.sequence)).collect();
    assert_eq!(found, [("one", 1), ("two", 1)]);
    assert_eq!(rows[0].committed_at_us, Some(1_700_000_000_000_001));
    assert_eq!(rows[1].state.as_deref(), Some("{\"cursor\":1}"));
}

pub(super) fn a_sync_cannot_commit_after_a_reset<H: Home>() {
    let home = H::new();
    let (mut to, _) = home.open("c");
    commit(&mut *to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    home.look().reset("c").unwrap();
    assert_eq!(code(commit(&mut *to, &pairs(), vec![])), Code::FencedOff);
    drop(to);
    assert_eq!(home.open("c").1.sequence, 0);
}

pub(super) fn tables_are_listed_with_their_rows<H: Home>() {
    let home = H::new();
    assert!(home.look().connections().unwrap().is_empty());
    assert!(home.look().tables().unwrap().is_empty());
    let (mut to, _) = home.open("c");
    let tables = vec![pairs().remove(0), table("empty", &[("k", TEXT), ("double", ColumnType::Double)])];
    commit(&mut *to, &tables, vec![upserts(0, &[(1, None), (2, None), (3, None)])]).unwrap();
    commit(&mut *to, &tables, vec![patches(0, &[(2, None, true)])]).unwrap();
    assert_eq!(to.finish(&SyncRecord::default()).unwrap(), [2, 0]);
    drop(to);
    let found = home.look().tables().unwrap();
    assert_eq!(found.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["t", "empty"]);
    assert_eq!((found[0].rows, found[0].deleted_rows), (2, 1));
    assert_eq!((found[1].rows, found[1].deleted_rows), (0, 0));
    assert_eq!(found[0].synced_at_us, Some(1_700_000_000_000_002));
    assert_eq!(found[1].synced_at_us, None);
    let columns: Vec<_> = found[1].columns.iter().map(|column| (column.name.as_str(), column.is_key)).collect();
    assert_eq!(columns, [("k", true), ("double", false)]);
    assert_eq!(found[1].columns[1].column_type, ColumnType::Double);
}
