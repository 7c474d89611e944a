//! What the tests of several crates share: destinations that panic, connectors that were built.

#![allow(clippy::pedantic, clippy::unwrap_used, clippy::panic, reason = "this is a library for tests only")]

mod panicking;

pub use panicking::Panicking;

use std::path::PathBuf;

/// The built component of a connector.
pub fn built(connector: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap().join("wasm32-wasip2/release");
    let folder = std::env::var_os("COMPONENTS").map_or(target, PathBuf::from);
    let path = folder.join(format!("{connector}.wasm"));
    assert!(path.exists(), "there is no {}: run cargo xtask test", path.display());
    path
}
