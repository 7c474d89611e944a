//! `cargo xtask bench flat`: what a row costs while a table grows by a million rows at a time.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::Result;
use crate::measure::system;
use crate::run::plain;

use super::runner::{Runner, field};
use super::{Bench, Keys, Options};

const ROWS: u32 = 10_000_000;
/// Rows between two figures.
const STEP: u64 = 1_000_000;

pub(super) fn run(bench: &Bench<'_>, options: &Options) -> Result<()> {
    let rows = options.rows.unwrap_or(ROWS);
    for keys in options.keys(&[Keys::Integer]) {
        // Held ready, so many records would take gigabytes; the source's own time is not counted.
        let source = keys.source(bench.workspace, rows, false)?;
        for mut runner in bench.runners(&source, &options.destinations(&["duckdb"]))? {
            runner.empty()?;
            for (what, extra) in [("first load", &[][..]), ("complete re-sync", &["--full-refresh"])] {
                println!("\n{}, {}, {what} of {rows} rows: processor time of the host", runner.kind, keys.name());
                grow(&mut runner, extra)?;
            }
            runner.expect_rows(rows)?;
            runner.empty()?;
        }
    }
    Ok(())
}

/// Runs a sync and prints what each million rows took, by the commits that the host tells of.
fn grow(runner: &mut Runner<'_>, extra: &[&str]) -> Result<()> {
    runner.serve()?;
    let mut command = runner.command(extra);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let failed = |error: std::io::Error| format!("failed to run the host: {error}");
    let mut process = command.spawn().map_err(failed)?;
    let events = BufReader::new(process.stdout.take().ok_or("failed to read what the host tells")?);
    let mut last = Mark { rows: 0, cpu: Duration::ZERO, at: Instant::now() };
    let mut rows = 0;
    for line in events.lines() {
        let line = line.map_err(failed)?;
        if !line.contains("\"event\":\"committed\"") {
            continue;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of rows")]
        let committed = field(&line, "rows").unwrap_or(0.0) as u64;
        rows += committed;
        if rows / STEP > last.rows / STEP {
            let now = Mark { rows, cpu: cpu(process.id()), at: Instant::now() };
            last.print_to(&now);
            last = now;
        }
    }
    let (status, used) = system::wait(process.id())?;
    println!("    and {:.2} s from there to the end", used.cpu.saturating_sub(last.cpu).as_secs_f64());
    runner.rest()?;
    if status == 0 { Ok(()) } else { Err(format!("failed to run {}: wait status {status}", plain(&command))) }
}

/// A moment of a load.
struct Mark {
    rows: u64,
    cpu: Duration,
    at: Instant,
}

impl Mark {
    #[expect(clippy::cast_precision_loss, reason = "figures for the eye")]
    fn print_to(&self, now: &Self) {
        let rows = (now.rows - self.rows) as f64;
        let cpu = now.cpu.saturating_sub(self.cpu).as_secs_f64();
        let wall = now.at.saturating_duration_since(self.at).as_secs_f64();
        let (each, speed) = (cpu / rows * 1e6, rows / wall);
        println!("    to row {:>10}: {each:>5.2} µs a row, {speed:>7.0} rows/s", now.rows);
    }
}

/// Processor time that a process has used so far.
fn cpu(process: u32) -> Duration {
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u32>().ok());
    TICK * ticks.sum::<u32>()
}
