//! The connectors whose pattern the Python package `fivetran-api-playground` serves, against that server: MIT, made by others,
//! new data at each start.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::host::{Host, Output, component};

const VERSION: &str = "1.1.9";

/// Starts the server without its look for a newer version, and tells what it drew: credentials, records, port.
const START: &str = "
import json, logging, socket, sys, threading
import fivetran_api_playground as playground
from werkzeug.serving import make_server
logging.getLogger('werkzeug').setLevel(logging.ERROR)
server = make_server('127.0.0.1', 0, playground.app, threaded=True)
print(json.dumps({
    'port': server.server_port,
    'username': playground.SESSION_AUTH_USERNAME,
    'password': playground.SESSION_AUTH_PASSWORD,
    'users': len({item['id'] for item in playground.items}),
}), flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
";

/// The running server. Its session tokens are name and password in base64: the host hands them on without the password and
/// puts it back. It ends when its standard input does.
struct Playground {
    process: Child,
    told: Value,
    host: Host,
}

impl Drop for Playground {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to stop then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Playground {
    fn start() -> Result<Self> {
        let mut process = Command::new(python()?)
            .args(["-c", START])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = process.stdout.take().context("the server has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let told = serde_json::from_str(&line).context("the playground did not start")?;
        Ok(Self { process, told, host: Host::new()? })
    }

    /// Writes the configuration; returns the server's address.
    fn configure(&self, mut fields: Value) -> Result<String> {
        let address = format!("127.0.0.1:{}", self.told["port"]);
        fields["base_url"] = format!("http://{address}").into();
        self.host.write("configuration.json", fields.to_string())?;
        Ok(address)
    }

    /// Tries the rules of `host verify`: none is broken.
    fn verify(&self, connector: &str, fields: Value) -> Result<()> {
        let address = self.configure(fields)?;
        super::verify::breaks_no_rule(&self.host, connector, &address, "configuration.json")
    }

    fn sync(&self, connector: &str, fields: Value) -> Result<Output> {
        let address = self.configure(fields)?;
        let component = component(connector)?;
        let component = component.to_string_lossy();
        let run = ["run", &component, "--config", "configuration.json", "--allow-private", &address];
        self.host.run(&run)?.succeeded()
    }

    /// Records a sync from the beginning into a file.
    fn recorded(&self, connector: &str, recording: &str) -> Result<Output> {
        let address = self.configure(json!({}))?;
        let component = component(connector)?;
        let component = component.to_string_lossy();
        let run = ["run", &component, "--config", "configuration.json", "--allow-private", &address];
        let recorded = ["--full-refresh", "--destination", "null:", "--record", recording];
        self.host.run(&[&run[..], &recorded].concat())?.succeeded()
    }

    fn users(&self) -> u64 {
        self.told["users"].as_u64().unwrap_or_default()
    }
}

/// A Python that has the package, in the folder for downloads; installed there the first time.
fn python() -> Result<PathBuf> {
    static INSTALLING: Mutex<()> = Mutex::new(());
    let cache = std::env::var_os("ELT_CACHE_DIR").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        Some(cache.or_else(home)?.join("elt-connectors"))
    });
    let folder = cache.context("set ELT_CACHE_DIR, a folder for downloads")?.join(format!("playground-{VERSION}"));
    let python = folder.join("bin/python");
    let done = folder.join("installed");
    let _one = INSTALLING.lock();
    std::fs::create_dir_all(folder.parent().context("no folder")?)?;
    // Tests are processes of their own: a lock in the file system keeps them from installing at once.
    let lock = File::create(folder.with_extension("lock"))?;
    lock.lock()?;
    if !done.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let package = format!("fivetran_api_playground=={VERSION}");
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", &package]))?;
        File::create(done)?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<()> {
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut words = String::new();
    process.stderr.take().context("no stderr")?.read_to_string(&mut words)?;
    ensure!(process.wait()?.success(), "failed to run {command:?}: {words}");
    Ok(())
}

#[test]
fn next_page_reads_all_users_and_later_the_last_ones() -> Result<()> {
    let playground = Playground::start()?;
    for _ in 0..2 {
        playground.sync("next-page", json!({}))?;
        let users = playground.host.query("SELECT count(*) FROM \"next-page\".users")?;
        assert_eq!(users, playground.users().to_string());
    }
    let second =
        playground.host.query("SELECT state_after FROM \"next-page\"._syncs ORDER BY ended_at DESC LIMIT 1")?;
    assert!(second.contains("updated_at"), "{second}");
    playground.verify("next-page", json!({}))
}

#[test]
fn keyset_reads_all_users_and_later_the_last_ones() -> Result<()> {
    let playground = Playground::start()?;
    let first = playground.sync("keyset", json!({}))?;
    assert_eq!(playground.host.query("SELECT count(*) FROM keyset.users")?, playground.users().to_string());
    let second = playground.sync("keyset", json!({}))?;
    assert_eq!(playground.host.query("SELECT count(*) FROM keyset.users")?, playground.users().to_string());
    assert!(second.stderr.contains("1 request"), "{}\n{}", first.stderr, second.stderr);
    playground.verify("keyset", json!({}))
}

#[test]
fn several_cursors_read_companies_and_their_departments() -> Result<()> {
    let playground = Playground::start()?;
    for _ in 0..2 {
        playground.sync("several-cursors", json!({}))?;
        let counts = "SELECT (SELECT count(*) FROM \"several-cursors\".companies), count(*), count(DISTINCT company_id) \
            FROM \"several-cursors\".departments";
        assert_eq!(playground.host.query(counts)?, "2,8,2");
    }
    // The server draws departments anew for each request: only what it once said can be compared.
    playground.recorded("several-cursors", "sync.rec")?;
    super::verify::breaks_no_rule_of_recording(&playground.host, "several-cursors", "sync.rec")
}

#[test]
fn session_token_logs_in_and_reads() -> Result<()> {
    let playground = Playground::start()?;
    let fields = json!({"username": playground.told["username"], "password": playground.told["password"]});
    for _ in 0..2 {
        playground.sync("session-token", fields.clone())?;
        assert_eq!(playground.host.query("SELECT count(*) FROM \"session-token\".users")?, "20");
    }
    playground.verify("session-token", fields)
}

#[test]
fn csv_export_replaces_its_table() -> Result<()> {
    let playground = Playground::start()?;
    for _ in 0..2 {
        playground.sync("csv-export", json!({}))?;
        let users = "SELECT count(*), count(*) FILTER (_deleted), count(\"updatedAt\" > '2020-01-01') FROM \"csv-export\".users";
        assert_eq!(playground.host.query(users)?, format!("{0},0,{0}", playground.users()));
    }
    playground.verify("csv-export", json!({}))
}
