//! Connectors that misbehave while they are instantiated, before any of their functions is called.

use anyhow::Result;

use super::{Failure, Misbehaving, broken, limited, mode, refused};

fn fails(mode: &str, options: &[&str], failure: &Failure) -> Result<()> {
    refused(&Misbehaving::by_file(mode)?, options, failure)
}

#[test]
pub(super) fn endless_loop() -> Result<()> {
    let failure = limited("limit-cpu", &["cpu-without-call"]);
    fails(mode!(start, endless_loop), &["--limit", "cpu-without-call=300ms"], &failure)
}

#[test]
pub(super) fn endless_recursion() -> Result<()> {
    fails(mode!(start, endless_recursion), &[], &broken("connector-trapped", &["out of bounds memory"]))
}

#[test]
pub(super) fn memory_growth() -> Result<()> {
    fails(mode!(start, memory_growth), &[], &limited("limit-memory", &["limit memory"]))
}

#[test]
pub(super) fn panic() -> Result<()> {
    fails(mode!(start, panic), &[], &broken("connector-trapped", &["unreachable"]))
}

#[test]
pub(super) fn sleep() -> Result<()> {
    fails(mode!(start, sleep), &["--limit", "wall=1s"], &limited("limit-time", &["limit wall"]))
}
