//! Checkpoints, logs and errors past every measure, and a look for ways out of the sandbox.

use anyhow::{Result, ensure};

use super::super::{Misbehaving, broken, fails, limited, mode, state, succeeds};

#[test]
pub(in super::super) fn save_in_a_loop() -> Result<()> {
    let (misbehaving, _) = succeeds(mode!(update, save_in_a_loop), &[])?;
    assert_eq!(misbehaving.durable()?.1, state(100_000));
    Ok(())
}

#[test]
pub(in super::super) fn save_not_json() -> Result<()> {
    fails(mode!(update, save_not_json), &[], &broken("connector-failed", &["state that is not JSON"]))
}

/// The host hands a state back as the text it was given: its depth costs nobody a stack.
#[test]
pub(in super::super) fn save_nested_deep() -> Result<()> {
    let (misbehaving, _) = succeeds(mode!(update, save_nested_deep), &[])?;
    // The next sync starts from it.
    misbehaving.sync(&[])?.succeeded().map(drop)
}

#[test]
pub(in super::super) fn save_too_long() -> Result<()> {
    fails(mode!(update, save_too_long), &[], &limited("limit-state", &["limit state-bytes"]))
}

/// Past the limit of a call as well, which comes first.
#[test]
pub(in super::super) fn save_very_long() -> Result<()> {
    let options = ["--limit", "memory-bytes=1GiB"];
    fails(mode!(update, save_very_long), &options, &limited("limit-call-bytes", &["limit call-bytes"]))
}

#[test]
pub(in super::super) fn flush_in_a_loop() -> Result<()> {
    let (misbehaving, _) = succeeds(mode!(update, flush_in_a_loop), &[])?;
    assert_eq!(misbehaving.host.query("SELECT count(*) FROM misbehaving.things")?, "54");
    assert_eq!(misbehaving.durable()?.1, state(54));
    Ok(())
}

/// Every output is searched for control characters; what remains must not look like a line of the host.
#[test]
pub(in super::super) fn log_control_characters() -> Result<()> {
    let (_, output) = succeeds(mode!(update, log_control_characters), &["-v"])?;
    ensure!(output.stderr.contains("forged"), "the line is lost: {}", output.stderr);
    ensure!(output.stderr.lines().all(|line| !line.starts_with("error[")), "a forged line: {}", output.stderr);
    Ok(())
}

#[test]
pub(in super::super) fn log_flood() -> Result<()> {
    let (_, output) = succeeds(mode!(update, log_flood), &["--limit", "log-lines-per-second=10"])?;
    ensure!(output.stderr.contains("lines of log were dropped (limit log-lines-per-second)"), "{}", output.stderr);
    ensure!(output.stderr.lines().count() < 1_000, "{} lines", output.stderr.lines().count());
    Ok(())
}

#[test]
pub(in super::super) fn log_line_too_long() -> Result<()> {
    let (_, output) = succeeds(mode!(update, log_line_too_long), &["--limit", "log-line-bytes=100"])?;
    ensure!(output.stderr.contains("begin é") && output.stderr.contains("bytes cut)"), "{}", output.stderr);
    ensure!(output.stderr.len() < 100_000, "{} bytes", output.stderr.len());
    Ok(())
}

#[test]
pub(in super::super) fn log_text_not_utf8() -> Result<()> {
    fails(mode!(update, log_text_not_utf8), &[], &broken("connector-trapped", &["utf-8"]))
}

#[test]
pub(in super::super) fn prints() -> Result<()> {
    let (_, output) = succeeds(mode!(update, prints), &["-v"])?;
    for line in ["info  printed to stdout", "warning  printed to stderr", "info  printed without an end of line"] {
        ensure!(output.stderr.contains(line), "{line:?} is not in the log: {}", output.stderr);
    }
    ensure!(!output.stdout.contains("printed"), "the guest has written to the host's stdout: {}", output.stdout);
    Ok(())
}

#[test]
pub(in super::super) fn error_of_hostile_words() -> Result<()> {
    let misbehaving = Misbehaving::new(mode!(update, error_of_hostile_words))?;
    let output = misbehaving.sync(&[])?.failed(3, "source-error")?;
    ensure!(output.stderr.lines().all(|line| !line.starts_with("error[forged]")), "a forged line: {}", output.stderr);
    Ok(())
}

#[test]
pub(in super::super) fn error_too_long() -> Result<()> {
    fails(mode!(update, error_too_long), &[], &broken("source-error", &["use the source's answer: é"]))
}

#[test]
pub(in super::super) fn nothing_but_the_contract() -> Result<()> {
    let (misbehaving, _) = succeeds(mode!(update, nothing_but_the_contract), &[])?;
    let expected = "arguments=0; connect=refused; connect by name=refused; listen=refused; read a file=refused; \
        read a folder=refused; send a datagram=refused; start a process=refused; start a thread=refused; variables=0; \
        write a file=refused; write above=refused";
    assert_eq!(misbehaving.facts()?, expected);
    Ok(())
}

#[test]
pub(in super::super) fn clock_and_chance() -> Result<()> {
    let (one, _) = succeeds(mode!(update, clock_and_chance), &[])?;
    let (other, _) = succeeds(mode!(update, clock_and_chance), &[])?;
    let (one, other) = (one.facts()?, other.facts()?);
    let mut pairs = one.split("; ").zip(other.split("; "));
    ensure!(pairs.all(|(one, other)| one != other), "something is the same in two syncs:\n{one}\n{other}");
    Ok(())
}

#[test]
pub(in super::super) fn odd_requests() -> Result<()> {
    let (misbehaving, _) = succeeds(mode!(update, odd_requests), &[])?;
    let invalid = [
        "a file",
        "a header of the host",
        "a header with an end of line",
        "a header without a name",
        "no address",
        "no time at all",
        "a password in the address",
    ];
    let denied = ["another port", "the metadata service"];
    // Nothing listens there, but the host was asked to let it through.
    let tried = ["a number for an address", "all the time", "many headers"];
    for (kind, requests) in [("InvalidRequest", &invalid[..]), ("Denied", &denied), ("Connect", &tried)] {
        for what in requests {
            let answer = format!("SELECT answer FROM misbehaving.facts WHERE what = '{what}'");
            assert_eq!(misbehaving.host.query(&answer)?, format!("ErrorKind::{kind}"), "{what}");
        }
    }
    Ok(())
}
