//! Disks that fail and power that goes: every call to the file system may fail, and what was not synced may be gone.
//!
//! `tests/shim/io.c` stands between the host and the system's calls.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::host::Host;
use tests::source::{Options, Source};

use crate::records;

const RECORDS: u64 = 3_000;
const OPTIONS: [&str; 2] = ["--commit-rows", "500"];
const COUNTS: &str = "SELECT count(*), count(DISTINCT record_id), min(record_id), max(record_id) FROM cds.cds_records";
/// Runs per test: the moments are spread evenly over all calls.
const MOMENTS: usize = 24;

/// The shim, compiled.
fn shim() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim/io.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("io-{}.so", std::process::id()));
    let status =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
    ensure!(
        status.context("failed to run cc: install a C compiler")?.success(),
        "failed to compile {}",
        source.display()
    );
    Ok(library)
}

fn source() -> Result<Source> {
    Source::start(Options { cache: true, ..records(RECORDS) })
}

/// A host whose calls on its folder `files` go through the shim.
fn host(source: &Source, shim: &Path, more: &[(&str, String)]) -> Result<Host> {
    let mut host = Host::new()?;
    host.configure_with(source, &[("page_size", "250")])?;
    host.set_env("LD_PRELOAD", shim);
    host.set_env("IO_PATH", fs::canonicalize(host.folder())?.join("files"));
    for (name, value) in more {
        host.set_env(name, value);
    }
    Ok(host)
}

/// An undisturbed sync; everything is there once, whatever happened before.
fn completes(host: &mut Host, source: &Source) -> Result<()> {
    host.clear_env();
    host.sync("guest", source, &OPTIONS)?.succeeded()?;
    let counts = host.query(COUNTS)?;
    ensure!(counts == format!("{RECORDS},{RECORDS},1,{RECORDS}"), "the warehouse has {counts}");
    Ok(())
}

#[test]
fn every_call_to_the_disk_may_fail() -> Result<()> {
    const EIO: u8 = 5;
    const ENOSPC: u8 = 28;
    let (shim, source) = (shim()?, source()?);
    let counted = host(&source, &shim, &[("IO_COUNT", "calls".to_owned())])?;
    counted.sync("guest", &source, &OPTIONS)?.succeeded()?;
    let calls: usize = fs::read_to_string(counted.folder().join("calls"))?.parse()?;
    ensure!(calls > 30, "only {calls} calls were seen");
    let mut failed = 0;
    for moment in 0..MOMENTS {
        let call = 1 + moment * calls / MOMENTS;
        let (errno, on) = (if moment % 2 == 0 { EIO } else { ENOSPC }, if moment % 4 < 2 { ":on" } else { "" });
        let fault = format!("{call}:{errno}{on}");
        let mut host = host(&source, &shim, &[("IO_FAIL", fault.clone())])?;
        let output = host.sync("guest", &source, &OPTIONS)?;
        // Some calls may fail without harm; what fails is the destination's fault. DuckDB ends the process (134) when it
        // cannot even truncate its log, which is as good as a kill.
        ensure!([0, 4, 134].contains(&output.status), "{fault}: status {}: {}", output.status, output.stderr);
        failed += u64::from(output.status == 4);
        completes(&mut host, &source).with_context(|| format!("after the fault {fault}: {}", output.stderr))?;
    }
    ensure!(failed > 5, "only {failed} syncs noticed");
    Ok(())
}

/// What a file would be after a power cut, and what was written since it was last synced.
#[derive(Clone, Default)]
struct Contents {
    durable: Vec<u8>,
    is_durable: bool,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Contents {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write(at, bytes) => {
                let end = at + bytes.len();
                self.durable.resize(self.durable.len().max(end), 0);
                self.durable[*at..end].copy_from_slice(bytes);
            }
            Change::Truncate(length) => self.durable.resize(*length, 0),
        }
    }
}

/// A call that changed a file.
struct Call {
    letter: char,
    path: String,
    offset: usize,
    bytes: Vec<u8>,
}

fn calls(log: &[u8]) -> Result<Vec<Call>> {
    let (mut rest, mut found) = (log, Vec::new());
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').context("a call without an end")?;
        let head = std::str::from_utf8(&rest[..end])?;
        let words: Vec<&str> = head.split(' ').collect();
        let [letter, path_length, offset, length] = words[..] else { anyhow::bail!("no call: {head}") };
        let (path_length, length): (usize, usize) = (path_length.parse()?, length.parse()?);
        rest = &rest[end + 1..];
        let (path, after) = rest.split_at_checked(path_length).context("a path is cut")?;
        let (bytes, after) = after.split_at_checked(length).context("bytes are cut")?;
        let letter = letter.chars().next().context("no letter")?;
        let path = String::from_utf8(path.to_vec())?;
        found.push(Call { letter, path, offset: offset.parse()?, bytes: bytes.to_vec() });
        rest = after;
    }
    Ok(found)
}

/// The files after so many calls if the power goes then. `torn`: the first half of
/// what was not synced made it to the disk, the last of it in part.
fn after_power_cut(calls: &[Call], torn: bool) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Contents> = BTreeMap::new();
    for call in calls {
        let file = files.entry(call.path.clone()).or_default();
        match call.letter {
            'W' => file.pending.push(Change::Write(call.offset, call.bytes.clone())),
            'T' => file.pending.push(Change::Truncate(call.offset)),
            'S' => {
                let pending = std::mem::take(&mut file.pending);
                for change in &pending {
                    file.apply(change);
                }
                file.is_durable = true;
            }
            'U' => drop(files.remove(&call.path)),
            _ => {
                let moved = files.remove(&call.path).unwrap_or_default();
                files.insert(String::from_utf8_lossy(&call.bytes).into_owned(), moved);
            }
        }
    }
    let mut found = BTreeMap::new();
    for (path, mut file) in files {
        if torn && file.is_durable {
            let mut pending = std::mem::take(&mut file.pending);
            pending.truncate(pending.len().div_ceil(2));
            if let Some(Change::Write(_, bytes)) = pending.last_mut() {
                bytes.truncate(bytes.len() / 2);
            }
            for change in &pending {
                file.apply(change);
            }
        }
        if file.is_durable {
            found.insert(path, file.durable);
        }
    }
    found
}

#[test]
fn invariant_8_power_may_go_at_any_moment() -> Result<()> {
    let (shim, source) = (shim()?, source()?);
    let recorded = host(&source, &shim, &[("IO_LOG", "io.log".to_owned())])?;
    recorded.sync("guest", &source, &OPTIONS)?.succeeded()?;
    let log = calls(&fs::read(recorded.folder().join("io.log"))?)?;
    let syncs = log.iter().filter(|call| call.letter == 'S').count();
    ensure!(syncs > 5, "only {syncs} syncs were seen: nothing was durable");
    let folder = fs::canonicalize(recorded.folder())?.join("files");
    for moment in 0..MOMENTS {
        let cut = (moment + 1) * log.len() / MOMENTS;
        let mut host = Host::new()?;
        host.configure_with(&source, &[("page_size", "250")])?;
        fs::create_dir(host.folder().join("files"))?;
        for (path, bytes) in after_power_cut(&log[..cut], moment % 2 == 1) {
            let name = Path::new(&path).strip_prefix(&folder)?;
            fs::write(host.folder().join("files").join(name), bytes)?;
        }
        completes(&mut host, &source)
            .with_context(|| format!("after a power cut behind call {cut} of {}", log.len()))?;
    }
    Ok(())
}
