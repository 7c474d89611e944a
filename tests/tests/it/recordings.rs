//! Recordings: a sync is recorded, replayed without its source, compared; none holds a secret, none ends a sync.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tests::host::{Host, Output, component};
use tests::source::{Options, Source, faults::Kind};

use super::{records, source_and_host};

/// A key that no generated record contains.
const KEY: &str = "sesame-open-9cbf";

/// A source that asks for the key, and a host that has it.
fn locked(records: u64) -> Result<(Source, Host)> {
    let source = Source::start(Options { records, api_key: KEY.to_owned(), ..Options::default() })?;
    let host = Host::new()?;
    host.configure_with(&source, &[("api_key", KEY), ("page_size", "100")])?;
    Ok((source, host))
}

fn replay(host: &Host, connector: &str, recording: &str, more: &[&str]) -> Result<Output> {
    let component = component(connector)?;
    host.run(&[&["run", &component.to_string_lossy(), "--replay", recording], more].concat())
}

/// The line that says both streams of operations have one digest.
fn digest(output: &Output) -> Result<String> {
    let line = output.stderr.lines().find(|line| line.starts_with("operations, byte for byte: sha256 "));
    line.map(str::to_owned).with_context(|| format!("the operations are not the same: {}", output.stderr))
}

fn decompressed(path: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&zstd::decode_all(fs::File::open(path)?)?).into_owned())
}

fn rows(host: &Host, schema: &str) -> Result<String> {
    host.query(&format!(
        "SELECT count(*), md5(string_agg(r::VARCHAR, '|' ORDER BY r.record_id)) \
         FROM (SELECT * EXCLUDE (_synced_at) FROM {schema}.cds_records) r"
    ))
}

/// Invariant 9: with the source gone, a replay writes the same operations, and so the same rows.
#[test]
fn a_replay_writes_the_same_operations_byte_for_byte() -> Result<()> {
    let (source, host) = locked(950)?;
    let output = host.sync("guest", &source, &["--record", "sync.rec"])?.succeeded()?;
    ensure!(output.stderr.contains("The recording has"), "{}", output.stderr);
    drop(source);
    let first = digest(&replay(&host, "guest", "sync.rec", &[])?.succeeded()?)?;
    assert_eq!(rows(&host, "cds_replay")?, rows(&host, "cds")?);
    assert_eq!(digest(&replay(&host, "guest", "sync.rec", &["--destination", "null:"])?.succeeded()?)?, first);
    // The connection itself is where it was.
    let state = host.run(&["state", "show", "--connection", "cds"])?.succeeded()?.stdout;
    ensure!(state.contains("after-900"), "{state}");
    Ok(())
}

/// A sync that begins from a state is replayed from that state, whatever the destination holds.
#[test]
fn a_replay_begins_where_the_recorded_sync_began() -> Result<()> {
    let (source, host) = locked(350)?;
    host.sync("guest", &source, &[])?.succeeded()?;
    let recorded = host.sync("guest", &source, &["--record", "second.rec"])?.succeeded()?;
    ensure!(recorded.stderr.contains("1 request"), "{}", recorded.stderr);
    drop(source);
    digest(&replay(&host, "guest", "second.rec", &[])?.succeeded()?)?;
    assert_eq!(host.query("SELECT count(*) FROM cds_replay.cds_records")?, "50");
    Ok(())
}

/// Retries are the host's: the recording has the answer after them, and a replay does not wait.
#[test]
fn what_is_recorded_is_the_answer_after_retries() -> Result<()> {
    for kind in [Kind::Status(503), Kind::Cut, Kind::RetryAfter(1), Kind::RedirectLoop] {
        let (source, host) = source_and_host(records(3_000).failing_at(2, kind))?;
        let recorded = host.sync("guest", &source, &["--record", "sync.rec"])?;
        drop(source);
        let replayed = replay(&host, "guest", "sync.rec", &[])?;
        assert_eq!(replayed.status, recorded.status, "{kind:?}: {}", replayed.stderr);
        digest(&replayed).with_context(|| format!("{kind:?}"))?;
        ensure!(!replayed.stderr.contains("trying again"), "{kind:?}: {}", replayed.stderr);
    }
    Ok(())
}

/// Clocks and random numbers are part of the recording.
#[test]
fn time_and_chance_are_those_of_then() -> Result<()> {
    let host = Host::new()?;
    host.write("configuration.json", r#"{"mode": "update.clock_and_chance"}"#)?;
    let misbehaving = component("misbehaving")?;
    let run = ["run", &misbehaving.to_string_lossy(), "--config", "configuration.json", "--record", "sync.rec"];
    host.run(&run)?.succeeded()?;
    digest(&replay(&host, "misbehaving", "sync.rec", &[])?.succeeded()?)?;
    let facts = |schema: &str| {
        host.query(&format!("SELECT string_agg(concat(what, '=', answer), '; ' ORDER BY what) FROM {schema}.facts"))
    };
    assert_eq!(facts("misbehaving_replay")?, facts("misbehaving")?);
    Ok(())
}

/// Another connector, or another build, asks for other things: that is shown, counted, and decides the exit status.
#[test]
fn what_a_connector_does_otherwise_is_shown() -> Result<()> {
    let (source, host) = locked(350)?;
    // The other connector has a field of its own.
    host.configure_with(&source, &[("api_key", KEY), ("page_size", "100"), ("rows", "10")])?;
    host.sync("guest", &source, &["--record", "a.rec"])?.succeeded()?;
    let other = replay(&host, "operations", "a.rec", &["--connection", "other"])?;
    ensure!(other.status == 3, "{}", other.stderr);
    for words in ["requests: 4 before, 0 now; 4 gone, 0 new", "- GET http", "+ truncate planets"] {
        ensure!(other.stderr.contains(words), "{words:?} is not in: {}", other.stderr);
    }
    // A recording of the same data in larger pages: other requests and checkpoints, the same rows.
    host.configure_with(&source, &[("api_key", KEY), ("page_size", "200")])?;
    host.sync("guest", &source, &["--record", "b.rec", "--full-refresh"])?.succeeded()?;
    let diff = host.run(&["diff-recording", "a.rec", "b.rec"])?.failed(3, "recording-differs")?;
    for words in ["requests: 4 before, 2 now; 4 gone, 2 new", "operations: 354 before, 352 now; 3 gone, 1 new"] {
        ensure!(diff.stdout.contains(words), "{words:?} is not in: {}", diff.stdout);
    }
    let same = host.run(&["diff-recording", "a.rec", "a.rec", "--json"])?.succeeded()?;
    ensure!(same.stdout.starts_with(r#"{"same":true,"requests":{"before":4,"after":4,"#), "{}", same.stdout);
    Ok(())
}

/// Invariant 10: what the connector was given as a secret is nowhere in the recording.
#[test]
fn a_recording_holds_no_secret() -> Result<()> {
    let (source, host) = locked(150)?;
    host.sync("guest", &source, &["--record", "sync.rec"])?.succeeded()?;
    let text = decompressed(&host.folder().join("sync.rec"))?;
    ensure!(text.contains("page_size") && text.contains("api_key") && text.contains("record_id"), "{text}");
    ensure!(!text.contains(KEY), "the key is in the recording");
    // Nothing is left beside it.
    let left: Vec<PathBuf> = fs::read_dir(host.folder())?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    ensure!(left.iter().all(|path| !path.to_string_lossy().contains("sync.rec.")), "{left:?}");
    Ok(())
}

/// A recording that cannot be begun, or not be finished, is a warning.
#[test]
fn a_recorder_that_fails_ends_no_sync() -> Result<()> {
    let (source, host) = locked(150)?;
    fs::create_dir(host.folder().join("folder.rec"))?;
    for path in ["nowhere/sync.rec", "folder.rec"] {
        let output = host.sync("guest", &source, &["--record", path, "--full-refresh"])?.succeeded()?;
        ensure!(output.stderr.contains("warning: failed to write the recording"), "{}", output.stderr);
        assert_eq!(host.query("SELECT count(*) FROM cds.cds_records WHERE NOT _deleted")?, "150");
    }
    Ok(())
}

/// A sync that fails has a recording too: it is the one that somebody wants to look at.
#[test]
fn a_sync_that_fails_is_replayed_to_the_same_failure() -> Result<()> {
    let (source, host) = source_and_host(records(3_000).failing_from(3, Kind::Status(404)))?;
    let recorded = host.sync("guest", &source, &["--record", "sync.rec"])?.failed(3, "source-error")?;
    drop(source);
    let replayed = replay(&host, "guest", "sync.rec", &[])?.failed(3, "source-error")?;
    digest(&replayed)?;
    ensure!(recorded.stderr.contains("404") && replayed.stderr.contains("404"), "{}", replayed.stderr);
    Ok(())
}

#[test]
fn what_is_no_recording_is_refused() -> Result<()> {
    let (source, host) = locked(150)?;
    host.sync("guest", &source, &["--record", "sync.rec"])?.succeeded()?;
    let whole = fs::read(host.folder().join("sync.rec"))?;
    host.write("cut.rec", &whole[..whole.len() / 2])?;
    host.write("text.rec", "no recording")?;
    let other = b"{\"format\":\"elt-recording\",\"version\":2,\"host\":\"9.0.0\"}\n";
    host.write("newer.rec", zstd::encode_all(&other[..], 3)?)?;
    host.write("other.rec", zstd::encode_all(&b"{}\n"[..], 3)?)?;
    host.write(
        "empty.rec",
        zstd::encode_all(&b"{\"format\":\"elt-recording\",\"version\":1,\"host\":\"1\"}\n"[..], 3)?,
    )?;
    for recording in ["missing.rec", "cut.rec", "text.rec", "newer.rec", "other.rec", "empty.rec"] {
        replay(&host, "guest", recording, &[])?.failed(2, "recording-invalid")?;
        host.run(&["diff-recording", "sync.rec", recording])?.failed(2, "recording-invalid")?;
    }
    Ok(())
}

/// A recording of version 1 of the format, made once and kept: every later host reads and replays it.
#[test]
fn a_recording_of_version_1_keeps_loading() -> Result<()> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/recording-1.zst");
    let golden = golden.to_string_lossy();
    let host = Host::new()?;
    let same = host.run(&["diff-recording", &golden, &golden])?.succeeded()?;
    ensure!(same.stdout.contains("requests: the same 3\noperations: the same 28\n"), "{}", same.stdout);
    // The connector of today may ask otherwise than that of then; the answers give the same rows.
    let output = replay(&host, "guest", &golden, &[])?;
    ensure!(output.status == 0 || output.stderr.contains("recording-differs"), "{}", output.stderr);
    assert_eq!(host.query("SELECT count(*), min(record_id), max(record_id) FROM cds_replay.cds_records")?, "25,1,25");
    Ok(())
}
