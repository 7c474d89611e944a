//! Who may commit, and what remains of what was not committed (invariants 7 and 8).

use super::Home;
use super::build::*;
use model::error::Code;
use model::schema::TableSchema;

pub(super) fn a_sync_opens_where_the_last_commit_ended<H: Home>() {
    let home = H::new();
    let (mut to, opened) = home.open("c");
    assert_eq!((opened.sequence, opened.state, opened.tables.len()), (0, None, 0));
    let tables = vec![
        table("t", &[("id", LONG), ("v", TEXT)]),
        TableSchema { key: vec![1, 0], ..table("two keys", &[("a", LONG), ("b", TEXT)]) },
    ];
    commit(&mut *to, &tables, vec![upserts(0, &[(1, None)])]).unwrap();
    commit(&mut *to, &tables, vec![]).unwrap();
    drop(to);
    let (_to, opened) = home.open("c");
    assert_eq!(opened.tables, tables);
    assert_eq!(opened.empty, [false, true]);
    assert_eq!(opened.sequence, 2);
    assert_eq!(opened.state.as_deref(), Some("{\"cursor\":1}"));
}

pub(super) fn invariant_7_a_sync_that_was_overtaken_commits_nothing<H: Home>() {
    let home = H::new();
    let (mut first, _) = home.open("c");
    commit(&mut *first, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    let (mut second, opened) = home.open("c");
    assert_eq!(opened.sequence, 1);
    let overtaken = commit(&mut *first, &pairs(), vec![truncate(0), upserts(0, &[(2, Some("b"))])]);
    assert_eq!(code(overtaken), Code::FencedOff);
    commit(&mut *second, &pairs(), vec![upserts(0, &[(3, Some("c"))])]).unwrap();
    // The rows of the other sync are in its way, where keys are unique: still it is the fence that counts.
    let late = commit(&mut *first, &pairs(), vec![fresh(upserts(0, &[(3, Some("late"))]))]);
    assert_eq!(code(late), Code::FencedOff);
    let wider = vec![pairs().remove(0), table("u", &[("id", LONG)])];
    assert_eq!(code(commit(&mut *first, &wider, vec![])), Code::FencedOff);
    drop((first, second));
    assert_eq!(home.dump("c", &pairs()[0]), ["1|a|false", "3|c|false"]);
    assert_eq!(home.open("c").1.tables, pairs());
}

pub(super) fn connections_do_not_fence_each_other_off<H: Home>() {
    let home = H::new();
    let (mut one, _) = home.open("one");
    let (mut two, _) = home.open("two");
    for round in 0..3 {
        commit(&mut *one, &pairs(), vec![upserts(0, &[(round, Some("one"))])]).unwrap();
        commit(&mut *two, &pairs(), vec![upserts(0, &[(round, Some("two"))])]).unwrap();
    }
    drop((one, two));
    assert_eq!(home.dump("one", &pairs()[0]), ["0|one|false", "1|one|false", "2|one|false"]);
    assert_eq!(home.dump("two", &pairs()[0]), ["0|two|false", "1|two|false", "2|two|false"]);
}

pub(super) fn invariant_8_what_was_not_committed_is_gone<H: Home>() {
    let home = H::new();
    for bytes_max in [0, usize::MAX] {
        let mut to = home.begin_staging_at_most(request("c"), bytes_max);
        commit(&mut *to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
        to.stage(vec![upserts(0, &[(2, Some("b"))])], &pairs()).unwrap();
        drop(to);
        let mut to = home.begin_staging_at_most(request("c"), bytes_max);
        to.stage(vec![upserts(0, &[(3, Some("c"))])], &pairs()).unwrap();
        to.discard().unwrap();
        commit(&mut *to, &pairs(), vec![]).unwrap();
        drop(to);
        assert_eq!(home.dump("c", &pairs()[0]), ["1|a|false"]);
    }
}

pub(super) fn a_failed_commit_leaves_everything_as_it_was<H: Home>() {
    let home = H::new();
    let (mut to, _) = home.open("c");
    commit(&mut *to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    let mut wrong = upserts(1, &[(1, Some("x"))]);
    wrong.columns[1].column = 7;
    let more = vec![table("t", &[("id", LONG), ("v", TEXT), ("w", TEXT)]), table("u", &[("id", LONG), ("v", TEXT)])];
    let failed = commit(&mut *to, &more, vec![truncate(0), upserts(0, &[(2, None)]), wrong]);
    assert_eq!(failed.unwrap_err().code(), Code::HostBug);
    assert_eq!(home.dump("c", &pairs()[0]), ["1|a|false"]);
    commit(&mut *to, &more, vec![upserts(0, &[(3, None)])]).unwrap();
    drop(to);
    assert_eq!(home.dump("c", &more[0]), ["1|a|-|false", "3|-|-|false"]);
    assert!(home.dump("c", &more[1]).is_empty());
}
