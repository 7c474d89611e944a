//! `host build`: calls cargo, explains what usually goes wrong, says what came out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use super::load;
use super::screen::Screen;
use super::text;
use crate::options::LimitOptions;
use model::error::{Code, Error, Result};

/// What can be typed after `host build`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The connector's folder, with its Cargo.toml
    #[arg(default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    limits: LimitOptions,
}

/// The target for components.
const TARGET: &str = "wasm32-wasip2";

/// Builds, and shows the component.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    let component = build(&arguments.dir)?;
    let limits = arguments.limits.in_force()?;
    let loaded = load::component(&component, &limits, *screen)?;
    load::block_on(async { loaded.describe(&limits).await.map(drop) })??;
    let size = std::fs::metadata(&component).map_or(0, |metadata| metadata.len());
    screen.people(&format!("{}: {}, {}", component.display(), loaded.name(), text::bytes(size)));
    screen.people(&format!("imports {}", loaded.imports().join(", ")));
    Ok(())
}

/// Builds the connector in a folder; returns its component's file.
pub(super) fn build(dir: &Path) -> Result<PathBuf> {
    let subject = || format!("build the connector in {}", dir.display());
    if !dir.join("Cargo.toml").is_file() {
        return Err(Error::new(Code::BuildFailed, format!("{}: it has no Cargo.toml", subject()))
            .hint("Name the connector's folder, or make one with `host new NAME`."));
    }
    let cargo = Command::new("cargo")
        .args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| {
            Error::new(Code::BuildFailed, subject()).hint("Install Rust first: https://rustup.rs.").because(error)
        })?;
    let messages = String::from_utf8_lossy(&cargo.stdout);
    if !cargo.status.success() {
        let hint = if has_target(dir) {
            "What cargo says above is what is wrong.".to_owned()
        } else {
            format!("Install the target for components, once: rustup target add {TARGET}")
        };
        return Err(Error::new(Code::BuildFailed, format!("{}: cargo failed", subject())).hint(hint));
    }
    component_of(&messages).ok_or_else(|| {
        Error::new(Code::BuildFailed, format!("{}: it makes no component", subject()))
            .hint("Cargo.toml needs, for a library: [lib] crate-type = [\"cdylib\"].")
    })
}

/// Whether the Rust of this folder can build components.
fn has_target(dir: &Path) -> bool {
    let asked = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).current_dir(dir).output();
    asked.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists())
}

/// The last `.wasm` file of a library among the messages of cargo.
fn component_of(messages: &str) -> Option<PathBuf> {
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let libraries = artifacts.filter(|message| {
        let kinds = message["target"]["crate_types"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "cdylib"))
    });
    let files = libraries.flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default());
    let mut paths = files.filter_map(|file| file.as_str().map(PathBuf::from));
    paths.rfind(|path| path.extension().is_some_and(|extension| extension == "wasm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_found_among_the_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"crate_types":["lib"]},"filenames":["/t/libsdk.rlib"]}
{"reason":"compiler-artifact","target":{"crate_types":["cdylib"]},"filenames":["/t/tickets.wasm"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(component_of(messages), Some(PathBuf::from("/t/tickets.wasm")));
        assert_eq!(component_of(messages.lines().next().unwrap()), None);
    }
}
