//! What a connection is granted beyond reading and writing: exposed secrets, histories, tokens that stay between syncs; and a
//! Postgres of the tenant's.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::postgres;
use tests::server::Server;
use tests::source::{Options, Source};

use super::{cds, query, reaching, server_for};
use crate::records;

fn put(server: &Server, token: &str, name: &str, connection: &Value) -> Result<()> {
    server.ask_as(token, "PUT", &format!("/v1/tenants/shop/connections/{name}"), connection).map(drop)
}

#[test]
fn a_secret_is_exposed_only_by_the_connections_settings() -> Result<()> {
    let (_host, server, token) = server_for(None, &[])?;
    server.upload("misbehaving")?;
    let mut connection = json!({
        "connector": "misbehaving", "destination": "null:",
        "configuration": {"mode": "update.well_behaved", "signing_key": "the-signing-key"},
    });
    put(&server, &token, "c", &connection)?;
    let refused = server.sync("shop", "c")?;
    assert_eq!((&refused["outcome"], &refused["error_code"]), (&json!("failed"), &json!("secret-not-exposed")));
    connection["expose"] = json!(["signing_key"]);
    put(&server, &token, "c", &connection)?;
    let sync = server.sync("shop", "c")?;
    assert_eq!(sync["outcome"], "succeeded", "{sync}");
    Ok(())
}

#[test]
fn a_connections_tables_keep_their_history() -> Result<()> {
    let (host, server, token) = server_for(None, &[])?;
    let sync = |rows: &str| -> Result<()> {
        let connection = json!({
            "connector": "operations", "destination": "duckdb:w.db", "configuration": {"rows": rows},
            "history": ["planets"],
        });
        put(&server, &token, "c", &connection)?;
        let sync = server.sync("shop", "c")?;
        ensure!(sync["outcome"] == "succeeded", "{sync}");
        Ok(())
    };
    sync("10")?;
    sync("5")?;
    let counts = "SELECT count(*), count(*) FILTER (_active) FROM c.planets";
    assert_eq!(query(&host, "shop", "duckdb:w.db", counts)?, "9,4");
    Ok(())
}

/// Each refresh token is good for one use: a sync works only if it can open what the one before has sealed.
#[test]
fn tokens_in_a_state_are_opened_by_the_next_sync_and_outlive_the_servers_key() -> Result<()> {
    let source = Source::start(Options { open: true, ..Options::default() })?;
    let (host, mut server, token) = server_for(Some(&source), &[])?;
    server.upload("oauth2-refresh")?;
    let connection = json!({
        "connector": "oauth2-refresh", "destination": "duckdb:w.db",
        "configuration": {
            "base_url": source.url(), "client_id": "app", "client_secret": "s3cret", "refresh_token": "consent",
        },
    });
    put(&server, &token, "c", &connection)?;
    for _ in 0..2 {
        let sync = server.sync("shop", "c")?;
        ensure!(sync["outcome"] == "succeeded", "{sync}");
    }
    let state = query(&host, "shop", "duckdb:w.db", "SELECT state_after FROM c._syncs ORDER BY ended_at DESC LIMIT 1")?;
    assert!(state.contains("elt_token_") && !state.contains("refresh-"), "{state}");
    assert_eq!(server.end("TERM")?, 0);
    host.run(&["serve", "--data", "data", "--rotate-key"])?.succeeded()?;
    server.start_again(&host, &[])?;
    let sync = server.sync("shop", "c")?;
    assert_eq!(sync["outcome"], "succeeded", "{sync}");
    // Another connection has another key: what the first one has sealed means nothing to it.
    put(&server, &token, "d", &connection)?;
    let sync = server.sync("shop", "d")?;
    assert_eq!(sync["outcome"], "failed", "the refresh token of the configuration is used up: {sync}");
    Ok(())
}

#[test]
fn a_connection_writes_into_the_postgres_that_its_tenant_may_use() -> Result<()> {
    let (warehouse, source) = (postgres::server()?, Source::start(records(3_000))?);
    let (database, other) = (warehouse.database()?, warehouse.database()?);
    let (_host, server, token) = server_for(Some(&source), &[])?;
    let mut settings = reaching(Some(&source));
    settings["destinations"] = json!([format!("postgres://127.0.0.1:{}/{database}", warehouse.port)]);
    server.ask("PUT", "/v1/tenants/shop", &settings)?;
    let to = |database: &str| cds(&source, &format!("{}?sslmode=disable", warehouse.url(database, warehouse.port)));
    put(&server, &token, "c", &to(&database))?;
    for requests in [3, 4] {
        let sync = server.sync("shop", "c")?;
        ensure!(sync["outcome"] == "succeeded", "{sync}");
        assert_eq!(source.stats().requests, requests, "what was committed is not fetched again");
    }
    let row =
        warehouse.client(&database)?.query_one("SELECT count(*), count(DISTINCT record_id) FROM c.cds_records", &[])?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (3_000, 3_000));
    let refused =
        server.send(Some(&token), "PUT", "/v1/tenants/shop/connections/d", to(&other).to_string().as_bytes())?;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(refused.body.contains("destination-denied"), "{}", refused.body);
    Ok(())
}

/// What the system says about the limits of a child of this process that compiles a component.
fn compiling_child(server: u32) -> Option<String> {
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    let folders = entries.map(|entry| entry.path()).filter(|path: &PathBuf| {
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
        parent == Some(&server.to_string()) && command.split(|byte| *byte == 0).any(|word| word == b"compile-component")
    });
    folders.filter_map(|folder| std::fs::read_to_string(folder.join("limits")).ok()).find(|limits| !limits.is_empty())
}

#[test]
fn an_uploaded_component_is_compiled_in_a_child_with_limits() -> Result<()> {
    let mut host = tests::host::Host::new()?;
    // A cache of its own: it was compiled before.
    host.set_env("ELT_CACHE_DIR", host.folder().join("cache"));
    let mut server = Server::start(&host, &[])?;
    let process = server.process()?.id();
    let done = AtomicBool::new(false);
    let limits = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut seen = None;
            // It sets its limits before it reads the component: the last look counts.
            while !done.load(Ordering::Relaxed) {
                seen = compiling_child(process).or(seen);
            }
            seen
        });
        let uploaded = server.upload("guest");
        done.store(true, Ordering::Relaxed);
        let seen = watching.join();
        uploaded.map(|_| seen.ok().flatten())
    })?;
    let limits = limits.context("no child was seen that compiles")?;
    let line = limits.lines().find(|line| line.starts_with("Max data size")).context("no such limit")?;
    assert!(!line.contains("unlimited"), "{line}");
    Ok(())
}
