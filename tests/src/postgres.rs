//! A Postgres server for tests: made in a folder of its own, stopped and removed with the process that started it.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ::postgres::{Client, Config, NoTls};
use anyhow::{Context, Result, anyhow, ensure};

/// The password of the role that tests log in as.
pub const PASSWORD: &str = "p@ss/w0rd?#";

/// Longer than a server takes to start on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// No care for a crash of the machine, and defaults that are hostile to whoever relies on them.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
ssl = on
fsync = off
max_connections = 200
shared_buffers = 128MB
max_wal_size = 256MB
min_wal_size = 32MB
timezone = 'America/New_York'
datestyle = 'SQL, DMY'
extra_float_digits = 0
default_transaction_isolation = 'serializable'
statement_timeout = '600s'
";

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// Where it lives; its socket is there, and the certificate of its authority (`ca.pem`).
    pub folder: PathBuf,
    bin: PathBuf,
    owner: Option<(u32, u32)>,
    /// The server is stopped when this is closed.
    _watched: ChildStdin,
}

/// The server of this process, started at the first use.
///
/// # Errors
/// When it cannot be started.
pub fn server() -> Result<&'static Server> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    let server = SERVER.get_or_init(|| Server::start().map_err(|error| format!("{error:#}")));
    server.as_ref().map_err(|error| anyhow!("{error}"))
}

impl Server {
    /// Starts another server. Dropping it stops it.
    ///
    /// # Errors
    /// When its programs are not installed, or it does not start.
    pub fn start() -> Result<Self> {
        let (bin, owner) = (programs()?, owner()?);
        let folder = tempfile::Builder::new().prefix("elt-postgres-").tempdir()?.keep();
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(&folder, Some(user), Some(group))?;
        }
        std::fs::write(folder.join("password"), PASSWORD)?;
        std::fs::set_permissions(folder.join("password"), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        let data = folder.join("data");
        let mut initdb = as_owner(bin.join("initdb"), owner);
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--username=tester", "--auth=scram-sha-256"]);
        initdb.arg("--pwfile").arg(folder.join("password")).arg("-D").arg(&data);
        run(initdb.current_dir(&folder), "initdb")?;
        std::fs::OpenOptions::new().append(true).open(data.join("postgresql.conf"))?.write_all(SETTINGS.as_bytes())?;
        certify(&folder, owner)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let watched = stop_when_closed(as_owner("sh".into(), owner), &bin, &folder)?;
        let server = Self { port, folder, bin, owner, _watched: watched };
        server.resume()?;
        Ok(server)
    }

    /// A new database on it, by its name.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn database(&self) -> Result<String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        // WAL instead of files copied one by one: a third of the time.
        self.client("postgres")?.batch_execute(&format!("CREATE DATABASE {name} STRATEGY wal_log"))?;
        Ok(name)
    }

    /// Removes a database, whoever is using it.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn drop_database(&self, name: &str) -> Result<()> {
        Ok(self.client("postgres")?.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?)
    }

    /// A session without any of the host's settings.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn client(&self, database: &str) -> Result<Client> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user("tester").password(PASSWORD).dbname(database);
        Ok(config.connect(NoTls)?)
    }

    /// A database as a destination, by way of this port.
    pub fn url(&self, database: &str, port: u16) -> String {
        let password = PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
        format!("postgres://tester:{password}@127.0.0.1:{port}/{database}")
    }

    /// Ends the server at once, whatever it is doing, as a crash of it would.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn crash(&self) -> Result<()> {
        let mut stop = as_owner(self.bin.join("pg_ctl"), self.owner);
        stop.args(["-m", "immediate", "stop", "-D"]).arg(self.folder.join("data")).current_dir(&self.folder);
        run(&mut stop, "pg_ctl stop")
    }

    /// Starts the server again, with what it had.
    ///
    /// # Errors
    /// When it does not start.
    pub fn resume(&self) -> Result<()> {
        let mut postgres = as_owner(self.bin.join("postgres"), self.owner);
        postgres.arg("-D").arg(self.folder.join("data")).arg("-k").arg(&self.folder);
        postgres.arg("-p").arg(self.port.to_string());
        postgres.arg("-c").arg(format!("ssl_cert_file={}/server.pem", self.folder.display()));
        postgres.arg("-c").arg(format!("ssl_key_file={}/server.key", self.folder.display()));
        let log = std::fs::File::create(self.folder.join("log"))?;
        postgres.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        self.wait()
    }

    /// Makes a folder that belongs to the server.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_folder(&self, path: &Path) -> Result<()> {
        std::fs::create_dir(path)?;
        if let Some((user, group)) = self.owner {
            std::os::unix::fs::chown(path, Some(user), Some(group))?;
        }
        Ok(())
    }

    /// Waits until the server lets somebody in.
    ///
    /// # Errors
    /// When it does not.
    pub fn wait(&self) -> Result<()> {
        let started = Instant::now();
        while let Err(error) = self.client("postgres") {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            ensure!(started.elapsed() < PATIENCE, "the Postgres server did not start: {error:#}\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

fn run(command: &mut Command, what: &str) -> Result<()> {
    let output = command.output().with_context(|| format!("failed to start {what}"))?;
    ensure!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// An authority, and a certificate of it for `localhost`.
fn certify(folder: &Path, owner: Option<(u32, u32)>) -> Result<()> {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj '/CN=authority' \
            -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '/CN=server' -keyout server.key -out csr
        printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' > ext
        openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.pem
        chmod 600 server.key
    ";
    run(as_owner("sh".into(), owner).args(["-ec", script]).current_dir(folder), "openssl, which these tests need")
}

/// Where the newest server's programs are.
fn programs() -> Result<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").exists() && bin.join("postgres").exists())
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|folder| folder.join("initdb").exists());
    let found = versions.pop().map(|(_, bin)| bin).or(on_path);
    found.context("these tests need a Postgres server: apt-get install postgresql (only its programs are used)")
}

/// Whom the server runs as, if not as whoever runs the tests: it refuses to run as root.
fn owner() -> Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let user = users.lines().find(|line| line.starts_with("postgres:"));
    let fields: Vec<&str> = user.context("tests that run as root need the user postgres")?.split(':').collect();
    let id = |field: usize| fields.get(field).and_then(|id| id.parse().ok()).context("the user postgres has no ids");
    Ok(Some((id(2)?, id(3)?)))
}

fn as_owner(program: PathBuf, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

/// A watcher stops the server and removes its folder when this process is gone, however it went: it waits for the end of
/// a pipe that only this process can write to. Children do not inherit it.
fn stop_when_closed(mut watcher: Command, bin: &Path, folder: &Path) -> Result<ChildStdin> {
    let script = "trap '' INT HUP TERM; cat; \"$1\"/pg_ctl -D \"$2\"/data -m immediate stop; rm -rf \"$2\"";
    watcher.args(["-c", script, "watcher"]).arg(bin).arg(folder).current_dir("/").process_group(0);
    let mut child = watcher.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    child.stdin.take().context("the watcher has no pipe")
}
