//! Commands that talk to a server: `host tenant`, `host connector`, `host connection`, `host sync`, `host apply`.

pub(super) mod apply;
mod client;
pub(super) mod connection;
pub(super) mod connector;
mod plan;
pub(super) mod sync;
pub(super) mod tenant;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use self::client::Client;
use super::screen::Screen;
use super::text;
use crate::options;
use model::error::{Code, Error, Result};
use model::json;
use server::types::SyncError;

const TOKEN_HELP: &str = "The file with the token (default: the variable ELT_TOKEN)";

/// Which server, and who asks.
#[derive(Args, Clone, Debug)]
pub(super) struct ServerOptions {
    /// The server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8800", help_heading = "Server", global = true)]
    server: String,
    #[arg(long, value_name = "FILE", help = TOKEN_HELP, help_heading = "Server", global = true)]
    token_file: Option<PathBuf>,
    /// The tenant (default: the token's own)
    #[arg(long, value_name = "NAME", help_heading = "Server", global = true)]
    tenant: Option<String>,
    /// Prints JSON
    #[arg(long, help_heading = "Output", global = true)]
    json: bool,
}

impl ServerOptions {
    /// Asks the server something.
    fn ask<T>(&self, question: impl AsyncFnOnce(&Client) -> Result<T>) -> Result<T> {
        let client = Client::new(&self.server, options::server_token(self.token_file.as_deref())?)?;
        super::load::block_on(question(&client))?
    }

    /// The path of what belongs to the tenant meant.
    async fn path(&self, client: &Client, rest: &str) -> Result<String> {
        let tenant = match &self.tenant {
            Some(tenant) => tenant.clone(),
            None => client.own_tenant().await?,
        };
        Ok(format!("/v1/tenants/{}{rest}", client::segment(&tenant)))
    }

    /// Prints what came back: as JSON, or as a table with a line for each item.
    fn show<T: Serialize>(&self, screen: Screen, items: &[T], columns: &[Column<T>]) -> Result<()> {
        if self.json {
            return print(screen, &items);
        }
        let titles: Vec<_> = columns.iter().map(|(title, _)| text::words(title)).collect();
        let cell = |value: String| text::printable(&value);
        let rows: Vec<Vec<String>> =
            items.iter().map(|item| columns.iter().map(|(_, value)| cell(value(item))).collect()).collect();
        screen.data(&text::table(&titles, &rows, screen.room_for_data)).map(|_closed| ())
    }
}

/// A column of a table: its title and what stands in it.
type Column<T> = (&'static str, fn(&T) -> String);

/// Prints one value as JSON.
fn print(screen: Screen, value: &impl Serialize) -> Result<()> {
    let page = serde_json::to_string_pretty(value).unwrap_or_else(|_| json::text(value));
    screen.data(&format!("{page}\n")).map(|_closed| ())
}

/// A file with JSON.
fn read_json(path: &std::path::Path) -> Result<serde_json::Value> {
    let subject = || format!("read {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| Error::new(Code::Usage, subject()).because(error))?;
    serde_json::from_str(&text)
        .map_err(|error| Error::new(Code::Usage, format!("{} as JSON", subject())).because(error))
}

/// An error that a server told, as one of this command's.
fn error_of(told: &SyncError) -> Error {
    let code = Code::ALL.iter().copied().find(|code| code.as_str() == told.code).unwrap_or(Code::HostBug);
    let error = Error::new(code, told.message.strip_prefix("failed to ").unwrap_or(&told.message));
    match &told.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
