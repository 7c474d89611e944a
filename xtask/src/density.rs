//! `cargo xtask bench density`: how many tenants' connections one server carries on this machine.

use crate::Result;
use crate::build;
use crate::run::step;
use crate::workspace::Workspace;

pub(crate) fn density(workspace: &Workspace) -> Result<()> {
    let setup = build::everything(workspace)?;
    let mut cargo = setup.cargo(workspace, &["test"], &["--test", "it", "server::density", "--"]);
    cargo.args(["--ignored", "--nocapture", "--test-threads", "1"]);
    cargo.env("HOST_BIN", workspace.program("host")).env("COMPONENTS", workspace.components());
    step("Measure a server (about 4 minutes)", cargo)
}
