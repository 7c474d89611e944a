//! Builds the connectors and the host, always with the same packages and features, so that nothing is built twice.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::duckdb::Library;
use crate::run::{output, shown, step, works};
use crate::workspace::Workspace;

const WASM_TARGET: &str = "wasm32-wasip2";

/// What the machine offers, once it is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) library: Library,
}

impl Setup {
    /// A cargo command on the whole workspace with the features and variables that all of them share.
    ///
    /// Cargo unifies features over the packages of one command: a command on fewer packages would build dependencies
    /// again with other features.
    pub(crate) fn cargo(&self, workspace: &Workspace, command: &[&str], arguments: &[&str]) -> Command {
        let mut cargo = workspace.cargo(command);
        cargo.args(["--release", "--workspace"]);
        match &self.library {
            Library::Prebuilt(folder) => {
                cargo.arg("--no-default-features").env("DUCKDB_LIB_DIR", folder);
            }
            Library::Bundled => {
                cargo.env_remove("DUCKDB_LIB_DIR");
            }
        }
        cargo.args(arguments);
        cargo
    }
}

/// Prepares the machine: the target for components and a DuckDB library.
pub(crate) fn set_up(workspace: &Workspace) -> Result<Setup> {
    add_wasm_target(workspace)?;
    let library = Library::find(workspace)?;
    match &library {
        Library::Prebuilt(folder) => println!("\n==> DuckDB: the library in {}", folder.display()),
        Library::Bundled => println!("\n==> DuckDB: compiled from source with the host"),
    }
    Ok(Setup { library })
}

/// Builds all there is to run: components, host, source.
pub(crate) fn everything(workspace: &Workspace) -> Result<Setup> {
    let setup = set_up(workspace)?;
    guests(workspace)?;
    let time = match setup.library {
        Library::Prebuilt(_) => "10 to 20 minutes",
        Library::Bundled => "30 to 60 minutes, DuckDB is compiled",
    };
    let title = format!("Build the host and the source ({time} the first time on two cores)");
    step(&title, setup.cargo(workspace, &["build"], &["--bins"]))?;
    Ok(setup)
}

/// Builds every connector as a component and puts the first one, `guest.wasm`, at the top of the repository.
pub(crate) fn guests(workspace: &Workspace) -> Result<()> {
    add_wasm_target(workspace)?;
    let mut cargo = workspace.cargo(&["build", "--release", "--target", WASM_TARGET]);
    for name in workspace.guests()? {
        cargo.args(["-p", &name]);
    }
    step("Build the connectors (about a minute the first time)", cargo)?;
    let built = workspace.components().join("guest.wasm");
    copy(&built, &workspace.root.join("guest.wasm"))
}

fn add_wasm_target(workspace: &Workspace) -> Result<()> {
    let folder = output(&mut workspace.command("rustc", &["--print", "target-libdir", "--target", WASM_TARGET]))?;
    if Path::new(folder.trim()).exists() {
        return Ok(());
    }
    if !works("rustup", &["--version"]) {
        return Err(format!("failed to find rustup: install the Rust target {WASM_TARGET} by other means"));
    }
    println!("\n==> Add the Rust target {WASM_TARGET} (seconds)");
    shown("add the target", workspace.command("rustup", &["target", "add", WASM_TARGET]))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    println!("    $ cp {} {}", from.display(), to.file_name().unwrap_or_default().display());
    fs::copy(from, to).map(drop).map_err(|error| format!("failed to copy {}: {error}", from.display()))
}
