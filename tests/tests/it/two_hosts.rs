//! Two hosts on one connection: one at a time, or one is fenced off; never a row lost or doubled.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::host::Host;
use tests::source::faults::Kind;
use tests::source::{Options, Source};

use crate::destinations::Destination;
use crate::records;

const RECORDS: u64 = 5_000;

fn source(options: Options) -> Result<Source> {
    Source::start(Options { cache: true, ..options })
}

/// What becomes of the second of two hosts.
#[derive(Clone, Copy, PartialEq)]
enum Second {
    /// It is kept out while the first is there.
    IsRefused,
    /// It goes on from the last commit; the first cannot commit any more.
    TakesOver,
}

/// A sync stands still in the middle, with rows that it has not committed, when another one begins.
fn one_begins_while_another_is_under_way(mut to: Destination, second: Second) -> Result<()> {
    let (host, stuck) = (Host::new()?, source(records(RECORDS).failing_from(4, Kind::Hang))?);
    host.configure(&stuck)?;
    let first = to.start(&host, &stuck, &["--commit-rows", "2000"])?;
    let deadline = Instant::now() + Duration::from_mins(1);
    // Committed: two pages. Taken: a third one. Asked for: a fourth.
    while stuck.stats().requests < 4 {
        ensure!(Instant::now() < deadline, "the first sync came to {:?}", stuck.stats());
        std::thread::sleep(Duration::from_millis(5));
    }
    let healthy = source(records(RECORDS))?;
    host.configure(&healthy)?;
    if second == Second::TakesOver {
        // The two pages are durable by now or soon; nobody else could open a file of DuckDB to look.
        while to.position(&host)? < 2_000 {
            ensure!(Instant::now() < deadline, "the first sync committed nothing");
        }
        healthy.prune(2_000);
        to.sync(&host, &healthy, &[])?.succeeded()?;
        first.signal("TERM")?;
        to.ended(first)?.failed(4, "fenced-off")?;
    } else {
        to.sync(&host, &healthy, &[])?.failed(4, "warehouse-in-use")?;
        first.signal("TERM")?;
        to.ended(first)?.failed(143, "terminated")?;
        assert_eq!(to.position(&host)?, 3_000);
        healthy.prune(3_000);
        to.sync(&host, &healthy, &[])?.succeeded()?;
    }
    to.compare(&host, &healthy, RECORDS)
}

/// Four hosts begin at the same time: one at least succeeds, the others say why not.
fn many_begin_at_once(mut to: Destination) -> Result<()> {
    let (host, healthy) = (Host::new()?, source(records(RECORDS))?);
    host.configure(&healthy)?;
    // Compiles the connector; there is no file yet that the first round could find.
    host.sync("guest", &healthy, &["--dry-run", "--limit-rows", "1000"])?.succeeded()?;
    for round in 0..3 {
        let start = |_| to.start(&host, &healthy, &["--commit-rows", "1000", "--full-refresh"]);
        let started = (0..4).map(start).collect::<Result<Vec<_>>>()?;
        let mut succeeded = 0;
        for running in started {
            let output = to.ended(running)?;
            succeeded += u64::from(output.status == 0);
            let is_told = ["[warehouse-in-use]", "[fenced-off]"].iter().any(|code| output.stderr.contains(code));
            ensure!(output.status == 0 || output.status == 4 && is_told, "round {round}: {}", output.stderr);
        }
        ensure!(succeeded > 0, "round {round}: none of four hosts succeeded");
        to.compare(&host, &healthy, RECORDS)?;
    }
    Ok(())
}

#[test]
fn a_second_sync_into_duckdb_is_refused() -> Result<()> {
    one_begins_while_another_is_under_way(Destination::duckdb(), Second::IsRefused)
}

#[test]
fn a_second_sync_of_json_lines_is_refused() -> Result<()> {
    one_begins_while_another_is_under_way(Destination::json_lines(), Second::IsRefused)
}

#[test]
fn invariant_7_a_second_sync_into_sqlite_takes_over() -> Result<()> {
    one_begins_while_another_is_under_way(Destination::sqlite(), Second::TakesOver)
}

#[test]
fn invariant_7_a_second_sync_into_postgres_takes_over() -> Result<()> {
    one_begins_while_another_is_under_way(Destination::postgres()?, Second::TakesOver)
}

#[test]
fn invariant_7_many_hosts_begin_at_once() -> Result<()> {
    Destination::all()?.into_iter().try_for_each(many_begin_at_once)
}
