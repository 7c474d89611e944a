//! Files that are no connector, or one for another host: each is refused before any of its code runs.

use std::fs;

use anyhow::{Result, ensure};
use tests::host::{Output, component};

use super::{Failure, Misbehaving, broken, limited, places, refused};

fn connector() -> Result<Vec<u8>> {
    fs::read(component("misbehaving")?).map_err(Into::into)
}

fn fails(file: &[u8], options: &[&str], failure: &Failure) -> Result<()> {
    let misbehaving = Misbehaving::new("update.well_behaved")?;
    misbehaving.host.write("connector.wasm", file)?;
    refused(&misbehaving, options, failure)
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
    let failure = limited("limit-component", &["limit component-bytes"]);
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

/// Functions of the right names, without arguments and results.
#[test]
fn functions_of_other_types() -> Result<()> {
    let exports = ["describe", "check", "schema", "update"].map(|name| format!("(export \"{name}\" (func $f))"));
    let text = format!(
        r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f"))) {})"#,
        exports.concat()
    );
    fails(&wat::parse_str(text)?, &[], &broken("component-wrong-world", &["type-checking"]))
}

/// A number as WebAssembly writes it: LEB128.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A number at the beginning of the bytes, and what follows it.
fn take_number(bytes: &[u8]) -> (usize, &[u8]) {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0).map_or(bytes.len(), |last| last + 1);
    let value = bytes[..length].iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
    (value, &bytes[length..])
}

/// The numbers of a component's sections.
const CORE_MODULE: u8 = 1;
const CORE_INSTANCES: u8 = 2;

/// The connector with one more core module of these contents, instantiated so many times when the connector is.
fn with_module(fields: &str, instances: usize) -> Result<Vec<u8>> {
    let mut file = connector()?;
    let (mut rest, mut modules) = (&file[8..], 0);
    while let [section, tail @ ..] = rest {
        let (length, content) = take_number(tail);
        modules += usize::from(*section == CORE_MODULE);
        rest = &content[length..];
    }
    let module = wat::parse_str(format!("(module {fields})"))?;
    // An instance: by instantiation (0), of this module, without arguments (0).
    let instance = [&[0], &number(modules)[..], &[0]].concat();
    let instances = [number(instances), instance.repeat(instances)].concat();
    for (section, content) in [(CORE_MODULE, module), (CORE_INSTANCES, instances)] {
        file.push(section);
        file.extend(number(content.len()));
        file.extend(content);
    }
    Ok(file)
}

/// Proves the surgery of the tests below.
#[test]
fn an_idle_module_does_no_harm() -> Result<()> {
    let misbehaving = Misbehaving::new("update.well_behaved")?;
    misbehaving.host.write("connector.wasm", with_module("(memory 1) (func $s) (start $s)", 3)?)?;
    misbehaving.sync(&[])?.succeeded().map(drop)
}

/// Each is within the limit, the sum is not.
#[test]
fn many_memories() -> Result<()> {
    fails(&with_module(&"(memory 1000)".repeat(5), 1)?, &[], &limited("limit-memory", &["limit memory-bytes"]))
}

#[test]
fn many_tables() -> Result<()> {
    let tables = "(table 1000000 funcref)".repeat(20);
    fails(&with_module(&tables, 1)?, &[], &limited("limit-memory", &["limit memory-bytes"]))
}

/// None has a size to speak of; their number is bounded too.
#[test]
fn too_many_memories() -> Result<()> {
    fails(&with_module(&"(memory 0)".repeat(100), 11)?, &[], &limited("limit-memory", &["memory count too high"]))
}

#[test]
fn too_many_instances() -> Result<()> {
    fails(&with_module("", 2_000)?, &[], &broken("component-invalid", &["instances count exceeds"]))
}

#[test]
fn a_start_function_without_end() -> Result<()> {
    let component = with_module("(func $s (loop (br 0))) (start $s)", 1)?;
    let failure = limited("limit-cpu", &["cpu-without-call"]);
    fails(&component, &["--limit", "cpu-without-call=300ms"], &failure)
}

/// Rust's own stack lies in memory; this one is the engine's.
#[test]
fn recursion_that_only_the_engine_can_stop() -> Result<()> {
    let component = with_module("(func $s (call $s) (call $s)) (start $s)", 1)?;
    fails(&component, &[], &broken("connector-trapped", &["call stack exhausted"]))
}

/// A connector that was never compiled before, within a limit.
fn first_start(option: &str) -> Result<Output> {
    let mut misbehaving = Misbehaving::new("update.well_behaved")?;
    let cache = misbehaving.host.folder().join("cache");
    misbehaving.host.set_env("ELT_CACHE_DIR", cache);
    misbehaving.sync(&["--limit", option])
}

#[test]
fn a_compiler_that_takes_too_long_is_ended() -> Result<()> {
    limited("limit-compile", &["limit compile-time"]).check(first_start("compile-time=1ms")?)
}

#[test]
fn a_compiler_that_takes_too_much_memory_is_ended() -> Result<()> {
    limited("limit-compile", &["limit compile-memory-bytes"]).check(first_start("compile-memory=16MiB")?)
}

/// A function of ten thousand blocks within each other, and one of forty thousand variables: a compiler's worse days.
#[test]
fn what_is_hard_to_compile_is_compiled_or_refused() -> Result<()> {
    let deep = format!("(func {} {})", "block ".repeat(10_000), "end ".repeat(10_000));
    let wide = format!("(func (local {}) {})", "i64 ".repeat(40_000), "local.get 1 local.set 0 ".repeat(10_000));
    for fields in [deep, wide] {
        let misbehaving = Misbehaving::new("update.well_behaved")?;
        misbehaving.host.write("connector.wasm", with_module(&fields, 1)?)?;
        let output = misbehaving.sync(&["--limit", "compile-time=20s"])?;
        ensure!([0, 3, 5].contains(&output.status), "{} {}", output.status, output.stderr);
        ensure!(!output.stderr.contains("host-bug"), "{}", output.stderr);
    }
    Ok(())
}

/// Whoever can write the cache could run code: what others could have written there is compiled anew.
#[test]
fn a_cache_that_others_can_write_is_not_used() -> Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let mut misbehaving = Misbehaving::new("update.well_behaved")?;
    let cache = misbehaving.host.folder().join("cache");
    misbehaving.host.set_env("ELT_CACHE_DIR", &cache);
    misbehaving.sync(&[])?.succeeded()?;
    let entries: Vec<_> = fs::read_dir(cache.join("components"))?.collect::<Result<_, _>>()?;
    ensure!(entries.len() == 1, "{entries:?}");
    let entry = entries[0].path();
    ensure!(
        fs::metadata(&entry)?.mode() & 0o777 == 0o600
            && fs::metadata(cache.join("components"))?.mode() & 0o777 == 0o700
    );
    // Not code at all: to load it would end badly.
    fs::write(&entry, fs::read(&entry)?.iter().map(|byte| byte ^ 0x5a).collect::<Vec<_>>())?;
    misbehaving.sync(&[])?.succeeded()?;
    let code = fs::read(&entry)?;
    fs::set_permissions(&entry, fs::Permissions::from_mode(0o666))?;
    misbehaving.sync(&[])?.succeeded()?;
    ensure!(fs::metadata(&entry)?.mode() & 0o777 == 0o600, "it was not made anew");
    ensure!(fs::read(&entry)? == code);
    Ok(())
}
