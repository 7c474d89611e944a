//! A tenant sees its own and nothing else, writes where it may and nowhere else, and does not hold up others.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::host::Host;
use tests::server::{Server, until};
use tests::source::Source;
use tests::source::faults::Kind;

use super::{cds, operations, reaching, server_for};
use crate::records;

/// Everything of a tenant's that has an address, and things that only an operator may do.
const PATHS: &[(&str, &str)] = &[
    ("GET", "/v1/tenants/shop"),
    ("GET", "/v1/tenants/shop/tokens"),
    ("POST", "/v1/tenants/shop/tokens"),
    ("GET", "/v1/tenants/shop/connectors"),
    ("GET", "/v1/tenants/shop/connectors/operations"),
    ("POST", "/v1/tenants/shop/connectors"),
    ("GET", "/v1/tenants/shop/connections"),
    ("GET", "/v1/tenants/shop/connections/orders"),
    ("PUT", "/v1/tenants/shop/connections/orders"),
    ("DELETE", "/v1/tenants/shop/connections/orders"),
    ("POST", "/v1/tenants/shop/connections/orders/start"),
    ("POST", "/v1/tenants/shop/connections/orders/pause"),
    ("POST", "/v1/tenants/shop/connections/orders/resume"),
    ("POST", "/v1/tenants/shop/connections/orders/check"),
    ("GET", "/v1/tenants/shop/syncs"),
    ("GET", "/v1/tenants/shop/syncs/SYNC"),
    ("GET", "/v1/tenants/shop/syncs/SYNC/report"),
    ("GET", "/v1/tenants/shop/syncs/SYNC/log"),
    ("GET", "/v1/tenants/shop/syncs/SYNC/events"),
    ("POST", "/v1/tenants/shop/syncs/SYNC/cancel"),
    ("GET", "/v1/tenants"),
    ("PUT", "/v1/tenants/shop"),
    ("PUT", "/v1/tenants/new"),
    ("DELETE", "/v1/tenants/shop"),
    ("POST", "/v1/connectors"),
    ("DELETE", "/v1/connectors/operations/0"),
    ("GET", "/metrics"),
];

#[test]
fn what_is_another_tenants_is_not_there() -> Result<()> {
    let (_host, server, token) = server_for(None, &[])?;
    server.ask_as(&token, "PUT", "/v1/tenants/shop/connections/orders", &operations("null:"))?;
    let sync = server.sync("shop", "orders")?;
    let id = sync["id"].as_str().context("no id")?;
    let other = server.tenant("other", &json!({}))?;
    for (method, path) in PATHS {
        let body = if path.ends_with("orders") { operations("null:") } else { json!({}) };
        let body = if path.ends_with("/start") { String::new() } else { body.to_string() };
        let path = path.replace("SYNC", id);
        for (who, status) in [(Some(other.as_str()), 404), (None, 401), (Some("elt_made-up"), 401)] {
            let answer = server.send(who, method, &path, body.as_bytes())?;
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
            assert_eq!(answer.content_type, "application/problem+json", "{method} {path}");
            assert!(!answer.body.contains(id), "{method} {path}: {}", answer.body);
        }
    }
    // What it does have is not touched by all that.
    let shown = server.ask_as(&token, "GET", "/v1/tenants/shop/connections/orders", &Value::Null)?;
    assert_eq!((&shown["paused"], &shown["last_sync"]["id"]), (&json!(false), &sync["id"]));
    // A sync's id under the other's own name leads nowhere either.
    let answer = server.send(Some(&other), "GET", &format!("/v1/tenants/other/syncs/{id}"), &[])?;
    assert_eq!(answer.status, 404);
    let list = server.ask_as(&other, "GET", "/v1/tenants/other/connections", &Value::Null)?;
    assert_eq!(list["items"], json!([]));
    Ok(())
}

#[test]
fn a_token_is_taken_back_and_lists_do_not_show_it() -> Result<()> {
    let (_host, server, token) = server_for(None, &[])?;
    let list = server.ask_as(&token, "GET", "/v1/tenants/shop/tokens", &Value::Null)?;
    assert!(!list.to_string().contains(&token));
    let id = list["items"][0]["id"].as_str().context("no id")?;
    assert_eq!(server.ask_as(&token, "GET", "/v1/identity", &Value::Null)?["tenant"], "shop");
    server.ask("DELETE", &format!("/v1/tenants/shop/tokens/{id}"), &Value::Null)?;
    assert_eq!(server.send(Some(&token), "GET", "/v1/tenants/shop", &[])?.status, 401);
    Ok(())
}

#[test]
fn a_tenant_writes_where_it_may_and_names_no_references() -> Result<()> {
    let source = Source::start(records(10))?;
    let (host, server, token) = server_for(Some(&source), &[])?;
    host.write("outside.db", "")?;
    let put = |connection: &Value| {
        server.send(Some(&token), "PUT", "/v1/tenants/shop/connections/c", connection.to_string().as_bytes())
    };
    for destination in [
        "duckdb:../../../outside.db",
        "duckdb:/tmp/outside.db",
        "sqlite:../other/w.db",
        "jsonl:",
        "env:HOME",
        "file:/etc/passwd",
        "postgres://u:p@127.0.0.1/d",
    ] {
        let answer = put(&operations(destination))?;
        assert_eq!(answer.status, 422, "{destination}: {}", answer.body);
        assert!(answer.body.contains("destination-denied"), "{destination}: {}", answer.body);
    }
    // A reference in a configuration is a text like any other: it is not looked up on the server.
    let mut connection = cds(&source, "null:");
    connection["configuration"]["api_key"] = "file:/etc/passwd".into();
    assert_eq!(put(&connection)?.status, 200);
    let sync = server.sync("shop", "c")?;
    assert_eq!(sync["error_code"], "authentication-failed", "{sync}");
    // What the operator takes back is not written to any more, although it was allowed before.
    assert_eq!(put(&operations("duckdb:w.db"))?.status, 200);
    let mut settings = reaching(Some(&source));
    settings["destinations"] = json!(["null:"]);
    server.ask("PUT", "/v1/tenants/shop", &settings)?;
    assert_eq!(server.sync("shop", "c")?["error_code"], "destination-denied");
    Ok(())
}

#[test]
fn secrets_are_in_no_file_and_in_no_answer() -> Result<()> {
    const SECRETS: [&str; 2] = ["5ecret-of-the-source", "5ecret-of-the-warehouse"];
    let source = Source::start(records(10))?;
    let (host, mut server, token) = server_for(Some(&source), &[])?;
    let mut settings = reaching(Some(&source));
    settings["destinations"] = json!(["null:", "postgres://127.0.0.1:1/d"]);
    server.ask("PUT", "/v1/tenants/shop", &settings)?;
    let mut connection = cds(&source, &format!("postgres://u:{}@127.0.0.1:1/d", SECRETS[1]));
    connection["configuration"]["api_key"] = SECRETS[0].into();
    server.ask_as(&token, "PUT", "/v1/tenants/shop/connections/c", &connection)?;
    let sync = server.sync("shop", "c")?;
    assert_eq!(sync["outcome"], "failed");
    let id = sync["id"].as_str().context("no id")?;
    let mut told = String::new();
    for path in
        ["connections/c".to_owned(), format!("syncs/{id}"), format!("syncs/{id}/log"), format!("syncs/{id}/report")]
    {
        told.push_str(&server.send(Some(&token), "GET", &format!("/v1/tenants/shop/{path}"), &[])?.body);
    }
    // What is shown can be put again: the masks stand for the secrets.
    let shown = server.ask_as(&token, "GET", "/v1/tenants/shop/connections/c", &Value::Null)?;
    let again = server.ask_as(&token, "PUT", "/v1/tenants/shop/connections/c", &shown["settings"])?;
    assert_eq!(again["action"], "none");
    told.push_str(&server.process()?.stderr_so_far()?);
    assert_eq!(server.end("TERM")?, 0);
    for secret in SECRETS.into_iter().chain([token.as_str(), &server.operator]) {
        assert!(!told.contains(secret), "{secret} is told: {told}");
        let found = files_with(&host.folder().join("data"), secret.as_bytes())?;
        assert!(found.is_empty(), "{secret} is in {found:?}");
    }
    Ok(())
}

/// The files in a folder that hold these bytes.
fn files_with(folder: &std::path::Path, bytes: &[u8]) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes)?);
        } else if std::fs::read(&path)?.windows(bytes.len()).any(|window| window == bytes) {
            found.push(path);
        }
    }
    Ok(found)
}

#[test]
fn a_tenant_with_many_syncs_does_not_hold_up_one_with_a_single_sync() -> Result<()> {
    let host = Host::new()?;
    // Three slots; one tenant's syncs would fill them for ever, if its quota counted alone: their source does not answer.
    let server = Server::start(&host, &["--syncs-at-once", "3"])?;
    server.upload("guest")?;
    server.upload("operations")?;
    let hanging = Source::start(records(10).failing_from(1, Kind::Hang))?;
    let mut greedy = reaching(Some(&hanging));
    greedy["quotas"] = json!({"syncs_at_once": 50});
    server.tenant("greedy", &greedy)?;
    server.tenant("modest", &json!({}))?;
    for number in 0..50 {
        let path = format!("/v1/tenants/greedy/connections/c{number}");
        server.ask("PUT", &path, &cds(&hanging, "null:"))?;
        server.ask("POST", &format!("{path}/start"), &Value::Null)?;
    }
    until("two of them run", || Ok((hanging.stats().requests >= 2).then_some(())))?;
    server.ask("PUT", "/v1/tenants/modest/connections/one", &operations("null:"))?;
    for _ in 0..5 {
        assert_eq!(server.sync("modest", "one")?["outcome"], "succeeded");
    }
    let metrics = server.send(Some(&server.operator), "GET", "/metrics", &[])?.body;
    assert!(metrics.contains("elt_syncs_running{tenant=\"greedy\"} 2\n"), "{metrics}");
    assert!(metrics.contains("elt_syncs_waiting{tenant=\"greedy\"} 48\n"), "{metrics}");
    assert!(metrics.contains("elt_syncs_total{tenant=\"modest\",outcome=\"succeeded\"} 5\n"), "{metrics}");
    Ok(())
}

/// Every item of a list, asked for one at a time.
fn one_by_one(server: &Server, path: &str) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut after = String::new();
    loop {
        let part = server.ask("GET", &format!("{path}?limit=1{after}"), &Value::Null)?;
        let found = part["items"].as_array().context("no items")?;
        assert!(found.len() <= 1 && items.len() < 100, "{path}: {part}");
        items.extend(found.iter().cloned());
        let Some(next) = part["next"].as_str() else { return Ok(items) };
        after = format!("&after={}", next.replace(' ', "%20"));
    }
}

#[test]
fn lists_come_in_parts_that_are_the_whole() -> Result<()> {
    let (_host, server, token) = server_for(None, &[])?;
    // A version of the tenant's own beside the operator's: the same name twice.
    let component = std::fs::read(tests::host::component("guest")?)?;
    let own = server.send(Some(&token), "POST", "/v1/tenants/shop/connectors", &component)?;
    assert_eq!(own.status, 201, "{}", own.body);
    for name in ["a", "b", "c"] {
        server.ask("POST", "/v1/tenants/shop/tokens", &json!({"note": name}))?;
        server.ask("PUT", &format!("/v1/tenants/shop/connections/{name}"), &operations("null:"))?;
        server.sync("shop", name)?;
        server.tenant(&format!("tenant-{name}"), &json!({}))?;
    }
    for (path, count) in [
        ("/v1/connectors", 2),
        ("/v1/tenants/shop/connectors", 3),
        ("/v1/tenants/shop/connectors/cds", 2),
        ("/v1/tenants/shop/tokens", 4),
        ("/v1/tenants/shop/connections", 3),
        ("/v1/tenants/shop/syncs", 3),
        ("/v1/tenants", 4),
    ] {
        let whole = server.ask("GET", path, &Value::Null)?;
        assert_eq!(one_by_one(&server, path)?, *whole["items"].as_array().context("no items")?, "{path}");
        assert_eq!((whole["items"].as_array().map(Vec::len), whole.get("next")), (Some(count), None), "{path}");
        let none = server.send(Some(&server.operator), "GET", &format!("{path}?limit=0"), &[])?;
        assert_eq!(none.status, 400, "{path}: {}", none.body);
    }
    Ok(())
}
