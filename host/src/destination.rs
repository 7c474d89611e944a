//! Where rows and checkpoints become durable: one trait, one registry, one file or folder per destination.
//!
//! A destination that can commit keeps one row per connection, `(connection, fence, sequence, state, committed_at)`, and
//! changes it in the same transaction as the rows (invariants 2, 7 and 8 in docs/INVARIANTS.md).

pub mod duckdb;
mod null;

use arrow::record_batch::RecordBatch;

use crate::error::{Code, Error, Result};
use crate::schema::{ColumnType, TableSchema};

/// What a destination knew of a connection when a sync began.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// The state of the last commit; none before the first.
    pub state: Option<String>,
    /// How many commits there were.
    pub sequence: u64,
    /// The tables as they stand, in the order in which they were made.
    pub tables: Vec<TableSchema>,
    /// For each table, whether it has no rows at all.
    pub empty: Vec<bool>,
}

/// Operations on one table, folded: what a run of the stream amounts to. Segments of one table are applied in order.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The table, as an index into `Commit::tables`.
    pub table: usize,
    /// Mark every row of the table as deleted first.
    pub truncates: bool,
    /// What the columns of both batches are. Holds at least the key's columns.
    pub columns: Vec<SegmentColumn>,
    /// Rows that replace the whole row of their key: `columns` in order, then one BOOLEAN: deleted.
    /// Columns of the table that are not in `columns` become NULL. Each key at most once in the segment.
    pub rows: RecordBatch,
    /// Changes to rows that are there: `columns` in order, then for each of them one BOOLEAN that says whether it is
    /// given, then one BOOLEAN: mark as deleted. A key that is not there is ignored and counted.
    pub patches: RecordBatch,
    /// No key of `rows` can be in the table yet, so nothing needs to be deleted before they are inserted.
    pub fresh: bool,
}

/// What a column of a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentColumn {
    /// The column, as an index into the table's `columns`.
    pub column: usize,
    /// The type of the values in this segment: the table's type when the segment was made, which may be narrower than
    /// the table's type at the commit. Then the destination converts, by the rules of docs/TYPES.md.
    pub column_type: ColumnType,
}

/// One transaction: DDL, every staged segment, then these segments, the fence and the state.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Every table of the connection as it is to stand after the commit; a continuation of `Opened::tables`.
    pub tables: Vec<TableSchema>,
    /// Operations since the last `stage`.
    pub segments: Vec<Segment>,
    /// The state of the checkpoint; none if the connector never saved one.
    pub state: Option<String>,
    /// The value of `_synced_at` in every row this commit writes, in microseconds since 1970.
    pub synced_at_us: i64,
    /// The sync's record in `_syncs`, as of this commit.
    pub sync: SyncRecord,
}

/// A row of the table `_syncs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncRecord {
    /// Unique: the start in microseconds since 1970 and a random part.
    pub id: String,
    /// Microseconds since 1970.
    pub started_at_us: i64,
    /// Microseconds since 1970; none while it runs.
    pub ended_at_us: Option<i64>,
    /// `running`, `succeeded`, `failed`, `interrupted`.
    pub outcome: String,
    /// The error's code and chain, if it failed.
    pub error: Option<String>,
    /// Rows by table and kind of operation, as a JSON object `{"table":{"upserted":1,…}}`.
    pub rows: String,
    /// The state the sync started from.
    pub state_before: Option<String>,
    /// The last durable state.
    pub state_after: Option<String>,
}

/// What a commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// For each table of the commit: updates and deletes whose row was not there.
    pub ignored: Vec<u64>,
}

/// A destination with a connection open for one sync. Blocking: the sync calls it from a thread of its own.
pub trait Destination: Send {
    /// Takes over segments that no checkpoint covers yet, so that memory stays bounded. Not visible before a commit.
    /// `tables` is the schema as of now.
    fn stage(&mut self, segments: Vec<Segment>, tables: &[TableSchema]) -> Result<()>;

    /// Makes everything staged, these segments and the state durable together, or nothing (`fenced-off` if another sync
    /// of this connection has begun since).
    fn commit(&mut self, commit: Commit) -> Result<Committed>;

    /// Forgets what was staged since the last commit.
    fn discard(&mut self) -> Result<()>;

    /// Writes the sync's end into `_syncs` (when no commit carried it) and returns how many rows that are not deleted
    /// each table of the last commit has.
    fn finish(&mut self, sync: &SyncRecord) -> Result<Vec<u64>>;

    /// Memory the engine itself holds, in bytes, where it can tell.
    fn memory_bytes(&self) -> Option<u64>;
}

/// How a sync opens its destination.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// The connection's name; the schema of its tables.
    pub connection: String,
    /// The sync's first record for `_syncs`.
    pub sync: SyncRecord,
}

/// Where rows go, as typed: `duckdb:PATH` or `null:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationUrl {
    /// A DuckDB database file.
    DuckDb(std::path::PathBuf),
    /// Nowhere: decodes and forgets. For trial runs and measurements.
    Null,
}

impl std::str::FromStr for DestinationUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("duckdb", path)) if !path.is_empty() => Ok(Self::DuckDb(path.into())),
            Some(("null", "")) => Ok(Self::Null),
            _ => Err(Error::new(Code::DestinationInvalid, format!("understand the destination \"{text}\""))
                .hint("Write duckdb:PATH, for example duckdb:files/warehouse.db, or null: to write nothing.")),
        }
    }
}

impl std::fmt::Display for DestinationUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DuckDb(path) => write!(f, "duckdb:{}", path.display()),
            Self::Null => f.write_str("null:"),
        }
    }
}

/// What stands in for a destination that was closed.
pub(crate) fn closed() -> Box<dyn Destination> {
    Box::new(null::Null::default())
}

/// Opens a destination for one sync: takes the fence, notes the sync in `_syncs`, reads state and tables.
pub fn open(url: &DestinationUrl, request: OpenRequest) -> Result<(Box<dyn Destination>, Opened)> {
    match url {
        DestinationUrl::DuckDb(path) => {
            let (destination, opened) = duckdb::DuckDb::open(path, request)?;
            Ok((Box::new(destination), opened))
        }
        DestinationUrl::Null => Ok((Box::new(null::Null::default()), Opened::default())),
    }
}
