//! Bad input, each with an error code and an exit status of its own; a warehouse is neither made nor changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::Result;
use tests::host::{Host, Output, component};
use tests::source::{Options, Source};

use crate::{records, source_and_host};

fn run(host: &Host, component: &str) -> Result<Output> {
    host.run(&["run", component, "--config", "configuration.json"])
}

fn with_component(bytes: &[u8]) -> Result<Output> {
    let host = Host::new()?;
    host.write("configuration.json", r#"{"api_key": "123"}"#)?;
    host.write("connector.wasm", bytes)?;
    run(&host, "connector.wasm")
}

fn with_configuration(json: &str) -> Result<Output> {
    let host = Host::new()?;
    host.write("configuration.json", json)?;
    let output = run(&host, &component("guest")?.to_string_lossy())?;
    assert!(!host.folder().join("files").exists(), "a warehouse was made");
    Ok(output)
}

#[test]
fn a_command_that_is_none_is_a_usage_error() -> Result<()> {
    let host = Host::new()?;
    for arguments in [&["rum"][..], &["run"], &["run", "x.wasm", "--no-such-option"]] {
        assert_eq!(host.run(arguments)?.status, 2, "{arguments:?}");
    }
    Ok(())
}

#[test]
fn a_component_that_is_not_there() -> Result<()> {
    let host = Host::new()?;
    host.write("configuration.json", "{}")?;
    run(&host, "nowhere.wasm")?.failed(2, "component-missing").map(drop)
}

#[test]
fn components_that_are_none() -> Result<()> {
    with_component(b"just text")?.failed(3, "component-not-wasm")?;
    with_component(b"")?.failed(3, "component-not-wasm")?;
    // The shortest core module, and the shortest component: it exports nothing.
    with_component(b"\0asm\x01\0\0\0")?.failed(3, "component-core-module")?;
    with_component(b"\0asm\x0d\0\x01\0")?.failed(3, "component-wrong-world")?;
    Ok(())
}

#[test]
fn a_component_that_was_cut() -> Result<()> {
    let whole = fs::read(component("guest")?)?;
    with_component(&whole[..whole.len() / 2])?.failed(3, "component-invalid").map(drop)
}

#[test]
fn a_configuration_that_is_not_there() -> Result<()> {
    let host = Host::new()?;
    run(&host, &component("guest")?.to_string_lossy())?.failed(2, "configuration-missing").map(drop)
}

#[test]
fn configurations_that_are_no_flat_object_of_strings() -> Result<()> {
    for json in ["", "{", "[]", "\"text\"", r#"{"api_key": {"value": "123"}}"#, r#"{"api_key": "1", "page_size": 100}"#]
    {
        with_configuration(json)?.failed(2, "configuration-invalid")?;
    }
    Ok(())
}

#[test]
fn a_number_in_the_configuration_is_told_how_to_be_a_string() -> Result<()> {
    let output = with_configuration(r#"{"api_key": "1", "page_size": 100}"#)?;
    assert!(output.stderr.contains("page_size") && output.stderr.contains("\"100\""), "{}", output.stderr);
    Ok(())
}

#[test]
fn a_required_field_that_is_missing_or_empty() -> Result<()> {
    for json in ["{}", r#"{"api_key": ""}"#] {
        let output = with_configuration(json)?.failed(2, "configuration-field-missing")?;
        assert!(output.stderr.contains("api_key"), "{}", output.stderr);
    }
    Ok(())
}

#[test]
fn a_field_the_connector_does_not_know_is_a_warning() -> Result<()> {
    let (source, host) = source_and_host(records(10))?;
    host.configure_with(&source, &[("apikey", "typo")])?;
    let output = host.sync("guest", &source, &[])?.succeeded()?;
    assert!(output.stderr.contains("apikey"), "{}", output.stderr);
    Ok(())
}

#[test]
fn keys_that_the_source_refuses() -> Result<()> {
    let (source, host) = source_and_host(records(10))?;
    for key in ["not-the-key-5f2c", "forbidden"] {
        host.configure_with(&source, &[("api_key", key)])?;
        let output = host.sync("guest", &source, &[])?.failed(2, "authentication-failed")?;
        assert!(!output.stderr.contains("5f2c"), "the key was told: {}", output.stderr);
    }
    Ok(())
}

#[test]
fn a_private_address_that_was_not_allowed() -> Result<()> {
    let (source, host) = source_and_host(records(10))?;
    run(&host, &component("guest")?.to_string_lossy())?.failed(2, "egress-denied")?;
    assert_eq!(source.stats().requests, 0);
    Ok(())
}

#[test]
fn a_source_that_is_not_there() -> Result<()> {
    let (source, host) = source_and_host(records(10))?;
    let address = source.address();
    drop(source);
    let component = component("guest")?;
    let component = component.to_string_lossy();
    let run = ["run", &component, "--config", "configuration.json", "--allow-private", &address];
    host.run(&run)?.failed(3, "source-unavailable").map(drop)
}

#[test]
fn a_table_the_connector_does_not_have() -> Result<()> {
    let (source, host) = source_and_host(records(10))?;
    host.sync("guest", &source, &["--table", "nothing"])?.failed(2, "table-unknown").map(drop)
}

#[test]
fn a_state_that_is_none() -> Result<()> {
    let (source, host) = source_and_host(records(10))?;
    host.write("state.json", "{not json")?;
    host.sync("guest", &source, &["--state", "state.json"])?.failed(2, "state-invalid").map(drop)
}

#[test]
fn a_destination_that_is_none() -> Result<()> {
    let (source, host) = source_and_host(records(10))?;
    for destination in ["", "nonsense", "oracle:x"] {
        host.sync("guest", &source, &["--destination", destination])?.failed(2, "destination-invalid")?;
    }
    Ok(())
}

#[test]
fn a_warehouse_that_is_damaged_is_left_as_it_is() -> Result<()> {
    let (source, host) = source_and_host(records(10))?;
    let damaged = b"this is no warehouse, but somebody may still want it".repeat(500);
    let path = host.write("damaged.db", &damaged)?;
    host.sync("guest", &source, &["--destination", "duckdb:damaged.db"])?.failed(4, "warehouse-corrupted")?;
    assert_eq!(fs::read(path)?, damaged);
    Ok(())
}

#[test]
fn a_warehouse_that_cannot_be_written() -> Result<()> {
    let (source, host) = source_and_host(records(10))?;
    // A file where the folder would have to be stops root as well, whom permissions do not.
    host.write("file", "")?;
    host.sync("guest", &source, &["--destination", "duckdb:file/warehouse.db"])?.failed(4, "warehouse-unwritable")?;

    let folder = host.folder().join("locked");
    fs::create_dir(&folder)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500))?;
    if fs::write(folder.join("probe"), "").is_err() {
        host.sync("guest", &source, &["--destination", "duckdb:locked/w.db"])?.failed(4, "warehouse-unwritable")?;
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
    Ok(())
}

#[test]
fn a_query_that_is_none() -> Result<()> {
    let (source, host) = source_and_host(records(10))?;
    host.sync("guest", &source, &[])?.succeeded()?;
    for sql in ["SELEKT 1", "SELECT * FROM nowhere", "DELETE FROM cds.cds_records"] {
        host.run(&["query", sql])?.failed(2, "query-failed")?;
    }
    assert_eq!(host.query("SELECT count(*) FROM cds.cds_records")?, "10");
    Ok(())
}

#[test]
fn an_empty_source_is_no_error() -> Result<()> {
    let source = Source::start(Options { records: 0, ..Options::default() })?;
    let host = Host::new()?;
    host.configure(&source)?;
    host.sync("guest", &source, &[])?.succeeded().map(drop)
}
