//! Files that are no connector, or one for another host: each is refused before any of its code runs.

use std::fs;

use anyhow::{Result, ensure};
use tests::host::component;

use super::{Failure, Misbehaving, broken, limited, places, refused};

fn connector() -> Result<Vec<u8>> {
    fs::read(component("misbehaving")?).map_err(Into::into)
}

fn fails(file: &[u8], more: &[&str], failure: &Failure) -> Result<()> {
    let misbehaving = Misbehaving::new("update.well_behaved")?;
    misbehaving.host.write("connector.wasm", file)?;
    refused(&misbehaving, more, failure)
}

/// The connector with each `from` in it replaced by something as long.
fn renamed(from: &str, to: &str) -> Result<Vec<u8>> {
    let mut file = connector()?;
    let found = places(&file, from.as_bytes());
    ensure!(from.len() == to.len() && !found.is_empty(), "{from} cannot be renamed");
    for at in found {
        file[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    Ok(file)
}

#[test]
fn text() -> Result<()> {
    fails(b"(component)", &[], &broken("component-not-wasm", &["not WebAssembly"]))
}

#[test]
fn a_core_module() -> Result<()> {
    fails(
        &wat::parse_str("(module (func (export \"update\")))")?,
        &[],
        &broken("component-core-module", &["core module"]),
    )
}

#[test]
fn truncated() -> Result<()> {
    let whole = connector()?;
    for length in [9, whole.len() / 3, whole.len() - 1] {
        fails(&whole[..length], &[], &broken("component-invalid", &["compile the component"]))?;
    }
    Ok(())
}

/// A few bytes changed anywhere, also where it is still valid: whatever it then does, the host ends in order.
#[test]
fn corrupted() -> Result<()> {
    let misbehaving = Misbehaving::new("update.well_behaved")?;
    let whole = connector()?;
    for part in 0..16 {
        let mut file = whole.clone();
        let begin = 8 + part * (whole.len() - 8) / 16;
        for byte in &mut file[begin..begin + 64] {
            *byte = byte.wrapping_mul(31).wrapping_add(7);
        }
        misbehaving.host.write("connector.wasm", file)?;
        let limits = ["--limit", "cpu-without-call=2s", "--limit", "wall=10s"];
        let output = misbehaving.sync(&limits)?;
        ensure!([0, 2, 3, 5].contains(&output.status), "part {part}: {} {}", output.status, output.stderr);
    }
    Ok(())
}

#[test]
fn longer_than_the_limit() -> Result<()> {
    let failure = broken("component-invalid", &["limit component-bytes"]);
    fails(&connector()?, &["--limit", "component-bytes=10KiB"], &failure)
}

#[test]
fn another_version_of_the_contract() -> Result<()> {
    let failure = broken("component-version", &["0.2.0", "0.1.0"]);
    fails(&renamed("elt:connector/http@0.1.0", "elt:connector/http@0.2.0")?, &[], &failure)?;
    fails(&renamed("@0.1.0", "@1.0.0")?, &[], &broken("component-version", &["1.0.0", "0.1.0"]))
}

#[test]
fn an_unknown_import() -> Result<()> {
    let failure = broken("component-wrong-world", &["evil:connector/http@0.1.0"]);
    fails(&wat::parse_str(r#"(component (import "evil:connector/http@0.1.0" (instance)))"#)?, &[], &failure)?;
    let unknown = renamed("elt:connector/log@0.1.0", "elt:connector/lug@0.1.0")?;
    fails(&unknown, &[], &broken("component-wrong-world", &["elt:connector/lug"]))
}

#[test]
fn an_unknown_import_of_wasi() -> Result<()> {
    let unknown = wat::parse_str(
        r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance (export "handle" (func)))))"#,
    )?;
    fails(&unknown, &[], &broken("component-wrong-world", &[]))
}

#[test]
fn a_missing_export() -> Result<()> {
    let text = r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f"))) (export "update" (func $f)))"#;
    fails(&wat::parse_str(text)?, &[], &broken("component-wrong-world", &["describe, check, schema"]))
}

/// A component with the right names, none of the right types, and a core module of these contents.
fn with_module(fields: &str) -> Result<Vec<u8>> {
    let exports = ["describe", "check", "schema", "update"].map(|name| format!("(export \"{name}\" (func $f))"));
    let text = format!(
        r#"(component (core module $m {fields} (func (export "f"))) (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f"))) {})"#,
        exports.concat()
    );
    Ok(wat::parse_str(text)?)
}

#[test]
fn functions_of_other_types() -> Result<()> {
    fails(&with_module("")?, &[], &broken("component-wrong-world", &["describe"]))
}

/// Each is within the limit, the sum is not.
#[test]
fn many_memories() -> Result<()> {
    fails(&with_module(&"(memory 1000)".repeat(50))?, &[], &limited("limit-memory", &["limit memory"]))
}

#[test]
fn many_tables() -> Result<()> {
    fails(&with_module(&"(table 1000000 funcref)".repeat(50))?, &[], &limited("limit-memory", &["limit memory"]))
}

/// No single one has a size to speak of; their number is bounded too.
#[test]
fn too_many_memories() -> Result<()> {
    let instances = "(core instance (instantiate $m))".repeat(2_000);
    let text = format!("(component (core module $m (memory 0) (table 0 funcref)) {instances})");
    let failure = broken("component-wrong-world", &[]);
    fails(&wat::parse_str(text)?, &[], &failure)?;
    let exports = ["describe", "check", "schema", "update"].map(|name| format!("(export \"{name}\" (func $f))"));
    let text = format!(
        r#"(component (core module $m (memory 0) (table 0 funcref) (func (export "f"))) {instances}
        (core instance $i (instantiate $m)) (func $f (canon lift (core func $i "f"))) {})"#,
        exports.concat()
    );
    fails(&wat::parse_str(text)?, &[], &limited("limit-memory", &["limit"]))
}

#[test]
fn a_start_function_without_end() -> Result<()> {
    let failure = limited("limit-cpu", &["cpu-without-call"]);
    let component = with_module("(func $s (loop (br 0))) (start $s)")?;
    fails(&component, &["--limit", "cpu-without-call=300ms"], &failure)
}

#[test]
fn recursion_that_only_the_engine_can_stop() -> Result<()> {
    let component = with_module("(func $s (call $s) (call $s)) (start $s)")?;
    fails(&component, &[], &broken("connector-trapped", &["call stack exhausted"]))
}
