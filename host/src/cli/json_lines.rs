//! `--json`: the lines of a sync (`sync::lines`), put out as they come.

use super::screen::Screen;
use model::error::Result;
use stream::{Event, Observer, lines};

/// Puts out each event as it happens.
pub(super) struct JsonLines {
    /// Where to.
    pub(super) screen: Screen,
    /// Whether stdout belongs to the rows: then events go to stderr.
    pub(super) beside_rows: bool,
}

impl JsonLines {
    /// Puts out one line.
    pub(super) fn put(&self, line: &str) -> Result<()> {
        if self.beside_rows {
            self.screen.people(line);
            return Ok(());
        }
        // Nobody reads any more: the sync goes on, its rows are worth more than its lines.
        self.screen.data(&format!("{line}\n")).map(|_closed| ())
    }
}

impl Observer for JsonLines {
    fn event(&self, event: &Event) {
        let _unwritten = self.put(&lines::line(event, &lines::now()));
    }
}
