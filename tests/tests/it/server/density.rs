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
const DUCKDB_IN_FLIGHT: usize = 60;
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

/// Processor time of a process and all that it started, those that have ended and were waited for included.
fn cpu_of_all(process: u32) -> Result<Duration> {
    let mut ticks = 0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        // Processes end while this looks.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((id, fields)) = stat.split_once(' ').zip(stat.rsplit(')').next()).map(|((id, _), rest)| (id, rest))
        else {
            continue;
        };
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |field: usize| fields.get(field).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        if id.parse() == Ok(process) {
            ticks += (11..15).map(number).sum::<u64>();
        } else if number(1) == u64::from(process) {
            ticks += number(11) + number(12);
        }
    }
    Ok(Duration::from_millis(ticks * 10))
}

fn say(line: &str) {
    #[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
    {
        println!("{line}");
    }
}

/// Options of a server with room for all: one tenant has them, and some slots are left to others.
const ROOMY: [&str; 4] = ["--syncs-at-once", "1200", "--log", "error"];

/// A server, a tenant that may use it all, and the connector.
fn server_with(options: &[&str], source: &Source) -> Result<(Host, Server)> {
    let host = Host::new()?;
    let server = Server::start(&host, options)?;
    server.upload("guest")?;
    let mut settings = reaching(Some(source));
    let postgres = std::env::var("BENCH_POSTGRES").ok();
    let address = postgres.as_deref().and_then(|url| url.split_once('@')?.1.split('/').next());
    let databases = address.map(|address| format!("postgres://{address}"));
    settings["destinations"] =
        json!(["null:", "duckdb:"].into_iter().map(str::to_owned).chain(databases).collect::<Vec<_>>());
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
    let (_host, mut server) = server_with(&ROOMY, &source)?;
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

/// Where syncs of the benchmark go, with how many of them run at once.
fn destinations() -> Vec<(&'static str, usize)> {
    let mut all = vec![("null", IN_FLIGHT)];
    all.extend(std::env::var("BENCH_POSTGRES").is_ok().then_some(("postgres", IN_FLIGHT)));
    // Each opens and closes an engine of its own.
    all.push(("duckdb", DUCKDB_IN_FLIGHT));
    all
}

/// A destination of a connection: a schema in the one Postgres, a file of its own in DuckDB.
fn destination(kind: &str, number: usize) -> Result<String> {
    Ok(match kind {
        "postgres" => std::env::var("BENCH_POSTGRES")?,
        "duckdb" => format!("duckdb:w{number}.db"),
        _ => "null:".to_owned(),
    })
}

fn connections(server: &Server, source: &Source, kind: &str, number: usize, schedule: &Value) -> Result<()> {
    for number in 0..number {
        let mut connection = cds(source, &destination(kind, number)?);
        connection["schedule"] = schedule.clone();
        put(server, &format!("c{number}"), &connection)?;
    }
    Ok(())
}

fn start_all(server: &Server, number: usize) -> Result<()> {
    let start = |number| server.ask("POST", &format!("/v1/tenants/shop/connections/c{number}/start"), &Value::Null);
    (0..number).try_for_each(|number| start(number).map(drop))
}

#[test]
#[ignore = "a benchmark: takes minutes, prints figures"]
fn density_in_flight() -> Result<()> {
    say("| waiting for their source | syncs | memory each | all begun after |");
    for (kind, number) in destinations() {
        let source = Source::start(records(10).failing_from(1, Kind::Hang))?;
        let (_host, mut server) = server_with(&ROOMY, &source)?;
        let process = server.process()?.id();
        connections(&server, &source, kind, number, &Value::Null)?;
        let (before, began, all) = (memory(process)?, Instant::now(), number as u64);
        start_all(&server, number)?;
        until("all wait for their source", || Ok((source.stats().requests >= all).then_some(())))?;
        let (grown, took) = (memory(process)?.saturating_sub(before), began.elapsed());
        say(&format!("| {kind} | {number} | {} KiB | {took:.1?} |", grown / all / 1024));
    }
    Ok(())
}

/// What the server and Postgres have used so far.
fn used(process: u32) -> Result<(Duration, Duration)> {
    let postgres = std::env::var("BENCH_POSTGRES_PROCESS").ok().map(|id| id.parse()).transpose()?;
    Ok((cpu(process)?, postgres.map_or(Ok(Duration::ZERO), cpu_of_all)?))
}

#[test]
#[ignore = "a benchmark: takes minutes, prints figures"]
fn density_throughput() -> Result<()> {
    say(
        "| one record each, all due at once | connections | syncs/s | syncs per CPU-second | Postgres, CPU per sync | due to first row, p50 | p99 |",
    );
    for (kind, number) in destinations() {
        let source = Source::start(records(1))?;
        // All are made while little runs; then they are due at once. The first load of each makes its tables and is not
        // counted.
        let (host, mut server) = server_with(&["--syncs-at-once", "1", "--log", "error"], &source)?;
        connections(&server, &source, kind, number, &json!({"every": "1s", "jitter": "1s"}))?;
        server.end("TERM")?;
        server.start_again(&host, &ROOMY)?;
        let process = server.process()?.id();
        let all = f64::from(u32::try_from(number)?);
        until("every connection was synced", || Ok((succeeded(&server)? >= all).then_some(())))?;
        let (syncs, (cpu, postgres), began) = (succeeded(&server)?, used(process)?, Instant::now());
        std::thread::sleep(COUNTED);
        let (took, (cpu_after, postgres_after)) = (began.elapsed(), used(process)?);
        let syncs = succeeded(&server)? - syncs;
        // Reports are asked for one after the other, which takes minutes beside a thousand syncs.
        server.end("TERM")?;
        server.start_again(&host, &["--syncs-at-once", "1", "--log", "error"])?;
        let times = first_rows(&server, 200)?;
        say(&format!(
            "| {kind} | {number} | {:.0} | {:.0} | {:.1} ms | {:.0} ms | {:.0} ms |",
            syncs / took.as_secs_f64(),
            syncs / cpu_after.saturating_sub(cpu).as_secs_f64(),
            postgres_after.saturating_sub(postgres).as_secs_f64() * 1_000.0 / syncs,
            at(&times, 0.5),
            at(&times, 0.99),
        ));
    }
    Ok(())
}

/// Milliseconds from due to the first row of the latest syncs that have ended, in order.
fn first_rows(server: &Server, number: usize) -> Result<Vec<f64>> {
    let list = server.ask("GET", "/v1/tenants/shop/syncs?limit=1000", &Value::Null)?;
    let ended = list["items"].as_array().context("no list")?.iter().filter(|sync| sync["outcome"] == "succeeded");
    let mut times = ended.take(number).map(|sync| first_row(server, sync)).collect::<Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Milliseconds from due to the first row.
fn first_row(server: &Server, sync: &Value) -> Result<f64> {
    let id = sync["id"].as_str().context("no id")?;
    let report = server.ask("GET", &format!("/v1/tenants/shop/syncs/{id}/report"), &Value::Null)?;
    let instant = |time: &Value| -> Result<jiff::Timestamp> { Ok(time.as_str().context("no time")?.parse()?) };
    // The report's clock begins when the sync itself does, just before its end is told.
    let waited = instant(&sync["started_at"])?.duration_since(instant(&sync["queued_at"])?).as_secs_f64() * 1_000.0;
    Ok(waited + report["first_row_after_ms"].as_f64().context("no first row")?)
}

/// The time that such a share of all does not exceed.
fn at(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a few hundred"
    )]
    let index = (sorted.len().saturating_sub(1) as f64 * share) as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

#[test]
#[ignore = "a benchmark: takes minutes, prints figures"]
fn density_start() -> Result<()> {
    const SYNCS: usize = 300;
    say("| one sync at a time, warm connector | syncs | due to first row, p50 | p99 |");
    for (kind, _) in destinations() {
        let source = Source::start(records(1))?;
        let (_host, server) = server_with(&ROOMY, &source)?;
        put(&server, "c", &cds(&source, &destination(kind, 0)?))?;
        server.sync("shop", "c")?;
        let mut times =
            (0..SYNCS).map(|_| first_row(&server, &server.sync("shop", "c")?)).collect::<Result<Vec<_>>>()?;
        times.sort_by(f64::total_cmp);
        say(&format!("| {kind} | {SYNCS} | {:.1} ms | {:.1} ms |", at(&times, 0.5), at(&times, 0.99)));
    }
    Ok(())
}

#[test]
#[ignore = "a benchmark: takes minutes, prints figures"]
fn density_neighbour() -> Result<()> {
    const ROUNDS: u32 = 5;
    let source = Source::start(records(20_000))?;
    let (_host, server) = server_with(&ROOMY, &source)?;
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
