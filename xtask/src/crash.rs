//! `cargo xtask crash`: syncs killed at random moments, as often as one likes, into every destination that keeps a state.

use crate::Result;
use crate::build;
use crate::run::step;
use crate::workspace::Workspace;

pub(crate) fn crash(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let (kills, destination) = parse(arguments)?;
    let setup = build::everything(workspace)?;
    let filter = format!("crash::invariant_8_{destination}");
    let mut cargo = setup.cargo(workspace, &["test"], &["--test", "it", &filter, "--"]);
    cargo.args(["--nocapture", "--test-threads", "1"]);
    cargo.env("HOST_BIN", workspace.program("host")).env("COMPONENTS", workspace.components());
    cargo.env("CRASH_KILLS", kills.to_string());
    step(&format!("Kill syncs {kills} times a destination (about 5 kills a second)"), cargo)
}

/// The number of kills and the destination (empty: all).
fn parse(arguments: &[String]) -> Result<(u64, String)> {
    let (mut kills, mut destination) = (1_000, String::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("failed to read {word}: it needs a value"))?;
        match word.as_str() {
            "--kills" => kills = value.parse().map_err(|_| format!("failed to read {value:?} as a number of kills"))?,
            "--destination" => destination.clone_from(value),
            _ => return Err(format!("failed to understand {word}: see cargo xtask help")),
        }
    }
    Ok((kills, destination))
}
