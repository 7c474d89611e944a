//! `host check`: whether a connector's source can be reached and accepts the configuration.

use super::json::{self, Object};
use super::screen::Screen;
use super::{load::Look, report};
use model::error::Result;

/// Checks; returns the exit status.
pub(super) fn run(look: &Look, screen: &Screen) -> Result<u8> {
    let checked = look.ask(*screen, async |component, grants| component.check(grants).await);
    if !look.json {
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
