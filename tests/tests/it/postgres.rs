//! A Postgres server that dies, and one without room, in the middle of a sync.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tests::host::Host;
use tests::postgres::Server;
use tests::source::{Options, Source};

use crate::destinations::Destination;
use crate::records;

const RECORDS: u64 = 20_000;
const OPTIONS: [&str; 2] = ["--commit-rows", "1000"];

/// The process that serves the host, if it has a session.
fn backend(server: &Server) -> Result<Option<Pid>> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'elt' AND backend_type = 'client backend'";
    let row = server.client("postgres")?.query_opt(sql, &[])?;
    Ok(row.and_then(|row| Pid::from_raw(row.get(0))))
}

/// Loads while the server dies again and again, by `kill`, a moment after some pages were asked for.
fn the_server_dies(kill: &dyn Fn(&Server) -> Result<()>) -> Result<()> {
    let server = Server::start()?;
    let mut to = Destination::postgres_on(&server)?;
    let source = Source::start(Options { cache: true, ..records(RECORDS) })?;
    let host = Host::new()?;
    host.configure_with(&source, &[("page_size", "100")])?;
    let (mut random, mut deaths) = (fastrand::Rng::with_seed(7), 0);
    loop {
        let pages = source.stats().requests + random.u64(5..45);
        let mut running = to.start(&host, &source, &OPTIONS)?;
        while source.stats().requests < pages && !running.has_ended()? {
            std::thread::sleep(Duration::from_micros(300));
        }
        std::thread::sleep(Duration::from_micros(random.u64(0..30_000)));
        if running.has_ended()? {
            to.ended(running)?.succeeded()?;
            break;
        }
        kill(&server)?;
        let output = to.ended(running)?;
        // The last commit may have been made just before.
        ensure!(output.status == 0 || output.stderr.contains("[warehouse-unreachable]"), "{}", output.stderr);
        deaths += 1;
        server.wait()?;
        source.prune(to.position(&host)?);
    }
    ensure!(deaths > 3, "the server died only {deaths} times");
    to.compare(&host, &source, RECORDS)
}

#[test]
fn the_server_is_stopped_without_mercy() -> Result<()> {
    the_server_dies(&|server| server.crash().and_then(|()| server.resume()))
}

#[test]
fn the_process_that_serves_the_host_is_killed() -> Result<()> {
    the_server_dies(&|server| Ok(backend(server)?.map_or(Ok(()), |backend| kill_process(backend, Signal::KILL))?))
}

/// A small file system, mounted where that is allowed.
struct Small<'a>(&'a Path);

impl Small<'_> {
    fn mount(&self, options: &str) -> bool {
        let arguments = ["-t", "tmpfs", "-o", options, "tmpfs"];
        Command::new("mount").args(arguments).arg(self.0).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        // Lazily: the server may have files open, and ends later.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// Only where a small file system can be mounted.
#[test]
fn a_server_whose_disk_is_full_is_told_and_what_was_committed_stands() -> Result<()> {
    let server = Server::start()?;
    let folder = server.folder.join("small");
    std::fs::create_dir(&folder)?;
    let small = Small(&folder);
    if !small.mount("size=12m,mode=0777") {
        return Ok(());
    }
    // The server takes a folder of its own there only.
    let (space, mut client) = (folder.join("space"), server.client("postgres")?);
    server.make_folder(&space)?;
    client.batch_execute(&format!("CREATE TABLESPACE small LOCATION '{}'", space.display()))?;
    let mut to = Destination::postgres_on(&server)?;
    let database = to.url.rsplit('/').next().context("no database")?.to_owned();
    client.batch_execute(&format!("ALTER DATABASE {database} SET default_tablespace = small"))?;
    client.batch_execute(&format!("ALTER DATABASE {database} SET temp_tablespaces = small"))?;
    let source = Source::start(Options { cache: true, ..records(60_000) })?;
    let host = Host::new()?;
    host.configure(&source)?;
    to.sync(&host, &source, &["--commit-rows", "5000"])?.failed(4, "disk-full")?;
    let position = to.position(&host)?;
    ensure!((5_000..60_000).contains(&position), "{position} rows are durable");
    to.compare(&host, &source, position)?;
    ensure!(small.mount("remount,size=256m"), "failed to make room");
    source.prune(position);
    to.sync(&host, &source, &["--commit-rows", "5000"])?.succeeded()?;
    to.compare(&host, &source, 60_000)
}
