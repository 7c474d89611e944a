//! The two streams: data on stdout, words for people on stderr. Nothing else in the host writes to them.

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::ops::ControlFlow;

use super::text::{Paint, Room};
use crate::options;
use model::error::{Code, Error, Result};

/// What the process's output is connected to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    /// Colours for stderr.
    pub(super) paint: Paint,
    /// Whether a person watches stderr, on a terminal that can move its cursor.
    pub(super) is_live: bool,
    /// Room for tables on stderr.
    pub(super) room_for_people: Room,
    /// Room for tables on stdout.
    pub(super) room_for_data: Room,
}

impl Screen {
    /// Looks at the streams and the environment.
    pub(super) fn detect() -> Self {
        let capable = options::terminal_is_capable();
        let people = std::io::stderr().is_terminal();
        let room = |is_terminal: bool| match comfy_table::Table::new().width() {
            Some(width) if is_terminal && width > 0 => Room::Columns(usize::from(width)),
            _ => Room::Endless,
        };
        Self {
            paint: Paint { colours: people && capable && options::colours_are_welcome() },
            is_live: people && capable,
            room_for_people: if people { room(true) } else { Room::Endless },
            room_for_data: if std::io::stdout().is_terminal() { room(true) } else { Room::Endless },
        }
    }

    /// Tells people something; a line end is added where the text has none.
    pub(super) fn people(self, text: &str) {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        self.ask(&format!("{text}{end}"));
    }

    /// Tells people something and leaves the cursor behind it. A closed stderr is no reason to stop.
    #[expect(clippy::unused_self, reason = "whoever prints was given a screen")]
    pub(super) fn ask(self, text: &str) {
        let _closed = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// Puts out data. `Break`: the reader has seen enough (`| head`), which is no failure.
    pub(super) fn data(self, text: &str) -> Result<ControlFlow<()>> {
        self.bytes(text.as_bytes())
    }

    /// Puts out data that is no text.
    #[expect(clippy::unused_self, reason = "whoever prints was given a screen")]
    pub(super) fn bytes(self, bytes: &[u8]) -> Result<ControlFlow<()>> {
        let mut stream = std::io::stdout().lock();
        match stream.write_all(bytes).and_then(|()| stream.flush()) {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
            Err(error) => Err(Error::new(Code::Usage, "write to stdout").because(error)),
        }
    }
}

/// Shows clap's help, version or usage error, and returns the exit status for it.
pub(super) fn usage(error: &clap::Error) -> u8 {
    let screen = Screen::detect();
    if !error.use_stderr() {
        // Help was asked for, so it is data; clap knows how to write it.
        let _closed = error.print();
        return 0;
    }
    let styled = error.render();
    let text = if screen.paint.colours { styled.ansi().to_string() } else { styled.to_string() };
    screen.people(&text.replacen("error:", "error[usage] (fault: configuration):", 1));
    super::usage_status()
}
