//! Sources that fail: what passes is tried again, what does not ends the sync with the right person to blame.

use std::thread::ScopedJoinHandle;

use anyhow::{Context, Result, anyhow};
use tests::host::{Host, Output};
use tests::source::faults::Kind;
use tests::source::{Options, Source};

use crate::destinations::Destination;
use crate::{records, source_and_host};

#[test]
fn faults_that_pass_cost_no_record() -> Result<()> {
    let fail = ["429-0:0.1", "500:0.05", "cut:0.05"].map(str::parse).into_iter().collect::<Result<_>>()?;
    let (source, host) = source_and_host(Options { fail, ..records(40_000) })?;
    host.sync("guest", &source, &[])?.succeeded()?;
    assert_eq!(host.query("SELECT count(*), count(DISTINCT record_id) FROM cds.cds_records")?, "40000,40000");
    let stats = source.stats();
    assert_eq!(stats.requests, 40 + stats.faults.values().sum::<u64>());
    assert_eq!(stats.faults.len(), 3, "every kind was to happen: {:?}", stats.faults);
    Ok(())
}

/// All that a sync survives, in one load: hardly a third of the pages comes as it should. Which request meets which fault
/// is fixed by the source's seed.
fn every_fault_at_once(mut to: Destination) -> Result<()> {
    const RECORDS: u64 = 12_000;
    // Those that are tried again are rarer: five in a row would end the sync.
    let again = ["429", "429-0", "429-past", "429-none", "408", "500", "502", "503", "cut", "reset"];
    let again = again.map(|kind| format!("{kind}:0.025"));
    let at_once = ["pieces:0.15", "redirect:0.1", "overlap:0.2"].map(String::from);
    let fail = again.iter().chain(&at_once);
    let fail = fail.map(|chance| chance.parse()).collect::<Result<_>>()?;
    let source = Source::start(Options { fail, gzip: true, cache: true, ..records(RECORDS) })?;
    let host = Host::new()?;
    host.configure_with(&source, &[("page_size", "100")])?;
    to.sync(&host, &source, &["--commit-rows", "1000"])?.succeeded()?;
    let stats = source.stats();
    assert_eq!(stats.faults.len(), 13, "every kind was to happen: {:?}", stats.faults);
    to.compare(&host, &source, RECORDS)
}

/// All destinations at once, since they wait most of the time.
#[test]
fn every_fault_at_once_costs_no_record_in_any_destination() -> Result<()> {
    std::thread::scope(|scope| {
        let start = |to: Destination| {
            let name = to.name().to_owned();
            scope.spawn(move || every_fault_at_once(to).context(name))
        };
        all_succeed(Destination::all()?.into_iter().map(start).collect())
    })
}

/// Waits for all cases.
fn all_succeed(cases: Vec<ScopedJoinHandle<'_, Result<()>>>) -> Result<()> {
    cases.into_iter().try_for_each(|case| case.join().map_err(|_| anyhow!("a case panicked"))?)
}

/// A source that fails for ever from request `number` on: the sync says so, the last checkpoint stands, and the next sync
/// of a source that has forgotten what is durable completes it.
fn fails_from(number: u64, kind: Kind, mut to: Destination) -> Result<()> {
    const PAGE: u64 = 100;
    let healthy = || Options { cache: true, ..records(5 * PAGE) };
    let failing = Source::start(healthy().failing_from(number, kind))?;
    let host = Host::new()?;
    host.configure_with(&failing, &[("page_size", "100")])?;
    let code = if kind == Kind::Html { "source-error" } else { "source-unavailable" };
    // Commits of one page and of two.
    let commit_rows = if number.is_multiple_of(2) { "100" } else { "200" };
    to.sync(&host, &failing, &["--commit-rows", commit_rows])?.failed(3, code)?;
    assert_eq!(to.position(&host)?, (number - 1) * PAGE);
    let source = Source::start(healthy())?;
    source.prune((number - 1) * PAGE);
    host.configure_with(&source, &[("page_size", "100")])?;
    to.sync(&host, &source, &[])?.succeeded()?;
    to.compare(&host, &source, 5 * PAGE)
}

/// Every request of a sync is the first that fails, in every way. All at once, since they wait most of the time.
fn any_request_may_be_the_one_that_fails(new: impl Fn() -> Result<Destination>) -> Result<()> {
    std::thread::scope(|scope| {
        let mut started = Vec::new();
        for kind in [Kind::Cut, Kind::Reset, Kind::Status(500), Kind::Html] {
            for number in 1..=5 {
                let to = new()?;
                let what = format!("{kind} from request {number} on");
                started.push(scope.spawn(move || fails_from(number, kind, to).context(what)));
            }
        }
        all_succeed(started)
    })
}

#[test]
fn any_request_for_duckdb_may_be_the_one_that_fails() -> Result<()> {
    any_request_may_be_the_one_that_fails(|| Ok(Destination::duckdb()))
}

#[test]
fn any_request_for_sqlite_may_be_the_one_that_fails() -> Result<()> {
    any_request_may_be_the_one_that_fails(|| Ok(Destination::sqlite()))
}

#[test]
fn any_request_for_delta_may_be_the_one_that_fails() -> Result<()> {
    any_request_may_be_the_one_that_fails(|| Ok(Destination::delta()))
}

#[test]
fn any_request_for_postgres_may_be_the_one_that_fails() -> Result<()> {
    any_request_may_be_the_one_that_fails(Destination::postgres)
}

#[test]
fn any_request_for_json_lines_may_be_the_one_that_fails() -> Result<()> {
    any_request_may_be_the_one_that_fails(|| Ok(Destination::json_lines()))
}

#[test]
fn faults_that_pass_once_are_tried_again() -> Result<()> {
    for kind in ["429", "429-0", "429-past", "429-none", "408", "500", "502", "503", "cut", "reset"] {
        let options = records(3_000).failing_at(2, kind.parse()?);
        let (source, host) = source_and_host(options)?;
        host.sync("guest", &source, &[])?.succeeded()?;
        assert_eq!(host.query("SELECT count(*) FROM cds.cds_records")?, "3000", "{kind}");
        assert_eq!(source.stats().requests, 4, "{kind}");
    }
    Ok(())
}

/// A sync against a source that fails in this way for ever.
fn sync_against(kind: Kind) -> Result<Output> {
    let (source, host) = source_and_host(records(3_000).failing_from(1, kind))?;
    host.sync("guest", &source, &[])
}

#[test]
fn refused_credentials_are_the_configurations_fault() -> Result<()> {
    for kind in [Kind::Status(401), Kind::Status(403)] {
        sync_against(kind)?.failed(2, "authentication-failed")?;
    }
    Ok(())
}

#[test]
fn a_source_without_the_page_is_the_sources_fault() -> Result<()> {
    sync_against(Kind::Status(404))?.failed(3, "source-error").map(drop)
}

#[test]
fn a_source_that_is_down_for_ever_is_unavailable() -> Result<()> {
    sync_against(Kind::Status(500))?.failed(3, "source-unavailable").map(drop)
}

#[test]
fn a_source_that_asks_to_wait_a_year_is_rate_limited() -> Result<()> {
    sync_against(Kind::RetryAfter(31_536_000))?.failed(3, "source-rate-limited").map(drop)
}

#[test]
fn answers_that_are_no_json_are_the_sources_fault() -> Result<()> {
    for kind in [Kind::Html, Kind::InvalidJson, Kind::WrongLength] {
        sync_against(kind)?.failed(3, "source-error")?;
    }
    Ok(())
}

#[test]
fn redirects_lead_nowhere_the_connector_may_not_go() -> Result<()> {
    for kind in [Kind::RedirectPrivate, Kind::RedirectOrigin] {
        sync_against(kind)?.failed(2, "egress-denied")?;
    }
    Ok(())
}

#[test]
fn redirects_in_a_circle_end() -> Result<()> {
    let output = sync_against(Kind::RedirectLoop)?;
    assert_eq!(output.status, 3, "{}", output.stderr);
    Ok(())
}

#[test]
fn a_compressed_bomb_stops_at_the_limit() -> Result<()> {
    sync_against(Kind::GzipBomb)?.failed(5, "limit-response-size").map(drop)
}

#[test]
fn records_without_a_key_are_named_and_nothing_of_their_page_stays() -> Result<()> {
    for kind in [Kind::MissingKey, Kind::NullKey] {
        // Pages of 1,000; the record after the middle of the second page loses its key.
        let (source, host) = source_and_host(records(3_000).failing_at(2, kind))?;
        let output = host.sync("guest", &source, &[])?.failed(3, "record-key-missing")?;
        assert!(output.stderr.contains("cds_records"), "{}", output.stderr);
        assert_eq!(host.query("SELECT count(*) FROM cds.cds_records")?, "1000");
    }
    Ok(())
}

#[test]
fn records_that_are_no_objects_end_the_sync() -> Result<()> {
    let output = sync_against(Kind::NotAnObject)?;
    assert_eq!(output.status, 3, "{}", output.stderr);
    assert!(output.stderr.contains("42"), "the record is not shown: {}", output.stderr);
    Ok(())
}

#[test]
fn a_column_that_changes_its_type_is_widened_and_nothing_is_lost() -> Result<()> {
    let (source, host) = source_and_host(records(3_000).failing_at(2, Kind::ChangedType))?;
    host.sync("guest", &source, &[])?.succeeded()?;
    let types = "SELECT data_type FROM information_schema.columns \
                 WHERE table_schema = 'cds' AND column_name = 'amount'";
    assert_eq!(host.query(types)?, "VARCHAR");
    let odd = "SELECT count(*), count(*) FILTER (amount = 'about a hundred') FROM cds.cds_records";
    assert_eq!(host.query(odd)?, "3000,1");
    Ok(())
}
