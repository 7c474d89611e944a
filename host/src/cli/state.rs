//! `host state`: the state of a connection, as the next sync will get it; its history; setting it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::json::Object;
use super::screen::Screen;
use super::text::{self, Room, numbers, words};
use crate::options::{self, DestinationOptions};
use model::error::{Code, Error, Result};
use sandbox::Limits;
use warehouse::{Access, ConnectionRow, StateRow, Warehouse};

/// What can be typed after `host state`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the state's JSON text on stdout, ready for --state
    Show(Which),
    /// Lists the states of the last commits, the newest first
    History(History),
    /// Makes the JSON text in FILE the state that the next sync starts from
    Set(Set),
    /// Makes the state of an earlier commit the one that the next sync starts from
    Rollback(Rollback),
}

#[derive(Args, Debug)]
struct Which {
    #[command(flatten)]
    destination: DestinationOptions,
    /// The connection (default: the only one)
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
}

#[derive(Args, Debug)]
struct History {
    #[command(flatten)]
    which: Which,
    /// Prints one JSON object a commit and line
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct Set {
    #[command(flatten)]
    which: Which,
    /// The file with the state's JSON text, as `host state show` prints it
    #[arg(value_name = "FILE")]
    state: PathBuf,
}

#[derive(Args, Debug)]
struct Rollback {
    #[command(flatten)]
    which: Which,
    /// The number of the commit, as `host state history` lists it
    #[arg(value_name = "COMMIT")]
    commit: u64,
}

/// Shows or changes.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    match &arguments.command {
        Command::Show(which) => show(which, screen),
        Command::History(history) => list(history, screen),
        Command::Set(set) => {
            let state = options::state(&set.state, Limits::default().state_bytes_max)?;
            let (mut warehouse, row) = set.which.open(Access::Write)?;
            change(&mut *warehouse, &row.connection, Some(state), screen)
        }
        Command::Rollback(rollback) => {
            let (mut warehouse, row) = rollback.which.open(Access::Write)?;
            let states = warehouse.states(&row.connection)?;
            let found = states.iter().find(|state| state.sequence == rollback.commit);
            let Some(found) = found else { return Err(no_such_commit(&row.connection, rollback.commit, &states)) };
            change(&mut *warehouse, &row.connection, found.state.clone(), screen)
        }
    }
}

impl Which {
    /// The warehouse, which must be there, and the connection meant.
    fn open(&self, access: Access) -> Result<(Box<dyn Warehouse>, ConnectionRow)> {
        let url = self.destination.in_force()?;
        let mut warehouse = warehouse::warehouse(&url, Access::Read)?;
        let row = connection(&mut *warehouse, self.connection.as_deref())?;
        if access == Access::Write {
            drop(warehouse);
            warehouse = warehouse::warehouse(&url, access)?;
        }
        Ok((warehouse, row))
    }
}

fn show(which: &Which, screen: &Screen) -> Result<()> {
    let (_, row) = which.open(Access::Read)?;
    screen.people(&caption(&row));
    match row.state {
        Some(state) => screen.data(&(state + "\n")).map(|_closed| ()),
        None => Ok(()),
    }
}

fn list(history: &History, screen: &Screen) -> Result<()> {
    let (mut warehouse, row) = history.which.open(Access::Read)?;
    let states = warehouse.states(&row.connection)?;
    let page = if history.json {
        states.iter().map(|state| for_programs(state) + "\n").collect()
    } else if states.is_empty() {
        screen.people(&format!("{} has no commit yet.", row.connection));
        String::new()
    } else {
        for_people(&states, screen.room_for_data)
    };
    screen.data(&page).map(|_closed| ())
}

fn for_people(states: &[StateRow], room: Room) -> String {
    let titles = [numbers("commit"), words("committed at"), words("sync"), words("state")];
    let row = |state: &StateRow| {
        let sync = if state.sync.is_empty() { "set by hand".to_owned() } else { state.sync.clone() };
        let shown = state.state.clone().unwrap_or_else(|| "none".to_owned());
        vec![text::number(state.sequence), text::instant(state.committed_at_us), sync, shown]
    };
    text::table(&titles, &states.iter().map(row).collect::<Vec<_>>(), room)
}

fn for_programs(state: &StateRow) -> String {
    Object::new()
        .put("commit", &state.sequence)
        .put("committed_at", &text::instant(state.committed_at_us))
        .put("sync", &state.sync)
        .foreign("state", state.state.as_deref())
        .finish()
}

fn change(warehouse: &mut dyn Warehouse, connection: &str, state: Option<String>, screen: &Screen) -> Result<()> {
    let shown = text::state(state.as_deref());
    let sequence = warehouse.set_state(connection, state, stream::now_us())?;
    let commit = text::number(sequence);
    screen.people(&format!(
        "The next sync of {connection} starts from {shown} (commit {commit}). Rows stay as they are: what comes again \
         replaces what is there. A sync that is under way cannot commit any more."
    ));
    Ok(())
}

fn no_such_commit(connection: &str, commit: u64, states: &[StateRow]) -> Error {
    let hint = match (states.last(), states.first()) {
        (Some(oldest), Some(newest)) => {
            format!("`host state history` lists them: {} to {}.", oldest.sequence, newest.sequence)
        }
        _ => "It has no commit yet.".to_owned(),
    };
    Error::new(Code::Usage, format!("find commit {commit} of {connection} in the history of its states")).hint(hint)
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
