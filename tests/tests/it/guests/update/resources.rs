//! More than a connector's share: time, memory, stack, handles, bytes.

use anyhow::{Result, ensure};
use tests::source::{Options, Source};

use super::super::{Misbehaving, broken, fails, limited, mode, state, succeeds};

#[test]
pub(in super::super) fn endless_loop() -> Result<()> {
    let failure = limited("limit-cpu", &["cpu-without-call"]);
    fails(mode!(update, endless_loop), &["--limit", "cpu-without-call=300ms"], &failure)
}

#[test]
pub(in super::super) fn endless_loop_of_calls() -> Result<()> {
    fails(mode!(update, endless_loop_of_calls), &["--limit", "cpu=500ms"], &limited("limit-cpu", &["(limit cpu)"]))?;
    let wall = limited("limit-time", &["limit wall"]);
    fails(mode!(update, endless_loop_of_calls), &["--limit", "wall=1s"], &wall)
}

#[test]
pub(in super::super) fn endless_recursion() -> Result<()> {
    fails(mode!(update, endless_recursion), &[], &broken("connector-trapped", &["out of bounds memory"]))
}

#[test]
pub(in super::super) fn exit_with_success() -> Result<()> {
    fails(mode!(update, exit_with_success), &[], &broken("connector-trapped", &["exit status 0"]))
}

#[test]
pub(in super::super) fn memory_growth() -> Result<()> {
    fails(mode!(update, memory_growth), &[], &limited("limit-memory", &["268435456 bytes", "limit memory"]))?;
    let failure = limited("limit-memory", &["16777216 bytes", "limit memory"]);
    fails(mode!(update, memory_growth), &["--limit", "memory-bytes=16MiB"], &failure)
}

#[test]
pub(in super::super) fn panic() -> Result<()> {
    let misbehaving = Misbehaving::new(mode!(update, panic))?;
    let output = misbehaving.sync(&[])?;
    ensure!(output.stderr.contains("a message of the connector's author"), "{}", output.stderr);
    broken("connector-trapped", &["unreachable"]).check(output)?;
    assert_eq!(misbehaving.durable()?, ("1 2 3".to_owned(), state(3)));
    Ok(())
}

#[test]
pub(in super::super) fn sleep() -> Result<()> {
    fails(mode!(update, sleep), &["--limit", "wall=1s"], &limited("limit-time", &["limit wall"]))
}

#[test]
pub(in super::super) fn stack_of_calls() -> Result<()> {
    fails(mode!(update, stack_of_calls), &[], &broken("connector-trapped", &["out of bounds memory"]))
}

#[test]
pub(in super::super) fn trap_in_a_batch() -> Result<()> {
    fails(mode!(update, trap_in_a_batch), &[], &broken("connector-trapped", &["unreachable"]))
}

#[test]
pub(in super::super) fn handles_of_requests() -> Result<()> {
    fails(mode!(update, handles_of_requests), &[], &limited("limit-handles", &["limit handles"]))
}

#[test]
pub(in super::super) fn handles_of_answers() -> Result<()> {
    let source = Source::start(Options { open: true, records: 1, ..Options::default() })?;
    let misbehaving = Misbehaving::new(mode!(update, handles_of_answers))?;
    let url = format!("{}/cds_data", source.url());
    let configuration = format!(r#"{{"mode": "{}", "base_url": "{url}"}}"#, mode!(update, handles_of_answers));
    misbehaving.host.write("configuration.json", configuration)?;
    let output = misbehaving.sync(&["--allow-private", &source.address(), "--limit", "handles=100"])?;
    limited("limit-handles", &["limit handles"]).check(output)?;
    assert_eq!(misbehaving.durable()?.0, "1 2 3");
    // The one too many may have left or not.
    ensure!((100..=101).contains(&source.stats().requests), "{:?}", source.stats());
    Ok(())
}

#[test]
pub(in super::super) fn handles_of_timers() -> Result<()> {
    fails(mode!(update, handles_of_timers), &[], &limited("limit-handles", &["limit handles"]))
}

#[test]
pub(in super::super) fn wait_twice() -> Result<()> {
    fails(mode!(update, wait_twice), &[], &broken("operation-invalid", &["wait a second time"]))
}

#[test]
pub(in super::super) fn random_flood() -> Result<()> {
    fails(mode!(update, random_flood), &[], &broken("connector-trapped", &["exceeds limit"]))
}

#[test]
pub(in super::super) fn zeroes_flood() -> Result<()> {
    fails(mode!(update, zeroes_flood), &[], &broken("connector-trapped", &["zeroes"]))
}

#[test]
pub(in super::super) fn stdin_flood() -> Result<()> {
    assert_eq!(succeeds(mode!(update, stdin_flood), &[])?.0.facts()?, "stdin=false");
    Ok(())
}

#[test]
pub(in super::super) fn call_too_long() -> Result<()> {
    fails(mode!(update, call_too_long), &[], &limited("limit-call-bytes", &["limit call-bytes"]))
}

#[test]
pub(in super::super) fn call_of_many_batches() -> Result<()> {
    fails(mode!(update, call_of_many_batches), &[], &limited("limit-call-bytes", &["limit call-bytes"]))
}
