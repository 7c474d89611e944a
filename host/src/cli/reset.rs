//! `host reset`: deletes a connection's tables and state, after asking.

use std::io::IsTerminal as _;

use clap::Args;

use super::screen::Screen;
use super::{state, text};
use crate::options::DestinationOptions;
use model::error::{Code, Error, Result};
use warehouse::Access;

/// What can be typed after `host reset`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    destination: DestinationOptions,
    /// The connection (default: the only one)
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Does not ask
    #[arg(short, long)]
    yes: bool,
}

/// Asks, then deletes.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    let url = arguments.destination.in_force()?;
    let mut warehouse = warehouse::warehouse(&url, Access::Read)?;
    let name = state::connection(&mut *warehouse, arguments.connection.as_deref())?.connection;
    if !arguments.yes {
        let tables = warehouse.tables()?;
        let own: Vec<_> = tables.iter().filter(|table| table.connection == name).collect();
        let what = format!(
            "{} with {}",
            text::counted(own.len() as u64, "table", "tables"),
            text::counted(own.iter().map(|table| table.rows).sum(), "row", "rows")
        );
        if !is_confirmed(&format!("Delete {what} and the state of \"{name}\" from {url}?"), *screen)? {
            screen.people("Nothing was deleted.");
            return Ok(());
        }
    }
    drop(warehouse);
    let dropped = warehouse::warehouse(&url, Access::Write)?.reset(&name)?;
    let tables = text::counted(dropped.tables.len() as u64, "table", "tables");
    screen.people(&format!("Deleted {tables} and the state of \"{name}\". The next sync starts from the beginning."));
    Ok(())
}

/// Whether the person at the terminal says yes.
pub(super) fn is_confirmed(question: &str, screen: Screen) -> Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Error::new(Code::Usage, "ask whether to go on: stdin is no terminal")
            .hint("Add --yes to do it without being asked."));
    }
    screen.ask(&format!("{question} [y/N] "));
    let mut answer = String::new();
    input.read_line(&mut answer).map_err(|error| Error::new(Code::Usage, "read the answer").because(error))?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
