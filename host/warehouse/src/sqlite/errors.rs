//! What SQLite says, as an error of ours: its codes sorted into codes of the host, each with what to do about it.

use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_BUSY_SNAPSHOT, SQLITE_IOERR_SHMSIZE};

use crate::file::{DISK_FULL, UNWRITABLE};
use model::error::{Code, Error};

/// The engine's own words, without the numbers around them.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct EngineError(String);

impl EngineError {
    /// Takes the words out of an error of the `rusqlite` crate (whose own source says only "Error code 1").
    pub(super) fn of(error: &rusqlite::Error) -> Self {
        match error {
            // Shown without the statement.
            rusqlite::Error::SqlInputError { msg, .. } => Self(msg.clone()),
            other => Self(other.to_string()),
        }
    }
}

/// Makes an error out of a refusal while the warehouse is open. `what` completes "failed to …".
pub(super) fn failed(what: impl Into<String>) -> impl FnOnce(rusqlite::Error) -> Error {
    let what = what.into();
    move |error| {
        let (code, hint) = classify(&error);
        let made = Error::new(code, what).because(EngineError::of(&error));
        if hint.is_empty() { made } else { made.hint(hint) }
    }
}

/// Makes an error out of a refusal to open the file.
pub(super) fn failed_to_open(path: &Path) -> impl FnOnce(rusqlite::Error) -> Error {
    move |error| {
        let (code, hint) = classify(&error);
        let hint = if hint.is_empty() { CORRUPTED } else { hint };
        Error::new(code, format!("open the warehouse {}", path.display())).because(EngineError::of(&error)).hint(hint)
    }
}

/// Whether another transaction wrote after this one began to read.
pub(super) fn is_conflict(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_BUSY_SNAPSHOT)
}

/// Whether a statement failed because of the state of the file or the disk, not because of what it says.
pub(super) fn is_about_the_file(error: &rusqlite::Error) -> bool {
    !matches!(classify(error).0, Code::DestinationFailed)
}

const IN_USE: &str =
    "Another program has been writing to the file for longer than a sync waits. Run again when it has ended.";
const CORRUPTED: &str = "Is this path meant? If it was a warehouse, restore it from a backup, or move it away (with the \
                         files of the same name that end in -wal and -shm) and sync everything again.";
const OUT_OF_MEMORY: &str = "The engine got no more memory from the system. Commit more often, or write narrower rows.";
const TOO_BIG: &str = "SQLite holds texts and rows of up to 1,000,000,000 bytes.";
const TAKEN: &str = "Table T of connection C is named C__T in SQLite, and something else in the file has that name. Rename it, or \
                     choose another name with --connection NAME.";
const DEPENDENT: &str = "A view, an index or a trigger that somebody added to the file needs a column as it was. Drop it, run again, \
                         and add it again.";

/// Phrases of messages that have no code of their own.
const PHRASES: &[(&str, &str)] = &[
    ("already exists", TAKEN),
    ("already another table or index", TAKEN),
    ("already a table named", TAKEN),
    ("already an index named", TAKEN),
    ("error in view", DEPENDENT),
    ("error in index", DEPENDENT),
    ("error in trigger", DEPENDENT),
    ("cannot drop column", DEPENDENT),
];

fn classify(error: &rusqlite::Error) -> (Code, &'static str) {
    let (rusqlite::Error::SqliteFailure(failure, _) | rusqlite::Error::SqlInputError { error: failure, .. }) = error
    else {
        return (Code::DestinationFailed, "");
    };
    match failure.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (Code::WarehouseInUse, IN_USE),
        ErrorCode::DiskFull => (Code::DiskFull, DISK_FULL),
        ErrorCode::SystemIoFailure if failure.extended_code == SQLITE_IOERR_SHMSIZE => (Code::DiskFull, DISK_FULL),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => (Code::WarehouseCorrupted, CORRUPTED),
        ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::SystemIoFailure => {
            (Code::WarehouseUnwritable, UNWRITABLE)
        }
        ErrorCode::OutOfMemory => (Code::DestinationFailed, OUT_OF_MEMORY),
        ErrorCode::TooBig => (Code::DestinationFailed, TOO_BIG),
        _ => {
            let text = error.to_string();
            let known = PHRASES.iter().find(|(phrase, _)| text.contains(phrase));
            (Code::DestinationFailed, known.map_or("", |(_, hint)| hint))
        }
    }
}
