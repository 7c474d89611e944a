//! Connections are synced: by hand, by schedule, into every kind of destination; they are watched, cancelled, and fail alone.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::server::until;
use tests::source::Source;
use tests::source::faults::Kind;

use super::{cds, operations, query, server_for};
use crate::records;

#[test]
fn connections_are_synced_into_files() -> Result<()> {
    let source = Source::start(records(3_000))?;
    let (host, server, token) = server_for(Some(&source), &[])?;
    for (name, file, sql) in [
        ("duck", "duckdb:w.db", "SELECT count(*) FROM duck.cds_records"),
        ("lite", "sqlite:sub/w.db", "SELECT count(*) FROM lite__cds_records"),
    ] {
        let path = format!("/v1/tenants/shop/connections/{name}");
        let change = server.ask_as(&token, "PUT", &path, &cds(&source, file))?;
        assert_eq!(change["action"], "create");
        let sync = server.sync("shop", name)?;
        assert_eq!(
            (&sync["outcome"], &sync["rows"], &sync["reason"]),
            (&json!("succeeded"), &json!(3_000), &json!("manual"))
        );
        assert_eq!(query(&host, "shop", file, sql)?, "3000");
        let id = sync["id"].as_str().context("no id")?;
        let report = server.ask_as(&token, "GET", &format!("/v1/tenants/shop/syncs/{id}/report"), &Value::Null)?;
        assert_eq!((&report["outcome"], &report["sync"]), (&json!("succeeded"), &sync["id"]));
        let log = server.send(Some(&token), "GET", &format!("/v1/tenants/shop/syncs/{id}/log"), &[])?;
        assert!(log.body.contains("\"event\":\"committed\""), "{}", log.body);
        assert_eq!(server.ask_as(&token, "PUT", &path, &cds(&source, file))?["action"], "none");
    }
    Ok(())
}

#[test]
fn what_is_due_is_synced_again_and_again_until_it_is_paused() -> Result<()> {
    let (_host, server, token) = server_for(None, &[])?;
    let mut connection = operations("null:");
    connection["schedule"] = json!({"every": "1s", "jitter": "0s"});
    server.ask_as(&token, "PUT", "/v1/tenants/shop/connections/ticking", &connection)?;
    let count = || -> Result<usize> {
        Ok(server.syncs("shop", "ticking")?.iter().filter(|sync| sync["outcome"] == "succeeded").count())
    };
    until("three syncs end", || Ok((count()? >= 3).then_some(())))?;
    assert!(server.syncs("shop", "ticking")?.iter().all(|sync| sync["reason"] == "schedule"));
    server.ask_as(&token, "POST", "/v1/tenants/shop/connections/ticking/pause", &Value::Null)?;
    let shown = server.ask_as(&token, "GET", "/v1/tenants/shop/connections/ticking", &Value::Null)?;
    assert_eq!((&shown["paused"], shown.get("due_at")), (&json!(true), None));
    // One may have begun before it was paused.
    until("nothing is active", || {
        let active = server.syncs("shop", "ticking")?.iter().any(|sync| sync["ended_at"].is_null());
        Ok((!active).then_some(()))
    })?;
    let before = server.syncs("shop", "ticking")?.len();
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    assert_eq!(server.syncs("shop", "ticking")?.len(), before);
    server.ask_as(&token, "POST", "/v1/tenants/shop/connections/ticking/resume", &Value::Null)?;
    until("it goes on", || Ok((server.syncs("shop", "ticking")?.len() > before).then_some(())))
}

#[test]
fn a_sync_is_followed_and_cancelled_and_what_is_complete_stays() -> Result<()> {
    let source = Source::start(records(20_000).failing_from(10, Kind::Hang))?;
    let (host, server, token) = server_for(Some(&source), &[])?;
    server.ask_as(&token, "PUT", "/v1/tenants/shop/connections/slow", &cds(&source, "duckdb:w.db"))?;
    let started = server.ask_as(&token, "POST", "/v1/tenants/shop/connections/slow/start", &Value::Null)?;
    let id = started["id"].as_str().context("no id")?;
    let again = server.send(Some(&token), "POST", "/v1/tenants/shop/connections/slow/start", &[])?;
    assert_eq!(again.status, 409, "{}", again.body);
    until("the source hangs", || Ok((source.stats().requests >= 10).then_some(())))?;
    let delete = server.send(Some(&token), "DELETE", "/v1/tenants/shop/connections/slow", &[])?;
    assert_eq!(delete.status, 409, "{}", delete.body);
    let mut lines = server.stream(&token, &format!("/v1/tenants/shop/syncs/{id}/events"))?;
    assert!(lines.any(|line| line.contains("\"event\":\"started\"")));
    server.ask_as(&token, "POST", &format!("/v1/tenants/shop/syncs/{id}/cancel"), &Value::Null)?;
    let rest: Vec<String> = lines.collect();
    assert!(rest.iter().any(|line| line.contains("\"event\":\"report\"")), "{rest:?}");
    assert!(rest.iter().any(|line| line == "data: cancelled"), "{rest:?}");
    let sync = server.ended("shop", id)?;
    assert_eq!((&sync["outcome"], &sync["rows"]), (&json!("cancelled"), &json!(9_000)));
    assert_eq!(query(&host, "shop", "duckdb:w.db", "SELECT count(*) FROM slow.cds_records")?, "9000");
    server.ask_as(&token, "DELETE", "/v1/tenants/shop/connections/slow", &Value::Null).map(drop)
}

#[test]
fn a_failure_says_whose_fault_it_is_and_one_that_may_pass_is_tried_again() -> Result<()> {
    let source = Source::start(records(10).failing_from(1, Kind::Status(503)))?;
    let (_host, server, token) = server_for(Some(&source), &[])?;
    let mut wrong = cds(&source, "null:");
    wrong["configuration"]["base_url"] = "http://127.0.0.2:9".into();
    server.ask_as(&token, "PUT", "/v1/tenants/shop/connections/wrong", &wrong)?;
    let sync = server.sync("shop", "wrong")?;
    assert_eq!((&sync["outcome"], &sync["error_code"]), (&json!("failed"), &json!("egress-denied")));
    let shown = server.ask_as(&token, "GET", "/v1/tenants/shop/connections/wrong", &Value::Null)?;
    assert_eq!((shown.get("due_at"), &shown["attempts"]), (None, &json!(0)));
    let found = server.ask_as(&token, "POST", "/v1/tenants/shop/connections/wrong/check", &Value::Null)?;
    assert_eq!((&found["ok"], &found["error"]["code"]), (&json!(false), &json!("egress-denied")));

    server.ask_as(&token, "PUT", "/v1/tenants/shop/connections/down", &cds(&source, "null:"))?;
    let sync = server.sync("shop", "down")?;
    assert_eq!((&sync["outcome"], &sync["error_code"]), (&json!("failed"), &json!("source-unavailable")));
    let shown = server.ask_as(&token, "GET", "/v1/tenants/shop/connections/down", &Value::Null)?;
    assert!(shown["due_at"].is_string() && shown["attempts"] == 1, "{shown}");
    Ok(())
}

#[test]
fn connections_that_share_a_file_take_turns() -> Result<()> {
    let (host, server, token) = server_for(None, &[])?;
    let names: Vec<String> = (0..8).map(|number| format!("c{number}")).collect();
    for name in &names {
        let path = format!("/v1/tenants/shop/connections/{name}");
        server.ask_as(&token, "PUT", &path, &operations("duckdb:one.db"))?;
        server.ask_as(&token, "POST", &format!("{path}/start"), &Value::Null)?;
    }
    for name in &names {
        let id = server.syncs("shop", name)?[0]["id"].as_str().context("no id")?.to_owned();
        assert_eq!(server.ended("shop", &id)?["outcome"], "succeeded");
    }
    for name in &names {
        let sql = format!("SELECT count(*) FROM {name}.planets WHERE NOT _deleted");
        assert_eq!(query(&host, "shop", "duckdb:one.db", &sql)?, "9");
    }
    Ok(())
}
