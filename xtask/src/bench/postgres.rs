//! A Postgres server for the benchmark, from the programs that are installed, with the settings it comes with.
//!
//! It is started for one run and stopped after it: only then does the system tell what its many processes have used, and
//! all that they held back is on disk.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::measure::{Usage, system};
use crate::run::output;

/// A server that is stopped most of the time.
pub(super) struct Server {
    bin: PathBuf,
    folder: PathBuf,
    port: u16,
    /// Whom it runs as, if not as this user: it refuses to run as root.
    owner: Option<(u32, u32)>,
    process: Option<Child>,
    /// Settings beyond those it comes with, as `NAME=VALUE`.
    settings: &'static [&'static str],
    /// What starting and stopping alone uses.
    idle: Usage,
}

/// Where the newest server's programs are.
pub(super) fn programs() -> Option<PathBuf> {
    let versions = Path::new("/usr/lib/postgresql").read_dir().ok()?.flatten();
    let bins = versions.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    bins.max().map(|(_, folder)| folder.join("bin")).filter(|bin| bin.join("initdb").exists())
}

/// The user and group `postgres`, where this process runs as root.
fn owner() -> Result<Option<(u32, u32)>> {
    let id = output(Command::new("id").arg("-u"))?;
    if id.trim() != "0" {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(|error| format!("failed to read /etc/passwd: {error}"))?;
    let fields = users.lines().find(|line| line.starts_with("postgres:")).map(|line| line.split(':').skip(2).take(2));
    let mut numbers = fields.into_iter().flatten().filter_map(|field| field.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(user), Some(group)) => Ok(Some((user, group))),
        _ => Err("failed to find the user postgres, as whom its server has to run".into()),
    }
}

impl Server {
    /// One with the settings it comes with.
    pub(super) fn new() -> Result<Self> {
        Self::with(&[])
    }

    /// One with some settings of its own.
    pub(super) fn with(settings: &'static [&'static str]) -> Result<Self> {
        let bin = programs().ok_or("failed to find the programs of Postgres")?;
        let folder = std::env::temp_dir().join(format!("elt-bench-postgres-{}", std::process::id()));
        let failed = |error: std::io::Error| format!("failed to prepare {}: {error}", folder.display());
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(failed)?;
        let owner = owner()?;
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(&folder, Some(user), Some(group)).map_err(failed)?;
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_err(failed)?.port();
        let mut server = Self { bin, folder, port, owner, process: None, settings, idle: Usage::default() };
        let mut initdb = server.program("initdb");
        initdb.args(["--encoding=UTF8", "--locale=C.UTF-8", "--username=bench", "--auth=trust", "-D", &server.data()]);
        output(&mut initdb)?;
        server.start()?;
        server.idle = server.stop()?;
        Ok(server)
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    /// A program of Postgres, run as whom the server runs as.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command.current_dir(&self.folder);
        command
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://bench@127.0.0.1:{}/bench?sslmode=disable", self.port)
    }

    /// The process that starts all others; 0: it does not run.
    pub(super) fn process_id(&self) -> u32 {
        self.process.as_ref().map_or(0, Child::id)
    }

    fn psql(&self, sql: &str) -> Result<String> {
        let (folder, port) = (self.folder.display().to_string(), self.port.to_string());
        let mut psql = self.program("psql");
        psql.args(["-h", &folder, "-p", &port, "-U", "bench", "-d", "postgres", "-qAtc", sql]);
        psql.env("PGOPTIONS", "-c client_min_messages=warning");
        output(&mut psql)
    }

    /// Starts it and waits until it answers.
    pub(super) fn start(&mut self) -> Result<()> {
        const PATIENCE: Duration = Duration::from_mins(1);
        let folder = self.folder.display().to_string();
        let mut command = self.program("postgres");
        command.args(["-D", &self.data(), "-k", &folder, "-p", &self.port.to_string(), "-h", "127.0.0.1"]);
        command.args(self.settings.iter().flat_map(|setting| ["-c", setting]));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().map_err(|error| format!("failed to start Postgres: {error}"))?);
        let (began, port) = (Instant::now(), self.port.to_string());
        let is_ready = || {
            let mut ready = self.program("pg_isready");
            let asked = ready.args(["-q", "-h", &folder, "-p", &port]).status();
            asked.is_ok_and(|status| status.success())
        };
        while !is_ready() {
            if began.elapsed() > PATIENCE {
                return Err("failed to start Postgres: it does not answer".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Stops it and returns what it used beyond starting and stopping.
    pub(super) fn stop(&mut self) -> Result<Usage> {
        let Some(process) = self.process.take() else { return Ok(Usage::default()) };
        output(self.program("pg_ctl").args(["stop", "-s", "-W", "-m", "fast", "-D", &self.data()]))?;
        let (_, used) = system::wait(process.id())?;
        Ok(Usage {
            cpu: used.cpu.saturating_sub(self.idle.cpu),
            written_bytes: used.written_bytes.saturating_sub(self.idle.written_bytes),
            ..used
        })
    }

    /// Makes the database anew.
    pub(super) fn empty(&mut self) -> Result<()> {
        self.start()?;
        let made = self.psql("DROP DATABASE IF EXISTS bench").and_then(|_| self.psql("CREATE DATABASE bench"));
        self.stop()?;
        made.map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // There is nothing of it that anybody needs.
        let _ = self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
