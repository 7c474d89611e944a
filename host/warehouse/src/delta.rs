//! Delta Lake as a destination: a folder, or an S3-compatible store, with a Delta table per table.
//!
//! Rows are merged by a DuckDB in memory (`scratch`), as in a DuckDB warehouse: before a statement looks for rows, the files
//! that hold them are read into it; at the commit what is left of them is written into new files. So everything of
//! `sql` holds here too, and this folder only brings files and logs: `lake` (rows in and out), `log` (the log of
//! a Delta table), `journal` (what is remembered of a connection), `commit` (how several tables change together), `schema` (columns
//! as Delta says them), `store` (where it all is), `names`, `errors`.

mod address;
mod commit;
mod errors;
mod journal;
mod lake;
mod log;
mod names;
mod schema;
mod scratch;
mod store;

#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;

pub use address::DeltaAddress;

use self::errors::{Failure, overtaken};
use self::journal::Journal;
use self::lake::Touched;
use self::log::Snapshot;
use self::scratch::Scratch;
use self::store::{Local, S3, Store};
use super::duckdb::DuckDb;
use super::sql::ddl::literal;
use super::sql::{Census, Engine, Extent, KeyedRows, LoadColumn, Reach, Scalar, Target};
use super::{Access, RowSink, SYNCS};
use model::error::{Code, Error, Result};
use model::schema::{ColumnType, TableSchema};

/// A table, by its connection and its name.
type TableName = (String, String);

/// A lake, open for one session: for the sync of one connection, or to look at all of them.
pub(super) struct DeltaLake {
    store: Box<dyn Store>,
    access: Access,
    scratch: Scratch,
    /// The connection that is synced.
    connection: Option<String>,
    /// Whether the scratch holds what the journals say.
    is_loaded: bool,
    /// The engine could not follow a commit that the lake has: what the scratch holds is older than what is there.
    is_behind: bool,
    /// Whether a sync has taken over: from then on nobody else may write the journal.
    has_fence: bool,
    /// Tells entries of this session's journal from all others.
    session: String,
    entries: u64,
    journals: BTreeMap<String, Journal>,
    /// Tables as this session last read or wrote them.
    snapshots: BTreeMap<TableName, Snapshot>,
    /// Tables of which this transaction has rows in the scratch, or may have.
    touched: BTreeMap<TableName, Touched>,
    /// Tables that this transaction drops.
    dropped: Vec<TableName>,
    /// Tables whose log has a new version.
    written: Vec<TableName>,
    /// What `_syncs` was when the transaction began.
    syncs: String,
}

impl DeltaLake {
    /// Opens a lake; for writing, makes its folder.
    pub(super) fn open(address: &DeltaAddress, access: Access) -> Result<Self> {
        match address {
            DeltaAddress::Folder(path) => Self::over(Box::new(Local::open(path, access)?), access),
            DeltaAddress::S3(address) => Self::over(Box::new(S3::open(address, access)?), access),
        }
    }

    fn over(store: Box<dyn Store>, access: Access) -> Result<Self> {
        let scratch = Scratch::new(store.root(), access)?;
        Ok(Self {
            store,
            access,
            scratch,
            connection: None,
            is_loaded: false,
            is_behind: false,
            has_fence: false,
            session: format!("{:032x}", fastrand::u128(..)),
            entries: 0,
            journals: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            touched: BTreeMap::new(),
            dropped: Vec::new(),
            written: Vec::new(),
            syncs: String::new(),
        })
    }

    /// The engine, with everything loaded that the session needs.
    fn engine(&mut self) -> Result<&mut DuckDb, Failure> {
        self.load_once()?;
        Ok(&mut self.scratch.engine)
    }
}

/// Runs a query that only reads, and hands its rows to the sink as they come.
pub(super) fn query(address: &DeltaAddress, sql: &str, sink: &mut dyn RowSink) -> Result<()> {
    let mut lake = DeltaLake::open(address, Access::Read)?;
    check_reads(&mut lake.scratch.engine, sql)?;
    lake.show(Some(sql))?;
    lake.scratch.engine.query_into(sql, sink)
}

/// Refuses what is not one SELECT: the engine may write the lake's files, and a query must not. Leaves SQL that cannot be parsed
/// to the engine, which says why.
fn check_reads(engine: &mut DuckDb, sql: &str) -> Result<()> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Parsed {
        error: bool,
        error_type: String,
        statements: Vec<serde::de::IgnoredAny>,
    }
    let parsed = engine.query(&format!("SELECT CAST(json_serialize_sql({}) AS VARCHAR)", literal(sql)), &[]);
    let parsed = parsed.map_err(|failure| DuckDb::failed("parse the query".to_owned(), failure))?;
    let Some(Scalar::Text(text)) = parsed.into_iter().flatten().next() else { return Ok(()) };
    let parsed: Parsed = serde_json::from_str(&text).unwrap_or_default();
    if parsed.error && parsed.error_type == "parser" || !parsed.error && parsed.statements.len() == 1 {
        return Ok(());
    }
    Err(Error::new(Code::QueryFailed, "run the query: over a lake it is one SELECT")
        .hint("Queries can only read. Rows change through a sync, and `host reset` drops a connection's tables."))
}

impl Engine for DeltaLake {
    type Failure = Failure;

    const ALTERS_MAX: usize = <DuckDb as Engine>::ALTERS_MAX;

    fn type_name(&self, column_type: ColumnType) -> String {
        self.scratch.engine.type_name(column_type)
    }

    fn expression(&self, value: &str, from: ColumnType, to: ColumnType) -> Option<String> {
        self.scratch.engine.expression(value, from, to)
    }

    fn table(&self, schema: &str, name: &str) -> String {
        self.scratch.engine.table(schema, name)
    }

    fn temporary(&self, name: &str) -> String {
        self.scratch.engine.temporary(name)
    }

    fn instant(&self, us: i64) -> String {
        self.scratch.engine.instant(us)
    }

    fn micros(&self, instant: &str) -> String {
        self.scratch.engine.micros(instant)
    }

    fn create_schema(&self, schema: &str) -> String {
        self.scratch.engine.create_schema(schema)
    }

    /// A connection's folder goes with its tables, and what else is in it stays.
    fn drop_schema(&self, _schema: &str) -> String {
        String::new()
    }

    fn create_key(&self, schema: &str, table: &str, columns: &[String], rows: KeyedRows) -> String {
        self.scratch.engine.create_key(schema, table, columns, rows)
    }

    /// The rows are in files: their number is known.
    fn count_live(&self, table: &str) -> String {
        let of = |(connection, journal): (&String, &Journal)| {
            let schema = self.table(connection, "");
            let name = table.strip_prefix(schema.strip_suffix('"')?)?.strip_suffix('"')?;
            journal.entry.stored.get(&name.replace("\"\"", "\"")).map(|stored| stored.live)
        };
        format!("{} AS n", self.journals.iter().find_map(of).unwrap_or(0))
    }

    fn attach(&mut self, connection: &str) -> Result<()> {
        self.connection = Some(connection.to_owned());
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Failure> {
        if self.is_behind {
            let what = "go on with the lake: the engine that merges rows could not follow the last commit";
            let error = Error::new(Code::DestinationFailed, what);
            return Err(error
                .hint("Everything committed stands, and the next sync goes on from there: run it again.")
                .into());
        }
        self.catch_up()?;
        self.touched.clear();
        self.dropped.clear();
        self.scratch.engine.begin()?;
        self.syncs = self.fingerprint()?;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Failure> {
        let committed = self.commit_all();
        if committed.is_err() {
            // What was read of the tables may be older than what is there.
            self.snapshots.clear();
        }
        committed
    }

    fn rollback(&mut self) -> Result<(), Failure> {
        self.touched.clear();
        self.dropped.clear();
        self.scratch.tidy();
        Ok(self.scratch.engine.rollback()?)
    }

    fn migrated(&mut self, schema: &str, old: &[TableSchema], new: &[TableSchema]) -> Result<(), Failure> {
        self.bring_widened(schema, old, new)
    }

    fn reach(&mut self, schema: &str, table: &TableSchema, rows: Reach<'_>) -> Result<(), Failure> {
        self.bring(schema, table, rows)
    }

    fn drop_tables(&mut self, schema: &str, names: &[&str]) -> Result<(), Failure> {
        self.dropped.extend(names.iter().map(|name| (schema.to_owned(), (*name).to_owned())));
        Ok(())
    }

    fn extent(&mut self, schema: &str, table: &TableSchema) -> Result<Extent, Failure> {
        self.load_once()?;
        let stored = self.journals.get(schema).and_then(|journal| journal.entry.stored.get(&table.name));
        Ok(stored.map_or_else(Extent::default, |stored| Extent {
            live: stored.live,
            deleted: stored.rows.saturating_sub(stored.live),
            rows: stored.rows,
            synced_at_us: stored.synced_at_us,
        }))
    }

    fn run(&mut self, sql: &str) -> Result<(), Failure> {
        Ok(self.engine()?.run(sql)?)
    }

    fn execute(&mut self, sql: &str, values: &[Scalar]) -> Result<u64, Failure> {
        Ok(self.engine()?.execute(sql, values)?)
    }

    fn query(&mut self, sql: &str, values: &[Scalar]) -> Result<Vec<Vec<Scalar>>, Failure> {
        Ok(self.engine()?.query(sql, values)?)
    }

    fn load(&mut self, target: Target<'_>, columns: &[LoadColumn], rows: &RecordBatch) -> Result<(), Failure> {
        Ok(self.engine()?.load(target, columns, rows)?)
    }

    fn census(&mut self, schemas: &[&str]) -> Result<Census, Failure> {
        let mut census = self.engine()?.census(schemas)?;
        for ((schema, table), has_rows) in &mut census {
            if let Some(journal) = self.journals.get(schema) {
                *has_rows = journal.entry.stored.get(table).is_some_and(|stored| stored.rows > 0);
            }
        }
        Ok(census)
    }

    fn is_bare(&mut self, _schema: &str) -> Result<bool, Failure> {
        Ok(false)
    }

    fn memory_bytes(&mut self) -> Option<u64> {
        self.scratch.engine.memory_bytes()
    }

    fn took_fence(&mut self, _connection: &str, _fence: u64) -> Result<(), Failure> {
        self.has_fence = true;
        Ok(())
    }

    fn reconnect(&mut self) -> Result<()> {
        self.has_fence = false;
        self.load().map_err(|failure| Self::failed("read the lake again".to_owned(), failure))
    }

    fn is_conflict(failure: &Failure) -> bool {
        matches!(failure, Failure::Overtaken)
    }

    fn failed(what: String, failure: Failure) -> Error {
        match failure {
            Failure::Engine(failure) => DuckDb::failed(what, failure),
            Failure::Lake(error) => error,
            Failure::Overtaken => overtaken(&what),
        }
    }
}

/// Where a table of a connection is.
fn table_folder(connection: &str, table: &str) -> String {
    format!("{}/{}", names::folder(connection), names::folder(table))
}

/// Whether a table is the history of syncs, which is not one of the connector's.
fn is_syncs(table: &str) -> bool {
    table == SYNCS
}
