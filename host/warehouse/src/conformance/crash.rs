//! Proof by exhaustion: a sync whose session dies at its k-th call of the engine, for every k, before the call and after it,
//! and the sync that follows leave what an undisturbed one leaves (invariants 1, 2 and 8).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::record_batch::RecordBatch;

use super::build::*;
use super::{EngineHome, Home};
use crate::sql::{Census, Engine, Extent, KeyedRows, LoadColumn, Reach, Scalar, SqlDestination, Target};
use crate::{Access, Commit, Destination, OpenRequest, Opened, Segment};
use model::error::{Error, Result};
use model::schema::{ColumnType, TableSchema};

/// When the session dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Death {
    /// The engine never sees the call.
    Before,
    /// The engine does what it was asked for, and nobody hears of it.
    After,
}

/// Counts calls down and dies at the last one; dead sessions stay dead.
struct Mortal<E> {
    engine: E,
    calls_left: Arc<AtomicI64>,
    death: Death,
}

impl<E: Engine> Mortal<E> {
    fn call<T>(&mut self, work: impl FnOnce(&mut E) -> Result<T, E::Failure>) -> Result<T, E::Failure> {
        let left = self.calls_left.fetch_sub(1, Ordering::Relaxed);
        if left > 1 {
            return work(&mut self.engine);
        }
        if left == 1 && self.death == Death::After {
            work(&mut self.engine)?;
        }
        Err(self.engine.run("SELECT the_session_is_dead").unwrap_err())
    }
}

impl<E: Engine> Engine for Mortal<E> {
    type Failure = E::Failure;

    const BEGIN: &'static str = E::BEGIN;
    const SEES_COMMITS: bool = E::SEES_COMMITS;
    const STAGED_BYTES_MAX: usize = E::STAGED_BYTES_MAX;
    const NAME_BYTES_MAX: usize = E::NAME_BYTES_MAX;
    const COLUMNS_RESERVED: &'static [&'static str] = E::COLUMNS_RESERVED;
    const COLUMNS_MAX: usize = E::COLUMNS_MAX;
    const ALTERS_MAX: usize = E::ALTERS_MAX;

    fn refuses(connection: &str) -> Option<&'static str> {
        E::refuses(connection)
    }
    fn type_name(&self, column_type: ColumnType) -> String {
        self.engine.type_name(column_type)
    }
    fn expression(&self, value: &str, from: ColumnType, to: ColumnType) -> Option<String> {
        self.engine.expression(value, from, to)
    }
    fn table(&self, schema: &str, name: &str) -> String {
        self.engine.table(schema, name)
    }
    fn temporary(&self, name: &str) -> String {
        self.engine.temporary(name)
    }
    fn instant(&self, us: i64) -> String {
        self.engine.instant(us)
    }
    fn micros(&self, instant: &str) -> String {
        self.engine.micros(instant)
    }
    fn create_schema(&self, schema: &str) -> String {
        self.engine.create_schema(schema)
    }
    fn drop_schema(&self, schema: &str) -> String {
        self.engine.drop_schema(schema)
    }
    fn create_key(&self, schema: &str, table: &str, columns: &[String], rows: KeyedRows) -> String {
        self.engine.create_key(schema, table, columns, rows)
    }
    fn drop_key(&self, schema: &str, table: &str) -> String {
        self.engine.drop_key(schema, table)
    }
    fn widen(&self, table: &str, column: &str, types: (ColumnType, ColumnType)) -> Option<String> {
        self.engine.widen(table, column, types)
    }
    fn delete_matching(&self, table: &str, stage: &str, key: &[(String, String)]) -> String {
        self.engine.delete_matching(table, stage, key)
    }
    fn run(&mut self, sql: &str) -> Result<(), E::Failure> {
        self.call(|engine| engine.run(sql))
    }
    fn execute(&mut self, sql: &str, values: &[Scalar]) -> Result<u64, E::Failure> {
        self.call(|engine| engine.execute(sql, values))
    }
    fn query(&mut self, sql: &str, values: &[Scalar]) -> Result<Vec<Vec<Scalar>>, E::Failure> {
        self.call(|engine| engine.query(sql, values))
    }
    fn load(&mut self, target: Target<'_>, columns: &[LoadColumn], rows: &RecordBatch) -> Result<(), E::Failure> {
        self.call(|engine| engine.load(target, columns, rows))
    }
    fn replace(
        &mut self,
        schema: &str,
        table: &TableSchema,
        columns: &[LoadColumn],
        rows: &RecordBatch,
    ) -> Result<bool, E::Failure> {
        self.call(|engine| engine.replace(schema, table, columns, rows))
    }
    fn inlined(&self, columns: &[LoadColumn], rows: &RecordBatch) -> Option<String> {
        self.engine.inlined(columns, rows)
    }
    fn execute_with(&mut self, sql: &str, columns: &[LoadColumn], rows: &RecordBatch) -> Result<u64, E::Failure> {
        self.call(|engine| engine.execute_with(sql, columns, rows))
    }
    fn attach(&mut self, connection: &str) -> Result<()> {
        self.engine.attach(connection)
    }
    fn begin(&mut self) -> Result<(), E::Failure> {
        self.call(Engine::begin)
    }
    fn commit(&mut self) -> Result<(), E::Failure> {
        self.call(Engine::commit)
    }
    fn rollback(&mut self) -> Result<(), E::Failure> {
        self.call(Engine::rollback)
    }
    fn migrated(&mut self, schema: &str, old: &[TableSchema], new: &[TableSchema]) -> Result<(), E::Failure> {
        self.call(|engine| engine.migrated(schema, old, new))
    }
    fn reach(&mut self, schema: &str, table: &TableSchema, rows: Reach<'_>) -> Result<(), E::Failure> {
        self.call(|engine| engine.reach(schema, table, rows))
    }
    fn drop_tables(&mut self, schema: &str, names: &[&str]) -> Result<(), E::Failure> {
        self.call(|engine| engine.drop_tables(schema, names))
    }
    fn extent(&mut self, schema: &str, table: &TableSchema) -> Result<Extent, E::Failure> {
        self.call(|engine| engine.extent(schema, table))
    }
    fn live(&mut self, schema: &str, table: &TableSchema) -> Result<u64, E::Failure> {
        self.call(|engine| engine.live(schema, table))
    }
    fn count_live(&self, table: &str) -> String {
        self.engine.count_live(table)
    }
    fn census(&mut self, schemas: &[&str]) -> Result<Census, E::Failure> {
        self.call(|engine| engine.census(schemas))
    }
    fn find_tables(&mut self, names: &[(&str, &str)]) -> Result<Census, E::Failure> {
        self.call(|engine| engine.find_tables(names))
    }
    fn is_bare(&mut self, schema: &str) -> Result<bool, E::Failure> {
        self.call(|engine| engine.is_bare(schema))
    }
    fn memory_bytes(&mut self) -> Option<u64> {
        None
    }
    fn unfit(rows: &RecordBatch) -> Option<(usize, usize, &'static str)> {
        E::unfit(rows)
    }
    fn took_fence(&mut self, connection: &str, fence: u64) -> Result<(), E::Failure> {
        self.call(|engine| engine.took_fence(connection, fence))
    }
    fn reconnect(&mut self) -> Result<()> {
        self.engine.reconnect()
    }
    fn finished(&mut self) {
        self.engine.finished();
    }
    fn is_conflict(failure: &E::Failure) -> bool {
        E::is_conflict(failure)
    }
    fn failed(what: String, failure: E::Failure) -> Error {
        E::failed(what, failure)
    }
}

/// The tables after so many commits: a table, then a wider one, then a second one with a column more. With `history` the first
/// one begins to keep its history when it is wider, the second one at once.
fn tables(commits: usize, history: bool) -> Vec<TableSchema> {
    let kind = if commits > 1 { TEXT } else { LONG };
    let mut tables = vec![table("t", &[("id", LONG), ("v", kind)])];
    if commits > 2 {
        tables[0].columns.push(table("", &[("w", LONG)]).columns.remove(0));
        tables.push(TableSchema { history, ..table("u", &[("id", LONG), ("v", TEXT)]) });
    }
    tables[0].history = history && commits > 1;
    tables
}

/// What is staged before a commit, and the commit's own operations.
fn operations(commit: usize) -> (Vec<Segment>, Vec<Segment>) {
    let numbers = |rows: &[i64]| live(0, &[(0, LONG, longs(rows)), (1, LONG, longs(rows))]);
    match commit {
        0 => (vec![], vec![fresh(numbers(&[1, 2, 3, 4]))]),
        1 => (
            vec![numbers(&[4, 5])],
            vec![upserts(0, &[(2, Some("b")), (6, None)]), patches(0, &[(1, Some(Some("p")), false)])],
        ),
        2 => (
            vec![truncate(0)],
            vec![numbers(&[2, 7]), fresh(upserts(1, &[(1, Some("u"))])), patches(0, &[(3, None, true)])],
        ),
        _ => (vec![], vec![upserts(1, &[(1, Some("new")), (2, None)]), patches(0, &[(7, None, true)])]),
    }
}

/// How many commits a sync makes.
pub(crate) const COMMITS: usize = 4;

/// A sync from wherever the last one came to its end.
pub(crate) fn sync(to: &mut dyn Destination, opened: &Opened) -> Result<()> {
    sync_tables(to, opened, false)
}

fn sync_tables(to: &mut dyn Destination, opened: &Opened, history: bool) -> Result<()> {
    let begin: usize = opened.state.as_deref().map_or(0, |state| state.parse().unwrap());
    for commit in begin..COMMITS {
        let (staged, segments) = operations(commit);
        let tables = tables(commit + 1, history);
        if !staged.is_empty() {
            to.stage(staged, &tables)?;
        }
        let (state, is_last) = (Some((commit + 1).to_string()), commit + 1 == COMMITS);
        to.commit(Commit { state, is_last, ..commit_of(&tables, segments) })?;
    }
    to.finish(&commit_of(&[], vec![]).sync).map(drop)
}

pub(crate) fn sync_with<E: Engine>(engine: E, history: bool) -> Result<()> {
    let (to, opened) = SqlDestination::begin(engine, OpenRequest { history, ..request("c") })?;
    sync_tables(&mut to.staging_at_most(0), &opened, history)
}

/// The tables with all that the host adds to them, and how many states were kept: one for every commit, none twice.
pub(crate) fn outcome<H: EngineHome>(home: &H, history: bool) -> (Vec<String>, Vec<String>, Vec<u64>) {
    let states = home.look().states("c").unwrap().iter().map(|state| state.sequence).collect();
    let dump = |mut table: TableSchema| {
        table.columns.extend(system_columns(&table));
        home.dump("c", &table)
    };
    let mut tables = tables(COMMITS, history).into_iter().map(dump);
    (tables.next().unwrap(), tables.next().unwrap(), states)
}

pub(super) fn invariant_8_every_call_of_a_sync_may_be_its_last<H: EngineHome>() {
    every_call_may_be_the_last::<H>(false);
}

pub(super) fn invariant_8_every_call_may_be_the_last_where_tables_keep_their_history<H: EngineHome>() {
    every_call_may_be_the_last::<H>(true);
}

fn every_call_may_be_the_last<H: EngineHome>(history: bool) {
    let undisturbed: H = EngineHome::new();
    sync_with(undisturbed.engine(Access::Write).unwrap(), history).unwrap();
    let expected = outcome(&undisturbed, history);
    assert_eq!(expected.2, [4, 3, 2, 1]);
    let mut calls = 0;
    for death in [Death::Before, Death::After] {
        for k in 1.. {
            let home: H = EngineHome::new();
            let engine = home.engine(Access::Write).unwrap();
            let calls_left = Arc::new(AtomicI64::new(k));
            let ended = sync_with(Mortal { engine, calls_left: Arc::clone(&calls_left), death }, history);
            if calls_left.load(Ordering::Relaxed) > 0 {
                calls = k - 1;
                break;
            }
            assert!(ended.is_err(), "call {k} failed and nobody noticed, {death:?}");
            sync_with(home.engine(Access::Write).unwrap(), history).unwrap();
            assert_eq!(outcome(&home, history), expected, "call {k} was the last, {death:?}");
        }
    }
    assert!(calls > 30, "only {calls} calls were made");
}
