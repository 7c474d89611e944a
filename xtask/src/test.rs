//! `cargo xtask test`: builds everything and runs all tests.

use crate::Result;
use crate::build;
use crate::run::{step, works};
use crate::workspace::Workspace;

pub(crate) fn test(workspace: &Workspace, filter: &[String]) -> Result<()> {
    let setup = build::everything(workspace)?;
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
