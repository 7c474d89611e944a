//! What came out of a sync, as data; the cli prints it.

use std::time::Duration;

use super::notes::Note;
use model::error::Error;

/// The result of one sync.
#[derive(Debug)]
pub struct Report {
    /// The sync's id in `_syncs`.
    pub id: String,
    /// The connection.
    pub connection: String,
    /// `name version` of the connector.
    pub connector: String,
    /// How it ended.
    pub outcome: Outcome,
    /// A line per table of the destination that got operations, in order of appearance.
    pub tables: Vec<TableReport>,
    /// Tables that the connector has and that got nothing, where it has finished.
    pub without_operations: Vec<String>,
    /// HTTP requests, retries included.
    pub requests: u64,
    /// HTTP retries.
    pub retries: u64,
    /// Bytes of bodies received, decompressed.
    pub response_bytes: u64,
    /// Checkpoints the connector saved.
    pub checkpoints: u64,
    /// Transactions.
    pub commits: u64,
    /// From the start until the destination was closed.
    pub duration: Duration,
    /// From the start until the first row was decoded.
    pub first_row_after: Option<Duration>,
    /// From the start until the last commit was durable.
    pub committed_after: Option<Duration>,
    /// Most memory the guest had at once, in bytes.
    pub guest_memory_peak_bytes: u64,
    /// Most memory the destination's engine was seen to hold, before commits and at the end, in bytes.
    pub destination_memory_bytes: Option<u64>,
    /// The state it started from.
    pub state_before: Option<String>,
    /// The last durable state.
    pub state_after: Option<String>,
    /// Values that were not stored as they came, by column: only if the schema contract says so.
    pub notes: Vec<Note>,
    /// The first records of each table, if asked for.
    pub samples: Vec<Sample>,
}

impl Report {
    /// A report of a sync that did not begin.
    pub fn not_begun(error: Error) -> Self {
        Self {
            id: String::new(),
            connection: String::new(),
            connector: String::new(),
            outcome: Outcome::Failed(error),
            tables: vec![],
            without_operations: vec![],
            requests: 0,
            retries: 0,
            response_bytes: 0,
            checkpoints: 0,
            commits: 0,
            duration: Duration::ZERO,
            first_row_after: None,
            committed_after: None,
            guest_memory_peak_bytes: 0,
            destination_memory_bytes: None,
            state_before: None,
            state_after: None,
            notes: vec![],
            samples: vec![],
        }
    }
}

/// How a sync ended.
#[derive(Debug)]
pub enum Outcome {
    /// The connector finished; everything is durable.
    Succeeded,
    /// Stopped after `--limit-rows`; those rows are durable.
    LimitRows,
    /// It failed or was interrupted; everything up to the last checkpoint is durable.
    Failed(Error),
}

/// One table's part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableReport {
    /// The table's name in the warehouse.
    pub table: String,
    /// Upserts durable.
    pub upserted: u64,
    /// Updates durable.
    pub updated: u64,
    /// Deletes durable.
    pub deleted: u64,
    /// Truncates durable.
    pub truncated: u64,
    /// Records durable in the table of those that could not be taken.
    pub rejected: u64,
    /// Updates and deletes whose row was not there.
    pub ignored: u64,
    /// Rows deleted because the full refresh that ended did not bring them back.
    pub swept: u64,
    /// The table keeps its history.
    pub history: bool,
    /// That began with this sync, and the table was there before.
    pub history_is_new: bool,
    /// Versions of rows that are new.
    pub versions_begun: u64,
    /// Versions of rows that are not active any more.
    pub versions_ended: u64,
    /// Upserts of a key that this sync had upserted before.
    pub repeated_keys: u64,
    /// Rows in the warehouse now that are not marked as deleted.
    pub rows_now: u64,
    /// The table is new.
    pub is_new: bool,
    /// Columns that are new: name and type.
    pub new_columns: Vec<(String, String)>,
    /// Columns that were widened: name, type before, type now.
    pub widened_columns: Vec<(String, String, String)>,
}

/// The first records of a table and its inferred columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// The table's name in the warehouse.
    pub table: String,
    /// The primary key's columns.
    pub primary_key: Vec<String>,
    /// Columns with their types, in order.
    pub columns: Vec<(String, String)>,
    /// Records as the connector wrote them.
    pub records: Vec<String>,
}
