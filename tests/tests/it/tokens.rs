//! Refresh tokens that are good for one use: whatever becomes of the sync that renewed one, the next one goes on with the new one.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tests::host::{Host, Output, component};
use tests::source::faults::Kind;
use tests::source::{Options, Source};

/// Requests of a whole sync, and some more.
const STEPS: u64 = 10;

/// A host with the configuration of a person who agreed once.
fn host(source: &Source) -> Result<Host> {
    let host = Host::new()?;
    let configuration = json!({
        "base_url": source.url(), "client_id": "app", "client_secret": "s3cret", "refresh_token": "consent",
    });
    host.write("configuration.json", configuration.to_string())?;
    Ok(host)
}

/// A sync into a file: into another one, without a checkpoint that could know of a token.
fn arguments(source: &Source, file: &str) -> Result<Vec<String>> {
    let connector = component("oauth2-refresh")?.to_string_lossy().into_owned();
    let address = source.address().to_string();
    let destination = format!("sqlite:{file}");
    let words = [
        "run",
        &connector,
        "--config",
        "configuration.json",
        "--allow-private",
        &address,
        "--destination",
        &destination,
    ];
    Ok(words.map(str::to_owned).to_vec())
}

fn sync(host: &Host, source: &Source, file: &str) -> Result<Output> {
    host.run(&arguments(source, file)?)
}

/// Killed while each request of a sync is under way: no checkpoint is needed for the next one to sign in.
#[test]
fn a_renewed_token_outlives_a_host_that_is_killed_at_any_request() -> Result<()> {
    for step in 1..=STEPS {
        let source = Source::start(Options::default().failing_at(step, Kind::Hang))?;
        let host = host(&source)?;
        let mut running = host.start(&arguments(&source, "first.db")?)?;
        let begun = Instant::now();
        while source.stats().requests < step {
            ensure!(begun.elapsed() < Duration::from_secs(60) && !running.has_ended()?, "request {step} did not come");
            std::thread::sleep(Duration::from_millis(5));
        }
        running.kill()?;
        running.wait()?;
        let output = sync(&host, &source, "second.db")?.succeeded()?;
        ensure!(!output.stderr.contains("cannot be opened"), "killed at request {step}: {}", output.stderr);
        // And again, with all that is there.
        sync(&host, &source, "second.db")?.succeeded()?;
    }
    Ok(())
}

/// A page that fails after the renewal: the checkpoint does not come.
#[test]
fn a_renewed_token_outlives_a_sync_that_fails() -> Result<()> {
    for step in 2..=STEPS {
        let source = Source::start(Options::default().failing_at(step, Kind::Status(404)))?;
        let host = host(&source)?;
        // Where the failing request is one that is asked again, it may succeed.
        drop(sync(&host, &source, "first.db")?);
        sync(&host, &source, "second.db")?.succeeded()?;
    }
    Ok(())
}

/// Nobody can read the token from what is kept of it.
#[test]
fn what_is_kept_is_sealed() -> Result<()> {
    let source = Source::start(Options::default())?;
    let host = host(&source)?;
    sync(&host, &source, "first.db")?.succeeded()?;
    let folder = host.folder().join("tokens");
    let mut files = 0;
    for entry in std::fs::read_dir(&folder)? {
        let text = String::from_utf8(std::fs::read(entry?.path())?)?;
        files += usize::from(text.contains("elt_token_"));
        ensure!(!text.contains("refresh-"), "{text}");
    }
    ensure!(files == 1, "{files} files");
    Ok(())
}
