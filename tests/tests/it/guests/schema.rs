//! Connectors whose tables cannot be, or that misbehave while they name them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Failure, Misbehaving, broken, limited, mode, refused, succeeds};

fn fails(mode: &str, options: &[&str], failure: &Failure) -> Result<()> {
    refused(&Misbehaving::new(mode)?, options, failure)
}

#[test]
pub(super) fn column_declared_twice() -> Result<()> {
    fails(mode!(schema, column_declared_twice), &[], &broken("schema-invalid", &["\"twofold\"", "\"both\" twice"]))
}

#[test]
pub(super) fn decimal_too_wide() -> Result<()> {
    fails(mode!(schema, decimal_too_wide), &[], &broken("schema-invalid", &["\"wide\"", "DECIMAL(255,254)"]))
}

#[test]
pub(super) fn endless_loop() -> Result<()> {
    let failure = limited("limit-cpu", &["cpu-without-call"]);
    fails(mode!(schema, endless_loop), &["--limit", "cpu-without-call=300ms"], &failure)
}

#[test]
pub(super) fn huge_return_value() -> Result<()> {
    fails(mode!(schema, huge_return_value), &[], &limited("limit-call-bytes", &["limit call-bytes"]))
}

#[test]
pub(super) fn key_named_twice() -> Result<()> {
    fails(mode!(schema, key_named_twice), &[], &broken("schema-invalid", &["\"twofold\"", "\"id\" twice"]))
}

#[test]
pub(super) fn many_tables() -> Result<()> {
    fails(mode!(schema, many_tables), &[], &limited("limit-tables", &["10001 tables", "limit tables"]))
}

#[test]
pub(super) fn names_that_fit() -> Result<()> {
    let (misbehaving, _) = succeeds(mode!(schema, names_that_fit), &[])?;
    for name in ["_", "select", "a\"\"b'c;--", "../../etc", "_syncs_2", "Things_2", "ünï 🦀"] {
        let columns = r#""_row_id_2", "_synced_at_2", "_DELETED_2", "_", _deleted"#;
        let rows = misbehaving.host.query(&format!("SELECT {columns} FROM misbehaving.\"{name}\""))?;
        assert_eq!(rows, "1,x,true,2.5,false", "{name}");
    }
    Ok(())
}

#[test]
pub(super) fn panic() -> Result<()> {
    fails(mode!(schema, panic), &[], &broken("connector-trapped", &["unreachable"]))
}

#[test]
pub(super) fn same_name_twice() -> Result<()> {
    fails(mode!(schema, same_name_twice), &[], &broken("schema-invalid", &["two tables are named \"things\""]))
}

#[test]
pub(super) fn save() -> Result<()> {
    fails(mode!(schema, save), &[], &broken("operation-invalid", &["checkpoint.save"]))
}

#[test]
pub(super) fn sleep() -> Result<()> {
    fails(mode!(schema, sleep), &["--limit", "wall=1s"], &limited("limit-time", &["limit wall"]))
}

/// A person who gives up while the connector thinks about its tables is not kept waiting.
#[test]
fn an_interrupt_is_heard() -> Result<()> {
    let misbehaving = Misbehaving::new(mode!(schema, sleep))?;
    let host = &misbehaving.host;
    let running = host.start(&["run", "connector.wasm", "--config", "configuration.json"])?;
    let deadline = Instant::now() + Duration::from_mins(1);
    while !host.folder().join("files/warehouse.db").exists() {
        ensure!(Instant::now() < deadline, "the sync did not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    running.signal("INT")?;
    running.wait()?.failed(130, "interrupted")?;
    assert_eq!(host.query("SELECT outcome FROM misbehaving._syncs")?, "interrupted");
    Ok(())
}

#[test]
pub(super) fn table_name_too_long() -> Result<()> {
    fails(mode!(schema, table_name_too_long), &[], &broken("schema-invalid", &["10000 bytes"]))
}

#[test]
pub(super) fn write() -> Result<()> {
    fails(mode!(schema, write), &[], &broken("operation-invalid", &["operations.write"]))
}
