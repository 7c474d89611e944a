//! The log of a Delta table: which files are in it, version by version. Follows the public protocol of Delta Lake
//! (<https://github.com/delta-io/delta/blob/master/PROTOCOL.md>), so that every Delta reader reads the tables.
//!
//! A version is one file of JSON lines, made only if there is none of its number. `checkpoint` sums up what came before,
//! `cleanup` removes what need not stay then.

mod action;
mod checkpoint;
mod cleanup;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use action::{Action, Add, Format, Metadata, Protocol, Remove, Transaction, now_ms};
pub(super) use checkpoint::write as write_checkpoint;

use self::checkpoint::Checkpoint;
use super::errors::damaged;
use super::scratch::Scratch;
use super::store::Store;
use model::error::{Code, Error, Result};

/// Features that a reader must know and this program does.
const READER_FEATURES: &[&str] = &["timestampNtz"];
/// Features that a writer must know and this program does, or that need nothing of a writer which never uses them.
const WRITER_FEATURES: &[&str] = &["timestampNtz", "appendOnly", "invariants"];

/// A table as of a version.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) version: u64,
    pub(super) protocol: Protocol,
    pub(super) metadata: Metadata,
    /// The files with its rows, by path.
    pub(super) files: BTreeMap<String, Add>,
    /// Files that are no longer in it and may still be read by somebody, by path.
    pub(super) removed: BTreeMap<String, Remove>,
    /// The last transaction of each application.
    pub(super) transactions: BTreeMap<String, Transaction>,
}

impl Snapshot {
    /// Reads a table as of a version, or the newest one; none if there is no table.
    pub(super) fn read(
        store: &dyn Store,
        scratch: &mut Scratch,
        folder: &str,
        at: Option<u64>,
    ) -> Result<Option<Self>> {
        let objects = store.list(&log_folder(folder))?.objects;
        let wanted = at.unwrap_or(u64::MAX);
        let versions: BTreeSet<u64> = objects.iter().filter_map(|name| commit_version(name)).collect();
        let checkpoint = Checkpoint::newest(&objects, wanted);
        let Some(last) = versions.range(..=wanted).next_back().copied().max(checkpoint.as_ref().map(|of| of.version))
        else {
            return if objects.is_empty() || at.is_none() { Ok(None) } else { Err(gone(folder, wanted)) };
        };
        if at.is_some_and(|at| at != last) {
            return Err(gone(folder, wanted));
        }
        let mut snapshot = Self::default();
        let first = match checkpoint {
            Some(checkpoint) => {
                for line in checkpoint.lines(store, scratch, &log_folder(folder))? {
                    snapshot.apply(parse(folder, checkpoint.version, &line)?);
                }
                checkpoint.version + 1
            }
            None => 0,
        };
        for version in first..=last {
            let key = commit_key(folder, version);
            let bytes = store.read(&key)?.ok_or_else(|| damaged(folder, format!("version {version} is missing")))?;
            let text = String::from_utf8(bytes).map_err(|error| damaged(&key, error))?;
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                snapshot.apply(parse(folder, version, line)?);
            }
        }
        snapshot.version = last;
        snapshot.check(folder)?;
        Ok(Some(snapshot))
    }

    /// Takes an action in.
    fn apply(&mut self, action: Action) {
        match action {
            Action::Add(add) => {
                self.removed.remove(&add.path);
                self.files.insert(add.path.clone(), *add);
            }
            Action::Remove(remove) => {
                self.files.remove(&remove.path);
                self.removed.insert(remove.path.clone(), remove);
            }
            Action::MetaData(metadata) => self.metadata = *metadata,
            Action::Protocol(protocol) => self.protocol = protocol,
            Action::Txn(transaction) => {
                self.transactions.insert(transaction.app_id.clone(), transaction);
            }
            Action::Other => {}
        }
    }

    /// Makes the next version of a table, of which this is the newest or which does not exist yet (`None` in `before`).
    /// Returns what the table is then; none if somebody else has made that version.
    pub(super) fn commit(
        store: &dyn Store,
        folder: &str,
        before: Option<&Self>,
        (operation, actions): (&str, Vec<Action>),
    ) -> Result<Option<Self>> {
        let version = before.map_or(0, |before| before.version + 1);
        let mut lines = action::commit_info(operation);
        for action in &actions {
            lines.push('\n');
            lines.push_str(&action.line()?);
        }
        lines.push('\n');
        if !store.create(&commit_key(folder, version), lines.as_bytes())? {
            return Ok(None);
        }
        let mut after = before.cloned().unwrap_or_default();
        for action in actions {
            after.apply(action);
        }
        after.version = version;
        Ok(Some(after))
    }

    /// Refuses a table that another program has given what this one does not know.
    fn check(&self, folder: &str) -> Result<()> {
        let unknown = |features: &Option<Vec<String>>, known: &[&str]| {
            features.iter().flatten().find(|feature| !known.contains(&feature.as_str())).cloned()
        };
        let Protocol { min_reader_version, min_writer_version, .. } = self.protocol;
        let mut strange = unknown(&self.protocol.reader_features, READER_FEATURES)
            .or_else(|| unknown(&self.protocol.writer_features, WRITER_FEATURES))
            .map(|feature| format!("the feature {feature}"));
        if ![1, 3].contains(&min_reader_version) || ![1, 2, 7].contains(&min_writer_version) {
            strange = Some(format!("protocol versions {min_reader_version} and {min_writer_version}"));
        }
        if !self.metadata.partition_columns.is_empty() {
            strange = Some("partitions".to_owned());
        }
        if self.files.values().any(|file| file.deletion_vector.is_some()) {
            strange = Some("deletion vectors".to_owned());
        }
        let Some(strange) = strange else { return Ok(()) };
        let what = format!("use the Delta table in {folder}: it has {strange}, which this program does not know");
        Err(Error::new(Code::DestinationFailed, what).hint(
            "Another program gave it that. Take it away there, or reset the connection and sync everything again.",
        ))
    }
}

/// What the names of files with rows begin with.
pub(super) const PART: &str = "part-";

/// Whether a path is one of those that this program makes.
fn is_part(path: &str) -> bool {
    path.starts_with(PART) && !path.contains(['/', '%'])
}

/// The key of a file of a table. Refuses paths that lead out of the table's folder.
pub(super) fn file_key(folder: &str, path: &str) -> Result<String> {
    let plain = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    if plain.contains("://") || plain.starts_with('/') || plain.split(['/', '\\']).any(|part| part == "..") {
        return Err(damaged(folder, format!("its file \"{}\" is somewhere else", path.escape_default())));
    }
    Ok(format!("{folder}/{plain}"))
}

/// The folder of a table's log.
pub(super) fn log_folder(folder: &str) -> String {
    format!("{folder}/_delta_log")
}

/// The log begins after a version that is needed.
fn gone(folder: &str, version: u64) -> Error {
    damaged(folder, format!("version {version} of the table is gone"))
}

fn commit_key(folder: &str, version: u64) -> String {
    format!("{}/{version:020}.json", log_folder(folder))
}

fn commit_version(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json").filter(|digits| digits.len() == 20)?;
    digits.parse().ok()
}

fn parse(folder: &str, version: u64, line: &str) -> Result<Action> {
    Action::parse(line).map_err(|error| damaged(&format!("version {version} of {folder}"), error))
}
