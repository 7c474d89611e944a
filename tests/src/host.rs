//! The host as its users meet it: a program with arguments, an exit status and two streams of text.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::source::Source;

/// Longer than any command of the tests takes on a busy machine; what has not ended by then never will.
const PATIENCE: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(2);

/// The host program in a folder of its own, which is the current folder of every command and is removed at the end.
#[derive(Debug)]
pub struct Host {
    folder: TempDir,
    /// What commands find in their environment besides.
    environment: Vec<(OsString, OsString)>,
}

/// A command that has ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit status.
    pub status: i32,
    /// Data.
    pub stdout: String,
    /// Words for people.
    pub stderr: String,
    /// Most memory that the process had, as far as it was seen.
    pub memory_peak_bytes: u64,
    /// Processor time of the process, as far as it was seen.
    pub cpu: Duration,
}

/// What a process has taken so far, if it is there to be asked: most memory in bytes, and processor time.
fn taken(process: u32) -> Option<(u64, Duration)> {
    let of = |file| std::fs::read_to_string(format!("/proc/{process}/{file}")).ok();
    let (status, stat) = (of("status")?, of("stat")?);
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let ticks = after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().ok());
    Some((peak.parse::<u64>().ok()? << 10, Duration::from_millis(ticks.sum::<Option<u64>>()? * 10)))
}

/// A command under way. Dropping it kills it, as `kill -9` does.
#[derive(Debug)]
pub struct Running {
    process: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Host {
    /// A host in a new, empty folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::Builder::new().prefix("host-test-").tempdir()?, environment: Vec::new() })
    }

    /// Sets a variable in the environment of every command from now on.
    pub fn set_env(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.push((name.into(), value.into()));
    }

    /// Takes back what was set.
    pub fn clear_env(&mut self) {
        self.environment.clear();
    }

    /// The folder of this host, where `files/warehouse.db` appears.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder and returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.folder().join(name);
        fs::write(&path, content).with_context(|| format!("failed to write {}", path.display()))?;
        Ok(path)
    }

    /// Writes `configuration.json` for a source: its URL, the key it asks for, pages of 1,000.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure(&self, source: &Source) -> Result<()> {
        self.configure_with(source, &[])
    }

    /// The same with further or other fields.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure_with(&self, source: &Source, fields: &[(&str, &str)]) -> Result<()> {
        let mut all = serde_json::json!({"base_url": source.url(), "api_key": "123", "page_size": "1000"});
        for (name, value) in fields {
            all[*name] = (*value).into();
        }
        self.write("configuration.json", all.to_string()).map(drop)
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When the program cannot be started or does not end.
    pub fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Result<Output> {
        self.start(arguments)?.wait()
    }

    /// The same for a command that may take longer than others.
    ///
    /// # Errors
    /// When the program cannot be started or does not end in that time.
    pub fn run_patiently(&self, arguments: &[impl AsRef<OsStr>], patience: Duration) -> Result<Output> {
        self.start(arguments)?.wait_for(patience)
    }

    /// `host run CONNECTOR --config configuration.json`, allowed to reach the source, with further arguments.
    ///
    /// # Errors
    /// When the program cannot be started or does not end.
    pub fn sync(&self, connector: &str, source: &Source, more: &[&str]) -> Result<Output> {
        self.start_sync(connector, source, more)?.wait()
    }

    /// The same, without waiting for its end.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start_sync(&self, connector: &str, source: &Source, more: &[&str]) -> Result<Running> {
        self.start(&sync_arguments(connector, source, more)?)
    }

    /// The same with a stdout of the caller's.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start_sync_to(&self, stdout: impl Into<Stdio>, source: &Source, more: &[&str]) -> Result<Running> {
        self.start_to(Some(stdout.into()), &sync_arguments("guest", source, more)?)
    }

    /// The same without a stdout: it is closed when the program starts.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start_sync_without_stdout(&self, source: &Source, more: &[&str]) -> Result<Running> {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"exec "$0" "$@" >&-"#]).arg(program()?);
        self.spawn(shell.args(sync_arguments("guest", source, more)?), None)
    }

    /// Starts a command.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(&self, arguments: &[impl AsRef<OsStr>]) -> Result<Running> {
        self.start_to(None, arguments)
    }

    fn start_to(&self, stdout_to: Option<Stdio>, arguments: &[impl AsRef<OsStr>]) -> Result<Running> {
        self.spawn(Command::new(program()?).args(arguments), stdout_to)
    }

    fn spawn(&self, command: &mut Command, stdout_to: Option<Stdio>) -> Result<Running> {
        // Files, not pipes: nobody has to read while the program runs.
        let logs = tempfile::tempdir_in(self.folder())?.keep();
        let (stdout, stderr) = (logs.join("stdout"), logs.join("stderr"));
        let stdout_file = File::create(&stdout)?;
        let process = command
            .current_dir(self.folder())
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout_to.unwrap_or_else(|| stdout_file.into()))
            .stderr(File::create(&stderr)?)
            .spawn()
            .with_context(|| format!("failed to start {}", command.get_program().display()))?;
        Ok(Running { process, stdout, stderr })
    }

    /// Asks the warehouse; the answer is CSV without its header line and without the last line end.
    ///
    /// # Errors
    /// When the query fails.
    pub fn query(&self, sql: &str) -> Result<String> {
        let output = self.run(&["query", sql, "--format", "csv"])?.succeeded()?;
        let (_, rows) = output.stdout.split_once('\n').unwrap_or_default();
        Ok(rows.trim_end().replace("\r\n", "\n"))
    }
}

impl Running {
    /// Waits for the end.
    ///
    /// # Errors
    /// When it does not come.
    pub fn wait(self) -> Result<Output> {
        self.wait_for(PATIENCE)
    }

    fn wait_for(mut self, patience: Duration) -> Result<Output> {
        let deadline = Instant::now() + patience;
        let (mut memory_peak_bytes, mut cpu) = (0, Duration::ZERO);
        loop {
            if let Some((bytes, time)) = taken(self.id()) {
                (memory_peak_bytes, cpu) = (bytes, time);
            }
            if let Some(status) = self.process.try_wait()? {
                return Ok(Output {
                    memory_peak_bytes,
                    cpu,
                    status: exit_status(status),
                    stdout: text(&self.stdout)?,
                    stderr: text(&self.stderr)?,
                });
            }
            if Instant::now() > deadline {
                bail!("the host did not end within {} s; it said:\n{}", patience.as_secs(), text(&self.stderr)?);
            }
            std::thread::sleep(POLL);
        }
    }

    /// The number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has said to people by now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn stderr_so_far(&self) -> Result<String> {
        text(&self.stderr)
    }

    /// The program's stdout, where it was started with a pipe.
    pub fn pipe(&mut self) -> Option<ChildStdout> {
        self.process.stdout.take()
    }

    /// Whether the program has ended.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.process.try_wait()?.is_some())
    }

    /// Kills it, as `kill -9` does.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill(&mut self) -> Result<()> {
        Ok(self.process.kill()?)
    }

    /// Sends a signal by name: `INT`, `TERM`, `STOP`.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status()?;
        ensure!(status.success(), "failed to send SIG{name} to the host");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where somebody waited for it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Output {
    /// This output, if the command succeeded.
    ///
    /// # Errors
    /// With everything the command said, if it did not.
    pub fn succeeded(self) -> Result<Self> {
        ensure!(self.status == 0, "the host ended with status {}; it said:\n{}", self.status, self.stderr);
        Ok(self)
    }

    /// This output, if the command failed with this status and told this error code.
    ///
    /// # Errors
    /// With everything the command said, if it did something else.
    pub fn failed(self, status: i32, code: &str) -> Result<Self> {
        ensure!(
            self.status == status && self.stderr.contains(&format!("[{code}]")),
            "the host was to end with status {status} and {code}; it ended with {} and said:\n{}",
            self.status,
            self.stderr
        );
        Ok(self)
    }
}

/// The built component of a connector, by the name of its package.
///
/// # Errors
/// When it is not built.
pub fn component(connector: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("COMPONENTS") {
        Some(folder) => PathBuf::from(folder),
        None => target_folder()?.join("wasm32-wasip2/release"),
    };
    let path = folder.join(format!("{}.wasm", connector.replace('-', "_")));
    ensure!(path.exists(), "there is no {}: run cargo xtask test", path.display());
    Ok(path)
}

fn sync_arguments(connector: &str, source: &Source, more: &[&str]) -> Result<Vec<OsString>> {
    let mut arguments = vec!["run".into(), component(connector)?.into_os_string()];
    arguments.extend(["--config", "configuration.json", "--allow-private"].map(OsString::from));
    arguments.push(source.address().into());
    arguments.extend(more.iter().map(OsString::from));
    Ok(arguments)
}

/// The host's program.
fn program() -> Result<PathBuf> {
    let path = match std::env::var_os("HOST_BIN") {
        Some(path) => PathBuf::from(path),
        None => target_folder()?.join("release/host"),
    };
    ensure!(path.exists(), "there is no {}: run cargo xtask test", path.display());
    Ok(path)
}

/// The folder cargo builds in: this test lies in its `release/deps`.
fn target_folder() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(3).context("failed to find the folder cargo builds in")?;
    Ok(folder.to_path_buf())
}

fn text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// As a shell tells it: 128 and the signal's number for a program that a signal ended.
fn exit_status(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|number| 128 + number)).unwrap_or(-1)
}
