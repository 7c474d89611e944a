//! `--log-file`: everything a sync tells, fine lines included, one line each, with the time, appended to a file.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use super::text;
use model::error::{Code, Error, Result};
use stream::lines::{level_text, now};
use stream::{Event, Observer};

/// A log file being written.
pub(super) struct LogFile {
    file: Mutex<File>,
}

impl LogFile {
    /// Opens the file, which grows.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path).map_err(|error| {
            Error::new(Code::Usage, format!("open the log file {}", path.display()))
                .hint("--log-file names a file that can be written, in a folder that is there.")
                .because(error)
        })?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// Writes lines as they are, such as the report.
    pub(super) fn lines(&self, text: &str) {
        if let Ok(mut file) = self.file.lock() {
            // A full disk must not fail a sync for the sake of its log.
            let _lost = file.write_all(text.as_bytes());
        }
    }
}

impl Observer for LogFile {
    fn event(&self, event: &Event) {
        self.lines(&format!("{} {}\n", now(), line(event)));
    }
}

/// An event as a line: its level or kind, who says it, what.
fn line(event: &Event) -> String {
    match event {
        Event::Started { connection, connector, destination, state } => format!(
            "info host: started {connection} ({connector}) into {destination} from state {}",
            text::printable(state.as_deref().unwrap_or("none"))
        ),
        Event::Log { level, message } => format!("{} connector: {}", level_text(*level), text::printable(message)),
        Event::Notice { level, message } => format!("{} host: {}", level_text(*level), text::printable(message)),
        Event::Rejected(rejection) => {
            format!("warning host: {}", text::printable(&super::progress::set_aside(rejection)))
        }
        Event::SchemaChanged { .. } => {
            format!("info host: {}", super::progress::schema_change(event).unwrap_or_default())
        }
        Event::Committed { sequence, rows, state, duration } => format!(
            "info host: commit {sequence} made {rows} rows durable in {}, state {}",
            text::duration(*duration),
            text::printable(state.as_deref().unwrap_or("none"))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stream::LogLevel;

    #[test]
    fn a_line_of_log_is_one_line_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.log");
        for _ in 0..2 {
            let log = LogFile::open(&path).unwrap();
            log.event(&Event::Log { level: LogLevel::Fine, message: "page 1\nof 2".into() });
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.ends_with("Z fine connector: page 1\\nof 2")), "{text}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_usage_error() {
        assert_eq!(LogFile::open(Path::new("/nonexistent/x.log")).err().map(|error| error.code()), Some(Code::Usage));
    }
}
