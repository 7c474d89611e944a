//! `host tenant`: who there is on a server, what each may use, and their tokens.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;

use super::client::segment;
use super::{ServerOptions, print, read_json};
use crate::cli::screen::Screen;
use model::error::Result;
use server::types::{Change, NewToken, Tenant, Token};

/// What can be typed after `host tenant`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the tenants
    List,
    /// Shows a tenant: what it may use, what it has used today
    Show { name: String },
    /// Makes a tenant, or changes it
    Put {
        name: String,
        /// Its settings, as JSON (default: the defaults)
        #[arg(long, value_name = "FILE")]
        settings: Option<PathBuf>,
    },
    /// Removes a tenant that has no connections
    Delete { name: String },
    /// Makes a token for a tenant and prints it
    Token {
        name: String,
        /// What it is for
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Lists a tenant's tokens, without the tokens themselves
    Tokens { name: String },
    /// Takes a token back
    Revoke {
        name: String,
        /// The token's id
        id: String,
    },
}

/// Does it.
pub(crate) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    let server = &arguments.server;
    let path = |name: &str| format!("/v1/tenants/{}", segment(name));
    match &arguments.command {
        Command::List => {
            let tenants: Vec<Tenant> = server.ask(async |client| client.all("/v1/tenants").await)?;
            server.show(
                *screen,
                &tenants,
                &[
                    ("tenant", |tenant| tenant.name.clone()),
                    ("since", |tenant| tenant.created_at.clone()),
                    ("syncs at once", |tenant| tenant.settings.quotas.syncs_at_once.to_string()),
                    ("rows today", |tenant| tenant.used_today.rows.to_string()),
                ],
            )
        }
        Command::Show { name } => {
            let tenant: Tenant = server.ask(async |client| client.get(&path(name)).await)?;
            print(*screen, &tenant)
        }
        Command::Put { name, settings } => {
            let settings = settings.as_deref().map_or_else(|| Ok(serde_json::json!({})), read_json)?;
            let change: Change = server.ask(async |client| client.put(&path(name), &settings).await)?;
            print(*screen, &change)
        }
        Command::Delete { name } => server.ask(async |client| client.tell(Method::DELETE, &path(name)).await),
        Command::Token { name, note } => {
            let asked = NewToken { note: note.clone() };
            let made: Token =
                server.ask(async |client| client.post(&format!("{}/tokens", path(name)), &asked).await)?;
            screen.data(&format!("{}\n", made.token.unwrap_or_default())).map(|_closed| ())
        }
        Command::Tokens { name } => {
            let tokens: Vec<Token> = server.ask(async |client| client.all(&format!("{}/tokens", path(name))).await)?;
            server.show(
                *screen,
                &tokens,
                &[
                    ("id", |token| token.id.clone()),
                    ("made", |token| token.created_at.clone()),
                    ("note", |token| token.note.clone()),
                ],
            )
        }
        Command::Revoke { name, id } => {
            let path = format!("{}/tokens/{}", path(name), segment(id));
            server.ask(async |client| client.tell(Method::DELETE, &path).await)
        }
    }
}
