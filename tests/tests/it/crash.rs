//! Syncs that are killed with SIGKILL at random moments until they finish: nothing is lost, nothing is doubled.
//!
//! After every kill the source forgets what the durable state says is loaded, so a state that ran ahead of its rows would
//! leave a gap for ever. At the end the destination is compared with the source, row by row. `CRASH_KILLS` sets the number
//! of kills (`cargo xtask crash --kills N`).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use tests::host::{Host, Running};
use tests::source::{Options, Source};

use crate::destinations::Destination;

const RECORDS: u64 = 40_000;
const PAGE: u64 = 100;
const COMMIT_ROWS: u64 = 1_000;
/// Rows that are fetched again at most: a commit interval with the page that its last checkpoint ends, and a page that the
/// connector has read and not yet handed over.
const AGAIN_MAX: u64 = COMMIT_ROWS + 2 * PAGE;

/// What a run of kills showed.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    /// Kills before anything new was durable.
    early: u64,
    loads: u64,
    /// Rows that one kill made the next sync fetch again, at most.
    again_max: u64,
    /// Commits of JSON lines that were written again.
    replaced: usize,
}

fn kills_wanted() -> Result<u64> {
    match std::env::var("CRASH_KILLS") {
        Ok(text) => text.parse().with_context(|| format!("CRASH_KILLS is {text:?}")),
        Err(_) => Ok(50),
    }
}

/// Waits until the next kill is due: while the host starts, or a moment after it has asked for some more pages, so that a
/// busy machine changes little. False if the host has ended before.
fn is_due(running: &mut Running, requests: &dyn Fn() -> u64, random: &mut Rng) -> Result<bool> {
    let (pages, delay) = match random.u8(0..8) {
        0 => (0, random.u64(0..100_000)),
        _ => (random.u64(1..60), random.u64(0..20_000)),
    };
    let mut moment = None;
    while !running.has_ended()? {
        if moment.is_none() && requests() >= pages {
            moment = Some(Instant::now() + Duration::from_micros(delay));
        }
        if moment.is_some_and(|moment| Instant::now() >= moment) {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    Ok(false)
}

/// One whole load, killed again and again.
fn load(mut to: Destination, wanted: u64, seed: u64, tally: &mut Tally) -> Result<()> {
    let source = Source::start(Options { seed, ..to.records(RECORDS) })?;
    let mut host = Host::new()?;
    // What a killed host leaves among the temporary files goes with the folder.
    let folder = host.folder().to_path_buf();
    host.set_env("TMPDIR", folder);
    host.configure_with(&source, &[("page_size", &PAGE.to_string())])?;
    let commit_rows = COMMIT_ROWS.to_string();
    let (mut random, mut from) = (Rng::with_seed(seed), 0);
    loop {
        let before = source.stats().requests;
        let requests = || source.stats().requests - before;
        let mut running = to.start(&host, &source, &["--commit-rows", &commit_rows])?;
        if tally.kills >= wanted || !is_due(&mut running, &requests, &mut random)? {
            to.ended(running)?.succeeded()?;
            break;
        }
        running.kill()?;
        to.ended(running)?;
        tally.kills += 1;
        let now = to.position(&host)?;
        ensure!(now >= from, "the state went back from {from} to {now}");
        source.prune(now);
        tally.early += u64::from(now == from);
        tally.again_max = tally.again_max.max((requests() * PAGE).saturating_sub(now - from));
        from = now;
    }
    tally.loads += 1;
    tally.replaced += to.replaced();
    // A sync of what is complete begins with the last page again.
    let repeated = to.repeated()?;
    ensure!(repeated as u64 <= PAGE, "{repeated} rows are in more than one commit");
    to.compare(&host, &source, RECORDS)
}

/// Loads under fire until there were enough kills, and says how it went.
#[expect(clippy::print_stderr, reason = "the result of a proof is for people")]
fn under_fire(destination: &dyn Fn() -> Result<Destination>) -> Result<()> {
    let (wanted, begun) = (kills_wanted()?, Instant::now());
    let (mut tally, name) = (Tally::default(), destination()?.title());
    let mut seed = 1;
    while tally.kills < wanted {
        load(destination()?, wanted, seed, &mut tally).with_context(|| format!("{name}, seed {seed}: {tally:?}"))?;
        seed += 1;
    }
    let Tally { kills, early, loads, again_max, replaced } = tally;
    let again = if replaced > 0 { format!(", {replaced} commits written again in their place") } else { String::new() };
    eprintln!(
        "{name}: {kills} kills over {loads} loads of {RECORDS} rows in {} s, {early} before anything new was durable; 0 \
         rows lost, 0 doubled{again}; at most {again_max} rows fetched again after a kill",
        begun.elapsed().as_secs()
    );
    ensure!(again_max <= AGAIN_MAX, "{again_max} rows were fetched again, more than {AGAIN_MAX}");
    Ok(())
}

#[test]
fn invariant_8_duckdb_killed_at_random_moments() -> Result<()> {
    under_fire(&|| Ok(Destination::duckdb()))
}

#[test]
fn invariant_8_sqlite_killed_at_random_moments() -> Result<()> {
    under_fire(&|| Ok(Destination::sqlite()))
}

#[test]
fn invariant_8_postgres_killed_at_random_moments() -> Result<()> {
    under_fire(&Destination::postgres)
}

#[test]
fn invariant_8_duckdb_with_history_killed_at_random_moments() -> Result<()> {
    under_fire(&|| Ok(Destination::duckdb().with_history()))
}

#[test]
fn invariant_8_sqlite_with_history_killed_at_random_moments() -> Result<()> {
    under_fire(&|| Ok(Destination::sqlite().with_history()))
}

#[test]
fn invariant_8_postgres_with_history_killed_at_random_moments() -> Result<()> {
    under_fire(&|| Ok(Destination::postgres()?.with_history()))
}

#[test]
fn invariant_8_jsonl_killed_at_random_moments() -> Result<()> {
    under_fire(&|| Ok(Destination::json_lines()))
}

#[test]
fn invariant_8_delta_killed_at_random_moments() -> Result<()> {
    under_fire(&|| Ok(Destination::delta()))
}
