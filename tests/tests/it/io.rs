//! Disks that fail and power that goes: every call to the file system may fail, and what was not synced may be gone.
//!
//! `tests/shim/io.c` stands between the host and the system's calls.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::host::Host;
use tests::source::Source;

use crate::destinations::Destination;

const RECORDS: u64 = 3_000;
const OPTIONS: [&str; 2] = ["--commit-rows", "500"];
/// Runs per test of an engine: the moments are spread evenly over all calls.
const MOMENTS: usize = 24;

const EIO: u8 = 5;
const ENOSPC: u8 = 28;

/// The shim, compiled.
fn shim() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim/io.c");
    let library = tempfile::Builder::new().prefix("io-").suffix(".so").tempfile_in(env!("CARGO_TARGET_TMPDIR"))?;
    let library = library.into_temp_path().keep()?;
    let status =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
    ensure!(
        status.context("failed to run cc: install a C compiler")?.success(),
        "failed to compile {}",
        source.display()
    );
    Ok(library)
}

/// A source, and a host whose calls on its folder `files` go through the shim.
fn source_and_host(to: &Destination, shim: &Path, more: &[(&str, &str)]) -> Result<(Source, Host)> {
    let source = Source::start(to.records(RECORDS))?;
    let mut host = Host::new()?;
    host.configure_with(&source, &[("page_size", "250")])?;
    host.set_env("LD_PRELOAD", shim);
    host.set_env("IO_PATH", fs::canonicalize(host.folder())?.join("files"));
    for (name, value) in more {
        host.set_env(name, value);
    }
    Ok((source, host))
}

/// An undisturbed sync, of a source that has forgotten what is durable; everything is there once, whatever happened before.
fn completes(to: &mut Destination, host: &mut Host, source: &Source) -> Result<()> {
    host.clear_env();
    source.prune(to.position(host)?);
    to.sync(host, source, &OPTIONS)?.succeeded()?;
    to.compare(host, source, RECORDS)
}

/// Fails calls to the disk at so many moments, spread evenly; at most two ways for each call.
fn disk_faults(new: fn() -> Destination, moments: usize) -> Result<()> {
    let shim = shim()?;
    let mut to = new();
    let (source, host) = source_and_host(&to, &shim, &[("IO_COUNT", "calls")])?;
    to.sync(&host, &source, &OPTIONS)?.succeeded()?;
    let calls: usize = fs::read_to_string(host.folder().join("calls"))?.parse()?;
    ensure!(calls > 20, "only {calls} calls were seen");
    let (moments, mut failed) = (moments.min(2 * calls), 0);
    for moment in 0..moments {
        let (call, (errno, on)) = (1 + moment * calls / moments, FAULTS[moment % FAULTS.len()]);
        let (fault, mut to) = (format!("{call}:{errno}{on}"), new());
        let (source, mut host) = source_and_host(&to, &shim, &[("IO_FAIL", &fault)])?;
        let output = to.sync(&host, &source, &OPTIONS)?;
        // Some calls may fail without harm; what fails is the destination's fault. DuckDB ends the process (134) when it
        // cannot even truncate its log, which is as good as a kill.
        let is_told = output.status == 4 && (output.stderr.contains("fault: destination"));
        let is_aborted = output.status == 134 && to.name() == "duckdb";
        ensure!(output.status == 0 || is_told || is_aborted, "{fault}: status {}: {}", output.status, output.stderr);
        failed += usize::from(is_told);
        completes(&mut to, &mut host, &source)
            .with_context(|| format!("after the fault {fault}: {}", output.stderr))?;
    }
    ensure!(failed > moments / 5, "only {failed} of {moments} syncs noticed");
    Ok(())
}

/// By twos: one that lasts and one that does not.
const FAULTS: [(u8, &str); 4] = [(EIO, ":on"), (ENOSPC, ""), (ENOSPC, ":on"), (EIO, "")];

#[test]
fn calls_of_duckdb_to_the_disk_may_fail() -> Result<()> {
    disk_faults(Destination::duckdb, MOMENTS)
}

#[test]
fn calls_of_sqlite_to_the_disk_may_fail() -> Result<()> {
    disk_faults(Destination::sqlite, MOMENTS)
}

#[test]
fn calls_of_duckdb_to_the_disk_may_fail_where_a_table_keeps_its_history() -> Result<()> {
    disk_faults(|| Destination::duckdb().with_history(), MOMENTS)
}

#[test]
fn calls_of_sqlite_to_the_disk_may_fail_where_a_table_keeps_its_history() -> Result<()> {
    disk_faults(|| Destination::sqlite().with_history(), MOMENTS)
}

#[test]
fn calls_of_delta_to_the_disk_may_fail() -> Result<()> {
    disk_faults(Destination::delta, MOMENTS)
}

/// They are few: those for the file of the state.
#[test]
fn every_call_of_json_lines_to_the_disk_may_fail() -> Result<()> {
    disk_faults(Destination::json_lines, usize::MAX)
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

/// The files of a sync, as its calls tell.
struct Log {
    calls: Vec<Call>,
    /// The folder they are in; paths may be relative to the one above it.
    folder: PathBuf,
}

impl Log {
    fn path(&self, text: &str) -> PathBuf {
        self.folder.parent().map_or_else(|| PathBuf::from(text), |above| above.join(text))
    }

    /// The files after so many calls if the power goes then. `torn`: the first half of what was not synced made it to the
    /// disk, the last of it in part; otherwise nothing of it did, and no new name of a file or a folder whose own folder was
    /// not synced.
    fn after_power_cut(&self, count: usize, torn: bool) -> BTreeMap<PathBuf, Vec<u8>> {
        let calls = &self.calls[..count];
        let mut files: BTreeMap<PathBuf, Contents> = BTreeMap::new();
        let (mut folders, mut lost) = (BTreeSet::from([self.folder.clone()]), Vec::new());
        for (index, call) in calls.iter().enumerate() {
            let path = self.path(&call.path);
            let is_kept = |name: &Path| {
                let is_synced = |later: &Call| later.letter == 'S' && Some(&*self.path(&later.path)) == name.parent();
                torn || calls[index..].iter().any(is_synced)
            };
            if call.letter == 'M' {
                if !is_kept(&path) {
                    lost.push(path.clone());
                }
                folders.insert(path);
                continue;
            }
            let file = files.entry(path.clone()).or_default();
            match call.letter {
                'W' => file.pending.push(Change::Write(call.offset, call.bytes.clone())),
                'T' => file.pending.push(Change::Truncate(call.offset)),
                'S' => {
                    for change in &std::mem::take(&mut file.pending) {
                        file.apply(change);
                    }
                    file.is_durable = true;
                }
                'U' => drop(files.remove(&path)),
                letter => {
                    let to = self.path(&String::from_utf8_lossy(&call.bytes));
                    if is_kept(&to) {
                        let named = file.clone();
                        if letter == 'R' {
                            files.remove(&path);
                        }
                        files.insert(to, named);
                    }
                }
            }
        }
        folders.extend(files.keys().filter_map(|path| Some(path.parent()?.to_owned())));
        let is_lost = |path: &Path| lost.iter().any(|folder| path.starts_with(folder));
        let kept =
            files.into_iter().filter(|(path, file)| file.is_durable && !folders.contains(path) && !is_lost(path));
        kept.map(|(path, file)| (path, file.after_power_cut(torn))).collect()
    }
}

impl Contents {
    fn after_power_cut(mut self, torn: bool) -> Vec<u8> {
        if torn {
            let mut pending = std::mem::take(&mut self.pending);
            pending.truncate(pending.len().div_ceil(2));
            if let Some(Change::Write(_, bytes)) = pending.last_mut() {
                bytes.truncate(bytes.len() / 2);
            }
            for change in &pending {
                self.apply(change);
            }
        }
        self.durable
    }
}

/// The lines up to a commit, or all if it has none of that number.
fn up_to_commit(stdout: &str, sequence: u64) -> String {
    let is_wanted =
        |line: &&str| !line.contains("\"type\":\"commit\"") || !line.contains(&format!("\"sequence\":{sequence},"));
    let before: String = stdout.split_inclusive('\n').take_while(is_wanted).collect();
    let last = stdout[before.len()..].split_inclusive('\n').next().unwrap_or_default();
    before + last
}

fn power_cuts(new: fn() -> Destination, moments: usize) -> Result<()> {
    let mut to = new();
    let (source, recorded) = source_and_host(&to, &shim()?, &[("IO_LOG", "io.log")])?;
    let written = to.sync(&recorded, &source, &OPTIONS)?.succeeded()?.stdout;
    let calls = calls(&fs::read(recorded.folder().join("io.log"))?)?;
    let syncs = calls.iter().filter(|call| call.letter == 'S').count();
    ensure!(syncs > 5, "only {syncs} syncs were seen: nothing was durable");
    let log = Log { calls, folder: fs::canonicalize(recorded.folder())?.join("files") };
    let (end, told) = (log.calls.len(), to.position(&recorded)?);
    let moments = moments.min(2 * end);
    let mut before = [0; 2];
    let cuts = (0..moments).map(|moment| ((moment + 1) * end / moments, moment % 2 == 1));
    for (cut, torn) in cuts.chain([(end, false)]) {
        let (mut host, mut to) = (Host::new()?, new());
        let source = Source::start(to.records(RECORDS))?;
        host.configure_with(&source, &[("page_size", "250")])?;
        for (path, bytes) in log.after_power_cut(cut, torn) {
            let path = host.folder().join("files").join(path.strip_prefix(&log.folder)?);
            fs::create_dir_all(path.parent().context("no folder")?)?;
            fs::write(path, bytes)?;
        }
        let position = to.position(&host)?;
        ensure!(position >= before[usize::from(torn)], "what was durable is gone after call {cut}");
        ensure!(cut < end || position == told, "{told} records were told to be durable, {position} are");
        before[usize::from(torn)] = position;
        // The reader is on another machine. It may have been given the commit after the one that the state tells of.
        let commits = to.commits(&host)? + u64::from(torn);
        to.hear(&if commits > 0 { up_to_commit(&written, commits) } else { String::new() })?;
        completes(&mut to, &mut host, &source)
            .with_context(|| format!("after a power cut behind call {cut} of {end}"))?;
    }
    Ok(())
}

#[test]
fn invariant_8_power_may_go_at_any_moment_in_duckdb() -> Result<()> {
    power_cuts(Destination::duckdb, MOMENTS)
}

#[test]
fn invariant_8_power_may_go_at_any_moment_in_sqlite() -> Result<()> {
    power_cuts(Destination::sqlite, MOMENTS)
}

#[test]
fn invariant_8_power_may_go_at_any_moment_in_duckdb_with_history() -> Result<()> {
    power_cuts(|| Destination::duckdb().with_history(), MOMENTS)
}

#[test]
fn invariant_8_power_may_go_at_any_moment_in_sqlite_with_history() -> Result<()> {
    power_cuts(|| Destination::sqlite().with_history(), MOMENTS)
}

#[test]
fn invariant_8_power_may_go_at_any_moment_in_delta() -> Result<()> {
    power_cuts(Destination::delta, MOMENTS)
}

#[test]
fn invariant_8_power_may_go_after_any_call_of_json_lines() -> Result<()> {
    power_cuts(Destination::json_lines, usize::MAX)
}
