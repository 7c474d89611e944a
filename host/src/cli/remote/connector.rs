//! `host connector`: components on a server.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;

use super::client::segment;
use super::{ServerOptions, print};
use crate::cli::screen::Screen;
use model::error::{Code, Error, Result};
use server::types::Connector;

/// What can be typed after `host connector`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the connectors that the tenant can use
    List,
    /// Shows a connector's versions: fields, hosts
    Show { name: String },
    /// Uploads a component
    Upload {
        /// The component's file
        #[arg(value_name = "COMPONENT")]
        component: PathBuf,
        /// For every tenant (needs an operator's token)
        #[arg(long)]
        shared: bool,
    },
    /// Removes a version that no connection uses
    Delete {
        name: String,
        /// The version's digest
        digest: String,
        /// One that is there for every tenant (needs an operator's token)
        #[arg(long)]
        shared: bool,
    },
}

/// The bytes of a component's file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::new(Code::ComponentMissing, format!("read the component {}", path.display())).because(error)
    })
}

/// Does it.
pub(crate) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    let server = &arguments.server;
    match &arguments.command {
        Command::List => {
            let connectors: Vec<Connector> = server.ask(async |client| {
                let path = server.path(client, "/connectors").await;
                // An operator without a tenant sees those for everybody.
                client.all(path.as_deref().unwrap_or("/v1/connectors")).await
            })?;
            server.show(
                *screen,
                &connectors,
                &[
                    ("connector", |connector| connector.name.clone()),
                    ("version", |connector| connector.version.clone()),
                    ("digest", |connector| connector.digest.clone()),
                    ("for", |connector| if connector.shared { "everybody" } else { "the tenant" }.to_owned()),
                    ("uploaded", |connector| connector.uploaded_at.clone()),
                ],
            )
        }
        Command::Show { name } => {
            let versions: Vec<Connector> = server.ask(async |client| {
                let path = server.path(client, &format!("/connectors/{}", segment(name))).await?;
                client.all(&path).await
            })?;
            print(*screen, &versions)
        }
        Command::Upload { component, shared } => {
            let bytes = read(component)?;
            let connector: Connector = server.ask(async |client| {
                let own = || server.path(client, "/connectors");
                let path = if *shared { "/v1/connectors".to_owned() } else { own().await? };
                client.upload(&path, bytes).await
            })?;
            print(*screen, &connector)
        }
        Command::Delete { name, digest, shared } => {
            let rest = format!("/connectors/{}/{}", segment(name), segment(digest));
            server.ask(async |client| {
                let path = if *shared { format!("/v1{rest}") } else { server.path(client, &rest).await? };
                client.tell(Method::DELETE, &path).await
            })
        }
    }
}
