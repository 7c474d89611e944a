//! JSON lines on stdout: complete, numbered, resumable, and alone there.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::Value;
use tests::host::Host;
use tests::json_lines::Reader;
use tests::source::Source;

use crate::destinations::Destination;
use crate::{records, source_and_host};

fn lines(stdout: &str) -> Result<Vec<Value>> {
    Ok(stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

#[test]
fn every_row_is_on_stdout_and_nothing_else() -> Result<()> {
    let (source, host) = source_and_host(records(2_500))?;
    let output = host.sync("guest", &source, &["--destination", "jsonl:", "--json"])?.succeeded()?;
    let rows = lines(&output.stdout)?;
    let ids: std::collections::BTreeSet<String> =
        rows.iter().filter(|line| line["type"] == "upsert").map(|line| line["row"]["record_id"].to_string()).collect();
    assert_eq!(ids.len(), 2_500);
    assert_eq!((&rows[0]["type"], &rows[0]["key"]), (&"schema".into(), &serde_json::json!(["record_id"])));
    let last = rows.last().context("no line")?;
    assert_eq!((&last["type"], &last["sequence"]), (&"commit".into(), &1.into()));
    // The events are on stderr, and are all of it.
    let events = lines(&output.stderr)?;
    assert_eq!(events.last().context("no event")?["event"], "report");
    // The next sync goes on from the state.
    let again = host.sync("guest", &source, &["--destination", "jsonl:"])?.succeeded()?;
    let again = lines(&again.stdout)?;
    assert_eq!(again.last().context("no line")?["sequence"], 2);
    assert!(again.len() < 1_500, "{} lines", again.len());
    Ok(())
}

#[test]
fn operations_of_all_kinds_give_a_reader_the_same_table() -> Result<()> {
    let (_source, host) = source_and_host(records(1))?;
    let component = tests::host::component("operations")?;
    let component = component.to_string_lossy();
    let mut reader = Reader::default();
    for _ in 0..2 {
        reader.hear(&host.run(&["run", &component, "--destination", "jsonl:"])?.succeeded()?.stdout)?;
    }
    let rows = &reader.tables()?["planets"];
    assert_eq!(rows.len(), 9);
    assert_eq!(rows["[1]"]["name"], "Mercury");
    assert_eq!(rows["[2]"]["name"], "Planet 2");
    host.run(&["tables", "--destination", "jsonl:"])?.failed(2, "destination-invalid").map(drop)
}

/// The next sync gives the reader the rest, and so all.
fn completes(to: &mut Destination, host: &Host, source: &Source, options: &[&str]) -> Result<()> {
    to.sync(host, source, options)?.succeeded()?;
    to.compare(host, source, 3_000)
}

#[test]
fn a_full_disk_behind_stdout_is_told_and_the_state_stays_behind() -> Result<()> {
    let (source, host) = source_and_host(records(3_000))?;
    let mut to = Destination::json_lines();
    let full = File::options().write(true).open("/dev/full")?;
    let running = host.start_sync_to(full, &source, &["--destination", "jsonl:"])?;
    running.wait()?.failed(4, "disk-full")?;
    assert_eq!(to.state(&host)?, None);
    completes(&mut to, &host, &source, &[])
}

#[test]
fn a_stdout_that_keeps_nothing_is_refused() -> Result<()> {
    let (source, host) = source_and_host(records(3_000))?;
    let mut to = Destination::json_lines();
    let options = ["--destination", "jsonl:"];
    for running in
        [host.start_sync_without_stdout(&source, &options)?, host.start_sync_to(Stdio::null(), &source, &options)?]
    {
        let refused = running.wait()?.failed(4, "destination-failed")?;
        assert!(refused.stderr.contains("it is closed, or it is /dev/null"), "{}", refused.stderr);
        assert!(refused.stderr.contains("--destination null:"), "{}", refused.stderr);
    }
    // It can be read and not written.
    let unwritable = File::open(host.write("file", "")?)?;
    let refused = host.start_sync_to(unwritable, &source, &options)?.wait()?.failed(4, "destination-failed")?;
    assert!(refused.stderr.contains("Check where stdout goes"), "{}", refused.stderr);
    assert_eq!(to.state(&host)?, None);
    completes(&mut to, &host, &source, &[])
}

/// Starts a sync into a pipe, and reads to the end of a commit.
fn read_up_to(commit: u64, source: &Source, host: &Host) -> Result<(tests::host::Running, String)> {
    let options = ["--destination", "jsonl:", "--commit-rows", "1000"];
    let mut running = host.start_sync_to(Stdio::piped(), source, &options)?;
    let (mut pipe, mut heard) = (BufReader::new(running.pipe().context("no pipe")?), String::new());
    loop {
        let start = heard.len();
        assert!(pipe.read_line(&mut heard)? > 0, "no commit {commit}: {heard}");
        let line: Value = serde_json::from_str(&heard[start..])?;
        if line["type"] == "commit" && line["sequence"] == commit {
            return Ok((running, heard));
        }
    }
}

#[test]
fn a_reader_that_ends_has_what_the_state_says() -> Result<()> {
    let (source, host) = source_and_host(records(3_000))?;
    let mut to = Destination::json_lines();
    // A commit does not fit into the pipe, so none is handed over that was not read.
    let (running, heard) = read_up_to(2, &source, &host)?;
    running.wait()?.failed(4, "destination-failed")?;
    to.hear(&heard)?;
    assert_eq!((to.commits(&host)?, to.position(&host)?), (2, 2_000));
    source.prune(2_000);
    completes(&mut to, &host, &source, &[])
}

#[test]
fn a_reader_that_has_lost_lines_goes_back_to_the_state_of_its_last_commit() -> Result<()> {
    let (source, host) = source_and_host(records(3_000))?;
    let mut to = Destination::json_lines();
    let all = to.sync(&host, &source, &["--commit-rows", "1000"])?.succeeded()?.stdout;
    let kept: String = all.split_inclusive('\n').take_while(|line| !line.contains("\"sequence\":2")).collect();
    let mut reader = Reader::default();
    reader.hear(&kept)?;
    let state = kept.lines().last().map(serde_json::from_str::<Value>).context("no line")??;
    host.write("state.json", state["state"].to_string())?;
    let rest = host.sync("guest", &source, &["--destination", "jsonl:", "--state", "state.json"])?.succeeded()?;
    // The numbers go on where the host was, so a gap says that something is missing.
    reader.hear(&rest.stdout).unwrap_err();
    reader.hear_after_a_gap(&rest.stdout)?;
    assert_eq!(reader.tables()?["cds_records"].len(), 3_000);
    Ok(())
}
