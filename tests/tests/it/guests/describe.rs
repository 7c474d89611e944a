//! Connectors whose description breaks a rule, or that do in `describe` what only `update` may.

use anyhow::Result;

use super::{Failure, Misbehaving, broken, limited, mode, refused};

fn fails(mode: &str, options: &[&str], failure: &Failure) -> Result<()> {
    refused(&Misbehaving::by_file(mode)?, options, failure)
}

/// A sync and `host describe`, neither of which minds.
fn is_taken(mode: &str) -> Result<()> {
    let misbehaving = Misbehaving::by_file(mode)?;
    misbehaving.sync(&[])?.succeeded()?;
    let described = misbehaving.host.run(&["describe", "connector.wasm"])?.succeeded()?;
    super::check_words(&described)?;
    assert_eq!(misbehaving.durable()?.0, "1 2 3 4");
    Ok(())
}

#[test]
pub(super) fn colliding_fields() -> Result<()> {
    let failure = broken("schema-invalid", &["two fields are named \"mode\""]);
    fails(mode!(describe, colliding_fields), &[], &failure)
}

#[test]
pub(super) fn endless_loop() -> Result<()> {
    let failure = limited("limit-cpu", &["cpu-without-call"]);
    fails(mode!(describe, endless_loop), &["--limit", "cpu-without-call=300ms"], &failure)
}

#[test]
pub(super) fn endless_recursion() -> Result<()> {
    fails(mode!(describe, endless_recursion), &[], &broken("connector-trapped", &["out of bounds memory"]))
}

#[test]
pub(super) fn hostile_words() -> Result<()> {
    is_taken(mode!(describe, hostile_words))
}

#[test]
pub(super) fn huge_name() -> Result<()> {
    fails(mode!(describe, huge_name), &[], &broken("schema-invalid", &["is no name"]))
}

#[test]
pub(super) fn huge_return_value() -> Result<()> {
    fails(mode!(describe, huge_return_value), &[], &limited("limit-call-bytes", &["limit call-bytes"]))
}

#[test]
pub(super) fn rate_limits_without_end() -> Result<()> {
    let failure = broken("schema-invalid", &["100000 rate limits"]);
    fails(mode!(describe, rate_limits_without_end), &[], &failure)
}

#[test]
pub(super) fn secret_default_too_long() -> Result<()> {
    fails(mode!(describe, secret_default_too_long), &[], &broken("schema-invalid", &["\"token\"", "16384 bytes"]))
}

#[test]
pub(super) fn name_in_capitals() -> Result<()> {
    fails(mode!(describe, name_in_capitals), &[], &broken("schema-invalid", &["Misbehaving \"Inc\"", "is no name"]))
}

#[test]
pub(super) fn name_missing() -> Result<()> {
    fails(mode!(describe, name_missing), &[], &broken("schema-invalid", &["\"\" is no name"]))
}

#[test]
pub(super) fn panic() -> Result<()> {
    fails(mode!(describe, panic), &[], &broken("connector-trapped", &["unreachable"]))
}

#[test]
pub(super) fn request() -> Result<()> {
    fails(mode!(describe, request), &[], &broken("operation-invalid", &["send a request in `describe`"]))
}

#[test]
pub(super) fn secret_host() -> Result<()> {
    fails(mode!(describe, secret_host), &[], &broken("schema-invalid", &["{token}", "secret"]))
}

#[test]
pub(super) fn silly_rate_limits() -> Result<()> {
    fails(mode!(describe, silly_rate_limits), &[], &broken("schema-invalid", &["0 requests within 0 ms"]))
}

#[test]
pub(super) fn sleep() -> Result<()> {
    fails(mode!(describe, sleep), &["--limit", "wall=1s"], &limited("limit-time", &["limit wall"]))
}

#[test]
pub(super) fn unknown_host_field() -> Result<()> {
    fails(mode!(describe, unknown_host_field), &[], &broken("schema-invalid", &["{nothing}", "no field"]))
}

#[test]
pub(super) fn url_as_host() -> Result<()> {
    fails(mode!(describe, url_as_host), &[], &broken("schema-invalid", &["https://*:99999/../"]))
}

#[test]
pub(super) fn version_missing() -> Result<()> {
    fails(mode!(describe, version_missing), &[], &broken("schema-invalid", &["version is empty"]))
}

#[test]
pub(super) fn write() -> Result<()> {
    fails(mode!(describe, write), &[], &broken("operation-invalid", &["operations.write", "outside of `update`"]))
}
