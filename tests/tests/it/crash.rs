//! Syncs that are killed with SIGKILL at random moments until they finish: nothing is lost, nothing is doubled.
//!
//! After every kill the source forgets what the durable state says is loaded, so a state that ran ahead of its rows would
//! leave a gap for ever. At the end the warehouse is compared with the source, row by row. `CRASH_KILLS` sets the number of
//! kills (`cargo xtask crash --kills N`).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tests::host::Host;
use tests::source::{Options, Source};

use crate::records;

const RECORDS: u64 = 60_000;
const PAGE: u64 = 100;
const COMMIT_ROWS: u64 = 1_000;
/// Rows that a connector may be ahead of the writer: two transactions under way and 8 MiB in the channel.
const AHEAD_MAX: u64 = 2 * COMMIT_ROWS + 25_000;

/// What a run of kills showed.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    /// Kills before anything was durable, and between the first commit and the end.
    early: u64,
    runs: u64,
    /// Rows that one kill made the next sync fetch again, at most.
    again_max: u64,
}

fn kills_wanted() -> Result<u64> {
    match std::env::var("CRASH_KILLS") {
        Ok(text) => text.parse().with_context(|| format!("CRASH_KILLS is {text:?}")),
        Err(_) => Ok(50),
    }
}

/// The position after the last record that is durable.
fn durable(host: &Host, destination: &str) -> Result<u64> {
    let shown = host.run(&["state", "show", "--destination", destination, "--connection", "cds"])?;
    if shown.status != 0 || shown.stdout.trim().is_empty() {
        return Ok(0);
    }
    let state: Value = serde_json::from_str(&shown.stdout)?;
    let cursor = state["next_cursor"].as_str().context("no cursor in the state")?;
    Ok(cursor.trim_start_matches("after-").parse()?)
}

/// One whole load, killed again and again.
fn load(destination: &str, wanted: u64, seed: u64, tally: &mut Tally) -> Result<()> {
    let source = Source::start(Options { seed, cache: true, ..records(RECORDS) })?;
    let mut host = Host::new()?;
    // What a killed host leaves among the temporary files goes with the folder.
    host.set_env("TMPDIR", host.folder().as_os_str());
    host.configure_with(&source, &[("page_size", &PAGE.to_string())])?;
    let commit_rows = COMMIT_ROWS.to_string();
    let options = ["--destination", destination, "--commit-rows", &commit_rows];
    let mut random = fastrand::Rng::with_seed(seed);
    loop {
        let (from, before) = (durable(&host, destination)?, source.stats().requests);
        source.prune(from);
        let mut running = host.start_sync("guest", &source, &options)?;
        let moment = Instant::now() + Duration::from_micros(random.u64(50_000..900_000));
        while Instant::now() < moment && !running.has_ended()? {
            std::thread::sleep(Duration::from_micros(500));
        }
        if tally.kills >= wanted || running.has_ended()? {
            running.wait()?.succeeded()?;
            break;
        }
        running.signal("KILL")?;
        running.wait()?;
        tally.kills += 1;
        let now = durable(&host, destination)?;
        ensure!(now >= from, "the state went back from {from} to {now}");
        tally.early += u64::from(now == from);
        let served = (source.stats().requests - before) * PAGE;
        tally.again_max = tally.again_max.max(served.saturating_sub(now - from));
    }
    tally.runs += 1;
    compare(&host, destination, &source)
}

/// The warehouse against the source's truth, row by row.
fn compare(host: &Host, destination: &str, source: &Source) -> Result<()> {
    let table = if destination.starts_with("sqlite") { "cds__cds_records" } else { "cds.cds_records" };
    let columns = "record_id, name, email, amount, notes";
    let sql = format!("SELECT {columns} FROM {table} WHERE NOT _deleted ORDER BY record_id");
    let output = host.run(&["query", &sql, "--format", "json", "--destination", destination])?.succeeded()?;
    let mut rows = output.stdout.lines();
    for position in 0..RECORDS {
        let truth: Value = serde_json::from_str(&source.record(position))?;
        let Some(row) = rows.next() else { bail!("record {} and all after it are lost", position + 1) };
        let row: Value = serde_json::from_str(row)?;
        for column in columns.split(", ") {
            // A null field may have no column value at all.
            let (is, should) = (row.get(column).unwrap_or(&Value::Null), truth.get(column).unwrap_or(&Value::Null));
            ensure!(same(is, should), "record {}: {column} is {is} and should be {should}", position + 1);
        }
    }
    ensure!(rows.next().is_none(), "there are more rows than records: some are doubled");
    Ok(())
}

fn same(is: &Value, should: &Value) -> bool {
    match (is.as_f64(), should.as_f64()) {
        (Some(is), Some(should)) => is.to_bits() == should.to_bits(),
        _ => is == should,
    }
}

/// Loads under fire until there were enough kills, and says how it went.
#[expect(clippy::print_stderr, reason = "the result of a proof is for people")]
fn under_fire(destination: &str) -> Result<()> {
    let wanted = kills_wanted()?;
    let mut tally = Tally::default();
    let mut seed = 1;
    while tally.kills < wanted {
        load(destination, wanted, seed, &mut tally)
            .with_context(|| format!("{destination}, seed {seed}: {tally:?}"))?;
        seed += 1;
    }
    let Tally { kills, early, runs, again_max } = tally;
    eprintln!(
        "{destination}: {kills} kills over {runs} loads of {RECORDS} rows, {early} before anything new was durable; 0 rows \
         lost, 0 doubled; at most {again_max} rows fetched again after a kill"
    );
    ensure!(again_max <= AHEAD_MAX, "{again_max} rows were fetched again, more than {AHEAD_MAX}");
    Ok(())
}

#[test]
fn invariant_8_duckdb_killed_at_random_moments() -> Result<()> {
    under_fire("duckdb:files/warehouse.db")
}

#[test]
fn invariant_8_sqlite_killed_at_random_moments() -> Result<()> {
    under_fire("sqlite:files/warehouse.sqlite")
}

#[test]
fn invariant_8_delta_killed_at_random_moments() -> Result<()> {
    under_fire("delta:files/lake")
}
