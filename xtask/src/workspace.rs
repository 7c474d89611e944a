//! Where things are: the repository, what is built, what is downloaded.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// The folders that every command works with. All paths are absolute.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// The top folder of the repository.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Where downloads are kept, for all clones on this machine.
    pub(crate) cache: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        // Cargo says where this package lies; without cargo it lies where it was compiled.
        let package =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = package.parent().ok_or("failed to find the top folder of the repository")?.to_path_buf();
        let target = absolute(&env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from))?;
        Ok(Self { cache: absolute(&cache_folder()?)?, root, target })
    }

    /// A program of this workspace, built.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("release").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// The folder with the components.
    pub(crate) fn components(&self) -> PathBuf {
        self.target.join("wasm32-wasip2/release")
    }

    /// Cargo, to be run at the top of the repository as if by hand.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("cargo", arguments);
        // What cargo told this program about itself would make build scripts believe that something has changed.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO_BIN_NAME" {
                command.env_remove(&name);
            }
        }
        if env::var_os("CARGO_TARGET_DIR").is_some() {
            command.env("CARGO_TARGET_DIR", &self.target);
        }
        command
    }

    /// A program, to be run at the top of the repository.
    pub(crate) fn command(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(&self.root).args(arguments);
        command
    }

    /// The packages that are connectors, by name: `guest`, those in `guest/connectors` and the tests' own.
    pub(crate) fn guests(&self) -> Result<Vec<String>> {
        let mut names = vec!["guest".to_owned()];
        for folder in ["guest/connectors", "tests/guests"] {
            // A folder may be absent; there are no connectors in it then.
            let Ok(entries) = self.root.join(folder).read_dir() else { continue };
            let mut manifests: Vec<_> = entries.flatten().map(|entry| entry.path().join("Cargo.toml")).collect();
            manifests.sort();
            for manifest in manifests.iter().filter(|manifest| manifest.exists()) {
                names.push(package_name(manifest)?);
            }
        }
        Ok(names)
    }
}

fn cache_folder() -> Result<PathBuf> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("ELT_CACHE_DIR")
        .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("elt-connectors")))
        .or_else(|| named("HOME").map(|home| home.join(".cache/elt-connectors")))
        .ok_or_else(|| "failed to find a folder for downloads: set ELT_CACHE_DIR".into())
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| format!("failed to make {} absolute: {error}", path.display()))
}

fn package_name(manifest: &Path) -> Result<String> {
    let text = read(manifest)?;
    let name = text.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    name.map(str::to_owned).ok_or_else(|| format!("failed to find the package's name in {}", manifest.display()))
}

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| format!("failed to read {}: {error}", path.display()))
}

/// Writes a text file.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|error| format!("failed to write {}: {error}", path.display()))
}

/// Creates a folder and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| format!("failed to create {}: {error}", path.display()))
}
