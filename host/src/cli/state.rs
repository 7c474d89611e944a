//! `host state show`: the state of a connection, as the next sync will get it.

use clap::{Args, Subcommand};

use super::screen::Screen;
use super::text;
use crate::destination::{self, Access, ConnectionRow, Warehouse};
use crate::error::{Code, Error, Result};
use crate::options::DestinationOptions;

/// What can be typed after `host state`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the state's JSON text on stdout, ready for --state
    Show(Show),
}

#[derive(Args, Debug)]
struct Show {
    #[command(flatten)]
    destination: DestinationOptions,
    /// The connection (default: the only one)
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
}

/// Shows.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    let Command::Show(show) = &arguments.command;
    let mut warehouse = destination::warehouse(&show.destination.in_force()?, Access::Read)?;
    let row = connection(&mut *warehouse, show.connection.as_deref())?;
    screen.people(&caption(&row));
    match row.state {
        Some(state) => screen.data(&(state + "\n")).map(|_closed| ()),
        None => Ok(()),
    }
}

fn caption(row: &ConnectionRow) -> String {
    let name = &row.connection;
    match (&row.state, row.committed_at_us) {
        (None, _) => format!("{name} has no state yet: the next sync starts from the beginning."),
        (Some(_), at) => {
            let at = at.map(|at| format!(" at {}", text::instant(at))).unwrap_or_default();
            format!("{name}, commit {}{at}:", text::number(row.sequence))
        }
    }
}

/// The connection of that name, or the only one.
pub(super) fn connection(warehouse: &mut dyn Warehouse, name: Option<&str>) -> Result<ConnectionRow> {
    let rows = warehouse.connections()?;
    let names: Vec<String> = rows.iter().map(|row| row.connection.clone()).collect();
    let found = match name {
        Some(name) => rows.into_iter().find(|row| row.connection == name),
        None if rows.len() == 1 => rows.into_iter().next(),
        None => None,
    };
    found.ok_or_else(|| none_meant(name, &names))
}

fn none_meant(name: Option<&str>, names: &[String]) -> Error {
    let what = match name {
        Some(name) => format!("find the connection \"{name}\" in the warehouse"),
        None if names.is_empty() => "find a connection in the warehouse: it has none yet".to_owned(),
        None => "tell which connection is meant: the warehouse has several".to_owned(),
    };
    let hint = if names.is_empty() {
        "`host run` makes a connection with its first sync.".to_owned()
    } else {
        format!("The connections are: {}. Name one with --connection.", names.join(", "))
    };
    Error::new(Code::Usage, what).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_not_there_is_answered_with_those_that_are() {
        let error = none_meant(Some("shop"), &["cds".into(), "shop2".into()]);
        assert_eq!(error.to_string(), "failed to find the connection \"shop\" in the warehouse");
        assert_eq!(error.advice(), Some("The connections are: cds, shop2. Name one with --connection."));
    }

    #[test]
    fn the_caption_says_which_commit() {
        let mut row = ConnectionRow {
            connection: "cds".into(),
            fence: 2,
            sequence: 1_000,
            state: Some("{}".into()),
            committed_at_us: Some(1_700_000_000_000_000),
            refresh: None,
        };
        assert_eq!(caption(&row), "cds, commit 1,000 at 2023-11-14T22:13:20Z:");
        row.state = None;
        assert_eq!(caption(&row), "cds has no state yet: the next sync starts from the beginning.");
    }
}
