//! Connectors that misbehave in `check`.

use anyhow::Result;

use super::{Failure, Misbehaving, broken, limited, mode};

fn fails(mode: &str, options: &[&str], failure: &Failure) -> Result<()> {
    let misbehaving = Misbehaving::new(mode)?;
    failure.check(misbehaving.command(&["check", "connector.wasm"], options)?)?;
    assert!(!misbehaving.host.folder().join("files").exists(), "a warehouse was made");
    Ok(())
}

#[test]
pub(super) fn endless_loop() -> Result<()> {
    let failure = limited("limit-cpu", &["cpu-without-call"]);
    fails(mode!(check, endless_loop), &["--limit", "cpu-without-call=300ms"], &failure)
}

#[test]
pub(super) fn sleep() -> Result<()> {
    fails(mode!(check, sleep), &["--limit", "wall=1s"], &limited("limit-time", &["limit wall"]))
}

#[test]
pub(super) fn write() -> Result<()> {
    fails(mode!(check, write), &[], &broken("operation-invalid", &["operations.write"]))
}
