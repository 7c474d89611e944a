//! `host dev`: builds a connector and runs it, again whenever one of its files is saved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use clap::Args;

use super::build;
use super::report;
use super::screen::Screen;
use model::error::{Code, Error, Result};

/// What can be typed after `host dev`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The connector's folder, with its Cargo.toml
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Lets the connector reach this private or loopback address, also by plain http (repeatable)
    #[arg(long, value_name = "HOST[:PORT]")]
    allow_private: Vec<String>,
    /// Builds and runs once
    #[arg(long)]
    once: bool,
    /// What to give `host run` instead of --dry-run, after --
    #[arg(last = true, value_name = "RUN OPTIONS")]
    options: Vec<String>,
}

/// Between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// More files than this are not a connector's own.
const FILES_MAX: usize = 10_000;

/// Builds and runs until it is interrupted.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    loop {
        let seen = files(&arguments.dir);
        match build::build(&arguments.dir).and_then(|component| sync(arguments, &component)) {
            Err(error) if arguments.once => return Err(error),
            Err(error) => screen.people(&report::failure(&error, screen.paint)),
            Ok(()) => {}
        }
        if arguments.once {
            return Ok(());
        }
        screen.people(&screen.paint.dim("waiting for a file to be saved; Ctrl-C ends"));
        while files(&arguments.dir) == seen {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Runs the host itself, as a person would: what the sync says goes to the same screen.
fn sync(arguments: &Arguments, component: &Path) -> Result<()> {
    let bug = |error: std::io::Error| Error::new(Code::HostBug, "start the host").because(error);
    let mut host = Command::new(std::env::current_exe().map_err(bug)?);
    host.arg("run").arg(component).current_dir(&arguments.dir).stdin(Stdio::null());
    if arguments.dir.join("configuration.json").is_file() {
        host.args(["--config", "configuration.json"]);
    }
    for address in &arguments.allow_private {
        host.args(["--allow-private", address]);
    }
    if arguments.options.is_empty() {
        host.arg("--dry-run");
    }
    // How it ended it has said itself.
    host.args(&arguments.options).status().map(drop).map_err(bug)
}

/// When the connector's own files were last saved.
fn files(dir: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            // What is built, and what a run writes, is not the connector's.
            let foreign = name.starts_with('.') || ["target", "files", "vendor", "Cargo.lock"].contains(&name.as_str());
            if foreign || found.len() >= FILES_MAX {
                continue;
            }
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(path),
                Ok(metadata) => drop(metadata.modified().map(|saved| found.insert(path, saved))),
                Err(_) => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_file_is_seen_and_what_is_built_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        };
        write("src/lib.rs");
        let seen = files(folder.path());
        for name in ["target/x", "files/warehouse.db", "Cargo.lock", "vendor/x", ".git/x"] {
            write(name);
        }
        assert_eq!(files(folder.path()), seen);
        write("configuration.json");
        assert_ne!(files(folder.path()), seen);
    }
}
