//! `cargo xtask test`: builds everything and runs all tests.

use crate::Result;
use crate::build;
use crate::run::{shown, step, works};
use crate::workspace::Workspace;

pub(crate) fn test(workspace: &Workspace, filter: &[String]) -> Result<()> {
    let setup = build::everything(workspace)?;
    prepare_python(workspace)?;
    let prepare = |command: &[&str], arguments: &[&str]| {
        let mut cargo = setup.cargo(workspace, command, arguments);
        cargo.env("HOST_BIN", workspace.program("host")).env("COMPONENTS", workspace.components());
        // A failed test says what went wrong; the path through the test runner adds nothing.
        cargo.env("RUST_LIB_BACKTRACE", "0");
        cargo.args(filter);
        cargo
    };
    if filter.is_empty() {
        step("Run the examples in the documentation", prepare(&["test"], &["--doc"]))?;
    }
    // The tests come last, so that their summary is what one sees.
    if works("cargo", &["nextest", "--version"]) {
        return step("Run the tests", prepare(&["nextest", "run"], &["--no-fail-fast"]));
    }
    println!("\n    cargo-nextest is not installed; cargo test does the same, one program after another.");
    step("Run the tests", prepare(&["test"], &["--lib", "--bins", "--tests", "--no-fail-fast"]))
}

/// A Python with the engines that read what the host writes into a lake, and a server that keeps one, in the cache folder.
fn prepare_python(workspace: &Workspace) -> Result<()> {
    const PACKAGES: [&str; 3] = ["deltalake==1.6.*", "polars==2.*", "moto[server]==5.2.*"];
    let folder = workspace.cache.join("lake-python");
    let python = folder.join("bin/python");
    if works(&python.display().to_string(), &["-c", "import deltalake, moto.server, polars"]) {
        return Ok(());
    }
    println!("\n==> Prepare a Python with deltalake, polars and moto for the tests of lakes (about a minute)");
    shown("create the environment", workspace.command("python3", &["-m", "venv", &folder.display().to_string()]))?;
    let install = [&["-m", "pip", "install", "--quiet", "--disable-pip-version-check"][..], &PACKAGES].concat();
    shown("install the packages", workspace.command(&python, &install))
}
