//! Lakes of Delta tables: what the host writes, other engines read; what they change, the host goes on from; in a folder and in an
//! S3-compatible store.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::host::Host;
use tests::lake::{self, S3Server};
use tests::source::Source;

use crate::{records, source_and_host};

const FOLDER: &str = "delta:files/lake";
const COLUMNS: &str = "record_id,name,email,amount,active,notes,_deleted";
const COUNTS: &str =
    "SELECT count(*) FILTER (NOT _deleted), count(*) FILTER (_deleted), count(DISTINCT record_id) FROM cds.cds_records";

fn query(host: &Host, sql: &str, format: &str, destination: &str) -> Result<String> {
    Ok(host.run(&["query", sql, "--format", format, "--destination", destination])?.succeeded()?.stdout)
}

fn counts(host: &Host, destination: &str) -> Result<String> {
    let answer = query(host, COUNTS, "csv", destination)?;
    Ok(answer.lines().nth(1).unwrap_or_default().to_owned())
}

fn values(lines: &str) -> Result<Vec<Value>> {
    Ok(lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// The rows of the host's query are those that the other engines read, and as many as they should be.
fn check_rows(host: &Host, destination: &str, table: &str, options: &Value) -> Result<usize> {
    let sql = format!("SELECT {COLUMNS} FROM cds.cds_records ORDER BY record_id");
    let ours = values(&query(host, &sql, "json", destination)?)?;
    let theirs = values(&lake::read(table, COLUMNS, options)?)?;
    assert_eq!(ours.len(), theirs.len());
    for (one, other) in ours.iter().zip(&theirs) {
        assert_eq!(one, other);
    }
    Ok(ours.len())
}

#[test]
fn other_engines_read_the_tables_and_may_tend_them() -> Result<()> {
    let (source, host) = source_and_host(records(3_000))?;
    let run = ["--destination", FOLDER, "--commit-rows", "500"];
    host.sync("guest", &source, &run)?.succeeded()?;
    drop(source);
    let smaller = Source::start(records(2_500))?;
    host.configure(&smaller)?;
    let table = host.folder().join("files/lake/cds/cds_records").to_string_lossy().into_owned();
    assert_eq!(check_rows(&host, FOLDER, &table, &json!({}))?, 3_000);
    // Another program rewrites every file and sums up the log; the host goes on from there.
    let version = lake::tend(&table, &json!({}))?;
    // Three commits and what the other program did.
    assert_eq!(version, 3);
    assert_eq!(check_rows(&host, FOLDER, &table, &json!({}))?, 3_000);
    let refresh = [&run[..], &["--full-refresh"]].concat();
    host.sync("guest", &smaller, &refresh)?.succeeded()?;
    assert_eq!(counts(&host, FOLDER)?, "2500,500,3000");
    assert_eq!(check_rows(&host, FOLDER, &table, &json!({}))?, 3_000);
    let syncs = values(&lake::read(&table.replace("cds_records", "_syncs"), "id,outcome,started_at", &json!({}))?)?;
    assert_eq!(syncs.iter().filter(|sync| sync["outcome"] == "succeeded").count(), 2);
    Ok(())
}

/// Makes the entries of a log up to a version 40 days older.
fn age(log: &Path, last: u64) -> Result<()> {
    for version in 0..=last {
        let path = log.join(format!("{version:020}.json"));
        let text = fs::read_to_string(&path)?;
        let (info, rest) = text.split_once('\n').context("an entry of one line")?;
        let mut info: Value = serde_json::from_str(info)?;
        let timestamp = info["commitInfo"]["timestamp"].as_i64().context("no time")? - 40 * 24 * 3_600 * 1_000;
        info["commitInfo"]["timestamp"] = timestamp.into();
        fs::write(path, format!("{info}\n{rest}"))?;
    }
    Ok(())
}

#[test]
fn other_engines_read_a_table_whose_old_entries_are_gone() -> Result<()> {
    let (source, host) = source_and_host(records(2_500))?;
    host.configure_with(&source, &[("page_size", "100")])?;
    let run = ["--destination", FOLDER, "--commit-rows", "100"];
    host.sync("guest", &source, &run)?.succeeded()?;
    let table = host.folder().join("files/lake/cds/cds_records");
    let log = table.join("_delta_log");
    let has = |name: &str| log.join(name).exists();
    assert!(has("00000000000000000000.json") && has("00000000000000000020.checkpoint.parquet"));
    age(&log, 14)?;
    host.sync("guest", &source, &[&run[..], &["--full-refresh"]].concat())?.succeeded()?;
    assert!(has("00000000000000000010.json") && has("00000000000000000010.checkpoint.parquet"));
    assert!((0..10).all(|version| !has(&format!("{version:020}.json"))));
    let table = table.to_string_lossy().into_owned();
    assert_eq!(check_rows(&host, FOLDER, &table, &json!({}))?, 2_500);
    // The oldest version that is left is that of the checkpoint: eleven commits.
    assert_eq!(lake::rows_of_version(&table, 10)?, 1_100);
    lake::tend(&table, &json!({}))?;
    assert_eq!(check_rows(&host, FOLDER, &table, &json!({}))?, 2_500);
    Ok(())
}

#[test]
fn a_lake_is_looked_at_and_reset_as_any_warehouse() -> Result<()> {
    let (source, host) = source_and_host(records(2_000))?;
    host.configure_with(&source, &[("page_size", "100")])?;
    let at = ["--destination", FOLDER];
    host.run(&[&["tables"][..], &at].concat())?.failed(2, "destination-invalid")?;
    host.sync("guest", &source, &[&at[..], &["--limit-rows", "1000"]].concat())?.succeeded()?;
    host.sync("guest", &source, &at)?.succeeded()?;
    let tables = host.run(&[&["tables", "--json"][..], &at].concat())?.succeeded()?.stdout;
    assert_eq!(values(&tables)?[0]["rows"], 2_000);
    let history = host.run(&[&["state", "history", "--json"][..], &at].concat())?.succeeded()?.stdout;
    assert_eq!(history.lines().count(), 2);
    host.run(&[&["state", "rollback", "1"][..], &at].concat())?.succeeded()?;
    let before = source.stats().requests;
    host.sync("guest", &source, &at)?.succeeded()?;
    // The last page of the first half, which may have grown, and the second half.
    assert_eq!(source.stats().requests - before, 11);
    assert_eq!(counts(&host, FOLDER)?, "2000,0,2000");
    let written = host.run(&[&["query", "COPY cds.cds_records TO 'files/lake/x.csv'"][..], &at].concat())?;
    written.failed(2, "query-failed")?;
    host.run(&[&["reset", "--connection", "cds", "--yes"][..], &at].concat())?.succeeded()?;
    assert!(!host.folder().join("files/lake/cds/cds_records").exists());
    host.sync("guest", &source, &at)?.succeeded()?;
    assert_eq!(counts(&host, FOLDER)?, "2000,0,2000");
    Ok(())
}

#[test]
fn a_lake_may_be_in_an_s3_compatible_store() -> Result<()> {
    let (source, mut host) = source_and_host(records(2_000))?;
    let server = S3Server::start()?;
    for (name, value) in server.environment() {
        host.set_env(name, value);
    }
    let place = "delta:s3://lake/team/a";
    let run = ["--destination", place, "--commit-rows", "500"];
    host.sync("guest", &source, &run)?.succeeded()?;
    drop(source);
    let other = Source::start(records(1_500))?;
    host.configure(&other)?;
    host.sync("guest", &other, &[&run[..], &["--full-refresh"]].concat())?.succeeded()?;
    assert_eq!(counts(&host, place)?, "1500,500,2000");
    let table = "s3://lake/team/a/cds/cds_records";
    assert_eq!(check_rows(&host, place, table, &server.options())?, 2_000);
    let tables = host.run(&["tables", "--json", "--destination", place])?.succeeded()?.stdout;
    assert_eq!(values(&tables)?[0]["deleted"], 500);
    host.run(&["reset", "--connection", "cds", "--yes", "--destination", place])?.succeeded()?;
    assert_eq!(host.run(&["tables", "--json", "--destination", place])?.succeeded()?.stdout, "");
    host.run(&["tables", "--destination", "delta:s3://nothing/x"])?.failed(2, "destination-invalid")?;
    drop(server);
    host.run(&["tables", "--destination", place])?.failed(4, "warehouse-unreachable").map(drop)
}
