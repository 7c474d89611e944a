//! Where rows and checkpoints become durable: one trait, one registry, one file or folder per destination.
//!
//! A destination that can commit keeps one row per connection, `(connection, fence, sequence, state, committed_at)`, and
//! changes it in the same transaction as the rows (invariants 2, 7 and 8 in docs/INVARIANTS.md).

#[cfg(test)]
mod conformance;
mod delta;
mod document;
mod duckdb;
mod file;
mod jsonl;
mod null;
mod postgres;
mod query;
mod rejected;
mod remembered;
mod sql;
mod sqlite;

pub use delta::DeltaAddress;
pub use postgres::PostgresAddress;
pub use query::{Column, RowSink, Value};
pub use rejected::{Keyed, RejectedRecord, is_written_alike, overtaken, rejected};
pub use remembered::{ConnectionRow, Dropped, Refresh, StateRow, TableColumn, TableInfo};
pub use sql::ddl::SYNCS;

use std::path::Path;

use arrow::record_batch::RecordBatch;

use model::Selection;
use model::error::{Code, Error, Result};
use model::schema::{ColumnType, TableSchema};

/// What a destination knew of a connection when a sync began.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The state of the last commit; none before the first.
    pub state: Option<String>,
    /// How many commits there were.
    pub sequence: u64,
    /// The tables as they stand, in the order in which they were made.
    pub tables: Vec<TableSchema>,
    /// For each table, whether it has no rows at all.
    pub empty: Vec<bool>,
    /// The longest name of a table or column that the destination holds, in bytes of UTF-8.
    pub name_bytes_max: usize,
    /// Names that a column cannot have there, in lower case.
    pub columns_reserved: &'static [&'static str],
    /// Whether a text there can have the character NUL.
    pub nul_fits: bool,
    /// Whether the texts within a JSON value can have it, and half a surrogate pair.
    pub any_json_fits: bool,
}

impl Default for Opened {
    fn default() -> Self {
        Self {
            state: None,
            sequence: 0,
            tables: Vec::new(),
            empty: Vec::new(),
            name_bytes_max: NAME_BYTES_MAX,
            columns_reserved: &[],
            nul_fits: true,
            any_json_fits: true,
        }
    }
}

/// Where states are kept for destinations that cannot hold them.
const STATE_FOLDER: &str = "files/state";

/// The longest name of a table or column unless a destination says otherwise.
const NAME_BYTES_MAX: usize = 1_000;

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
    /// The value of `_synced_at` in every row this commit writes, in microseconds since 1970. A destination moves it on
    /// where it is not later than that of the commit before.
    pub synced_at_us: i64,
    /// The connector has finished: a full refresh under way ends with this commit, and rows that did not come back are
    /// deleted.
    pub is_last: bool,
    /// The tables that the sync reads.
    pub selection: Selection,
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
    /// For each table of the commit: rows deleted because a full refresh did not bring them back.
    pub swept: Vec<u64>,
    /// For each table of the commit: versions of rows, where it keeps its history.
    pub versions: Vec<Versions>,
}

impl Committed {
    /// Nothing, in so many tables.
    fn nothing(tables: usize) -> Self {
        Self { ignored: vec![0; tables], swept: vec![0; tables], versions: vec![Versions::default(); tables] }
    }
}

/// What became of the versions of a table's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// Versions that are new.
    pub begun: u64,
    /// Versions that were there and are not active any more.
    pub ended: u64,
}

impl Versions {
    /// Adds those of another transaction.
    pub fn add(&mut self, more: Self) {
        self.begun += more.begun;
        self.ended += more.ended;
    }
}

/// A destination with a connection open for one sync. Blocking: the sync calls it from a thread of its own.
pub trait Destination: Send {
    /// Takes over segments that no checkpoint covers yet, so that memory stays bounded. Not visible before a commit.
    /// `tables` is the schema as of now.
    fn stage(&mut self, segments: Vec<Segment>, tables: &[TableSchema]) -> Result<()>;

    /// Makes everything staged, these segments and the state durable together, or nothing (`fenced-off` if another sync
    /// of this connection has begun since).
    ///
    /// `table-shrinks` where a table would lose more rows than it may. Then everything is staged as before, these segments
    /// with it, and a later commit may bring the rows that are missing.
    fn commit(&mut self, commit: Commit) -> Result<Committed>;

    /// Forgets what was staged since the last commit.
    fn discard(&mut self) -> Result<()>;

    /// Writes the sync's end into `_syncs` (when no commit carried it) and returns how many rows that are not deleted
    /// each table of the last commit has.
    fn finish(&mut self, sync: &SyncRecord) -> Result<Vec<u64>>;

    /// Most memory the engine itself was seen to hold, in bytes, where it can tell.
    fn memory_bytes(&mut self) -> Option<u64>;
}

/// What becomes of deleted rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deletes {
    /// They stay, marked by `_deleted`.
    #[default]
    Soft,
    /// They are removed.
    Hard,
}

/// How much of a table a truncate or a full refresh may delete: of the rows that were there before, those that no row took
/// the place of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShrinkMax {
    /// Any part of it, but not all.
    #[default]
    NotAll,
    /// So many percent; with 100 a table may be emptied.
    Percent(u8),
}

impl ShrinkMax {
    /// A share in percent, from 0 to 100.
    pub fn percent(percent: u8) -> Option<Self> {
        (percent <= 100).then_some(Self::Percent(percent))
    }

    /// Whether a table of so many rows may become one of so many.
    pub fn allows(self, rows_before: u64, rows_after: u64) -> bool {
        let lost = u128::from(rows_before.saturating_sub(rows_after));
        match self {
            Self::NotAll => rows_before == 0 || rows_after > 0,
            Self::Percent(percent) => lost * 100 <= u128::from(rows_before) * u128::from(percent),
        }
    }
}

/// The commit that would delete more of a table than it may. `how`: what would become of it.
fn shrinks(connection: &str, table: &str, how: &str) -> Error {
    let what = format!("commit: the table {}.{} would {how}", sql::ddl::quoted(connection), sql::ddl::quoted(table));
    Error::new(Code::TableShrinks, what).hint(
        "Nothing of this commit was written. Look whether the source really has so few rows now: an error, an empty answer or a \
         new format may look like it. If it does, sync once with --shrink-max 100 (on a server: \"shrink_max\": 100).",
    )
}

/// Where a sync starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartFrom {
    /// From the destination's state.
    #[default]
    LastCommit,
    /// From the beginning: a full refresh.
    Beginning,
    /// From a state that was handed in.
    GivenState,
}

/// A warehouse, open to be looked at without a sync.
pub trait Warehouse {
    /// Every table that syncs have written, by connection and in the order in which they were made.
    fn tables(&mut self) -> Result<Vec<TableInfo>>;

    /// The rows of every connection that has tables or a history here, by name.
    fn connections(&mut self) -> Result<Vec<ConnectionRow>>;

    /// The states of a connection's last commits, the newest first.
    fn states(&mut self, connection: &str) -> Result<Vec<StateRow>>;

    /// Makes `state` what the next sync of a connection starts from, and returns the number of this commit. Rows stay as
    /// they are; a full refresh under way is given up. `fenced-off` if a sync begins at the same time; one that is under
    /// way cannot commit any more.
    fn set_state(&mut self, connection: &str, state: Option<String>, committed_at_us: i64) -> Result<u64>;

    /// Drops a connection's tables and its history and forgets its state, in one transaction. A sync of it that is under
    /// way cannot commit any more.
    fn reset(&mut self, connection: &str) -> Result<Dropped>;
}

/// How a sync opens its destination.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// The connection's name; the schema of its tables.
    pub connection: String,
    /// The sync's first record for `_syncs`.
    pub sync: SyncRecord,
    /// Where the sync starts.
    pub start_from: StartFrom,
    /// What becomes of deleted rows, in tables that keep no history.
    pub deletes: Deletes,
    /// A table that has kept no history yet may begin to.
    pub history: bool,
    /// How much of a table a truncate or a full refresh may delete.
    pub shrink_max: ShrinkMax,
}

/// What a warehouse is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading and writing; makes what is not there.
    Write,
    /// Reading only.
    Read,
}

/// Where rows go, as typed: `duckdb:PATH`, `sqlite:PATH`, `postgres://…`, `delta:PATH` and the like. What it shows of itself has no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationUrl {
    /// A DuckDB database file.
    DuckDb(std::path::PathBuf),
    /// A SQLite database file.
    Sqlite(std::path::PathBuf),
    /// A Postgres database.
    Postgres(PostgresAddress),
    /// A folder of Delta tables.
    Delta(DeltaAddress),
    /// Lines of JSON on stdout; states in `files/state`.
    JsonLines,
    /// Nowhere: decodes and forgets. For trial runs and measurements.
    Null,
}

impl std::str::FromStr for DestinationUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("duckdb", path)) if !path.is_empty() => Ok(Self::DuckDb(path.into())),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql", _)) => PostgresAddress::parse(text).map(Self::Postgres),
            Some(("delta", place)) if !place.is_empty() => DeltaAddress::parse(place).map(Self::Delta),
            Some(("jsonl", "")) => Ok(Self::JsonLines),
            Some(("null", "")) => Ok(Self::Null),
            _ => Err(Error::new(Code::DestinationInvalid, format!("understand the destination {}", shown(text))).hint(
                "Write duckdb:PATH, for example duckdb:files/warehouse.db; sqlite:PATH; postgres://USER:PASSWORD@HOST:PORT/DATABASE; \
                 delta:PATH or delta:s3://BUCKET/PREFIX; jsonl: for lines of JSON on stdout; or null: to write nothing.",
            )),
        }
    }
}

/// A text that is no destination, unless it might hold a password.
fn shown(text: &str) -> String {
    if text.contains('@') || text.contains("//") {
        "given (it may hold a password)".to_owned()
    } else {
        format!("\"{text}\"")
    }
}

impl std::fmt::Display for DestinationUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DuckDb(path) => write!(f, "duckdb:{}", path.display()),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(address) => address.fmt(f),
            Self::Delta(address) => write!(f, "delta:{address}"),
            Self::JsonLines => f.write_str("jsonl:"),
            Self::Null => f.write_str("null:"),
        }
    }
}

impl DestinationUrl {
    /// A table's name in a query: parts to be quoted each and joined by points.
    pub fn table_name(&self, connection: &str, table: &str) -> Vec<String> {
        match self {
            Self::Sqlite(_) => vec![sqlite::full_name(connection, table)],
            // A file's database has the name of the file: where the schema has it too, both must be said.
            Self::DuckDb(path) if path.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case(connection)) => {
                vec![connection.to_owned(), connection.to_owned(), table.to_owned()]
            }
            _ => vec![connection.to_owned(), table.to_owned()],
        }
    }
}

/// Refuses to keep the history of tables where nothing is kept that could have versions.
fn check_history(url: &DestinationUrl) -> Result<()> {
    match url {
        DestinationUrl::DuckDb(_) | DestinationUrl::Sqlite(_) | DestinationUrl::Postgres(_) | DestinationUrl::Null => {
            Ok(())
        }
        DestinationUrl::Delta(_) => {
            let what = format!("keep the history of tables in the destination {url}");
            Err(Error::new(Code::DestinationInvalid, what).hint(
                "Leave out --history: earlier versions of a Delta table can be read for a while. Or name another warehouse, for \
                 example --destination duckdb:files/warehouse.db.",
            ))
        }
        DestinationUrl::JsonLines => {
            let what = format!("keep the history of tables in the destination {url}");
            Err(Error::new(Code::DestinationInvalid, what).hint(
                "Leave out --history: every change is a line there already. Or name a warehouse, for example \
                 --destination duckdb:files/warehouse.db.",
            ))
        }
    }
}

/// What stands in for a destination that was closed.
pub fn closed() -> Box<dyn Destination> {
    Box::new(null::Null::default())
}

/// Where a sync writes, before it is open: an address, or what stands in for one.
pub trait OpenDestination: std::fmt::Display + Send + Sync {
    /// Opens the destination for one sync: takes the fence, notes the sync in `_syncs`, reads state and tables. Blocking.
    fn open(&self, request: OpenRequest) -> Result<(Box<dyn Destination>, Opened)>;
}

impl OpenDestination for DestinationUrl {
    fn open(&self, request: OpenRequest) -> Result<(Box<dyn Destination>, Opened)> {
        open(self, request)
    }
}

fn open(url: &DestinationUrl, request: OpenRequest) -> Result<(Box<dyn Destination>, Opened)> {
    if request.history {
        check_history(url)?;
    }
    match url {
        DestinationUrl::DuckDb(path) => begin(duckdb::DuckDb::open(path, Access::Write)?, request),
        DestinationUrl::Sqlite(path) => begin(sqlite::Sqlite::open(path, Access::Write)?, request),
        DestinationUrl::Postgres(address) => begin(postgres::Postgres::open_for_sync(address)?, request),
        DestinationUrl::Delta(address) => begin(delta::DeltaLake::open(address, Access::Write)?, request),
        DestinationUrl::JsonLines => {
            let (destination, opened) = jsonl::JsonLines::open(Path::new(STATE_FOLDER), request)?;
            Ok((Box::new(destination) as Box<dyn Destination>, opened))
        }
        DestinationUrl::Null => Ok((Box::new(null::Null::default()) as Box<dyn Destination>, Opened::default())),
    }
}

fn begin<E: sql::Engine + 'static>(engine: E, request: OpenRequest) -> Result<(Box<dyn Destination>, Opened)> {
    let (destination, opened) = sql::SqlDestination::begin(engine, request)?;
    Ok((Box::new(destination), opened))
}

/// Opens a warehouse without a sync.
pub fn warehouse(url: &DestinationUrl, access: Access) -> Result<Box<dyn Warehouse>> {
    match url {
        DestinationUrl::DuckDb(path) => Ok(Box::new(duckdb::DuckDb::open(path, access)?)),
        DestinationUrl::Sqlite(path) => Ok(Box::new(sqlite::Sqlite::open(path, access)?)),
        DestinationUrl::Postgres(address) => Ok(Box::new(postgres::Postgres::open(address, access)?)),
        DestinationUrl::Delta(address) => Ok(Box::new(delta::DeltaLake::open(address, access)?)),
        DestinationUrl::JsonLines | DestinationUrl::Null => Err(nothing_kept(url)),
    }
}

/// Runs any SQL that reads, and hands its rows to the sink as they come: they are never all in memory.
pub fn query(url: &DestinationUrl, sql: &str, sink: &mut dyn RowSink) -> Result<()> {
    match url {
        DestinationUrl::DuckDb(path) => duckdb::query(path, sql, sink),
        DestinationUrl::Sqlite(path) => sqlite::query(path, sql, sink),
        DestinationUrl::Postgres(address) => postgres::query(address, sql, sink),
        DestinationUrl::Delta(address) => delta::query(address, sql, sink),
        DestinationUrl::JsonLines | DestinationUrl::Null => Err(nothing_kept(url)),
    }
}

fn nothing_kept(url: &DestinationUrl) -> Error {
    Error::new(Code::DestinationInvalid, format!("look into the destination {url}"))
        .hint("It keeps no tables. Name a warehouse, for example --destination duckdb:files/warehouse.db.")
}
