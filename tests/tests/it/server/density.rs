//! How many tenants one machine carries: `cargo xtask bench density` runs this and prints its table.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::host::Host;
use tests::server::{Server, until};
use tests::source::Source;
use tests::source::faults::Kind;

use super::{cds, reaching};
use crate::records;

const CONNECTIONS: usize = 10_000;
const IN_FLIGHT: usize = 1_000;
/// How long syncs a second are counted.
const COUNTED: Duration = Duration::from_secs(15);

/// Memory of a process in bytes, as the system counts it.
fn memory(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Processor time of a process so far.
fn cpu(process: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().context("no stat")?.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}

fn say(line: &str) {
    #[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
    {
        println!("{line}");
    }
}

/// A server with room for all, a tenant that may use it all, and the connector.
fn roomy(source: &Source) -> Result<(Host, Server)> {
    let host = Host::new()?;
    let server = Server::start(&host, &["--syncs-at-once", "1000", "--log", "error"])?;
    server.upload("guest")?;
    let mut settings = reaching(Some(source));
    settings["quotas"] = json!({"syncs_at_once": IN_FLIGHT, "connections": 100_000});
    server.tenant("shop", &settings)?;
    Ok((host, server))
}

fn put(server: &Server, name: &str, settings: &Value) -> Result<()> {
    server.ask("PUT", &format!("/v1/tenants/shop/connections/{name}"), settings).map(drop)
}

/// A number of the server's metrics.
fn metric(server: &Server, name: &str) -> Result<f64> {
    let text = server.send(Some(&server.operator), "GET", "/metrics", &[])?.body;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(Ok(0.0), |value| Ok(value.trim().parse()?))
}

fn succeeded(server: &Server) -> Result<f64> {
    metric(server, "elt_syncs_total{tenant=\"shop\",outcome=\"succeeded\"}")
}

#[test]
#[ignore = "a benchmark: takes minutes, prints figures"]
fn density_idle_connections() -> Result<()> {
    let source = Source::start(records(1))?;
    let (_host, mut server) = roomy(&source)?;
    let process = server.process()?.id();
    let before = memory(process)?;
    let mut connection = cds(&source, "null:");
    connection["schedule"] = json!({"cron": "0 0 1 1 *"});
    let began = Instant::now();
    (0..CONNECTIONS).try_for_each(|number| put(&server, &format!("c{number}"), &connection))?;
    let each = began.elapsed() / u32::try_from(CONNECTIONS)?;
    let grown = memory(process)?.saturating_sub(before);
    let path = "/v1/tenants/shop/connections?limit=1000";
    assert_eq!(server.ask("GET", path, &Value::Null)?["items"].as_array().map(Vec::len), Some(1_000));
    say(&format!(
        "{CONNECTIONS} idle connections: {} bytes of memory each, made in {each:.1?} each",
        grown / CONNECTIONS as u64
    ));
    Ok(())
}

#[test]
#[ignore = "a benchmark: takes minutes, prints figures"]
fn density_in_flight() -> Result<()> {
    let source = Source::start(records(10).failing_from(1, Kind::Hang))?;
    let (_host, mut server) = roomy(&source)?;
    let process = server.process()?.id();
    let connection = cds(&source, "null:");
    (0..IN_FLIGHT).try_for_each(|number| put(&server, &format!("c{number}"), &connection))?;
    let before = memory(process)?;
    let began = Instant::now();
    for number in 0..IN_FLIGHT {
        server.ask("POST", &format!("/v1/tenants/shop/connections/c{number}/start"), &Value::Null)?;
    }
    let all = IN_FLIGHT as u64;
    until("all wait for their source", || Ok((source.stats().requests >= all).then_some(())))?;
    let (grown, took) = (memory(process)?.saturating_sub(before), began.elapsed());
    say(&format!("{IN_FLIGHT} syncs in flight: {} KiB of memory each, all begun after {took:.1?}", grown / all / 1024));
    Ok(())
}

#[test]
#[ignore = "a benchmark: takes minutes, prints figures"]
fn density_throughput() -> Result<()> {
    // A destination is measured with what its syncs cost beside it: DuckDB opens and closes a file each time.
    for (kind, connections) in [("null:", 400), ("sqlite:", 200), ("duckdb:", 60)] {
        let source = Source::start(records(1))?;
        let (_host, mut server) = roomy(&source)?;
        let process = server.process()?.id();
        for number in 0..connections {
            let file = if kind == "null:" { kind.to_owned() } else { format!("{kind}w{number}.db") };
            let mut connection = cds(&source, &file);
            connection["schedule"] = json!({"every": "1s", "jitter": "1s"});
            put(&server, &format!("c{number}"), &connection)?;
        }
        until("every connection was synced", || Ok((succeeded(&server)? >= f64::from(connections)).then_some(())))?;
        let (syncs, used, began) = (succeeded(&server)?, cpu(process)?, Instant::now());
        std::thread::sleep(COUNTED);
        let (syncs, used, took) = (succeeded(&server)? - syncs, cpu(process)?.saturating_sub(used), began.elapsed());
        say(&format!(
            "one-record syncs into {kind:<8} {:.0} a second, {:.0} per second of the server's processor time",
            syncs / took.as_secs_f64(),
            syncs / used.as_secs_f64()
        ));
    }
    Ok(())
}

#[test]
#[ignore = "a benchmark: takes minutes, prints figures"]
fn density_start() -> Result<()> {
    const SYNCS: usize = 300;
    let source = Source::start(records(1))?;
    let (_host, server) = roomy(&source)?;
    put(&server, "c", &cds(&source, "null:"))?;
    server.sync("shop", "c")?;
    let (mut waits, mut firsts) = (Vec::new(), Vec::new());
    for _ in 0..SYNCS {
        let sync = server.sync("shop", "c")?;
        let id = sync["id"].as_str().context("no id")?;
        let report = server.ask("GET", &format!("/v1/tenants/shop/syncs/{id}/report"), &Value::Null)?;
        let instant = |name: &str| -> Result<jiff::Timestamp> { Ok(sync[name].as_str().context("no time")?.parse()?) };
        let waited = instant("started_at")?.duration_since(instant("queued_at")?).as_secs_f64() * 1_000.0;
        let first = report["first_row_after_ms"].as_f64().context("no first row")?;
        waits.push(waited);
        firsts.push(waited + first);
    }
    let at = |times: &mut Vec<f64>, share: f64| {
        times.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a few hundred"
        )]
        let index = ((times.len() - 1) as f64 * share) as usize;
        times[index]
    };
    say(&format!("from due to begun: p50 {:.1} ms, p99 {:.1} ms", at(&mut waits, 0.5), at(&mut waits, 0.99)));
    say(&format!("from due to first row: p50 {:.1} ms, p99 {:.1} ms", at(&mut firsts, 0.5), at(&mut firsts, 0.99)));
    Ok(())
}

#[test]
#[ignore = "a benchmark: takes minutes, prints figures"]
fn density_neighbour() -> Result<()> {
    const ROUNDS: u32 = 5;
    let source = Source::start(records(20_000))?;
    let (_host, server) = roomy(&source)?;
    server.upload("misbehaving")?;
    server.tenant("hog", &json!({"quotas": {"syncs_at_once": 1}}))?;
    put(&server, "neighbour", &cds(&source, "null:"))?;
    let round = || -> Result<Duration> {
        let mut best = Duration::MAX;
        for _ in 0..ROUNDS {
            let start = json!({"full_refresh": true});
            let started = server.ask("POST", "/v1/tenants/shop/connections/neighbour/start", &start)?;
            let id = started["id"].as_str().context("no id")?;
            let sync = server.ended("shop", id)?;
            assert_eq!((&sync["outcome"], &sync["rows"]), (&json!("succeeded"), &json!(20_000)));
            let report = server.ask("GET", &format!("/v1/tenants/shop/syncs/{id}/report"), &Value::Null)?;
            let took = report["duration_ms"].as_f64().context("no duration")?;
            best = best.min(Duration::from_secs_f64(took / 1_000.0));
        }
        Ok(best)
    };
    round()?;
    let alone = round()?;
    for (hog, mode) in [("processor", "update.endless_loop"), ("memory", "update.memory_growth")] {
        let settings = json!({
            "connector": "misbehaving", "configuration": {"mode": mode}, "destination": "null:",
            "schedule": {"every": "1s"},
        });
        server.ask("PUT", "/v1/tenants/hog/connections/hog", &settings)?;
        until("the hog is there", || Ok((!server.syncs("hog", "hog")?.is_empty()).then_some(())))?;
        let beside = round()?;
        say(&format!(
            "a sync of 20,000 records beside a {hog} hog: {:.2} times as long ({alone:.0?} alone, {beside:.0?} beside it)",
            beside.as_secs_f64() / alone.as_secs_f64()
        ));
        server.ask("POST", "/v1/tenants/hog/connections/hog/pause", &Value::Null)?;
        if let Some(id) = server.syncs("hog", "hog")?[0]["id"].as_str() {
            // It may have ended by now.
            let _ = server.send(Some(&server.operator), "POST", &format!("/v1/tenants/hog/syncs/{id}/cancel"), &[]);
        }
    }
    Ok(())
}
