//! `host check`: whether a connector's source can be reached and accepts the configuration.

use std::path::PathBuf;

use clap::Args;

use super::json::{self, Object};
use super::screen::Screen;
use super::{load, report};
use crate::error::Result;
use crate::options::ConnectorOptions;

/// What can be typed after `host check`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The connector: a WebAssembly component
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
    #[command(flatten)]
    connector: ConnectorOptions,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// Checks; returns the exit status.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> Result<u8> {
    let checked = check(arguments, *screen);
    if !arguments.json {
        checked?;
        screen.people("The source accepts this configuration.");
        return Ok(0);
    }
    let error = checked.err();
    let object = Object::new()
        .put("ok", &error.is_none())
        .raw("error", &error.as_ref().map_or_else(|| "null".to_owned(), json::error));
    let _closed = screen.data(&(object.finish() + "\n"))?;
    let Some(error) = error else { return Ok(0) };
    screen.people(&report::failure(&error, screen.paint));
    Ok(error.fault().exit_status())
}

fn check(arguments: &Arguments, screen: Screen) -> Result<()> {
    let sandbox = arguments.connector.in_force()?;
    let component = load::component(&arguments.component, &sandbox.limits, screen)?;
    load::block_on(async {
        let grants = load::grants(&component, sandbox, screen).await?;
        component.check(&grants).await
    })?
}
