//! A server that is killed or ends: no schedule is lost, no sync stays "running", what is complete is committed.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::host::Host;
use tests::server::{Server, until};
use tests::source::Source;
use tests::source::faults::Kind;

use super::{cds, operations, query, reaching, server_for};
use crate::records;

/// A server that runs a sync which waits for its tenth page in vain, and has another one waiting for its turn.
fn stuck(more: &[&str]) -> Result<(Host, Server, Source, String)> {
    let source = Source::start(records(20_000).failing_from(10, Kind::Hang))?;
    let (host, server, _) = server_for(Some(&source), more)?;
    let mut settings = reaching(Some(&source));
    settings["quotas"] = json!({"syncs_at_once": 1});
    server.ask("PUT", "/v1/tenants/shop", &settings)?;
    server.ask("PUT", "/v1/tenants/shop/connections/slow", &cds(&source, "duckdb:w.db"))?;
    server.ask("PUT", "/v1/tenants/shop/connections/next", &operations("null:"))?;
    let started = server.ask("POST", "/v1/tenants/shop/connections/slow/start", &Value::Null)?;
    until("the source hangs", || Ok((source.stats().requests >= 10).then_some(())))?;
    server.ask("POST", "/v1/tenants/shop/connections/next/start", &Value::Null)?;
    Ok((host, server, source, started["id"].as_str().context("no id")?.to_owned()))
}

/// Gives the connection a source that answers, and waits until everything is there.
fn finish(host: &Host, server: &Server, id: &str) -> Result<()> {
    let interrupted = server.ask("GET", &format!("/v1/tenants/shop/syncs/{id}"), &Value::Null)?;
    assert_eq!(interrupted["outcome"], "interrupted", "{interrupted}");
    until("the connection is synced again", || {
        let syncs = server.syncs("shop", "slow")?;
        Ok(syncs.iter().any(|sync| sync["outcome"] == "succeeded").then_some(()))
    })?;
    assert_eq!(query(host, "shop", "duckdb:w.db", "SELECT count(*) FROM slow.cds_records")?, "20000");
    until("what waited is synced too", || {
        Ok((server.syncs("shop", "next")?[0]["outcome"] == "succeeded").then_some(()))
    })?;
    assert_eq!(server.syncs("shop", "next")?.len(), 1);
    Ok(())
}

/// A source at the same address that answers.
fn answering(source: Source) -> Result<Source> {
    instead(source, records(20_000))
}

/// Another source at the same address.
fn instead(source: Source, options: tests::source::Options) -> Result<Source> {
    let port = source.address().rsplit(':').next().context("no port")?.parse()?;
    drop(source);
    Source::start(tests::source::Options { port, ..options })
}

const REFRESHED: &str = "SELECT count(*) FROM c.cds_records WHERE NOT _deleted";

/// A server with a warehouse of 20 rows, whose source then fails in some way and is asked for a full refresh.
fn refreshing(kind: Kind) -> Result<(Host, Server, Source, String)> {
    let source = Source::start(records(20))?;
    let (host, server, _) = server_for(Some(&source), &[])?;
    server.ask("PUT", "/v1/tenants/shop/connections/c", &cds(&source, "duckdb:w.db"))?;
    assert_eq!(server.sync("shop", "c")?["outcome"], "succeeded");
    let source = instead(source, records(10).failing_from(1, kind))?;
    let full = json!({"full_refresh": true});
    let started = server.ask("POST", "/v1/tenants/shop/connections/c/start", &full)?;
    Ok((host, server, source, started["id"].as_str().context("no id")?.to_owned()))
}

/// Waits for the sync that is begun after the failed one, which is to be a full refresh too.
fn is_made_up_for(host: &Host, server: &Server, id: &str) -> Result<()> {
    let again = until("it is begun again and ends", || {
        let latest = server.syncs("shop", "c")?.swap_remove(0);
        Ok((latest["id"] != id && latest["ended_at"].is_string()).then_some(latest))
    })?;
    assert_eq!((&again["outcome"], &again["full_refresh"]), (&json!("succeeded"), &json!(true)), "{again}");
    assert_eq!(query(host, "shop", "duckdb:w.db", REFRESHED)?, "10", "what did not come back is deleted");
    // It is done, and what follows is not one.
    assert_eq!(server.sync("shop", "c")?["full_refresh"], false);
    Ok(())
}

#[test]
fn a_full_refresh_whose_source_was_down_is_tried_again_as_one() -> Result<()> {
    let (host, server, source, id) = refreshing(Kind::Status(503))?;
    let failed = server.ended("shop", &id)?;
    assert_eq!((&failed["outcome"], &failed["full_refresh"]), (&json!("failed"), &json!(true)), "{failed}");
    let _source = instead(source, records(10))?;
    is_made_up_for(&host, &server, &id)
}

#[test]
fn a_full_refresh_that_was_killed_before_its_first_commit_is_one_again() -> Result<()> {
    let (host, mut server, source, id) = refreshing(Kind::Hang)?;
    until("the source hangs", || Ok((source.stats().requests >= 1).then_some(())))?;
    assert_eq!(server.end("KILL")?, 137);
    let _source = instead(source, records(10))?;
    server.start_again(&host, &[])?;
    is_made_up_for(&host, &server, &id)
}

#[test]
fn a_full_refresh_that_was_cancelled_is_not_begun_again() -> Result<()> {
    let (host, server, source, id) = refreshing(Kind::Hang)?;
    until("the source hangs", || Ok((source.stats().requests >= 1).then_some(())))?;
    server.ask("POST", &format!("/v1/tenants/shop/syncs/{id}/cancel"), &Value::Null)?;
    assert_eq!(server.ended("shop", &id)?["outcome"], "cancelled");
    let _source = instead(source, records(10))?;
    assert_eq!(server.sync("shop", "c")?["full_refresh"], false);
    assert_eq!(query(&host, "shop", "duckdb:w.db", REFRESHED)?, "20");
    Ok(())
}

#[test]
fn a_full_refresh_that_has_committed_goes_on_where_it_was() -> Result<()> {
    let source = Source::start(records(20_000).failing_from(10, Kind::Hang))?;
    let (host, mut server, _) = server_for(Some(&source), &["--drain", "100ms"])?;
    server.ask("PUT", "/v1/tenants/shop/connections/slow", &cds(&source, "duckdb:w.db"))?;
    let full = json!({"full_refresh": true});
    server.ask("POST", "/v1/tenants/shop/connections/slow/start", &full)?;
    until("the source hangs", || Ok((source.stats().requests >= 10).then_some(())))?;
    assert_eq!(server.end("TERM")?, 0);
    let source = answering(source)?;
    server.start_again(&host, &[])?;
    let again = until("it goes on", || {
        let latest = server.syncs("shop", "slow")?.swap_remove(0);
        Ok((latest["outcome"] == "succeeded").then_some(latest))
    })?;
    assert_eq!(again["full_refresh"], false, "{again}");
    // Pages 10 to 20.
    assert_eq!(source.stats().requests, 11);
    Ok(())
}

#[test]
fn a_server_that_was_killed_goes_on_where_it_was() -> Result<()> {
    let (host, mut server, source, id) = stuck(&[])?;
    assert_eq!(server.end("KILL")?, 137);
    let _source = answering(source)?;
    server.start_again(&host, &[])?;
    finish(&host, &server, &id)
}

#[test]
fn a_server_that_ends_lets_syncs_commit_what_is_complete() -> Result<()> {
    let (host, mut server, source, id) = stuck(&["--drain", "100ms"])?;
    assert_eq!(server.end("TERM")?, 0);
    assert_eq!(query(&host, "shop", "duckdb:w.db", "SELECT count(*) FROM slow.cds_records")?, "9000");
    let source = answering(source)?;
    server.start_again(&host, &[])?;
    finish(&host, &server, &id)?;
    // Pages 10 to 20: what was committed is not fetched again.
    assert_eq!(source.stats().requests, 11);
    Ok(())
}

#[test]
fn a_second_signal_ends_a_server_that_drains_at_once() -> Result<()> {
    let (host, mut server, source, id) = stuck(&["--drain", "1h"])?;
    server.process()?.signal("TERM")?;
    until("the server drains", || Ok((server.send(None, "GET", "/readyz", &[])?.status == 503).then_some(())))?;
    assert!(!server.process()?.has_ended()?);
    assert_eq!(server.end("TERM")?, 143);
    let _source = answering(source)?;
    server.start_again(&host, &[])?;
    finish(&host, &server, &id)
}

#[test]
fn kills_at_random_moments_lose_no_schedule_and_no_row() -> Result<()> {
    const CONNECTIONS: usize = 10;
    let host = Host::new()?;
    let mut server = Server::start(&host, &[])?;
    server.upload("operations")?;
    server.tenant("shop", &json!({}))?;
    for number in 0..CONNECTIONS {
        let mut connection = operations(&format!("sqlite:w{number}.db"));
        connection["schedule"] = json!({"every": "1s", "jitter": "500ms"});
        server.ask("PUT", &format!("/v1/tenants/shop/connections/c{number}"), &connection)?;
    }
    for _ in 0..6 {
        std::thread::sleep(std::time::Duration::from_millis(fastrand::u64(50..1_500)));
        server.end("KILL")?;
        server.start_again(&host, &[])?;
    }
    for number in 0..CONNECTIONS {
        let name = format!("c{number}");
        let before = server.syncs("shop", &name)?.len();
        until("its schedule goes on", || {
            let syncs = server.syncs("shop", &name)?;
            Ok((syncs.len() > before && syncs.iter().any(|sync| sync["outcome"] == "succeeded")).then_some(()))
        })?;
        let syncs = server.syncs("shop", &name)?;
        let active = syncs.iter().filter(|sync| sync["ended_at"].is_null()).count();
        assert!(active <= 1, "{syncs:?}");
        assert!(!syncs.iter().any(|sync| sync["outcome"] == "failed"), "{syncs:?}");
        let sql = format!("SELECT count(*) FROM {name}__planets WHERE NOT _deleted");
        assert_eq!(query(&host, "shop", &format!("sqlite:w{number}.db"), &sql)?, "9");
    }
    Ok(())
}

#[test]
fn a_key_is_changed_and_everything_is_still_there() -> Result<()> {
    let source = Source::start(records(10))?;
    let (host, mut server, token) = server_for(Some(&source), &[])?;
    server.ask_as(&token, "PUT", "/v1/tenants/shop/connections/c", &cds(&source, "duckdb:w.db"))?;
    host.run(&["serve", "--data", "data", "--rotate-key"])?.failed(2, "conflict")?;
    assert_eq!(server.end("TERM")?, 0);
    let old = std::fs::read(host.folder().join("data/key"))?;
    host.run(&["serve", "--data", "data", "--rotate-key"])?.succeeded()?;
    server.start_again(&host, &[])?;
    assert_eq!(server.sync("shop", "c")?["outcome"], "succeeded");
    assert_eq!(server.end("TERM")?, 0);
    host.write("data/key", old)?;
    host.run(&["serve", "--data", "data"])?.failed(2, "key-invalid").map(drop)
}

#[test]
fn a_store_of_a_newer_host_is_refused() -> Result<()> {
    let host = Host::new()?;
    let mut server = Server::start(&host, &[])?;
    server.end("TERM")?;
    // The version stands at byte 60 of a SQLite file, four bytes, the highest first.
    let path = host.folder().join("data/server.db");
    let mut bytes = std::fs::read(&path)?;
    bytes[60..64].copy_from_slice(&99u32.to_be_bytes());
    std::fs::write(&path, bytes)?;
    host.run(&["serve", "--data", "data"])?.failed(2, "store-invalid").map(drop)
}
