//! `host connection`: connections on a server.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;

use super::client::segment;
use super::{ServerOptions, print, read_json};
use crate::cli::screen::Screen;
use model::error::Result;
use server::types::{Change, Checked, Connection, ConnectionSummary, Start, Sync};

/// What can be typed after `host connection`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the tenant's connections
    List,
    /// Shows a connection, without its secrets
    Show { name: String },
    /// Makes a connection, or changes it
    Put {
        name: String,
        /// Its settings, as JSON
        #[arg(long, value_name = "FILE")]
        settings: PathBuf,
        /// Only says what would change
        #[arg(long)]
        plan: bool,
    },
    /// Removes a connection with its history; its tables stay
    Delete { name: String },
    /// Starts a sync now
    Start {
        name: String,
        /// From the beginning; rows that do not come back are deleted at the end
        #[arg(long)]
        full_refresh: bool,
    },
    /// Lets a connection's schedule rest
    Pause { name: String },
    /// Lets a connection's schedule go on
    Resume { name: String },
    /// Asks whether the source can be reached with the connection's configuration
    Check { name: String },
}

/// Does it.
pub(crate) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    let server = &arguments.server;
    let of = |name: &str, rest: &str| format!("/connections/{}{rest}", segment(name));
    match &arguments.command {
        Command::List => list(server, *screen),
        Command::Show { name } => {
            let found: Connection =
                server.ask(async |client| client.get(&server.path(client, &of(name, "")).await?).await)?;
            print(*screen, &found)
        }
        Command::Put { name, settings, plan } => {
            let settings = read_json(settings)?;
            let rest = of(name, if *plan { "?plan=true" } else { "" });
            let change: Change =
                server.ask(async |client| client.put(&server.path(client, &rest).await?, &settings).await)?;
            print(*screen, &change)
        }
        Command::Delete { name } => tell(server, Method::DELETE, &of(name, "")),
        Command::Start { name, full_refresh } => {
            let start = Start { full_refresh: *full_refresh };
            let sync: Sync = server
                .ask(async |client| client.post(&server.path(client, &of(name, "/start")).await?, &start).await)?;
            print(*screen, &sync)
        }
        Command::Pause { name } => tell(server, Method::POST, &of(name, "/pause")),
        Command::Resume { name } => tell(server, Method::POST, &of(name, "/resume")),
        Command::Check { name } => {
            let found: Checked =
                server.ask(async |client| client.post(&server.path(client, &of(name, "/check")).await?, &()).await)?;
            print(*screen, &found)?;
            found.error.map_or(Ok(()), |error| Err(super::error_of(&error)))
        }
    }
}

fn tell(server: &ServerOptions, method: Method, rest: &str) -> Result<()> {
    server.ask(async |client| client.tell(method, &server.path(client, rest).await?).await)
}

fn list(server: &ServerOptions, screen: Screen) -> Result<()> {
    let connections: Vec<ConnectionSummary> =
        server.ask(async |client| client.all(&server.path(client, "/connections").await?).await)?;
    server.show(
        screen,
        &connections,
        &[
            ("connection", |connection| connection.name.clone()),
            ("connector", |connection| connection.connector.clone()),
            ("due", |connection| {
                let due = connection.due_at.clone().unwrap_or_default();
                if connection.paused { "paused".to_owned() } else { due }
            }),
            ("last sync", |connection| connection.last_sync.as_ref().map(super::sync::outcome).unwrap_or_default()),
            ("rows", |connection| connection.last_sync.as_ref().map(|sync| sync.rows.to_string()).unwrap_or_default()),
        ],
    )
}
