//! The server for many tenants, as a process with an API.

mod commands;
mod density;
mod grants;
mod guide;
mod hostile;
mod isolation;
mod quotas;
mod restart;
mod syncs;
mod traces;

use anyhow::Result;
use serde_json::{Value, json};
use tests::host::Host;
use tests::server::Server;
use tests::source::Source;

/// A host with a running server that has the connectors, and a tenant `shop` that may reach the source.
fn server_for(source: Option<&Source>, more: &[&str]) -> Result<(Host, Server, String)> {
    let host = Host::new()?;
    let server = Server::start(&host, more)?;
    server.upload("operations")?;
    server.upload("guest")?;
    let token = server.tenant("shop", &reaching(source))?;
    Ok((host, server, token))
}

/// Settings of a tenant that may reach a source on this machine.
fn reaching(source: Option<&Source>) -> Value {
    json!({"allow_private": source.map(Source::address).into_iter().collect::<Vec<_>>()})
}

/// A connection of the connector `cds` to a source.
fn cds(source: &Source, destination: &str) -> Value {
    json!({
        "connector": "cds",
        "configuration": {"base_url": source.url(), "api_key": "123", "page_size": "1000"},
        "destination": destination,
    })
}

/// A connection of the connector `operations`, which needs no source.
fn operations(destination: &str) -> Value {
    json!({"connector": "operations", "destination": destination})
}

/// Asks a warehouse in a tenant's folder.
fn query(host: &Host, tenant: &str, file: &str, sql: &str) -> Result<String> {
    let (kind, path) = file.split_once(':').unwrap_or_default();
    let url = format!("{kind}:data/tenants/{tenant}/{path}");
    let output = host.run(&["query", sql, "--format", "csv", "--destination", &url])?.succeeded()?;
    let (_, rows) = output.stdout.split_once('\n').unwrap_or_default();
    Ok(rows.trim_end().replace("\r\n", "\n"))
}
