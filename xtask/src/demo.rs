//! `cargo xtask demo`: from a clone to rows in a warehouse, and the commands to do it by hand.

use std::time::Instant;

use crate::Result;
use crate::build;
use crate::run::{elapsed, plain, shown};
use crate::source::Source;
use crate::workspace::{Workspace, read};

const RECORDS: &str = "100000";
const CONFIGURATION: &str = "configuration.json";
const QUERY: &str = "\
SELECT active, count(*) AS records, round(avg(amount), 2) AS mean_amount, min(birth_date) AS oldest, \
max(updated_at) AS last_update FROM cds.cds_records GROUP BY active ORDER BY active";

pub(crate) fn demo(workspace: &Workspace) -> Result<()> {
    let started = Instant::now();
    build::everything(workspace)?;
    let address = address_of_source(workspace)?;
    let (_, port) = address.rsplit_once(':').ok_or("failed to find a port in the configuration's base_url")?;

    println!("\n==> Start the source: {RECORDS} generated records behind an HTTP API on {address}");
    let source = Source::start(workspace, &["--port", port, "--records", RECORDS])
        .map_err(|error| format!("{error}\nIs port {port} taken? Change base_url in {CONFIGURATION} then."))?;

    println!("\n==> Sync it into files/warehouse.db");
    println!(
        "    Connectors reach public addresses only; --allow-private lets this one reach the source on this machine."
    );
    let run = ["run", "guest.wasm", "--config", CONFIGURATION, "--allow-private", &address];
    let host = |arguments: &[&str]| workspace.command(workspace.program("host"), arguments);
    shown("sync the demo", host(&run))?;

    println!("\n==> Stop the source and look at the warehouse");
    drop(source);
    shown("list the tables", host(&["tables"]))?;
    shown("run a query", host(&["query", QUERY]))?;

    println!("\n==> The same by hand, now that everything is built");
    println!(
        "    {} &",
        plain(&workspace.command(workspace.program("source"), &["--port", port, "--records", RECORDS]))
    );
    for arguments in [&run[..], &["tables"], &["query", QUERY]] {
        println!("    {}", plain(&host(arguments)));
    }
    println!("    kill %1");
    println!("\nAll of it took {}.", elapsed(started));
    Ok(())
}

/// The address in the configuration's `base_url`, as `127.0.0.1:8765`.
fn address_of_source(workspace: &Workspace) -> Result<String> {
    let configuration = read(&workspace.root.join(CONFIGURATION))?;
    // Reading one value does not need a JSON parser: the file is ours, and the host checks it properly.
    let value = configuration.split_once("\"base_url\"").and_then(|(_, rest)| rest.split('"').nth(1));
    let address = value.and_then(|url| url.strip_prefix("http://"));
    address
        .map(|address| address.trim_end_matches('/').to_owned())
        .ok_or_else(|| format!("failed to find base_url (http://127.0.0.1:PORT) in {CONFIGURATION}"))
}
