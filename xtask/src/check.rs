//! `cargo xtask check`: formatting, lints and documentation, with warnings as errors.

use crate::Result;
use crate::build;
use crate::run::step;
use crate::workspace::Workspace;

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let setup = build::set_up(workspace)?;
    step("Check the formatting", workspace.cargo(&["fmt", "--all", "--check"]))?;

    let deny = ["--", "-D", "warnings"];
    step(
        "Lint what runs on this machine",
        setup.cargo(workspace, &["clippy"], &[&["--all-targets"], &deny[..]].concat()),
    )?;

    let mut guests = workspace.cargo(&["clippy", "--release", "--target", "wasm32-wasip2"]);
    for name in workspace.guests()? {
        guests.args(["-p", &name]);
    }
    guests.args(deny);
    step("Lint the connectors as components", guests)?;

    let mut docs = setup.cargo(workspace, &["doc"], &["--no-deps"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    step("Build the documentation", docs)
}
