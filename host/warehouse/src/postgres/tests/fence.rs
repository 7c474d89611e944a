//! Two hosts, a host that stands still, and a COMMIT whose answer is lost: nothing lost, nothing doubled.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::proxy::{Break, Proxy};
use super::{Home, client, open, rows_of, server};
use crate::conformance::EngineHome as _;
use crate::conformance::build::*;
use crate::postgres::PostgresAddress;
use crate::sql::Engine as _;
use crate::{Access, Destination as _, SyncRecord};
use model::error::Code;

const ROWS: i64 = 5_000;

fn rows(version: &str) -> crate::Segment {
    let all: Vec<(i64, Option<&str>)> = (0..ROWS).map(|id| (id, Some(version))).collect();
    upserts(0, &all)
}

/// How many rows there are of each version.
fn versions(home: &Home) -> Vec<String> {
    rows_of(&home.0, "SELECT v, count(*), count(DISTINCT id) FROM c.t GROUP BY v ORDER BY v").unwrap()
}

fn sessions(home: &Home, condition: &str) -> Vec<String> {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'elt' \
         AND pid <> pg_backend_pid() AND {condition}"
    );
    rows_of(&home.0, &sql).unwrap()
}

#[test]
fn a_session_that_stops_inside_a_transaction_holds_nobody_up() {
    let home = Home::new();
    let mut first = open(&home.0);
    commit(&mut first, &pairs(), vec![rows("first")]).unwrap();
    first.engine_mut().run("BEGIN; UPDATE c.t SET v = 'lost'").unwrap();
    let started = Instant::now();
    let mut second = open(&home.0);
    commit(&mut second, &pairs(), vec![rows("second")]).unwrap();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(versions(&home), ["second|5000|5000"]);
    assert_eq!(code(commit(&mut first, &pairs(), vec![rows("late")])), Code::FencedOff);
    assert_eq!(code(commit(&mut first, &pairs(), vec![rows("later")])), Code::FencedOff);
    commit(&mut second, &pairs(), vec![upserts(0, &[(0, Some("second"))])]).unwrap();
    assert_eq!(versions(&home), ["second|5000|5000"]);
}

#[test]
fn a_session_between_transactions_is_left_alone_until_it_commits() {
    let home = Home::new();
    let mut first = open(&home.0);
    commit(&mut first, &pairs(), vec![rows("first")]).unwrap();
    let _second = open(&home.0);
    assert_eq!(sessions(&home, "true").len(), 2);
    assert_eq!(code(commit(&mut first, &pairs(), vec![rows("late")])), Code::FencedOff);
    // It can still say how it ended.
    first.finish(&SyncRecord { id: "none".into(), outcome: "failed".into(), ..SyncRecord::default() }).unwrap();
    assert_eq!(versions(&home), ["first|5000|5000"]);
}

#[test]
fn many_hosts_begin_at_once_in_an_empty_database() {
    let home = Home::new();
    let committed: Vec<Result<(), Code>> = std::thread::scope(|scope| {
        let hosts: Vec<_> = (0..6)
            .map(|host| {
                let home = &home;
                scope.spawn(move || {
                    let mut to = open(&home.0);
                    let name = format!("host {host}");
                    // Some begin while others commit.
                    std::thread::sleep(Duration::from_millis(fastrand::u64(0..30)));
                    let made = commit(&mut to, &pairs(), vec![fresh(upserts(0, &[(host, Some(&name))]))]);
                    made.map(drop).map_err(|error| error.code())
                })
            })
            .collect();
        hosts.into_iter().map(|host| host.join().unwrap()).collect()
    });
    let durable = committed.iter().filter(|made| made.is_ok()).count();
    assert!(committed.iter().all(|made| made.is_ok() || *made == Err(Code::FencedOff)), "{committed:?}");
    let found = rows_of(&home.0, "SELECT (SELECT sequence FROM _elt.connections), count(*) FROM _elt.states").unwrap();
    assert_eq!(found, [format!("{durable}|{durable}")]);
    assert!(durable >= 1);
}

/// The other host of the tests below: commits until it is ended or fenced off, and tells how that went.
#[test]
#[ignore = "runs in a process of its own"]
fn commits_on_and_on() {
    let Ok(url) = std::env::var("WAREHOUSE_URL") else { return };
    let mut to = open(&PostgresAddress::parse(&url).unwrap());
    loop {
        if let Err(error) = commit(&mut to, &pairs(), vec![rows("first")]) {
            // Past the test harness, which would keep it for the end.
            std::fs::write("/dev/stdout", format!("ended: {}\n", error.code())).unwrap();
            return;
        }
    }
}

fn other_host(home: &Home) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "postgres::tests::fence::commits_on_and_on"])
        .env("WAREHOUSE_URL", server().url(&home.0.database, home.0.port))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Waits until the other host has committed, and then until it stands still where the condition holds.
fn stop_where(home: &Home, child: &Child, condition: &str) {
    let started = Instant::now();
    loop {
        let commits = rows_of(&home.0, "SELECT sequence FROM _elt.connections").unwrap_or_default();
        if commits.first().is_some_and(|count| count.parse::<u32>().unwrap() > 2) {
            signal(child, rustix::process::Signal::STOP);
            std::thread::sleep(Duration::from_millis(100));
            if !sessions(home, condition).is_empty() {
                return;
            }
            signal(child, rustix::process::Signal::CONT);
        }
        assert!(started.elapsed() < Duration::from_secs(120), "the other host was never where it should stop");
        std::thread::sleep(Duration::from_millis(fastrand::u64(1..20)));
    }
}

fn a_host_that_stands_still(condition: &str) {
    let home = Home::new();
    let child = other_host(&home);
    stop_where(&home, &child, condition);
    let started = Instant::now();
    let mut second = open(&home.0);
    let sequence = rows_of(&home.0, "SELECT sequence FROM _elt.connections").unwrap();
    commit(&mut second, &pairs(), vec![rows("second")]).unwrap();
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    signal(&child, rustix::process::Signal::CONT);
    let told = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(told.contains("ended: fenced-off"), "{told}");
    assert_eq!(versions(&home), ["second|5000|5000"]);
    let after = rows_of(&home.0, "SELECT sequence - 1 FROM _elt.connections").unwrap();
    assert_eq!(after, sequence);
}

#[test]
fn a_host_that_stands_still_inside_a_transaction_is_fenced_off() {
    a_host_that_stands_still("xact_start IS NOT NULL AND state = 'idle in transaction'");
}

#[test]
fn a_host_that_stands_still_while_it_sends_rows_is_fenced_off() {
    a_host_that_stands_still("xact_start IS NOT NULL AND state = 'active' AND query LIKE 'COPY%'");
}

#[test]
fn a_host_that_is_killed_leaves_whole_commits() {
    for _ in 0..3 {
        let home = Home::new();
        let mut child = other_host(&home);
        stop_where(&home, &child, "xact_start IS NOT NULL");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(versions(&home), ["first|5000|5000"]);
        let mut next = open(&home.0);
        commit(&mut next, &pairs(), vec![rows("next")]).unwrap();
        assert_eq!(versions(&home), ["next|5000|5000"]);
    }
}

/// A sync through a proxy that breaks its second commit; what that commit told.
fn broken_commit(home: &Home, breaks: Break, stays_broken: bool) -> Result<(), Code> {
    let proxy = Proxy::start(home.0.port, breaks);
    proxy.stays_broken.store(stays_broken, Ordering::SeqCst);
    let url = server().url(&home.0.database, proxy.port) + "?sslmode=disable";
    let mut to = open(&PostgresAddress::parse(&url).unwrap());
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a")), (2, Some("a"))])]).unwrap();
    proxy.is_armed.store(true, Ordering::SeqCst);
    let told = commit(&mut to, &pairs(), vec![upserts(0, &[(2, Some("b")), (3, Some("b"))])]);
    assert_eq!(proxy.broken.load(Ordering::SeqCst), 1);
    if told.is_ok() {
        // The sync goes on.
        commit(&mut to, &pairs(), vec![upserts(0, &[(3, Some("c"))])]).unwrap();
    }
    told.map(drop).map_err(|error| {
        assert!(error.advice().is_some(), "{}", error.chain());
        error.code()
    })
}

const PAIRS: &str = "SELECT id, v, _deleted FROM c.t ORDER BY id";

#[test]
fn a_commit_whose_answer_is_lost_is_found_out_about() {
    let home = Home::new();
    assert_eq!(broken_commit(&home, Break::AfterCommit, false), Ok(()));
    assert_eq!(rows_of(&home.0, PAIRS).unwrap(), ["1|a|false", "2|b|false", "3|c|false"]);
    let mut engine = home.engine(Access::Write).unwrap();
    assert_eq!(crate::Warehouse::connections(&mut engine).unwrap()[0].sequence, 3);
}

#[test]
fn a_commit_whose_answer_is_lost_for_good_is_where_the_next_sync_starts() {
    let home = Home::new();
    assert_eq!(broken_commit(&home, Break::AfterCommit, true), Err(Code::WarehouseUnreachable));
    let (mut next, opened) = super::begin(&home.0);
    assert_eq!(opened.sequence, 2);
    assert_eq!(rows_of(&home.0, PAIRS).unwrap(), ["1|a|false", "2|b|false", "3|b|false"]);
    commit(&mut next, &pairs(), vec![upserts(0, &[(3, Some("c"))])]).unwrap();
    assert_eq!(rows_of(&home.0, PAIRS).unwrap(), ["1|a|false", "2|b|false", "3|c|false"]);
}

#[test]
fn a_commit_that_never_arrived_was_not_made() {
    for stays_broken in [false, true] {
        let home = Home::new();
        assert_eq!(broken_commit(&home, Break::BeforeCommit, stays_broken), Err(Code::WarehouseUnreachable));
        let (_next, opened) = super::begin(&home.0);
        assert_eq!(opened.sequence, 1);
        assert_eq!(rows_of(&home.0, PAIRS).unwrap(), ["1|a|false", "2|a|false"]);
    }
}

#[test]
fn a_session_that_the_server_ends_fails_the_sync_and_the_next_goes_on() {
    let home = Home::new();
    let mut to = open(&home.0);
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    let pids = sessions(&home, "true");
    let mut other = client(&home.0.database);
    other.execute(&format!("SELECT pg_terminate_backend({})", pids[0]), &[]).unwrap();
    let told = commit(&mut to, &pairs(), vec![upserts(0, &[(2, Some("b"))])]);
    assert_eq!(code(told), Code::WarehouseUnreachable);
    // Another session takes the place of the one that was lost, so the end can be noted.
    to.finish(&SyncRecord { id: "none".into(), outcome: "failed".into(), ..SyncRecord::default() }).unwrap();
    let (_next, opened) = super::begin(&home.0);
    assert_eq!((opened.sequence, rows_of(&home.0, PAIRS).unwrap()), (1, vec!["1|a|false".to_owned()]));
}

#[test]
fn a_lock_that_somebody_else_holds_is_waited_for_and_then_told() {
    let home = Home::new();
    let mut to = open(&home.0);
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    to.engine_mut().run("SET lock_timeout = '200ms'").unwrap();
    let mut other = client(&home.0.database);
    other.batch_execute("BEGIN; LOCK TABLE c.t").unwrap();
    assert_eq!(code(commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("b"))])])), Code::WarehouseInUse);
    other.batch_execute("ROLLBACK").unwrap();
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("c"))])]).unwrap();
    assert_eq!(rows_of(&home.0, PAIRS).unwrap(), ["1|c|false"]);
}
