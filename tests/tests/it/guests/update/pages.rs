//! Records that stay in the host: they are bounded, and they are written as if they came from the connector.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;
use tests::host::Output;
use tests::source::{Options, Source};

use super::super::{Misbehaving, broken, limited, mode};

/// Runs a mode against a source with so many records in a page.
fn sync(mode: &str, records: u64, options: &[&str]) -> Result<(Misbehaving, Output)> {
    let source = Source::start(Options { open: true, records, ..Options::default() })?;
    let misbehaving = Misbehaving::new(mode)?;
    let url = format!("{}/cds_data?page_size={records}", source.url());
    misbehaving.host.write("configuration.json", format!(r#"{{"mode": "{mode}", "base_url": "{url}"}}"#))?;
    let output = misbehaving.sync(&[&["--allow-private", &source.address()], options].concat())?;
    Ok((misbehaving, output))
}

#[test]
pub(in super::super) fn records_hoarded() -> Result<()> {
    let (misbehaving, output) = sync(mode!(update, records_hoarded), 100, &["--limit", "memory-bytes=4MiB"])?;
    limited("limit-memory", &["4194304 bytes", "limit memory"]).check(output)?;
    assert_eq!(misbehaving.durable()?.0, "1 2 3");
    Ok(())
}

/// Answers every request with this body.
fn serve(body: String) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    // It ends with the test's process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut asked, mut piece) = (Vec::new(), [0; 4096]);
            while !asked.ends_with(b"\r\n\r\n") {
                let Ok(read @ 1..) = stream.read(&mut piece) else { break };
                asked.extend_from_slice(&piece[..read]);
            }
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            drop(stream.write_all((head + &body).as_bytes()));
        }
    });
    Ok(address)
}

/// A page whose records have what could lead astray in them, and line breaks.
fn page(records: u64) -> String {
    let record = |id: u64| {
        let text = ["},{", "\\\"]}", "\\\\", "日本", "\\n"][(id % 5) as usize].repeat(50);
        let white = ["", " ", "\n", "\r\n\t "][(id % 4) as usize];
        format!(
            "{white}{{{white}\"id\":{white}{id},\"text\":\"{text}\",{white}\"list\":[{{}},{white}[{id}.0]]{white}}}{white}"
        )
    };
    let records: Vec<_> = (0..records).map(record).collect();
    format!("{{\"before\":[{{\"cds_records\":[1]}}],\"cds_records\":[{}],\"next\":null}}", records.join(","))
}

/// Syncs that page by a mode, with a recording.
fn recorded(address: &str, mode: &str) -> Result<Misbehaving> {
    let misbehaving = Misbehaving::new(mode)?;
    let configuration = format!(r#"{{"mode": "{mode}", "base_url": "http://{address}"}}"#);
    misbehaving.host.write("configuration.json", configuration)?;
    misbehaving.sync(&["--allow-private", address, "--record", "made.rec"])?.succeeded()?;
    Ok(misbehaving)
}

/// The operations of a recording after the first row of `pages`: of a row kind and key, of a checkpoint its name.
fn operations(recording: &Path) -> Result<Vec<String>> {
    let text = zstd::decode_all(fs::File::open(recording)?)?;
    let (mut rest, mut operations) = (&text[..], Vec::new());
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let entry: Value = serde_json::from_slice(&rest[..end])?;
        rest = &rest[end + 1..];
        let length = usize::try_from(entry["bytes"].as_u64().unwrap_or_default())?;
        let bytes = &rest[..length];
        rest = &rest[if length == 0 { 0 } else { length + 1 }..];
        if entry["table"] == "pages" {
            for row in bytes.split(|byte| *byte == b'\n').filter(|row| !row.is_empty()) {
                let row: Value = serde_json::from_slice(row)?;
                operations.push(format!("{} {}", entry["kind"].as_str().unwrap_or_default(), row["id"]));
            }
        }
        if entry["entry"] == "save" && !operations.is_empty() {
            operations.push("save".to_owned());
        }
    }
    Ok(operations)
}

/// What the modes do with a page of so many records.
fn expected(records: u64) -> Vec<String> {
    let all = |kind: &str| (0..records).map(|id| format!("{kind} {id}")).collect::<Vec<_>>();
    let round = [all("upsert"), all("delete"), vec!["save".to_owned()]].concat();
    [&round[..], &round, &round, &all("upsert"), &all("upsert")].concat()
}

fn replayed(misbehaving: &Misbehaving) -> Result<()> {
    let replayed = misbehaving.host.run(&["run", "connector.wasm", "--replay", "made.rec"])?.succeeded()?;
    ensure!(replayed.stderr.contains("operations, byte for byte: sha256 "), "{}", replayed.stderr);
    Ok(())
}

/// A page over a mebibyte is split on another thread and written in batches; the order is the same.
#[test]
pub(in super::super) fn records_in_order() -> Result<()> {
    const RECORDS: u64 = 8_000;
    let body = page(RECORDS);
    ensure!(body.len() > 3 << 19, "{}", body.len());
    let misbehaving = recorded(&serve(body)?, mode!(update, records_in_order))?;
    ensure!(operations(&misbehaving.host.folder().join("made.rec"))? == expected(RECORDS), "another order");
    let rows = "SELECT count(*), count(DISTINCT id), min(id), max(id), bool_or(_deleted) FROM misbehaving.pages";
    assert_eq!(misbehaving.host.query(rows)?, "8000,8000,0,7999,false");
    replayed(&misbehaving)
}

/// What stays in the host is written byte for byte as what `serde_json` takes out of the body in the connector.
#[test]
pub(in super::super) fn records_carried() -> Result<()> {
    for (records, one_batch) in [(40, true), (8_000, false)] {
        let address = serve(page(records))?;
        let carried = recorded(&address, mode!(update, records_carried))?;
        let kept = recorded(&address, mode!(update, records_in_order))?;
        replayed(&carried)?;
        let other = kept.host.folder().join("made.rec");
        let same = carried.host.run(&["diff-recording", "made.rec", &other.to_string_lossy()])?.succeeded()?;
        let operations = format!("operations: the same {}", expected(records).len() + 6);
        ensure!(same.stdout.contains(&operations), "{operations} is not in: {}", same.stdout);
        assert_eq!(same.stdout.contains("byte for byte"), one_batch, "{}", same.stdout);
    }
    Ok(())
}

#[test]
pub(in super::super) fn records_nowhere() -> Result<()> {
    let (misbehaving, output) = sync(mode!(update, records_nowhere), 5, &[])?;
    output.succeeded()?;
    let facts = "0=no pointer; 1=not there; 2=not there; 3=not there; 4=not there; 5=not there; 6=found; 7=not there";
    assert_eq!(misbehaving.facts()?, facts);
    Ok(())
}

#[test]
pub(in super::super) fn truncate_with_records() -> Result<()> {
    let (_, output) = sync(mode!(update, truncate_with_records), 5, &[])?;
    broken("operation-invalid", &["truncate table \"things\" with records"]).check(output)
}
