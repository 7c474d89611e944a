//! Syncs that are stopped from outside: what was complete is durable, and the next sync goes on from there.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::host::{Host, Running};
use tests::source::faults::Kind;
use tests::source::{Options, Source};

use crate::{records, source_and_host};

/// A sync that has been given nine pages of 1,000 records and waits for the tenth in vain.
fn stuck_at_page_ten() -> Result<(Source, Host, Running)> {
    let (source, host) = source_and_host(records(20_000).failing_from(10, Kind::Hang))?;
    let running = host.start_sync("guest", &source, &[])?;
    let deadline = Instant::now() + Duration::from_mins(1);
    while source.stats().requests < 10 {
        ensure!(Instant::now() < deadline, "the sync did not get to page 10: {:?}", source.stats());
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok((source, host, running))
}

fn finish(host: &Host, options: Options) -> Result<Source> {
    let source = Source::start(options)?;
    host.configure(&source)?;
    host.sync("guest", &source, &[])?.succeeded()?;
    assert_eq!(host.query("SELECT count(*) FROM cds.cds_records")?, "20000");
    Ok(source)
}

#[test]
fn signals_commit_what_is_complete() -> Result<()> {
    for (signal, status, code) in [("INT", 130, "interrupted"), ("TERM", 143, "terminated")] {
        let (_source, host, running) = stuck_at_page_ten()?;
        running.signal(signal)?;
        running.wait()?.failed(status, code)?;
        assert_eq!(host.query("SELECT count(*) FROM cds.cds_records")?, "9000");
        let source = finish(&host, records(20_000))?;
        // Pages 10 to 20: the state names the cursor behind page 9.
        assert_eq!(source.stats().requests, 11);
    }
    Ok(())
}

#[test]
fn a_killed_sync_leaves_a_warehouse_that_the_next_one_completes() -> Result<()> {
    let (_source, host, mut running) = stuck_at_page_ten()?;
    running.kill()?;
    assert_eq!(running.wait()?.status, 137);
    finish(&host, records(20_000)).map(drop)
}

#[test]
fn a_warehouse_in_use_is_refused_and_left_alone() -> Result<()> {
    let (_source, host, running) = stuck_at_page_ten()?;
    let other = Source::start(records(10))?;
    host.configure(&other)?;
    host.sync("guest", &other, &["--connection", "other"])?.failed(4, "warehouse-in-use")?;
    running.signal("TERM")?;
    assert_eq!(running.wait()?.status, 143);
    assert_eq!(host.query("SELECT count(*) FROM cds.cds_records")?, "9000");
    Ok(())
}
