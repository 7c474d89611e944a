//! Where the state of a connection is kept when its destination cannot hold it: one file, replaced as a whole.
//!
//! `files/state/CONNECTION.json`, format in docs/formats/jsonl.md. A lock keeps other syncs of the connection out.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::document::TableDocument;
use crate::file::make_folder;
use model::error::{Code, Error, Result};
use model::schema::TableSchema;

/// The version of the format.
const VERSION: u32 = 1;

/// What is kept between syncs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kept {
    /// How many commits there were.
    pub(super) sequence: u64,
    pub(super) state: Option<String>,
    pub(super) tables: Vec<TableSchema>,
    /// The tables that got rows since they were last truncated.
    pub(super) filled: BTreeSet<String>,
}

/// The file, locked for one sync.
pub(super) struct StateFile {
    path: PathBuf,
    /// Held as long as it is open.
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    sequence: u64,
    /// The state's own text.
    state: Option<String>,
    tables: Vec<TableDocument>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    filled: BTreeSet<String>,
}

impl StateFile {
    /// Opens a connection's file in a folder, which is made if it is not there.
    pub(super) fn open(folder: &Path, connection: &str) -> Result<(Self, Kept)> {
        make_folder(folder).map_err(|error| unwritable(folder, error))?;
        let lock_path = folder.join(format!("{connection}.lock"));
        let lock = File::create(&lock_path).map_err(|error| unwritable(&lock_path, error))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            Error::new(Code::WarehouseInUse, format!("begin a sync of {connection}: another one is under way"))
                .hint("Wait until it has ended.")
                .because(std::io::Error::from(error))
        })?;
        let path = folder.join(format!("{connection}.json"));
        let kept = match fs::read_to_string(&path) {
            Ok(text) => read(&text).map_err(|why| damaged(&path, &why))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(unwritable(&path, error)),
        };
        Ok((Self { path, _lock: lock }, kept))
    }

    /// Replaces the file; durable when this returns.
    pub(super) fn save(&self, kept: &Kept) -> Result<()> {
        let partial = self.path.with_extension("json.partial");
        let written = || -> std::io::Result<()> {
            let mut file = File::create(&partial)?;
            file.write_all(write(kept)?.as_bytes())?;
            file.sync_all()?;
            fs::rename(&partial, &self.path)?;
            // The new name is durable only with its folder.
            self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        written().map_err(|error| unwritable(&self.path, error))
    }
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Code::DiskFull,
        _ => Code::WarehouseUnwritable,
    };
    Error::new(code, format!("keep the state in {}", path.display()))
        .hint("The state of a connection that goes to stdout is kept in the folder files/state: check that it can be written.")
        .because(error)
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::new(Code::StateInvalid, format!("read the state in {}: {why}", path.display()))
        .hint("Restore the file from a backup, or remove it to sync everything again.")
}

fn write(kept: &Kept) -> serde_json::Result<String> {
    serde_json::to_string(&Document {
        version: VERSION,
        sequence: kept.sequence,
        state: kept.state.clone(),
        tables: kept.tables.iter().map(TableDocument::of).collect(),
        filled: kept.filled.clone(),
    })
}

fn read(text: &str) -> Result<Kept, String> {
    let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if document.version > VERSION {
        return Err(format!("its version is {}, this program knows up to {VERSION}", document.version));
    }
    let tables = document.tables.into_iter().map(TableDocument::schema).collect::<Result<_, _>>()?;
    Ok(Kept { sequence: document.sequence, state: document.state, tables, filled: document.filled })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = r#"{"version":1,"sequence":7,"state":"{\"cursor\": 1}","tables":[{"source_name":"t","name":"t","key":[0],"columns":[{"source_name":"id","name":"id","type":"LONG[53]","declared":false},{"source_name":"at","name":"at","type":"UTC_DATETIME[T3Z]","declared":false}]}]}"#;

    #[test]
    fn the_first_version_of_the_format_is_read_for_ever() {
        let kept = read(GOLDEN).unwrap();
        assert_eq!((kept.sequence, kept.state.as_deref()), (7, Some("{\"cursor\": 1}")));
        assert_eq!(write(&kept).unwrap(), GOLDEN);
    }

    #[test]
    fn what_is_no_state_is_refused() {
        for text in ["", "{}", r#"{"version":2,"sequence":7,"state":null,"tables":[]}"#] {
            assert!(read(text).is_err(), "{text}");
        }
        let no_key = GOLDEN.replace("\"key\":[0]", "\"key\":[9]");
        assert!(read(&no_key).is_err());
    }

    #[test]
    fn a_second_sync_of_a_connection_is_kept_out() {
        let folder = tempfile::tempdir().unwrap();
        let (file, kept) = StateFile::open(folder.path(), "c").unwrap();
        assert_eq!(kept, Kept::default());
        assert_eq!(StateFile::open(folder.path(), "c").err().unwrap().code(), Code::WarehouseInUse);
        StateFile::open(folder.path(), "other").unwrap();
        file.save(&read(GOLDEN).unwrap()).unwrap();
        drop(file);
        assert_eq!(StateFile::open(folder.path(), "c").unwrap().1, read(GOLDEN).unwrap());
    }
}
