//! What a lake remembers of a connection: fence, state and its history, tables; a log of entries in `_elt/CONNECTION`, of
//! which the newest counts. Format in docs/formats/delta.md.
//!
//! An entry is made under the next number, and only if there is none: whoever makes it first has committed, and whoever
//! comes second has been overtaken.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::errors::{Failure, damaged};
use super::names;
use super::store::Store;
use crate::document::TableDocument;
use crate::sql::{Portrait, SYSTEM};
use crate::{ConnectionRow, Refresh, StateRow};
use model::error::{Code, Error, Result};

/// The format of an entry. Raised whenever an older program could not work with what a newer one writes.
const FORMAT: u32 = 1;
/// How many entries are kept.
const ENTRIES_KEPT: u64 = 50;
/// How many more there are before the oldest are removed.
const ENTRIES_TRIMMED: u64 = 10;
/// How many bytes of states are kept for the history: every entry holds them all.
const HISTORY_BYTES_MAX: usize = 4 << 20;

/// A connection, as of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    format: u32,
    /// Who made it, and the how many-th of that session it was: no two entries are the same.
    pub(super) writer: String,
    pub(super) connection: String,
    fence: u64,
    sequence: u64,
    state: Option<String>,
    committed_at_us: Option<i64>,
    refresh_since_us: Option<i64>,
    /// A JSON list; none: all.
    refresh_tables: Option<String>,
    /// The newest first.
    states: Vec<StateDocument>,
    tables: Vec<TableDocument>,
    /// Where each table is, by its name; `_syncs` among them.
    pub(super) stored: BTreeMap<String, Stored>,
    /// Tables that are being written. They count as they were before, until an entry without them is made.
    pub(super) pending: Vec<Pending>,
    /// Folders that are being removed.
    pub(super) dropping: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StateDocument {
    sequence: u64,
    state: Option<String>,
    committed_at_us: i64,
    sync: String,
}

/// A table's place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) folder: String,
    /// The version of the table that the connection's last commit made.
    pub(super) version: u64,
    pub(super) rows: u64,
    /// Rows that are not deleted.
    pub(super) live: u64,
    /// The last commit that wrote a row, in microseconds since 1970.
    pub(super) synced_at_us: Option<i64>,
}

/// A table while a commit writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) table: String,
    pub(super) folder: String,
    /// The version that counts; none if there was no such table.
    pub(super) before: Option<u64>,
}

impl Entry {
    /// An entry with these contents of the catalog, and everything else as in `base`.
    pub(super) fn with(base: &Self, portrait: &Portrait) -> Self {
        let row = portrait.row.clone();
        let mut bytes = 0;
        let keep = |state: &&StateRow| {
            let is_first = bytes == 0;
            bytes += state.state.as_ref().map_or(0, String::len) + 1;
            is_first || bytes <= HISTORY_BYTES_MAX
        };
        let state = |state: &StateRow| StateDocument {
            sequence: state.sequence,
            state: state.state.clone(),
            committed_at_us: state.committed_at_us,
            sync: state.sync.clone(),
        };
        Self {
            format: FORMAT,
            connection: row.connection,
            fence: row.fence,
            sequence: row.sequence,
            state: row.state,
            committed_at_us: row.committed_at_us,
            refresh_since_us: row.refresh.as_ref().map(|refresh| refresh.since_us),
            refresh_tables: row.refresh.as_ref().and_then(Refresh::tables_json),
            states: portrait.states.iter().take_while(keep).map(state).collect(),
            tables: portrait.tables.iter().map(TableDocument::of).collect(),
            ..base.clone()
        }
    }

    /// What the catalog is to hold of the connection.
    pub(super) fn portrait(&self) -> Result<Portrait> {
        let refresh = self.refresh_since_us.map(|since_us| Refresh::new(since_us, self.refresh_tables.as_deref()));
        let row = ConnectionRow {
            connection: self.connection.clone(),
            fence: self.fence,
            sequence: self.sequence,
            state: self.state.clone(),
            committed_at_us: self.committed_at_us,
            refresh,
        };
        let state = |state: &StateDocument| StateRow {
            sequence: state.sequence,
            state: state.state.clone(),
            committed_at_us: state.committed_at_us,
            sync: state.sync.clone(),
        };
        let tables = self.tables.iter().cloned().map(TableDocument::schema).collect::<Result<_, String>>();
        let tables = tables.map_err(|why| damaged(&format!("the journal of {}", self.connection), why))?;
        Ok(Portrait { row, states: self.states.iter().map(state).collect(), tables })
    }

    /// Whether it says the same, whoever made it.
    pub(super) fn equals(&self, other: &Self) -> bool {
        *self == Self { writer: self.writer.clone(), ..other.clone() }
    }
}

/// The entries of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    folder: String,
    /// The number of the newest entry; 0 if there is none.
    pub(super) number: u64,
    /// The newest entry.
    pub(super) entry: Entry,
    /// Entries up to this number are removed already.
    trimmed: u64,
}

impl Journal {
    /// The folders of the connections that have one.
    pub(super) fn folders(store: &dyn Store) -> Result<Vec<String>> {
        let mut folders = store.list(SYSTEM)?.folders;
        // No name of a connection begins with a point.
        folders.retain(|folder| !folder.starts_with('.'));
        Ok(folders)
    }

    /// Reads a connection's newest entry.
    pub(super) fn read(store: &dyn Store, connection: &str) -> Result<Self> {
        let mut journal = Self::read_folder(store, &names::folder(connection))?;
        connection.clone_into(&mut journal.entry.connection);
        Ok(journal)
    }

    /// The same by the name of its folder.
    pub(super) fn read_folder(store: &dyn Store, folder: &str) -> Result<Self> {
        let folder = format!("{SYSTEM}/{folder}");
        let number = newest(store, &folder)?;
        let entry = if number == 0 { Entry::default() } else { read(store, &key(&folder, number))? };
        Ok(Self { folder, number, entry, trimmed: 0 })
    }

    /// Whether somebody has made another entry since this one was read.
    pub(super) fn is_outdated(&self, store: &dyn Store) -> Result<bool> {
        Ok(newest(store, &self.folder)? != self.number)
    }

    /// Makes the next entry.
    pub(super) fn append(&mut self, store: &dyn Store, entry: Entry) -> Result<(), Failure> {
        let number = self.number + 1;
        let text = serde_json::to_vec(&entry).map_err(|error| bug("write an entry of the journal", error))?;
        if !store.create(&key(&self.folder, number), &text)? {
            return Err(Failure::Overtaken);
        }
        // Old entries are removed, oldest first: where the one before is gone, this number was free again, and the entry is
        // that of a host which slept for very long.
        let is_late = match self.number {
            0 => newest(store, &self.folder)? > ENTRIES_KEPT,
            before => store.read(&key(&self.folder, before))?.is_none(),
        };
        if is_late {
            return Err(Failure::Overtaken);
        }
        (self.number, self.entry) = (number, entry);
        Ok(())
    }

    /// Removes entries that are no longer needed, the oldest first.
    pub(super) fn trim(&mut self, store: &dyn Store) -> Result<()> {
        let last = self.number.saturating_sub(ENTRIES_KEPT);
        if last < self.trimmed + ENTRIES_TRIMMED {
            return Ok(());
        }
        for name in store.list(&self.folder)?.objects {
            if number_of(&name).is_some_and(|number| number <= last) {
                store.delete(&format!("{}/{name}", self.folder))?;
            }
        }
        self.trimmed = last;
        Ok(())
    }
}

fn key(folder: &str, number: u64) -> String {
    format!("{folder}/{number:020}.json")
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".json")?.parse().ok()
}

fn newest(store: &dyn Store, folder: &str) -> Result<u64> {
    Ok(store.list(folder)?.objects.iter().filter_map(|name| number_of(name)).max().unwrap_or(0))
}

fn read(store: &dyn Store, key: &str) -> Result<Entry> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let bytes = store.read(key)?.ok_or_else(|| damaged(key, "it was removed while it was read"))?;
    let Version { format } = serde_json::from_slice(&bytes).map_err(|error| damaged(key, error))?;
    if format > FORMAT {
        let what = format!("use the lake: its format is {format}, this program knows formats up to {FORMAT}");
        return Err(
            Error::new(Code::DestinationFailed, what).hint("Use the newer version of this program that wrote it.")
        );
    }
    serde_json::from_slice(&bytes).map_err(|error| damaged(key, error))
}

fn bug(what: &str, error: serde_json::Error) -> Failure {
    Failure::Lake(Error::new(Code::HostBug, what).because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = r#"{"format":1,"writer":"s-1","connection":"shop","fence":3,"sequence":12,"state":"{\"cursor\":42}","committed_at_us":1700000000000000,"refresh_since_us":1600000000000000,"refresh_tables":"[\"orders\"]","states":[{"sequence":12,"state":null,"committed_at_us":1700000000000000,"sync":"x"}],"tables":[{"source_name":"orders","name":"orders","key":[0],"columns":[{"source_name":"id","name":"id","type":"LONG[53]","declared":false}]}],"stored":{"orders":{"folder":"shop/orders","version":7,"rows":1000,"live":990,"synced_at_us":1700000000000000}},"pending":[{"table":"orders","folder":"shop/orders","before":7}],"dropping":["shop/old"]}"#;

    #[test]
    fn the_first_version_of_the_format_is_read_for_ever() {
        let entry: Entry = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(serde_json::to_string(&entry).unwrap(), GOLDEN);
        let portrait = entry.portrait().unwrap();
        assert_eq!((portrait.row.fence, portrait.row.sequence), (3, 12));
        assert!(portrait.row.refresh.as_ref().is_some_and(|refresh| refresh.includes("orders")));
        assert!(Entry::with(&entry, &portrait).equals(&entry));
    }

    #[test]
    fn the_history_of_states_is_bounded_and_has_the_newest() {
        let entry: Entry = serde_json::from_str(GOLDEN).unwrap();
        let mut portrait = entry.portrait().unwrap();
        let state = |sequence| StateRow {
            sequence,
            state: Some("x".repeat(HISTORY_BYTES_MAX / 4)),
            committed_at_us: 1,
            sync: String::new(),
        };
        portrait.states = (0..20).rev().map(state).collect();
        let kept = Entry::with(&entry, &portrait).states;
        assert_eq!(kept.iter().map(|state| state.sequence).collect::<Vec<_>>(), [19, 18, 17]);
        portrait.states = vec![StateRow { state: Some("x".repeat(HISTORY_BYTES_MAX * 2)), ..state(0) }];
        assert_eq!(Entry::with(&entry, &portrait).states.len(), 1);
    }
}
