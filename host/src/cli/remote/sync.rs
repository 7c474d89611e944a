//! `host sync`: syncs on a server.

use std::ops::ControlFlow;

use clap::{Args, Subcommand};

use super::client::segment;
use super::{ServerOptions, print};
use crate::cli::screen::Screen;
use model::error::Result;
use model::json;
use server::types::Sync;

/// What can be typed after `host sync`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the tenant's syncs, the latest first
    List {
        /// Those of one connection
        #[arg(long, value_name = "NAME")]
        connection: Option<String>,
    },
    /// Shows a sync
    Show { id: String },
    /// Prints the report of a sync that has ended (docs/formats/events.md)
    Report { id: String },
    /// Prints the last events of a sync, one JSON object a line
    Log { id: String },
    /// Prints the events of a sync as they happen, until it ends
    Follow { id: String },
    /// Ends a sync; what is complete is committed
    Cancel { id: String },
}

/// Does it.
pub(crate) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    let server = &arguments.server;
    let of = |id: &str, rest: &str| format!("/syncs/{}{rest}", segment(id));
    let text = |rest: &str| -> Result<()> {
        let text = server.ask(async |client| client.text(&server.path(client, rest).await?).await)?;
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        screen.data(&format!("{text}{end}")).map(|_closed| ())
    };
    match &arguments.command {
        Command::List { connection } => list(server, *screen, connection.as_deref()),
        Command::Show { id } => {
            let sync: Sync = server.ask(async |client| client.get(&server.path(client, &of(id, "")).await?).await)?;
            print(*screen, &sync)
        }
        Command::Report { id } => text(&of(id, "/report")),
        Command::Log { id } => text(&of(id, "/log")),
        Command::Follow { id } => follow(server, *screen, id),
        Command::Cancel { id } => {
            let rest = of(id, "/cancel");
            let sync: Sync = server.ask(async |client| client.post(&server.path(client, &rest).await?, &()).await)?;
            print(*screen, &sync)
        }
    }
}

fn list(server: &ServerOptions, screen: Screen, connection: Option<&str>) -> Result<()> {
    let only = connection.map(|name| format!("?connection={}", segment(name))).unwrap_or_default();
    let syncs: Vec<Sync> = server.ask(async |client| {
        let path = server.path(client, &format!("/syncs{only}")).await?;
        client.all(&path).await
    })?;
    server.show(
        screen,
        &syncs,
        &[
            ("sync", |sync| sync.id.clone()),
            ("connection", |sync| sync.connection.clone()),
            ("outcome", outcome),
            ("due", |sync| sync.queued_at.clone()),
            ("ended", |sync| sync.ended_at.clone().unwrap_or_default()),
            ("rows", |sync| sync.rows.to_string()),
        ],
    )
}

/// How a sync stands or ended, with the code of its error.
pub(super) fn outcome(sync: &Sync) -> String {
    let outcome = json::text(&sync.outcome).trim_matches('"').to_owned();
    match &sync.error_code {
        Some(code) => format!("{outcome} ({code})"),
        None => outcome,
    }
}

/// Prints events until the sync ends; a sync that did not succeed is this command's failure, too.
fn follow(server: &ServerOptions, screen: Screen, id: &str) -> Result<()> {
    let ended: Option<Sync> = server.ask(async |client| {
        let path = server.path(client, &format!("/syncs/{}", segment(id))).await?;
        let mut closed = false;
        let print = |event: &str, data: &str| {
            if event == "event" {
                closed = screen.data(&format!("{data}\n"))?.is_break();
            }
            Ok(if closed || event == "end" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        client.follow(&format!("{path}/events"), print).await?;
        if closed { Ok(None) } else { client.get(&path).await.map(Some) }
    })?;
    ended.and_then(|sync| sync.error).map_or(Ok(()), |error| Err(super::error_of(&error)))
}
