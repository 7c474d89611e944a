//! `cargo xtask bench density`: how many tenants' connections one server carries on this machine.

use super::postgres;
use crate::Result;
use crate::build;
use crate::run::step;
use crate::workspace::Workspace;

/// Each running sync holds a session, and the benchmark's own are beside them.
const SETTINGS: [&str; 1] = ["max_connections=1200"];

pub(super) fn density(workspace: &Workspace) -> Result<()> {
    let setup = build::everything(workspace)?;
    let mut cargo = setup.cargo(workspace, &["test"], &["--test", "it", "server::density", "--"]);
    cargo.args(["--ignored", "--nocapture", "--test-threads", "1"]);
    cargo.env("HOST_BIN", workspace.program("host")).env("COMPONENTS", workspace.components());
    let mut server = None;
    if postgres::programs().is_some() {
        let mut started = postgres::Server::with(&SETTINGS)?;
        started.empty()?;
        started.start()?;
        cargo.env("BENCH_POSTGRES", started.url()).env("BENCH_POSTGRES_PROCESS", started.process_id().to_string());
        server = Some(started);
    } else {
        println!("    Postgres is left out: its server is not installed (apt-get install postgresql)");
    }
    let measured = step("Measure a server (about 5 minutes)", cargo);
    drop(server);
    measured
}
