//! States and deletions: going back to an earlier state, restoring an old warehouse, full refreshes, hard deletes.

use std::fs;

use anyhow::Result;
use tests::source::Source;

use crate::{records, source_and_host};

const COUNTS: &str =
    "SELECT count(*) FILTER (NOT _deleted), count(*) FILTER (_deleted), count(DISTINCT record_id) FROM cds.cds_records";

#[test]
fn a_state_can_be_rolled_back_and_set_and_nothing_is_lost_or_doubled() -> Result<()> {
    let (source, host) = source_and_host(records(5_000))?;
    host.sync("guest", &source, &["--limit-rows", "2000"])?.succeeded()?;
    host.sync("guest", &source, &[])?.succeeded()?;
    let listed = host.run(&["state", "history", "--json"])?.succeeded()?.stdout;
    let states: Vec<serde_json::Value> = listed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let commits: Vec<u64> = states.iter().filter_map(|state| state["commit"].as_u64()).collect();
    assert_eq!(commits, [2, 1]);
    assert_eq!(states[1]["state"]["next_cursor"], "after-1000");
    assert_eq!(host.query("SELECT count(*) FROM cds._syncs WHERE id IN (SELECT sync FROM _elt.states)")?, "2");

    let before = source.stats().requests;
    host.run(&["state", "rollback", "1"])?.succeeded()?;
    host.sync("guest", &source, &[])?.succeeded()?;
    // From the second page on.
    assert_eq!(source.stats().requests - before, 4);
    assert_eq!(host.query(COUNTS)?, "5000,0,5000");

    let before = source.stats().requests;
    host.write("state.json", r#"{"next_cursor": "after-3000"}"#)?;
    host.run(&["state", "set", "state.json"])?.succeeded()?;
    host.sync("guest", &source, &[])?.succeeded()?;
    assert_eq!(source.stats().requests - before, 2);
    assert_eq!(host.query(COUNTS)?, "5000,0,5000");
    host.run(&["state", "rollback", "99"])?.failed(2, "usage")?;
    host.write("bad.json", "{")?;
    host.run(&["state", "set", "bad.json"])?.failed(2, "state-invalid").map(drop)
}

#[test]
fn a_restored_warehouse_goes_on_from_its_own_state() -> Result<()> {
    let (source, host) = source_and_host(records(5_000))?;
    let (file, backup) = (host.folder().join("files/warehouse.db"), host.folder().join("backup.db"));
    host.sync("guest", &source, &["--limit-rows", "3000"])?.succeeded()?;
    fs::copy(&file, &backup)?;
    host.sync("guest", &source, &[])?.succeeded()?;
    fs::copy(&backup, &file)?;
    assert_eq!(host.query(COUNTS)?, "3000,0,3000");
    host.sync("guest", &source, &[])?.succeeded()?;
    assert_eq!(host.query(COUNTS)?, "5000,0,5000");
    Ok(())
}

#[test]
fn a_full_refresh_deletes_what_did_not_come_back() -> Result<()> {
    for (deletes, counts) in [("soft", "3000,2000,5000"), ("hard", "3000,0,3000")] {
        let (source, host) = source_and_host(records(5_000))?;
        host.sync("guest", &source, &[])?.succeeded()?;
        drop(source);
        let smaller = Source::start(records(3_000))?;
        host.configure(&smaller)?;
        let options = ["--full-refresh", "--deletes", deletes];
        // A refresh that stops in the middle deletes nothing; the sync after it, which ends it, does.
        let stopped = [&options[..], &["--limit-rows", "1500"]].concat();
        host.sync("guest", &smaller, &stopped)?.succeeded()?;
        assert_eq!(host.query(COUNTS)?, "5000,0,5000");
        let report = host.sync("guest", &smaller, &["--deletes", deletes])?.succeeded()?;
        assert!(report.stderr.contains("swept"), "{}", report.stderr);
        assert_eq!(host.query(COUNTS)?, counts, "{deletes}");
        // Ended: another sync deletes nothing.
        host.sync("guest", &smaller, &["--deletes", deletes])?.succeeded()?;
        assert_eq!(host.query(COUNTS)?, counts, "{deletes}");
    }
    Ok(())
}

#[test]
fn widening_what_may_not_change_is_a_usage_error() -> Result<()> {
    let (source, host) = source_and_host(records(10))?;
    let options = ["--schema-change", "freeze-types,freeze-columns", "--on-mismatch", "widen"];
    host.sync("guest", &source, &options)?.failed(2, "usage").map(drop)
}
