//! What the engine says, as an error of ours: DuckDB's messages sorted into codes, each with what to do about it.

use std::path::Path;

use crate::file::{DISK_FULL, UNWRITABLE};
use model::error::{Code, Error};

/// The engine's own words, without the numbers and stack traces around them.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct EngineError(String);

impl EngineError {
    /// Takes the words out of an error of the `duckdb` crate (whose own source says only "error code 1").
    pub(super) fn of(error: &duckdb::Error) -> Self {
        let text = error.to_string();
        let text = text.split("\n\nStack Trace").next().unwrap_or(&text);
        Self(text.trim_end().to_owned())
    }
}

/// Makes an error out of a refusal while the warehouse is open. `what` completes "failed to …".
pub(super) fn failed(what: impl Into<String>) -> impl FnOnce(duckdb::Error) -> Error {
    let what = what.into();
    move |error| {
        let (code, hint) = classify(&error.to_string());
        let made = Error::new(code, what).because(EngineError::of(&error));
        if hint.is_empty() { made } else { made.hint(hint) }
    }
}

/// Makes an error out of a refusal to open the file.
pub(super) fn failed_to_open(path: &Path) -> impl FnOnce(duckdb::Error) -> Error {
    move |error| {
        let text = error.to_string();
        let (code, hint) = match classify(&text) {
            // An engine that finds impossible things while it opens a file has been given a damaged one.
            (Code::DestinationFailed, _)
                if ["INTERNAL", "FATAL", "Serialization"].iter().any(|word| text.contains(word)) =>
            {
                (Code::WarehouseCorrupted, CORRUPTED)
            }
            known => known,
        };
        let hint = match (code, holder(&text)) {
            (Code::WarehouseInUse, Some(pid)) => format!("Process {pid} has it open. {IN_USE}"),
            (Code::DestinationFailed, _) => format!("Check that {} is a DuckDB database.", path.display()),
            _ => hint.to_owned(),
        };
        Error::new(code, format!("open the warehouse {}", path.display())).because(EngineError::of(&error)).hint(hint)
    }
}

/// Whether two transactions changed the same row: the other one was first.
pub(super) fn is_conflict(error: &duckdb::Error) -> bool {
    let text = error.to_string();
    text.contains("Conflict on ")
        || text.contains("write-write conflict")
        || text.contains("has been altered by a different transaction")
}

/// Whether a statement failed because of the state of the file or the disk, not because of what it says.
pub(super) fn is_about_the_file(text: &str) -> bool {
    matches!(classify(text).0, Code::DiskFull | Code::WarehouseCorrupted)
}

const IN_USE: &str = "A DuckDB file that is being written can be open in one process only: wait until that one has \
                      ended, or close it.";
const CORRUPTED: &str = "Is this path meant? If it was a warehouse, restore it from a backup, or move it away (with the \
                         file of the same name that ends in .wal) and sync everything again.";
const NEWER_FILE: &str = "The file was made by another version of DuckDB than this program contains. Use a program with that \
                          version, or another file.";
const OUT_OF_MEMORY: &str = "The engine reached its memory limit. Commit more often, or write narrower rows.";

/// Phrases of DuckDB's messages in lower case, most telling first. Checked against the engine by the tests below.
const PHRASES: &[(&str, Code, &str)] = &[
    ("no space left on device", Code::DiskFull, DISK_FULL),
    ("disk quota exceeded", Code::DiskFull, DISK_FULL),
    ("file too large", Code::DiskFull, DISK_FULL),
    ("max_temp_directory_size", Code::DiskFull, DISK_FULL),
    ("could not set lock", Code::WarehouseInUse, IN_USE),
    ("conflicting lock", Code::WarehouseInUse, IN_USE),
    ("we can only read versions", Code::WarehouseCorrupted, NEWER_FILE),
    ("newer version of duckdb", Code::WarehouseCorrupted, NEWER_FILE),
    ("not a valid duckdb database", Code::WarehouseCorrupted, CORRUPTED),
    ("checksum", Code::WarehouseCorrupted, CORRUPTED),
    ("corrupt", Code::WarehouseCorrupted, CORRUPTED),
    ("replaying wal", Code::WarehouseCorrupted, CORRUPTED),
    ("failed to deserialize", Code::WarehouseCorrupted, CORRUPTED),
    ("could not read enough bytes", Code::WarehouseCorrupted, CORRUPTED),
    ("is a directory", Code::WarehouseUnwritable, UNWRITABLE),
    ("permission denied", Code::WarehouseUnwritable, UNWRITABLE),
    ("read-only file system", Code::WarehouseUnwritable, UNWRITABLE),
    ("not a directory", Code::WarehouseUnwritable, UNWRITABLE),
    ("cannot open file", Code::WarehouseUnwritable, UNWRITABLE),
    ("input/output error", Code::WarehouseUnwritable, UNWRITABLE),
    ("out of memory", Code::DestinationFailed, OUT_OF_MEMORY),
];

fn classify(text: &str) -> (Code, &'static str) {
    let text = text.to_lowercase();
    let known = PHRASES.iter().find(|(phrase, _, _)| text.contains(phrase));
    known.map_or((Code::DestinationFailed, ""), |(_, code, hint)| (*code, hint))
}

/// The number in `Conflicting lock is held in /usr/bin/duckdb (PID 1234)`.
fn holder(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("(PID ")?;
    let (pid, _) = rest.split_once(')')?;
    pid.bytes().all(|byte| byte.is_ascii_digit()).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::{classify, holder};
    use model::error::Code;

    #[test]
    fn the_process_that_holds_the_lock_is_named() {
        let text = "IO Error: Could not set lock on file \"w.db\": Conflicting lock is held in /usr/bin/duckdb (PID 4711). See";
        assert_eq!(holder(text), Some("4711"));
        assert_eq!(classify(text).0, Code::WarehouseInUse);
    }

    #[test]
    fn a_full_disk_is_told_from_a_dead_instance() {
        let text = "FATAL Error: Failed: database has been invalidated because of a previous fatal error. The database must be \
                    restarted prior to being used again.\nOriginal error: \"Could not write file: No space left on device\"";
        assert_eq!(classify(text).0, Code::DiskFull);
    }
}
