//! `cargo xtask api`: holds a running server against the document of its API, with requests that schemathesis makes up.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::build;
use crate::run::{output, plain, shown, step};
use crate::workspace::{Workspace, create_folder, read, write};

/// The version of schemathesis, from `PyPI`.
const VERSION: &str = "4.32.5";
/// Requests made up for each operation, in each phase.
const EXAMPLES: &str = "30";
/// The same requests every time.
const SEED: &str = "20260101";
/// How long the server may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn api(workspace: &Workspace) -> Result<()> {
    build::everything(workspace)?;
    let schemathesis = install(workspace)?;
    let server = Server::start(workspace)?;
    server.fill(workspace)?;
    let document = workspace.root.join("docs/reference/openapi.json");
    let mut command = workspace.command(schemathesis, &["--config-file", "tests/api/schemathesis.toml", "run"]);
    command.arg(document).args(["--url", &server.url, "--seed", SEED, "--max-examples", EXAMPLES]);
    command.args(["--request-timeout", "30", "--suppress-health-check", "all", "--continue-on-failure"]);
    // Components are not made up; what is none is tried elsewhere.
    command.args(["--exclude-operation-id-regex", "upload_.*connector"]);
    command.env("API_TOKEN", &server.token).env("PYTHONDONTWRITEBYTECODE", "1");
    step("Make up requests and compare the answers with docs/reference/openapi.json", command)?;
    let said = read(&server.log)?;
    if said.contains("panicked") {
        return Err(format!("failed to answer every request: the server panicked\n{said}"));
    }
    Ok(())
}

/// The program, installed into the cache if it is absent.
fn install(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.cache.join(format!("schemathesis-{VERSION}"));
    let program = folder.join("bin/schemathesis");
    if folder.join("complete").exists() {
        return Ok(program);
    }
    let folder_text = folder.to_string_lossy().into_owned();
    step("Install schemathesis", workspace.command("python3", &["-m", "venv", "--clear", &folder_text]))?;
    let package = format!("schemathesis=={VERSION}");
    let pip = workspace.command(folder.join("bin/pip"), &["install", "--quiet", "--no-input", &package]);
    shown("Install schemathesis", pip)?;
    write(&folder.join("complete"), "")?;
    Ok(program)
}

/// A server on a data folder of its own.
struct Server {
    process: Child,
    url: String,
    token: String,
    log: PathBuf,
}

impl Server {
    fn start(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.target.join("api");
        // It may not be there.
        let _ = std::fs::remove_dir_all(&folder);
        create_folder(&folder)?;
        let data = folder.join("data").to_string_lossy().into_owned();
        let serve =
            |more: &[&str]| workspace.command(workspace.program("host"), &[&["serve", "--data", &data], more].concat());
        let token = output(&mut serve(&["--init"]))?.trim().to_owned();
        let log = folder.join("log");
        let file = File::create(&log).map_err(|error| format!("failed to create {}: {error}", log.display()))?;
        let mut command = serve(&["--listen", "127.0.0.1:0"]);
        println!("    $ {} &", plain(&command));
        command.stdin(Stdio::null()).stderr(file);
        let process = command.spawn().map_err(|error| format!("failed to start the server: {error}"))?;
        let mut server = Self { process, url: String::new(), token, log };
        let deadline = Instant::now() + PATIENCE;
        while server.url.is_empty() {
            let said = read(&server.log)?;
            if let Some(url) = said.lines().find_map(|line| line.strip_prefix("listening on ")) {
                url.clone_into(&mut server.url);
            } else if Instant::now() > deadline {
                return Err(format!("failed to start the server; it said:\n{said}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Makes what the requests can find: the names stand in tests/api/schemathesis.toml.
    fn fill(&self, workspace: &Workspace) -> Result<()> {
        let settings = workspace.target.join("api/connection.json");
        write(&settings, r#"{"connector": "operations", "destination": "null:"}"#)?;
        let settings = settings.to_string_lossy().into_owned();
        let component = workspace.components().join("operations.wasm").to_string_lossy().into_owned();
        for arguments in [
            &["tenant", "put", "shop"][..],
            &["connector", "upload", "--shared", &component],
            &["connection", "put", "orders", "--settings", &settings, "--tenant", "shop"],
            &["connection", "start", "orders", "--tenant", "shop"],
        ] {
            let mut command: Command = workspace.command(workspace.program("host"), arguments);
            command.args(["--server", &self.url]).env("ELT_TOKEN", &self.token);
            output(&mut command)?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing of it is kept.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
