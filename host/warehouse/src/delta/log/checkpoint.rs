//! Checkpoints of a Delta log: all that the versions before amount to, in a Parquet file, so that a reader need not read
//! them one by one.

use std::collections::BTreeMap;

use super::super::scratch::Scratch;
use super::super::store::Store;
use super::action::now_ms;
use super::{Action, Snapshot, cleanup, is_part, log_folder};
use model::error::{Code, Error, Result};

/// A checkpoint is written every so many versions.
const EVERY: u64 = 10;
/// How long files stay that were taken out of a table: readers of an older version may still want them. A week, as is usual.
const REMOVED_KEPT_MS: i64 = 7 * 24 * 3_600 * 1_000;

/// The columns of a checkpoint, as DuckDB reads them from lines of JSON.
const COLUMNS: &str = "{\
    txn: 'STRUCT(\"appId\" VARCHAR, version BIGINT, \"lastUpdated\" BIGINT)', \
    add: 'STRUCT(path VARCHAR, \"partitionValues\" MAP(VARCHAR, VARCHAR), size BIGINT, \"modificationTime\" BIGINT, \
          \"dataChange\" BOOLEAN, stats VARCHAR, tags MAP(VARCHAR, VARCHAR))', \
    remove: 'STRUCT(path VARCHAR, \"deletionTimestamp\" BIGINT, \"dataChange\" BOOLEAN, \"extendedFileMetadata\" BOOLEAN, \
             \"partitionValues\" MAP(VARCHAR, VARCHAR), size BIGINT)', \
    \"metaData\": 'STRUCT(id VARCHAR, name VARCHAR, description VARCHAR, format STRUCT(provider VARCHAR, \
                options MAP(VARCHAR, VARCHAR)), \"schemaString\" VARCHAR, \"partitionColumns\" VARCHAR[], \
                \"createdTime\" BIGINT, configuration MAP(VARCHAR, VARCHAR))', \
    protocol: 'STRUCT(\"minReaderVersion\" INTEGER, \"minWriterVersion\" INTEGER, \"readerFeatures\" VARCHAR[], \
               \"writerFeatures\" VARCHAR[])'}";

/// A checkpoint that is there, in one or more files.
pub(super) struct Checkpoint {
    pub(super) version: u64,
    names: Vec<String>,
}

impl Checkpoint {
    /// The newest whole checkpoint up to a version, among the names in a log's folder.
    pub(super) fn newest(objects: &[String], wanted: u64) -> Option<Self> {
        let mut found: BTreeMap<(u64, usize), Vec<String>> = BTreeMap::new();
        for name in objects {
            if let Some((version, parts)) = version_and_parts(name)
                && version <= wanted
            {
                found.entry((version, parts)).or_default().push(name.clone());
            }
        }
        let whole = found.into_iter().rev().find(|((_, parts), names)| names.len() == *parts);
        whole.map(|((version, _), names)| Self { version, names })
    }

    /// Its actions, as lines.
    pub(super) fn lines(&self, store: &dyn Store, scratch: &mut Scratch, folder: &str) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for name in &self.names {
            let file = scratch.file(store, &format!("{folder}/{name}"))?;
            lines.extend(scratch.json_rows(&file)?);
        }
        Ok(lines)
    }
}

/// `VERSION.checkpoint.parquet`, or `VERSION.checkpoint.PART.PARTS.parquet`.
fn version_and_parts(name: &str) -> Option<(u64, usize)> {
    let (version, rest) = name.strip_suffix(".parquet")?.split_once(".checkpoint")?;
    let parts = match rest.strip_prefix('.') {
        None if rest.is_empty() => 1,
        Some(rest) => rest.split_once('.')?.1.parse().ok()?,
        None => return None,
    };
    Some((version.parse().ok()?, parts))
}

/// Writes a checkpoint of a table where one is due; removes files that were taken out of the table long ago, and old entries
/// of the log.
pub(in crate::delta) fn write(
    store: &dyn Store,
    scratch: &mut Scratch,
    folder: &str,
    snapshot: &Snapshot,
) -> Result<()> {
    if snapshot.version == 0 || !snapshot.version.is_multiple_of(EVERY) {
        return Ok(());
    }
    let kept_since_ms = now_ms() - REMOVED_KEPT_MS;
    let is_old = |time: Option<i64>| time.is_some_and(|time| time < kept_since_ms);
    let (old, kept): (Vec<_>, Vec<_>) =
        snapshot.removed.values().cloned().partition(|removed| is_old(removed.deletion_timestamp));
    let mut actions =
        vec![Action::Protocol(snapshot.protocol.clone()), Action::MetaData(Box::new(snapshot.metadata.clone()))];
    actions.extend(snapshot.transactions.values().cloned().map(Action::Txn));
    actions.extend(snapshot.files.values().cloned().map(|add| Action::Add(Box::new(add))));
    actions.extend(kept.into_iter().map(Action::Remove));
    let lines: Vec<String> = actions.iter().map(Action::line).collect::<Result<_>>()?;
    let from = scratch.path("checkpoint.jsonl");
    std::fs::write(&from, lines.join("\n"))
        .map_err(|error| Error::new(Code::DestinationFailed, format!("write {}", from.display())).because(error))?;
    let file = scratch.parquet_of_lines(&from, COLUMNS)?;
    let log = log_folder(folder);
    store.upload(&format!("{log}/{:020}.checkpoint.parquet", snapshot.version), &file)?;
    let last = serde_json::json!({"version": snapshot.version, "size": lines.len()}).to_string();
    store.replace(&format!("{log}/_last_checkpoint"), last.as_bytes())?;
    // Only files of ours: what another program wrote it may know better.
    for removed in old.iter().filter(|removed| is_part(&removed.path)) {
        store.delete(&format!("{folder}/{}", removed.path))?;
    }
    cleanup::clean(store, folder, snapshot, &store.list(&log)?.objects)
}
