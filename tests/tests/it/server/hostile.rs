//! Clients that hang up in the middle, hold on to what they got, or leave things lying about: the server goes on for everybody.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::host::{Host, component};
use tests::server::{Server, until};
use tests::source::Source;
use tests::source::faults::Kind;

use super::{cds, operations, reaching, server_for};
use crate::records;

/// A component that nobody has seen before: the same one with a custom section of its own.
fn never_seen(connector: &str, number: u8) -> Result<Vec<u8>> {
    let mut bytes = std::fs::read(component(connector)?)?;
    bytes.extend([0, 6, 4, b't', b'e', b's', b't', number]);
    Ok(bytes)
}

/// The files of components that a server has.
fn files(host: &Host) -> Result<BTreeSet<String>> {
    let entries = std::fs::read_dir(host.folder().join("data/components"))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// The files that the connectors of a list have.
fn expected(server: &Server, path: &str) -> Result<BTreeSet<String>> {
    let list = server.ask("GET", path, &Value::Null)?;
    let items = list["items"].as_array().context("no items")?;
    Ok(items.iter().map(|item| format!("{}.wasm", item["digest"].as_str().unwrap_or_default())).collect())
}

#[test]
fn who_starts_a_sync_and_hangs_up_leaves_none_behind() -> Result<()> {
    const CONNECTIONS: usize = 8;
    let (_host, server, token) = server_for(None, &[])?;
    let path = |number: usize| format!("/v1/tenants/shop/connections/c{number}");
    for number in 0..CONNECTIONS {
        server.ask("PUT", &path(number), &operations("null:"))?;
    }
    for _ in 0..20 {
        for number in 0..CONNECTIONS {
            drop(server.open(Some(&token), "POST", &format!("{}/start", path(number)), &[])?);
        }
    }
    for number in 0..CONNECTIONS {
        let name = format!("c{number}");
        until("every sync ends", || {
            let syncs = server.syncs("shop", &name)?;
            Ok((!syncs.is_empty() && syncs.iter().all(|sync| sync["ended_at"].is_string())).then_some(()))
        })?;
        // One of the requests may still be on its way.
        until("it can start again", || {
            let answer = server.send(Some(&token), "POST", &format!("{}/start", path(number)), &[])?;
            ensure!([202, 409].contains(&answer.status), "{}", answer.body);
            Ok((answer.status == 202).then_some(()))
        })?;
        until("the last one succeeds", || {
            Ok((server.syncs("shop", &name)?[0]["outcome"] == "succeeded").then_some(()))
        })?;
    }
    Ok(())
}

#[test]
fn who_uploads_and_hangs_up_leaves_no_half_of_it() -> Result<()> {
    let (host, server, _) = server_for(None, &[])?;
    for number in 0..3 {
        drop(server.open(Some(&server.operator), "POST", "/v1/connectors", &never_seen("operations", number)?)?);
    }
    until("all of them are there", || Ok((expected(&server, "/v1/connectors")?.len() == 5).then_some(())))?;
    until(
        "their files are, and no others",
        || Ok((files(&host)? == expected(&server, "/v1/connectors")?).then_some(())),
    )
}

#[test]
fn files_of_components_go_with_what_refers_to_them() -> Result<()> {
    let (host, mut server, token) = server_for(None, &[])?;
    let shared = expected(&server, "/v1/connectors")?;
    // What is refused leaves nothing behind, and does not say where the server keeps things.
    let junk = server.send(Some(&token), "POST", "/v1/tenants/shop/connectors", b"no component")?;
    assert_eq!(junk.status, 422, "{}", junk.body);
    assert!(junk.body.contains("failed to load the component: it is not WebAssembly"), "{}", junk.body);
    let mut settings = reaching(None);
    settings["quotas"] = json!({"connectors": 0});
    server.ask("PUT", "/v1/tenants/shop", &settings)?;
    let component = never_seen("operations", 1)?;
    let refused = server.send(Some(&token), "POST", "/v1/tenants/shop/connectors", &component)?;
    assert_eq!(refused.status, 429, "{}", refused.body);
    // Nor is anything lost of what is there under another name.
    let same = std::fs::read(tests::host::component("operations")?)?;
    assert_eq!(server.send(Some(&token), "POST", "/v1/tenants/shop/connectors", &same)?.status, 429);
    assert_eq!(files(&host)?, shared);

    let other = server.tenant("other", &json!({}))?;
    for bytes in [&component, &same] {
        let kept = server.send(Some(&other), "POST", "/v1/tenants/other/connectors", bytes)?;
        assert_eq!(kept.status, 201, "{}", kept.body);
    }
    assert_eq!(files(&host)?.len(), 3);
    server.ask("DELETE", "/v1/tenants/other", &Value::Null)?;
    assert_eq!(files(&host)?, shared, "the shared one is still needed");

    server.end("KILL")?;
    for left in ["0badcafe.upload", &format!("{}.wasm", "0".repeat(64))] {
        host.write(&format!("data/components/{left}"), "left behind")?;
    }
    server.start_again(&host, &[])?;
    assert_eq!(files(&host)?, shared);
    server.ask("PUT", "/v1/tenants/shop/connections/c", &operations("null:"))?;
    assert_eq!(server.sync("shop", "c")?["outcome"], "succeeded");
    Ok(())
}

#[test]
fn a_tenant_has_so_many_streams_open_and_others_have_theirs() -> Result<()> {
    let source = Source::start(records(10).failing_from(1, Kind::Hang))?;
    let (_host, server, token) = server_for(Some(&source), &[])?;
    let other = server.tenant("other", &reaching(Some(&source)))?;
    let mut paths = Vec::new();
    for tenant in ["shop", "other"] {
        server.ask("PUT", &format!("/v1/tenants/{tenant}/connections/c"), &cds(&source, "null:"))?;
        let started = server.ask("POST", &format!("/v1/tenants/{tenant}/connections/c/start"), &Value::Null)?;
        paths.push(format!("/v1/tenants/{tenant}/syncs/{}/events", started["id"].as_str().context("no id")?));
    }
    let follow = |who: &str, path: &str| -> Result<BufReader<TcpStream>> {
        let mut stream = BufReader::new(server.open(Some(who), "GET", path, &[])?);
        let mut head = String::new();
        stream.read_line(&mut head)?;
        ensure!(head.contains(" 200 "), "{head}");
        Ok(stream)
    };
    let streams: Vec<_> = (0..32).map(|_| follow(&token, &paths[0])).collect::<Result<_>>()?;
    for who in [&token, &server.operator] {
        let refused = server.send(Some(who), "GET", &paths[0], &[])?;
        assert_eq!(refused.status, 429, "{}", refused.body);
        assert!(refused.body.contains("limit-quota") && refused.body.contains("hint"), "{}", refused.body);
    }
    follow(&other, &paths[1])?;
    drop(streams);
    until("one can be opened again", || Ok(follow(&token, &paths[0]).ok()))?;
    Ok(())
}

#[test]
fn a_tenant_checks_so_many_connections_at_one_time() -> Result<()> {
    let source = Source::start(records(10).failing_from(1, Kind::Hang))?;
    let (_host, server, token) = server_for(Some(&source), &[])?;
    let path = "/v1/tenants/shop/connections/c";
    server.ask("PUT", path, &cds(&source, "null:"))?;
    let check = format!("{path}/check");
    let _two = [server.open(Some(&token), "POST", &check, &[])?, server.open(Some(&token), "POST", &check, &[])?];
    until("both ask the source", || Ok((source.stats().requests >= 2).then_some(())))?;
    let third = server.send(Some(&token), "POST", &check, &[])?;
    assert_eq!(third.status, 429, "{}", third.body);
    let other = server.tenant("other", &json!({}))?;
    server.ask("PUT", "/v1/tenants/other/connections/c", &operations("null:"))?;
    let found = server.ask_as(&other, "POST", "/v1/tenants/other/connections/c/check", &Value::Null)?;
    assert_eq!(found["ok"], true, "{found}");
    Ok(())
}

#[test]
fn a_tenant_that_dribbles_an_upload_does_not_hold_up_others() -> Result<()> {
    let (_host, server, token) = server_for(None, &[])?;
    let path = "/v1/tenants/shop/connectors";
    let dribbling = || -> Result<TcpStream> {
        let mut stream = TcpStream::connect(server.address())?;
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n");
        stream.write_all(format!("{head}content-length: 1000000\r\n\r\n\0asm").as_bytes())?;
        Ok(stream)
    };
    let component = never_seen("operations", 1)?;
    let mut streams = Vec::new();
    until("its one upload is under way", || {
        streams.push(dribbling()?);
        Ok((server.send(Some(&token), "POST", path, b"")?.status == 429).then_some(()))
    })?;
    let other = server.tenant("other", &json!({}))?;
    let kept = server.send(Some(&other), "POST", "/v1/tenants/other/connectors", &component)?;
    assert_eq!(kept.status, 201, "{}", kept.body);
    drop(streams);
    until("who goes gives its turn back", || {
        Ok((server.send(Some(&token), "POST", path, &component)?.status == 201).then_some(()))
    })
}
