//! The audit log: a line for every request, whatever became of it, and nothing that could be a secret.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::json;
use tests::host::{Host, component};
use tests::server::Server;
use tests::source::Options;
use tests::source::Source;
use tests::source::faults::Kind;

use super::{records, source_and_host};

#[test]
fn every_request_is_a_line() -> Result<()> {
    const KEY: &str = "a-key-that-nobody-should-read";
    let (source, host) = source_and_host(Options { api_key: KEY.to_owned(), ..records(2_500) })?;
    host.configure_with(&source, &[("api_key", KEY)])?;
    host.sync("guest", &source, &["--audit-log", "audit.jsonl"])?.succeeded()?;
    let text = fs::read_to_string(host.folder().join("audit.jsonl"))?;
    let lines: Vec<serde_json::Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(lines.len() as u64, source.stats().requests);
    for line in &lines {
        assert_eq!((line["method"].as_str(), line["status"].as_u64()), (Some("GET"), Some(200)));
        assert_eq!(line["host"], source.url());
        ensure!(line["bytes"].as_u64() > Some(1_000) && line["duration_ms"].as_f64() > Some(0.0), "{line}");
        assert_eq!(line["connection"], "cds");
    }
    for secret in [KEY, "cds_data", "page_size"] {
        ensure!(!text.contains(secret), "{secret} is in the audit log: {text}");
    }
    Ok(())
}

#[test]
fn a_refused_request_is_a_line() -> Result<()> {
    let (source, host) = source_and_host(records(1))?;
    let component = component("guest")?;
    let component = component.to_string_lossy();
    let check = ["check", &*component, "--config", "configuration.json", "--audit-log", "audit.jsonl"];
    host.run(&check)?.failed(2, "egress-denied")?;
    let text = fs::read_to_string(host.folder().join("audit.jsonl"))?;
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap_or_default())?;
    assert_eq!((line["error"].as_str(), line["status"].is_null()), (Some("denied"), true));
    assert_eq!(source.stats().requests, 0);
    Ok(())
}

#[test]
fn a_request_that_a_limit_ends_names_it() -> Result<()> {
    let limits =
        [("wall=1s", Kind::Hang, "limit-time"), ("response-bytes=64KiB", Kind::Endless, "limit-response-size")];
    for (limit, kind, code) in limits {
        let (source, host) = source_and_host(records(2_500).failing_from(1, kind))?;
        let arguments = ["--audit-log", "audit.jsonl", "--limit", limit];
        host.sync("guest", &source, &arguments)?.failed(5, code)?;
        let text = fs::read_to_string(host.folder().join("audit.jsonl"))?;
        let line: serde_json::Value = serde_json::from_str(text.lines().next_back().unwrap_or_default())?;
        assert_eq!(line["error"], code, "{text}");
    }
    Ok(())
}

#[test]
fn a_server_writes_down_every_request_of_every_tenant() -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    const KEY: &str = "a-key-that-nobody-should-read";
    let source = Source::start(Options { api_key: KEY.to_owned(), ..records(2_500) })?;
    let (host, log) = (Host::new()?, ["--audit-log", "audit.jsonl"]);
    let mut server = Server::start(&host, &log)?;
    server.upload("guest")?;
    let mut expected = Vec::new();
    for tenant in ["shop", "other"] {
        server.tenant(tenant, &json!({"allow_private": [source.address()]}))?;
        let connection = json!({
            "connector": "cds", "destination": "null:",
            "configuration": {"base_url": source.url(), "api_key": KEY, "page_size": "1000"},
        });
        server.ask("PUT", &format!("/v1/tenants/{tenant}/connections/c"), &connection)?;
        let before = source.stats().requests;
        let sync = server.sync(tenant, "c")?;
        let synced = source.stats().requests;
        let found = server.ask("POST", &format!("/v1/tenants/{tenant}/connections/c/check"), &json!(null))?;
        assert_eq!(found["ok"], true, "{found}");
        let checked = source.stats().requests;
        expected.extend((before..synced).map(|_| (tenant, sync["id"].clone())));
        expected.extend((synced..checked).map(|_| (tenant, json!(null))));
        ensure!(synced > before && checked > synced, "{before} {synced} {checked}");
        // What a server wrote stays when the next one goes on.
        server.end("TERM")?;
        server.start_again(&host, &log)?;
    }
    let path = host.folder().join("audit.jsonl");
    let text = fs::read_to_string(&path)?;
    let lines: Vec<serde_json::Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let found: Vec<_> =
        lines.iter().map(|line| (line["tenant"].as_str().unwrap_or(""), line["sync"].clone())).collect();
    assert_eq!(found, expected);
    for line in &lines {
        assert_eq!((&line["connection"], &line["method"], &line["status"]), (&json!("c"), &json!("GET"), &json!(200)));
        ensure!(line["host"] == source.url() && line["bytes"].as_u64() > Some(0), "{line}");
        ensure!(line["at"].is_string() && line["duration_ms"].as_f64() > Some(0.0), "{line}");
    }
    for secret in [KEY, "cds_data", "page_size"] {
        ensure!(!text.contains(secret), "{secret} is in the audit log: {text}");
    }
    assert_eq!(fs::metadata(&path)?.mode() & 0o777, 0o600);
    Ok(())
}
