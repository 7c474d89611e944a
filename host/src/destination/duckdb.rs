//! DuckDB as a destination: rows, schema and state of a connection change in one fenced transaction.
//!
//! The folder holds one file per concern: `open` (the file, its lock, the first transaction), `stage` (segments that wait),
//! `ddl` and `convert` (schemas and types), `merge` (rows and patches), `catalog` (what the warehouse remembers), `read`
//! (queries and what the command line shows), `errors` (the engine's words as codes).

mod catalog;
mod convert;
mod ddl;
mod errors;
mod merge;
mod open;
mod read;
mod stage;
mod value;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod tests;

use std::path::Path;

use duckdb::Connection;

pub use catalog::ConnectionRow;
pub use ddl::SYNCS;
pub use read::{Column, Dropped, RowSink, TableColumn, TableInfo, connections, query, reset, state, tables};

pub use value::Value;

use self::catalog::Catalog;
use self::ddl::Place;
use self::errors::failed;
use self::merge::Merge;
use self::open::{Access, Warehouse};
use self::stage::{STAGED_BYTES_MAX, Stage, Staged};
use super::{Commit, Committed, Destination, OpenRequest, Opened, Segment, SyncRecord};
use crate::error::{Code, Error, Result};
use crate::schema::TableSchema;

/// A DuckDB file, open for one sync.
pub struct DuckDb {
    warehouse: Warehouse,
    place: Place,
    /// The connection's row as this sync last wrote it.
    row: ConnectionRow,
    /// The tables as of the last commit.
    tables: Vec<TableSchema>,
    stage: Stage,
    /// The sync's record as the warehouse has it.
    sync: SyncRecord,
}

impl DuckDb {
    /// Opens the file at `path`, making it and its folder if they are not there, and begins a sync: takes the fence,
    /// notes the sync in `_syncs`, reads state and tables.
    pub fn open(path: &Path, request: OpenRequest) -> Result<(Self, Opened)> {
        Self::open_with(path, request, STAGED_BYTES_MAX)
    }

    fn open_with(path: &Path, request: OpenRequest, staged_bytes_max: usize) -> Result<(Self, Opened)> {
        let warehouse = Warehouse::open(path, Access::Write)?;
        let begun = open::begin(warehouse.engine()?, &request)?;
        let opened = Opened {
            state: begun.row.state.clone(),
            sequence: begun.row.sequence,
            tables: begun.tables.clone(),
            empty: begun.empty,
        };
        let stage = Stage::new(staged_bytes_max);
        let sync = request.sync;
        Ok((Self { warehouse, place: begun.place, row: begun.row, tables: begun.tables, stage, sync }, opened))
    }

    fn engine(&self) -> Result<&Connection> {
        self.warehouse.engine()
    }

    fn catalog(&self) -> Result<Catalog<'_>> {
        Ok(Catalog { engine: self.engine()?, place: &self.place })
    }

    /// Everything of a commit between BEGIN and COMMIT. Returns the connection's new row.
    fn write(&self, commit: &Commit, segments: &[Staged]) -> Result<(ConnectionRow, Committed)> {
        let (engine, catalog) = (self.engine()?, self.catalog()?);
        // DDL first: DuckDB refuses a commit in which ALTER follows DELETE or UPDATE on the same table.
        let migration = ddl::migrate(&self.place, &self.tables, &commit.tables)?;
        if !migration.is_empty() {
            engine.execute_batch(&migration).map_err(failed("change the schema of the warehouse"))?;
        }
        let mut ignored = vec![0; commit.tables.len()];
        for segment in segments {
            let unknown = || Error::new(Code::HostBug, "find the table of a segment");
            let table = commit.tables.get(segment.table).ok_or_else(unknown)?;
            let merge = Merge { engine, place: &self.place, table, synced_at_us: commit.synced_at_us };
            ignored[segment.table] += merge.apply(segment)?;
        }
        catalog.record(&self.tables, &commit.tables).map_err(failed("write the warehouse's catalog"))?;
        catalog.note_sync(&commit.sync).map_err(failed("note the sync in _syncs"))?;
        let row = ConnectionRow {
            sequence: self.row.sequence + 1,
            state: commit.state.clone(),
            committed_at_us: Some(commit.synced_at_us),
            ..self.row.clone()
        };
        self.advance(&catalog, &row)?;
        Ok((row, Committed { ignored }))
    }

    /// The last statement of a transaction.
    fn advance(&self, catalog: &Catalog<'_>, row: &ConnectionRow) -> Result<()> {
        match catalog.advance(row) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.fenced_off()),
            // The other sync's change of this row is newer than this transaction.
            Err(error) if errors::is_conflict(&error) => Err(self.fenced_off()),
            Err(error) => Err(failed("save the state")(error)),
        }
    }

    fn fenced_off(&self) -> Error {
        Error::new(
            Code::FencedOff,
            format!("commit: another sync of {} has taken over", ddl::quoted(&self.place.schema)),
        )
        .hint(
            "Run only one sync of a connection at a time. Nothing of this commit was written; the other sync goes on.",
        )
    }
}

impl Destination for DuckDb {
    fn stage(&mut self, segments: Vec<Segment>, _tables: &[TableSchema]) -> Result<()> {
        self.stage.push(self.warehouse.engine()?, segments).map_err(failed("stage rows"))
    }

    fn commit(&mut self, mut commit: Commit) -> Result<Committed> {
        let mut segments = self.stage.take();
        segments.extend(std::mem::take(&mut commit.segments).into_iter().map(Staged::from));
        let engine = self.engine()?;
        engine.execute_batch("BEGIN").map_err(failed("begin a transaction"))?;
        let written = self.write(&commit, &segments).and_then(|written| match engine.execute_batch("COMMIT") {
            Ok(()) => Ok(written),
            Err(error) if errors::is_conflict(&error) => Err(self.fenced_off()),
            Err(error) => Err(failed("commit")(error)),
        });
        match written {
            Ok((row, committed)) => {
                self.row = row;
                self.tables = commit.tables;
                self.sync = commit.sync;
                Ok(committed)
            }
            Err(error) => {
                // The first error tells what happened; a transaction that cannot be rolled back is over already.
                let _ = engine.execute_batch("ROLLBACK");
                Err(error)
            }
        }
    }

    fn discard(&mut self) -> Result<()> {
        self.stage.discard(self.warehouse.engine()?).map_err(failed("discard staged rows"))
    }

    fn finish(&mut self, sync: &SyncRecord) -> Result<Vec<u64>> {
        if *sync != self.sync {
            self.catalog()?.note_sync(sync).map_err(failed("note the sync's end in _syncs"))?;
            self.sync = sync.clone();
        }
        read::count(self.engine()?, &self.place, &self.tables)
    }

    fn memory_bytes(&self) -> Option<u64> {
        let sql = "SELECT CAST(sum(memory_usage_bytes) AS BIGINT) FROM duckdb_memory()";
        let bytes: i64 = self.engine().ok()?.query_row(sql, [], |row| row.get(0)).ok()?;
        u64::try_from(bytes).ok()
    }
}
