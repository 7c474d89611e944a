//! The commands that talk to a server, and a plan that is applied.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::host::{Host, Output, component};
use tests::server::Server;
use tests::source::Source;

use super::{cds, operations, query, server_for};
use crate::records;

/// Runs a command against the server with a token.
fn ask(host: &mut Host, server: &Server, token: &str, command: &[&str]) -> Result<Output> {
    host.set_env("ELT_TOKEN", token);
    let address = format!("http://{}", server.address());
    let output = host.run(&[command, &["--server", &address]].concat());
    host.clear_env();
    output
}

#[test]
fn everything_can_be_done_from_the_command_line() -> Result<()> {
    let source = Source::start(records(100))?;
    let (mut host, server, token) = server_for(Some(&source), &[])?;
    host.write("orders.json", cds(&source, "duckdb:w.db").to_string())?;
    let mut tell = |command: &[&str]| ask(&mut host, &server, &token, command)?.succeeded();
    let change = tell(&["connection", "put", "orders", "--settings", "orders.json", "--plan"])?.stdout;
    assert!(change.contains("\"action\": \"create\""), "{change}");
    tell(&["connection", "put", "orders", "--settings", "orders.json"])?;
    tell(&["connection", "check", "orders"])?;
    let started: Value = serde_json::from_str(&tell(&["connection", "start", "orders"])?.stdout)?;
    let id = started["id"].as_str().context("no id")?;
    let events = tell(&["sync", "follow", id])?.stdout;
    assert!(events.trim_end().ends_with('}') && events.contains("\"event\":\"report\""), "{events}");
    let report: Value = serde_json::from_str(&tell(&["sync", "report", id])?.stdout)?;
    assert_eq!(report["outcome"], "succeeded");
    assert!(tell(&["sync", "log", id])?.stdout.contains("\"event\":\"committed\""));
    let list = tell(&["sync", "list", "--connection", "orders"])?.stdout;
    assert!(list.contains(id) && list.contains("succeeded"), "{list}");
    let list = tell(&["connection", "list"])?.stdout;
    assert!(list.contains("orders") && list.contains("100"), "{list}");
    assert!(tell(&["connector", "list"])?.stdout.contains("everybody"));
    assert!(tell(&["connector", "show", "cds"])?.stdout.contains("\"secret\": true"));
    tell(&["connection", "pause", "orders"])?;
    assert!(tell(&["connection", "show", "orders"])?.stdout.contains("\"paused\": true"));
    tell(&["connection", "resume", "orders"])?;
    tell(&["connection", "delete", "orders"])?;
    assert_eq!(query(&host, "shop", "duckdb:w.db", "SELECT count(*) FROM orders.cds_records")?, "100");
    ask(&mut host, &server, &token, &["connection", "show", "orders"])?.failed(2, "not-found")?;
    ask(&mut host, &server, "elt_wrong", &["connection", "list"])?.failed(2, "token-invalid")?;
    let operator = server.operator.clone();
    ask(&mut host, &server, &operator, &["connection", "list"])?.failed(2, "usage")?;
    let tenants = ask(&mut host, &server, &operator, &["tenant", "list"])?.succeeded()?.stdout;
    assert!(tenants.contains("shop"), "{tenants}");
    let made = ask(&mut host, &server, &operator, &["tenant", "token", "shop"])?.succeeded()?.stdout;
    ask(&mut host, &server, made.trim(), &["connection", "list"])?.succeeded()?;
    host.run(&["sync", "list", "--server", "http://127.0.0.1:1"])?.failed(2, "usage")?;
    host.set_env("ELT_TOKEN", "elt_x");
    host.run(&["sync", "list", "--server", "http://127.0.0.1:1"])?.failed(2, "server-unreachable").map(drop)
}

#[test]
fn a_plan_is_shown_applied_and_then_is_what_there_is() -> Result<()> {
    let mut host = Host::new()?;
    let server = Server::start(&host, &[])?;
    let operator = server.operator.clone();
    std::fs::copy(component("operations")?, host.folder().join("operations.wasm"))?;
    host.write("destination", "null:\n")?;
    let plan = |rows: &str| {
        let connection = json!({
            "connector": "operations", "configuration": {"rows": rows}, "destination": "file:destination",
            "schedule": {"cron": "0 6 * * *"},
        });
        let tenant = json!({"settings": {"quotas": {"rows_per_day": 1_000}}, "connections": {"a": connection}});
        // JSON is YAML.
        json!({"version": 1, "connectors": [{"component": "operations.wasm"}], "tenants": {"shop": tenant}}).to_string()
    };
    host.write("plan.yaml", plan("10"))?;
    ask(&mut host, &server, &operator, &["apply", "plan.yaml"])?.failed(2, "usage")?;
    assert_eq!(server.ask("GET", "/v1/tenants", &Value::Null)?["items"], json!([]));
    let shown = ask(&mut host, &server, &operator, &["apply", "plan.yaml", "--yes"])?.succeeded()?.stdout;
    assert_eq!(shown.lines().count(), 3, "{shown}");
    assert_eq!(server.sync("shop", "a")?["outcome"], "succeeded");
    let again = ask(&mut host, &server, &operator, &["apply", "plan.yaml", "--yes"])?.succeeded()?;
    assert_eq!((again.stdout.as_str(), again.stderr.contains("as the plan says")), ("", true));
    host.write("plan.yaml", plan("20"))?;
    let changed = ask(&mut host, &server, &operator, &["apply", "plan.yaml", "--yes"])?.succeeded()?.stdout;
    assert_eq!(changed, "~ connection shop/a: configuration.rows\n");
    let body = operations("null:").to_string();
    let unchanged = server.send(Some(&operator), "PUT", "/v1/tenants/shop/connections/a?plan=true", body.as_bytes())?;
    assert!(unchanged.body.contains("configuration.rows") && unchanged.body.contains("schedule"), "{}", unchanged.body);
    host.write("plan.yaml", "version: 9\n")?;
    ask(&mut host, &server, &operator, &["apply", "plan.yaml", "--yes"])?.failed(2, "usage").map(drop)
}
