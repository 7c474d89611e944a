//! A server for the tests of one process: started at the first use in a folder of its own, stopped with the process.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

use crate::destination::postgres::PostgresAddress;

/// The password of the role that tests log in as.
pub(super) const PASSWORD: &str = "p@ss/w0rd?#";

pub(super) struct Server {
    pub(super) port: u16,
    pub(super) folder: PathBuf,
}

/// No care for a crash of the machine, and defaults that are hostile to whoever relies on them.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
ssl = on
fsync = off
max_connections = 200
shared_buffers = 128MB
max_wal_size = 2GB
timezone = 'America/New_York'
datestyle = 'SQL, DMY'
extra_float_digits = 0
default_transaction_isolation = 'serializable'
statement_timeout = '600s'
";

/// The server of this process.
pub(super) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(start)
}

/// A new database on it, by its name.
pub(super) fn database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    // WAL instead of files copied one by one: a third of the time.
    let sql = format!("CREATE DATABASE {name} STRATEGY wal_log");
    server().client("postgres").batch_execute(&sql).unwrap();
    name
}

impl Server {
    /// A session without any of our settings.
    pub(super) fn client(&self, database: &str) -> Client {
        let mut config = postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user("tester").password(PASSWORD).dbname(database);
        config.connect(NoTls).unwrap()
    }

    pub(super) fn url(&self, database: &str, port: u16) -> String {
        let password: String = PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("postgres://tester:{password}@127.0.0.1:{port}/{database}")
    }

    pub(super) fn address(&self, database: &str) -> PostgresAddress {
        PostgresAddress::parse(&self.url(database, self.port)).unwrap()
    }
}

#[expect(clippy::zombie_processes, reason = "the server ends after this process")]
fn start() -> Server {
    let bin = programs();
    let folder = tempfile::Builder::new().prefix("elt-postgres-").tempdir().unwrap().keep();
    let owner = owner();
    if let Some((user, group)) = owner {
        std::os::unix::fs::chown(&folder, Some(user), Some(group)).unwrap();
    }
    std::fs::write(folder.join("password"), PASSWORD).unwrap();
    std::fs::set_permissions(folder.join("password"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let data = folder.join("data");
    let mut initdb = as_owner(bin.join("initdb"), owner);
    initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--username=tester", "--auth=scram-sha-256"]);
    initdb.arg("--pwfile").arg(folder.join("password")).arg("-D").arg(&data);
    let made = initdb.current_dir(&folder).output().unwrap();
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut settings = std::fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
    settings.write_all(SETTINGS.as_bytes()).unwrap();
    certify(&folder, owner);
    let mut postgres = as_owner(bin.join("postgres"), owner);
    postgres.arg("-D").arg(&data).arg("-k").arg(&folder).arg("-p").arg(port.to_string());
    postgres.arg("-c").arg(format!("ssl_cert_file={}/server.pem", folder.display()));
    postgres.arg("-c").arg(format!("ssl_key_file={}/server.key", folder.display()));
    let log = std::fs::File::create(folder.join("log")).unwrap();
    postgres.current_dir(&folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    stop_with_this_process(as_owner("sh".into(), owner), &bin, &folder);
    let server = Server { port, folder };
    wait(&server);
    server
}

/// An authority, and a certificate of it for `localhost`.
fn certify(folder: &Path, owner: Option<(u32, u32)>) {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj '/CN=authority' \
            -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '/CN=server' -keyout server.key -out csr
        printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' > ext
        openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.pem
        chmod 600 server.key
    ";
    let made = as_owner("sh".into(), owner).args(["-ec", script]).current_dir(folder).output();
    let made = made.unwrap();
    assert!(made.status.success(), "these tests need openssl: {}", String::from_utf8_lossy(&made.stderr));
}

/// Where the newest server's programs are.
fn programs() -> PathBuf {
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
    found.expect("these tests need a Postgres server: apt-get install postgresql (only its programs are used)")
}

/// Whom the server runs as, if not as whoever runs the tests: it refuses to run as root.
fn owner() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let user = users.lines().find(|line| line.starts_with("postgres:"));
    let fields: Vec<&str> = user.expect("tests that run as root need the user postgres").split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

fn as_owner(program: PathBuf, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

/// A watcher stops the server and removes its folder when this process is gone, however it went: it waits for the end of
/// a pipe that only this process can write to.
#[expect(clippy::zombie_processes, reason = "the watcher ends after this process")]
fn stop_with_this_process(mut watcher: Command, bin: &Path, folder: &Path) {
    // Stays open as long as this process lives. Children do not inherit it.
    static PIPE: OnceLock<std::process::ChildStdin> = OnceLock::new();
    let script = "trap '' INT HUP TERM; cat; \"$1\"/pg_ctl -D \"$2\"/data -m immediate stop; rm -rf \"$2\"";
    watcher.args(["-c", script, "watcher"]).arg(bin).arg(folder).current_dir("/").process_group(0);
    let mut child = watcher.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let _ = PIPE.set(child.stdin.take().unwrap());
}

fn wait(server: &Server) {
    let mut config = postgres::Config::new();
    config.host("127.0.0.1").port(server.port).user("tester").password(PASSWORD).dbname("postgres");
    let started = Instant::now();
    while let Err(error) = config.connect(NoTls) {
        let log = || std::fs::read_to_string(server.folder.join("log")).unwrap_or_default();
        assert!(started.elapsed() < Duration::from_secs(60), "the server did not start: {error}\n{}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
}
