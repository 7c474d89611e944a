//! Sessions between two syncs: the next one gets a session as new, or a new one.

use super::{Home, PASSWORD, client, rows_of};
use crate::conformance::EngineHome as _;
use crate::conformance::build::*;
use crate::postgres::{Postgres, PostgresAddress};
use crate::sql::{Engine as _, Scalar, SqlDestination};
use crate::{Access, Destination as _};
use model::error::Code;

/// Begins a sync as `OpenDestination::open` does.
fn begin(address: &PostgresAddress) -> SqlDestination<Postgres> {
    SqlDestination::begin(Postgres::open_for_sync(address).unwrap(), request("c")).unwrap().0
}

/// The process of a session.
fn process(engine: &mut Postgres) -> Scalar {
    engine.query("SELECT pg_backend_pid()", &[]).unwrap().remove(0).remove(0)
}

/// Ends a sync that has committed a row, and returns the process of its session.
fn end(mut to: SqlDestination<Postgres>) -> Scalar {
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    let process = process(to.engine_mut());
    to.finish(&commit_of(&[], vec![]).sync).unwrap();
    process
}

/// The process that the next sync gets.
fn next(address: &PostgresAddress) -> Scalar {
    process(&mut Postgres::open_for_sync(address).unwrap())
}

#[test]
fn the_next_sync_finds_nothing_that_the_last_one_left() {
    const LEFT: &str = "SELECT current_setting('work_mem') = '77MB', current_setting('application_name') <> 'elt', \
         current_setting('idle_session_timeout') <> '0', to_regclass('pg_temp.remains') IS NOT NULL, \
         EXISTS (SELECT FROM pg_prepared_statements WHERE name = 'remains'), EXISTS (SELECT FROM pg_listening_channels()), \
         EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())";
    const SET: &str = "SELECT current_setting('TimeZone') = 'UTC' AND current_setting('lock_timeout') = '30s' \
         AND current_setting('search_path') = 'pg_catalog' AND current_setting('statement_timeout') = '0'";
    let home = Home::new();
    let mut first = begin(&home.0);
    let leave = "SET work_mem = '77MB'; SET application_name = 'x'; SET search_path = public; SET TIME ZONE 'Asia/Tokyo'; \
         CREATE TEMP TABLE remains (a int); PREPARE remains AS SELECT 1; LISTEN remains; SELECT pg_advisory_lock(1)";
    first.engine_mut().run(leave).unwrap();
    assert_eq!(
        first.engine_mut().query(LEFT, &[]).unwrap()[0].iter().filter(|left| **left == Scalar::Boolean(true)).count(),
        6
    );
    let process_of_first = end(first);
    let mut engine = Postgres::open_for_sync(&home.0).unwrap();
    assert_eq!(process(&mut engine), process_of_first);
    assert_eq!(engine.query(LEFT, &[]).unwrap(), [vec![Scalar::Boolean(false); 7]]);
    assert_eq!(engine.query(SET, &[]).unwrap(), [[Scalar::Boolean(true)]]);
    // And it is one for syncs: the fence is taken, rows are committed.
    let mut second = SqlDestination::begin(engine, request("c")).unwrap().0;
    commit(&mut second, &pairs(), vec![upserts(0, &[(1, Some("b")), (2, None)])]).unwrap();
    assert_eq!(rows_of(&home.0, "SELECT id, v FROM c.t ORDER BY id").unwrap(), ["1|b", "2|-"]);
}

#[test]
fn a_session_that_waits_holds_no_lock_of_a_connection() {
    let home = Home::new();
    end(begin(&home.0));
    let held = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
         WHERE l.locktype = 'advisory' AND a.datname = current_database()";
    assert_eq!(rows_of(&home.0, held).unwrap(), ["0"]);
}

#[test]
fn invariant_6_a_session_is_for_the_whole_address_only() {
    let home = Home::new();
    let process_of_first = end(begin(&home.0));
    let changed = |change: fn(&mut PostgresAddress)| {
        let mut address = home.0.clone();
        change(&mut address);
        address
    };
    for change in [
        (|address| address.password = Some(format!("{PASSWORD}x"))) as fn(&mut PostgresAddress),
        |address| address.password = None,
        |address| address.user = "nobody".into(),
    ] {
        let refused = Postgres::open_for_sync(&changed(change)).err().unwrap();
        assert_eq!(refused.code(), Code::WarehouseLogin);
    }
    let options = changed(|address| address.options = Some("-c work_mem=5MB".into()));
    assert_ne!(next(&options), process_of_first);
    let database = changed(|address| address.database = "postgres".into());
    assert_ne!(next(&database), process_of_first);
    assert_eq!(next(&home.0), process_of_first);
}

#[test]
fn invariant_7_a_session_is_not_used_once_the_fence_has_moved() {
    let home = Home::new();
    let process_of_first = end(begin(&home.0));
    let _other = SqlDestination::begin(home.engine(Access::Write).unwrap(), request("c")).unwrap();
    assert_ne!(next(&home.0), process_of_first);
}

#[test]
fn a_session_that_is_not_as_it_should_be_gives_way_to_a_new_one() {
    let home = Home::new();
    // The server has ended it.
    let ended = end(begin(&home.0));
    let Scalar::Integer(pid) = ended else { panic!("{ended:?}") };
    client(&home.0.database).batch_execute(&format!("SELECT pg_terminate_backend({pid}, 5000)")).unwrap();
    assert_ne!(next(&home.0), ended);
    // It is inside a transaction.
    let mut inside = begin(&home.0);
    let process_of_inside = process(inside.engine_mut());
    inside.engine_mut().run("BEGIN").unwrap();
    inside.engine_mut().finished();
    assert_ne!(next(&home.0), process_of_inside);
    // Its sync did not come to an end.
    let mut dropped = begin(&home.0);
    let process_of_dropped = process(dropped.engine_mut());
    drop(dropped);
    assert_ne!(next(&home.0), process_of_dropped);
    // Its sync has come to an end, and is over.
    let mut over = begin(&home.0);
    over.engine_mut().finished();
    assert!(commit(&mut over, &pairs(), vec![]).is_err());
}
