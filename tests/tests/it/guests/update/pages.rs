//! Records that stay in the host: they are bounded, and they are written as if they came from the connector.

use anyhow::{Result, ensure};
use tests::host::Output;
use tests::source::{Options, Source};

use super::super::{Misbehaving, broken, limited, mode};

/// Runs a mode against a source with so many records in a page.
fn sync(mode: &str, records: u64, options: &[&str]) -> Result<(Misbehaving, Output)> {
    let source = Source::start(Options { open: true, records, ..Options::default() })?;
    let misbehaving = Misbehaving::new(mode)?;
    let url = format!("{}/cds_data?page_size={records}", source.url());
    misbehaving.host.write("configuration.json", format!(r#"{{"mode": "{mode}", "base_url": "{url}"}}"#))?;
    let output = misbehaving.sync(&[&["--allow-private", &source.address()], options].concat())?;
    Ok((misbehaving, output))
}

#[test]
pub(in super::super) fn records_hoarded() -> Result<()> {
    let (misbehaving, output) = sync(mode!(update, records_hoarded), 100, &["--limit", "memory-bytes=4MiB"])?;
    limited("limit-memory", &["4194304 bytes", "limit memory"]).check(output)?;
    assert_eq!(misbehaving.durable()?.0, "1 2 3");
    Ok(())
}

#[test]
pub(in super::super) fn records_in_order() -> Result<()> {
    let made = sync(mode!(update, records_in_order), 20, &["--record", "made.rec"])?;
    made.1.succeeded()?;
    let rows = "SELECT concat(count(*), ' ', count(DISTINCT record_id), ' ', bool_or(_deleted)) FROM misbehaving.pages";
    let rows = made.0.host.query(rows)?;
    ensure!(rows.starts_with("20 20 false") || rows.ends_with("20 false"), "{rows}");
    let replayed = made.0.host.run(&["run", "connector.wasm", "--replay", "made.rec"])?.succeeded()?;
    ensure!(
        replayed.stdout.contains("same") || replayed.stderr.contains("same"),
        "{}{}",
        replayed.stdout,
        replayed.stderr
    );
    Ok(())
}

#[test]
pub(in super::super) fn records_nowhere() -> Result<()> {
    let (misbehaving, output) = sync(mode!(update, records_nowhere), 5, &[])?;
    output.succeeded()?;
    let facts = "0=no pointer; 1=not there; 2=not there; 3=not there; 4=not there; 5=not there; 6=found; 7=not there";
    assert_eq!(misbehaving.facts()?, facts);
    Ok(())
}

#[test]
pub(in super::super) fn truncate_with_records() -> Result<()> {
    let (_, output) = sync(mode!(update, truncate_with_records), 5, &[])?;
    broken("operation-invalid", &["truncate table \"things\" with records"]).check(output)
}
