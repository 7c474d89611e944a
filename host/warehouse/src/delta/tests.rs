//! The destination against real files: what only a lake can get wrong. What every warehouse must do is checked in
//! `conformance`.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::log::Snapshot;
use super::store::mortal::{Fate, Mortal};
use super::store::{Local, S3};
use super::{DeltaAddress, DeltaLake, query};
use crate::conformance::build::*;
use crate::conformance::names::many_columns;
use crate::conformance::{EngineHome, Home as _, crash};
use crate::sql::SqlDestination;
use crate::{Access, Column, Commit, Deletes, Destination as _, OpenRequest, RowSink, Value, Warehouse as _};
use ::tests::lake::S3Server;
use model::error::{Code, Result};
use model::schema::{ColumnType, TableSchema};

/// A folder.
pub(crate) struct Home(tempfile::TempDir);

impl EngineHome for Home {
    type Engine = DeltaLake;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn engine(&self, access: Access) -> Result<DeltaLake> {
        DeltaLake::over(Box::new(self.store(access)?), access)
    }

    fn reader(&self) -> DeltaLake {
        let mut lake = self.engine(Access::Read).unwrap();
        lake.show(None).unwrap();
        lake
    }
}

impl Home {
    fn store(&self, access: Access) -> Result<Local> {
        Ok(Local::open(self.0.path(), access)?.hasty())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// The files of a table that count, as of the newest version, and the operations of its versions.
    fn log(&self, folder: &str) -> (usize, Vec<String>) {
        let log = self.path().join(folder).join("_delta_log");
        let mut names: Vec<_> = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        names.sort();
        let (mut files, mut operations) = (0, Vec::new());
        for name in names {
            for line in std::fs::read_to_string(name).unwrap().lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                files += usize::from(line.get("add").is_some());
                files -= usize::from(line.get("remove").is_some());
                operations.extend(line.pointer("/commitInfo/operation").map(|name| name.as_str().unwrap().to_owned()));
            }
        }
        (files, operations)
    }

    fn files(&self, folder: &str) -> usize {
        self.log(folder).0
    }
}

/// A place of its own in an S3-compatible server of the process.
pub(crate) struct InS3 {
    address: DeltaAddress,
    _server: Arc<S3Server>,
}

/// The server runs as long as somebody has it.
static SERVER: Mutex<Weak<S3Server>> = Mutex::new(Weak::new());

impl EngineHome for InS3 {
    type Engine = DeltaLake;

    fn new() -> Self {
        let mut known = SERVER.lock().unwrap();
        let server = known.upgrade().unwrap_or_else(|| Arc::new(S3Server::start().unwrap()));
        *known = Arc::downgrade(&server);
        let place = format!("s3://key:secret@lake/{:032x}?endpoint={}", fastrand::u128(..), server.endpoint());
        Self { address: DeltaAddress::parse(&place).unwrap().completed(&|_| None), _server: server }
    }

    fn engine(&self, access: Access) -> Result<DeltaLake> {
        DeltaLake::open(&self.address, access)
    }

    fn reader(&self) -> DeltaLake {
        let mut lake = self.engine(Access::Read).unwrap();
        lake.show(None).unwrap();
        lake
    }
}

/// A home whose store may meet its fate.
trait Fated: EngineHome<Engine = DeltaLake> {
    /// A session whose store meets its fate at the k-th call.
    fn fated(&self, calls_left: &Arc<AtomicI64>, fate: Fate) -> Result<DeltaLake>;
}

impl Fated for Home {
    fn fated(&self, calls_left: &Arc<AtomicI64>, fate: Fate) -> Result<DeltaLake> {
        let store = Mortal::new(self.store(Access::Write)?, Arc::clone(calls_left), fate);
        DeltaLake::over(Box::new(store), Access::Write)
    }
}

impl Fated for InS3 {
    fn fated(&self, calls_left: &Arc<AtomicI64>, fate: Fate) -> Result<DeltaLake> {
        let DeltaAddress::S3(address) = &self.address else { panic!("{:?}", self.address) };
        let store = Mortal::new(S3::open(address, Access::Write)?, Arc::clone(calls_left), fate);
        DeltaLake::over(Box::new(store), Access::Write)
    }
}

/// Dies, or loses an answer, at the k-th call of the store, for every k.
fn every_call<H: Fated>(fate: fn() -> Fate) {
    let undisturbed: H = EngineHome::new();
    crash::sync_with(undisturbed.engine(Access::Write).unwrap(), false).unwrap();
    let expected = crash::outcome(&undisturbed, false);
    let mut calls = 0;
    for k in 1.. {
        let home: H = EngineHome::new();
        let calls_left = Arc::new(AtomicI64::new(k));
        let ended = home.fated(&calls_left, fate()).and_then(|lake| crash::sync_with(lake, false));
        if calls_left.load(Ordering::Relaxed) > 0 {
            break;
        }
        calls = k;
        if ended.is_ok() {
            assert_eq!(crash::outcome(&home, false), expected, "call {k} failed and nobody noticed");
        }
        crash::sync_with(home.engine(Access::Write).unwrap(), false).unwrap();
        assert_eq!(crash::outcome(&home, false), expected, "at call {k}");
    }
    assert!(calls > 40, "only {calls} calls were made");
}

/// What its engine holds is older than the lake then, and must not be written over it.
#[test]
fn a_session_whose_engine_is_behind_commits_nothing_more() {
    let home: Home = EngineHome::new();
    let (mut to, _) = SqlDestination::begin(home.engine(Access::Write).unwrap(), request("c")).unwrap();
    commit(&mut to, &pairs(), vec![fresh(upserts(0, &[(1, Some("a"))]))]).unwrap();
    to.engine_mut().is_behind = true;
    assert_eq!(code(commit(&mut to, &pairs(), vec![upserts(0, &[(2, Some("b"))])])), Code::DestinationFailed);
    assert_eq!(code(to.finish(&crate::SyncRecord::default())), Code::DestinationFailed);
    drop(to);
    assert_eq!(home.dump("c", &pairs()[0]), ["1|a|false"]);
    commit(&mut *home.open("c").0, &pairs(), vec![upserts(0, &[(2, Some("b"))])]).unwrap();
    assert_eq!(home.dump("c", &pairs()[0]), ["1|a|false", "2|b|false"]);
}

#[test]
fn thousands_of_columns() {
    many_columns::<Home>(3_000);
}

#[test]
fn invariant_8_a_host_may_die_before_any_call_of_the_store() {
    every_call::<Home>(|| Fate::DeathBefore);
}

#[test]
fn invariant_8_a_host_may_die_after_any_call_of_the_store() {
    every_call::<Home>(|| Fate::DeathAfter);
}

#[test]
fn the_answer_to_any_call_of_the_store_may_be_lost() {
    every_call::<Home>(|| Fate::LostAnswer);
}

#[test]
fn invariant_8_a_host_may_die_before_any_request_to_s3() {
    every_call::<InS3>(|| Fate::DeathBefore);
}

#[test]
fn invariant_8_a_host_may_die_after_any_request_to_s3() {
    every_call::<InS3>(|| Fate::DeathAfter);
}

#[test]
fn the_answer_to_any_request_to_s3_may_be_lost() {
    every_call::<InS3>(|| Fate::LostAnswer);
}

fn two_tables() -> Vec<TableSchema> {
    vec![pairs().remove(0), table("u", &[("id", LONG), ("v", TEXT)])]
}

fn both(text: &str) -> Commit {
    let rows = [(1, Some(text)), (2, Some(text))];
    let state = Some(text.to_owned());
    Commit { state, ..commit_of(&two_tables(), vec![upserts(0, &rows), upserts(1, &rows)]) }
}

/// The rows of both tables and the state.
fn all(home: &Home) -> (Vec<String>, Vec<String>, Option<String>) {
    let tables = two_tables();
    let state = home.look().connections().unwrap()[0].state.clone();
    (home.dump("c", &tables[0]), home.dump("c", &tables[1]), state)
}

#[test]
fn a_commit_of_two_tables_is_whole_or_taken_back_when_the_connection_is_opened() {
    let mut taken_back = 0;
    for k in 1.. {
        let home: Home = EngineHome::new();
        let (mut to, _) = home.open("c");
        to.commit(both("old")).unwrap();
        drop(to);
        let old = all(&home);
        let calls_left = Arc::new(AtomicI64::new(i64::MAX));
        let (mut to, _) =
            SqlDestination::begin(home.fated(&calls_left, Fate::DeathBefore).unwrap(), request("c")).unwrap();
        calls_left.store(k, Ordering::Relaxed);
        let committed = to.commit(both("new"));
        let is_over = calls_left.load(Ordering::Relaxed) > 0;
        drop(to);
        let (to, opened) = home.open("c");
        drop(to);
        let now = all(&home);
        assert_eq!(opened.state, now.2);
        // It may be whole although the host died before it heard so.
        if committed.is_ok() || now.2.as_deref() == Some("new") {
            let new = vec!["1|new|false".to_owned(), "2|new|false".to_owned()];
            assert_eq!(now, (new.clone(), new, Some("new".to_owned())), "at call {k}");
        } else {
            assert_eq!(now, old, "at call {k}");
        }
        taken_back += usize::from(home.log("c/t").1.iter().any(|operation| operation == "RESTORE"));
        if is_over {
            break;
        }
    }
    assert!(taken_back > 3, "only {taken_back} commits were taken back");
}

#[test]
fn a_host_that_sleeps_before_any_call_is_fenced_off_and_changes_nothing() {
    let mut slept = 0;
    for k in 1.. {
        let home = Arc::new(<Home as EngineHome>::new());
        let (mut to, _) = home.open("c");
        to.commit(both("old")).unwrap();
        drop(to);
        let other = Arc::clone(&home);
        let meanwhile = move || {
            let (mut to, _) = other.open("c");
            to.commit(both("other")).unwrap();
        };
        let calls_left = Arc::new(AtomicI64::new(i64::MAX));
        let fated = home.fated(&calls_left, Fate::Sleep(Box::new(meanwhile))).unwrap();
        let (mut to, _) = SqlDestination::begin(fated, request("c")).unwrap();
        calls_left.store(k, Ordering::Relaxed);
        let committed = to.commit(both("late"));
        let is_over = calls_left.load(Ordering::Relaxed) > 0;
        drop(to);
        if is_over {
            break;
        }
        let now = all(&home);
        if now.2.as_deref() == Some("other") && !now.0[0].contains("late") {
            slept += usize::from(committed.is_err());
        }
        // It slept after its commit was complete, or the other one's commit is all there is.
        let is_other = now.2.as_deref() == Some("other");
        assert!(is_other, "at call {k}: {now:?}");
        assert_eq!((&now.0[..], &now.1[..]), (&["1|other|false".into(), "2|other|false".into()][..], &now.0[..]));
        drop(home.open("c"));
        assert_eq!(all(&home), now, "at call {k}");
    }
    assert!(slept > 10, "only {slept} late commits were refused");
}

#[test]
fn only_files_with_a_row_that_changes_are_written_again() {
    let home: Home = EngineHome::new();
    let (mut to, _) = home.open("c");
    for first in [0, 1_000, 2_000] {
        let rows: Vec<(i64, Option<&str>)> = (first..first + 10).map(|id| (id * 10, None)).collect();
        commit(&mut *to, &pairs(), vec![fresh(upserts(0, &rows))]).unwrap();
    }
    assert_eq!(home.files("c/t"), 3);
    let names = |home: &Home| -> Vec<String> {
        let folder = std::fs::read_dir(home.path().join("c/t")).unwrap();
        folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let before = names(&home).len();
    // A key between those of a file: within its range, but not in it.
    commit(&mut *to, &pairs(), vec![upserts(0, &[(10_005, Some("new"))])]).unwrap();
    assert_eq!((home.files("c/t"), names(&home).len()), (4, before + 1));
    commit(&mut *to, &pairs(), vec![upserts(0, &[(10_010, Some("other"))])]).unwrap();
    assert_eq!((home.files("c/t"), names(&home).len()), (4, before + 2));
    drop(to);
    let rows = home.dump("c", &pairs()[0]);
    assert_eq!(rows.len(), 31);
    assert!(rows.contains(&"10010|other|false".to_owned()) && rows.contains(&"10005|new|false".to_owned()));
}

#[test]
fn small_files_become_one() {
    let home: Home = EngineHome::new();
    let (mut to, _) = home.open("c");
    for id in 0..40 {
        commit(&mut *to, &pairs(), vec![upserts(0, &[(id, Some("v"))])]).unwrap();
        assert!(home.files("c/t") <= 18);
    }
    drop(to);
    assert_eq!(home.dump("c", &pairs()[0]).len(), 40);
}

#[test]
fn a_long_log_is_summed_up_and_read_back() {
    let home: Home = EngineHome::new();
    let tables = vec![table("t", &[("id", LONG), ("v", TEXT), ("at", ColumnType::NaiveDatetime(None))])];
    let (mut to, _) = home.open("c");
    for id in 0..25 {
        commit(&mut *to, &tables, vec![upserts(0, &[(id % 7, Some("v"))])]).unwrap();
    }
    drop(to);
    let log = home.path().join("c/t/_delta_log");
    assert!(log.join("00000000000000000020.checkpoint.parquet").exists());
    assert!(std::fs::read_to_string(log.join("_last_checkpoint")).unwrap().contains("\"version\":20"));
    let before = home.dump("c", &tables[0]);
    for version in 0..20 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    assert_eq!(home.dump("c", &tables[0]), before);
    let (mut to, _) = home.open("c");
    commit(&mut *to, &tables, vec![upserts(0, &[(0, Some("w"))])]).unwrap();
    drop(to);
    assert_eq!(home.dump("c", &tables[0])[0], "0|w|-|false");
    assert_eq!(home.dump("c", &tables[0])[1..], before[1..]);
}

/// Makes the entries of a log up to a version 40 days older.
fn age(log: &Path, last: u64) {
    for version in 0..=last {
        let path = log.join(format!("{version:020}.json"));
        let text = std::fs::read_to_string(&path).unwrap();
        let (info, rest) = text.split_once('\n').unwrap();
        let mut info: serde_json::Value = serde_json::from_str(info).unwrap();
        let timestamp = info["commitInfo"]["timestamp"].as_i64().unwrap() - 40 * 24 * 3_600 * 1_000;
        info["commitInfo"]["timestamp"] = timestamp.into();
        std::fs::write(path, format!("{info}\n{rest}")).unwrap();
    }
}

/// The versions of which a log has an entry, and those of its checkpoints.
fn entries(log: &Path) -> (Vec<u64>, Vec<u64>) {
    let names = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let (mut versions, mut checkpoints) = (Vec::new(), Vec::new());
    for name in names {
        if let Some(version) = name.strip_suffix(".checkpoint.parquet") {
            checkpoints.push(version.parse().unwrap());
        } else if let Some(version) = name.strip_suffix(".json") {
            versions.push(version.parse().unwrap());
        }
    }
    versions.sort_unstable();
    checkpoints.sort_unstable();
    (versions, checkpoints)
}

#[test]
fn old_entries_of_a_log_are_removed_up_to_a_checkpoint() {
    let home: Home = EngineHome::new();
    let log = home.path().join("c/t/_delta_log");
    let sync = |ids: std::ops::Range<i64>| {
        let (mut to, _) = home.open("c");
        for id in ids {
            commit(&mut *to, &pairs(), vec![upserts(0, &[(id, Some("v"))])]).unwrap();
        }
    };
    sync(0..30);
    assert_eq!(entries(&log), ((0..30).collect(), vec![10, 20]));
    // No checkpoint is as old as that.
    age(&log, 9);
    sync(30..31);
    assert_eq!(entries(&log), ((0..31).collect(), vec![10, 20, 30]));
    sync(31..41);
    assert_eq!(entries(&log), ((0..41).collect(), vec![10, 20, 30, 40]));
    age(&log, 27);
    sync(41..51);
    assert_eq!(entries(&log), ((20..51).collect(), vec![20, 30, 40, 50]));
    let rows = home.dump("c", &pairs()[0]);
    assert_eq!(rows, (0..51).map(|id| format!("{id}|v|false")).collect::<Vec<_>>());
    // A version from before the checkpoint is gone, one from after it can be read.
    let (mut lake, store) = (home.reader(), home.store(Access::Read).unwrap());
    let mut read = |version| Snapshot::read(&store, &mut lake.scratch, "c/t", Some(version));
    assert_eq!(read(25).unwrap().unwrap().version, 25);
    assert_eq!(read(19).unwrap_err().code(), Code::WarehouseCorrupted);
}

#[test]
fn old_entries_of_the_journal_are_removed() {
    let home: Home = EngineHome::new();
    let (mut to, _) = home.open("c");
    for _ in 0..70 {
        commit(&mut *to, &pairs(), vec![]).unwrap();
    }
    drop(to);
    let entries = std::fs::read_dir(home.path().join("_elt/c")).unwrap().count();
    assert!((50..=62).contains(&entries), "{entries}");
    assert_eq!(home.open("c").1.sequence, 70);
}

#[test]
fn hard_deletes_find_rows_that_were_marked_before() {
    let home: Home = EngineHome::new();
    let (mut to, _) = home.open("c");
    commit(&mut *to, &pairs(), vec![upserts(0, &[(1, None), (2, None)])]).unwrap();
    commit(&mut *to, &pairs(), vec![upserts(0, &[(3, None)]), patches(0, &[(1, None, true)])]).unwrap();
    drop(to);
    let (mut to, _) = home.begin(OpenRequest { deletes: Deletes::Hard, ..request("c") }).unwrap();
    commit(&mut *to, &pairs(), vec![patches(0, &[(3, None, true)])]).unwrap();
    assert_eq!(to.finish(&request("c").sync).unwrap(), [1]);
    drop(to);
    assert_eq!(home.dump("c", &pairs()[0]), ["2|-|false"]);
}

#[test]
fn places_that_are_no_lake_are_told_apart() {
    let home: Home = EngineHome::new();
    std::fs::write(home.path().join("file"), "x").unwrap();
    let open = |path: &Path, access| DeltaLake::open(&DeltaAddress::Folder(path.to_path_buf()), access);
    assert_eq!(code(open(&home.path().join("file"), Access::Write)), Code::WarehouseUnwritable);
    assert_eq!(code(open(Path::new("/proc/nothing/lake"), Access::Write)), Code::WarehouseUnwritable);
    assert_eq!(code(open(&home.path().join("missing"), Access::Read)), Code::DestinationInvalid);
    assert!(home.engine(Access::Read).unwrap().tables().unwrap().is_empty());
}

#[test]
fn tables_that_another_program_changed_are_refused_where_it_matters() {
    for (line, expected) in [
        (
            "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"columnMapping\"],\"writerFeatures\":[\"columnMapping\"]}}",
            Code::DestinationFailed,
        ),
        (
            "{\"add\":{\"path\":\"../../etc/passwd\",\"partitionValues\":{},\"size\":1,\"modificationTime\":1,\"dataChange\":true}}",
            Code::WarehouseCorrupted,
        ),
        ("not JSON", Code::WarehouseCorrupted),
    ] {
        let home: Home = EngineHome::new();
        let (mut to, _) = home.open("c");
        commit(&mut *to, &pairs(), vec![upserts(0, &[(1, None)])]).unwrap();
        drop(to);
        std::fs::write(home.path().join("c/t/_delta_log/00000000000000000001.json"), line).unwrap();
        let (mut to, _) = home.open("c");
        assert_eq!(code(commit(&mut *to, &pairs(), vec![upserts(0, &[(1, None)])])), expected, "{line}");
    }
    let home: Home = EngineHome::new();
    let (mut to, _) = home.open("c");
    commit(&mut *to, &pairs(), vec![upserts(0, &[(1, None)])]).unwrap();
    drop(to);
    std::fs::remove_dir_all(home.path().join("c/t")).unwrap();
    let (mut to, _) = home.open("c");
    assert_eq!(code(commit(&mut *to, &pairs(), vec![upserts(0, &[(1, None)])])), Code::DestinationFailed);
}

/// Rows as text.
#[derive(Default)]
struct Rows(Vec<String>);

impl RowSink for Rows {
    fn columns(&mut self, _columns: &[Column]) -> Result<()> {
        Ok(())
    }
    fn row(&mut self, row: &[Value]) -> Result<ControlFlow<()>> {
        self.0.push(row.iter().map(|value| value.text().unwrap_or("-")).collect::<Vec<_>>().join("|"));
        Ok(ControlFlow::Continue(()))
    }
}

#[test]
fn queries_read_and_do_nothing_else() {
    let home: Home = EngineHome::new();
    let (mut to, _) = home.open("c");
    commit(&mut *to, &pairs(), vec![upserts(0, &[(1, Some("a")), (2, None)])]).unwrap();
    let address = DeltaAddress::Folder(home.path().to_path_buf());
    let run = |sql: &str| {
        let mut rows = Rows::default();
        query(&address, sql, &mut rows).map(|()| rows.0)
    };
    assert_eq!(run("SELECT id, v FROM c.t ORDER BY id").unwrap(), ["1|a", "2|-"]);
    assert_eq!(run("SELECT outcome FROM c._syncs;").unwrap(), ["running"]);
    assert_eq!(run("WITH x AS (FROM c.t) SELECT count(*) FROM x").unwrap(), ["2"]);
    let path = home.path().join("c/stolen.csv");
    let copy = format!("COPY c.t TO '{}'", path.display());
    for sql in [
        copy.as_str(),
        &format!("SELECT 1; {copy}"),
        &format!("SELECT 1) TO 'x'; {copy}; SELECT (1"),
        "DROP VIEW c.t",
        "CREATE TABLE x (y INT)",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM nothing",
        "SELEC 1",
        "ATTACH '/tmp/x.db'",
    ] {
        assert_eq!(run(sql).unwrap_err().code(), Code::QueryFailed, "{sql}");
    }
    assert!(!path.exists());
}
