//! Warehouses that speak SQL and have transactions: rows, schema and state of a connection change in one fenced
//! transaction.
//!
//! One file per concern: `engine` (what differs between engines), `catalog` (what the warehouse remembers), `ddl` (tables
//! and columns), `stage` (segments that wait), `merge` (rows and patches), `history` (versions of rows), `read` (looking at
//! it without a sync), `portrait` (the catalog's entries of one connection, as values).

mod catalog;
pub(super) mod ddl;
mod engine;
mod history;
mod merge;
mod portrait;
mod read;
mod stage;

pub(super) use catalog::SYSTEM;
pub(super) use engine::{Census, Engine, Extent, KeyedRows, LoadColumn, Reach, Scalar, Target};
pub(super) use portrait::Portrait;
#[cfg(test)]
pub(super) use stage::batch_of;

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;

use self::catalog::Catalog;
use self::engine::failed;
use self::merge::{Merge, Place};
use self::stage::{Stage, Staged};
use super::{
    Commit, Committed, ConnectionRow, Deletes, Destination, OpenRequest, Opened, Refresh, Segment, StartFrom,
    SyncRecord, shrinks,
};
use model::error::{Code, Error, Result};
use model::schema::TableSchema;

/// A warehouse, open for one sync.
pub(super) struct SqlDestination<E> {
    engine: E,
    request: OpenRequest,
    /// The connection's row as this sync last wrote it.
    row: ConnectionRow,
    /// The tables as of the last commit.
    tables: Vec<TableSchema>,
    /// How many of them were there when the sync began.
    tables_known: usize,
    stage: Stage,
    /// The sync's record as the warehouse has it.
    sync: SyncRecord,
    /// Nothing was committed yet.
    is_first: bool,
    /// How many rows tables had before this sync truncated them or began to refresh them.
    rows_before: BTreeMap<usize, u64>,
    /// Most memory the engine was seen to hold.
    memory_bytes_max: Option<u64>,
}

/// How often a sync tries to take the fence while a commit of the sync before it is under way.
const FENCE_ATTEMPTS: u32 = 100;
const FENCE_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
/// Commits of more rows than this look at the engine's memory before they end: then it holds most.
const MEMORY_SAMPLE_ROWS: usize = 10_000;

impl<E: Engine> SqlDestination<E> {
    /// Begins a sync: makes what is missing, takes the fence, notes the sync in `_syncs`, reads state and tables.
    pub(super) fn begin(mut engine: E, request: OpenRequest) -> Result<(Self, Opened)> {
        check_name::<E>(&request.connection)?;
        engine.attach(&request.connection)?;
        let begun = begin(&mut engine, &request)?;
        let fence = begun.row.fence;
        engine.took_fence(&request.connection, fence).map_err(failed::<E>("take over from earlier syncs"))?;
        let opened = Opened {
            state: begun.row.state.clone(),
            sequence: begun.row.sequence,
            tables: begun.tables.clone(),
            empty: begun.empty,
            name_bytes_max: E::NAME_BYTES_MAX,
            columns_reserved: E::COLUMNS_RESERVED,
            nul_fits: E::NUL_FITS,
            // Engines store it, and then do not find their way through the column any more.
            any_json_fits: false,
        };
        let (stage, sync) = (Stage::new(E::STAGED_BYTES_MAX), request.sync.clone());
        let (row, tables) = (begun.row, begun.tables);
        let tables_known = tables.len();
        let none = opened.empty.iter().enumerate().filter(|(_, is_empty)| **is_empty);
        let rows_before = none.map(|(table, _)| (table, 0)).collect();
        let (is_first, memory_bytes_max) = (true, None);
        let begun =
            Self { engine, request, row, tables, tables_known, stage, sync, is_first, rows_before, memory_bytes_max };
        Ok((begun, opened))
    }

    /// The same with another bound for what is staged in memory.
    #[cfg(test)]
    pub(super) fn staging_at_most(mut self, bytes_max: usize) -> Self {
        self.stage = Stage::new(bytes_max);
        self
    }

    #[cfg(test)]
    pub(super) fn engine_mut(&mut self) -> &mut E {
        &mut self.engine
    }

    fn catalog(&mut self) -> Catalog<'_, E> {
        Catalog { engine: &mut self.engine, schema: &self.request.connection }
    }

    /// Everything of a commit between BEGIN and COMMIT. Returns the connection's new row.
    fn write(&mut self, commit: &Commit, segments: &[Staged]) -> Result<(ConnectionRow, Committed)> {
        let schema = self.request.connection.clone();
        // DDL first: DuckDB refuses a commit in which ALTER follows DELETE or UPDATE on the same table.
        let migration = ddl::migrate(&self.engine, &schema, &self.tables, &commit.tables)?;
        if !migration.is_empty() {
            self.engine.run(&migration).map_err(failed::<E>("change the schema of the warehouse"))?;
        }
        let migrated = self.engine.migrated(&schema, &self.tables, &commit.tables);
        migrated.map_err(failed::<E>("change the schema of the warehouse"))?;
        let row = self.next_row(commit);
        self.count_before(commit, &row, segments)?;
        let mut committed = Committed::nothing(commit.tables.len());
        if self.is_first && self.request.deletes == Deletes::Hard {
            for table in 0..self.tables.len() {
                self.merge(commit, &row, table)?.remove_marked()?;
            }
        }
        for segment in segments.iter().filter(|segment| !keeps_history(commit, segment.table)) {
            let ignored = self.merge(commit, &row, segment.table)?.apply(segment)?;
            committed.ignored[segment.table] += if segment.is_rest { 0 } else { ignored };
        }
        self.add_versions(commit, &row, segments, &mut committed)?;
        if let Some(refresh) = row.refresh.clone().filter(|_| commit.is_last) {
            for (index, table) in commit.tables.iter().enumerate() {
                if is_refreshed(&refresh, commit, table) {
                    committed.swept[index] = self.merge(commit, &row, index)?.sweep(refresh.since_us)?;
                    committed.versions[index].ended += if table.history { committed.swept[index] } else { 0 };
                }
            }
        }
        self.check_shrinking(commit, &row, segments)?;
        let old = std::mem::take(&mut self.tables);
        let recorded = self.catalog().record(&old, &commit.tables);
        self.tables = old;
        recorded.map_err(failed::<E>("write the warehouse's catalog"))?;
        let outcome = self.sync.outcome.clone();
        self.catalog().note_sync(&commit.sync, &outcome).map_err(failed::<E>("note the sync in _syncs"))?;
        // Asking costs more than a small commit.
        if segments.iter().any(|segment| segment.rows.rows() > MEMORY_SAMPLE_ROWS) {
            self.memory_bytes_max = self.memory_bytes_max.max(self.engine.memory_bytes());
        }
        let row = ConnectionRow { refresh: row.refresh.filter(|_| !commit.is_last), ..row };
        self.advance(&row)?;
        Ok((row, committed))
    }

    /// Counts the rows of those tables that this transaction truncates, or whose refresh begins or goes on with it.
    fn count_before(&mut self, commit: &Commit, row: &ConnectionRow, segments: &[Staged]) -> Result<()> {
        let refresh = row.refresh.as_ref().filter(|_| self.is_first);
        for (index, table) in self.tables.iter().enumerate().take(self.tables_known) {
            let refreshed = refresh.is_some_and(|refresh| is_refreshed(refresh, commit, table));
            let truncated = is_truncated(segments, index) && !table.is_rejected();
            if (refreshed || truncated) && !self.rows_before.contains_key(&index) {
                let rows = read::live(&mut self.engine, &self.request.connection, table)?;
                self.rows_before.insert(index, rows);
            }
        }
        Ok(())
    }

    /// Refuses a transaction that truncates tables, or ends their refresh, and leaves less of one than it may.
    fn check_shrinking(&mut self, commit: &Commit, row: &ConnectionRow, segments: &[Staged]) -> Result<()> {
        let refresh = row.refresh.as_ref().filter(|_| commit.is_last);
        for (index, rows_before) in &self.rows_before {
            let Some(table) = commit.tables.get(*index) else { continue };
            let swept = refresh.is_some_and(|refresh| is_refreshed(refresh, commit, table));
            if *rows_before == 0 || !(swept || is_truncated(segments, *index)) {
                continue;
            }
            let rows_after = read::live(&mut self.engine, &self.request.connection, table)?;
            if !self.request.shrink_max.allows(*rows_before, rows_after) {
                let how = format!("shrink from {rows_before} rows to {rows_after}");
                return Err(shrinks(&self.request.connection, &table.name, &how));
            }
        }
        Ok(())
    }

    /// Applies the segments of tables that keep their history, all of a table's at once: a key gets one version at most.
    fn add_versions(
        &mut self,
        commit: &Commit,
        row: &ConnectionRow,
        segments: &[Staged],
        committed: &mut Committed,
    ) -> Result<()> {
        for table in (0..commit.tables.len()).filter(|table| keeps_history(commit, *table)) {
            let own: Vec<&Staged> = segments.iter().filter(|segment| segment.table == table).collect();
            if !own.is_empty() {
                let (ignored, versions) = self.merge(commit, row, table)?.add_versions(&own)?;
                committed.ignored[table] += ignored;
                committed.versions[table].add(versions);
            }
        }
        Ok(())
    }

    /// What the connection's row will be. `_synced_at` never stands still, whatever the clock does: the sweep after a full
    /// refresh compares it.
    fn next_row(&self, commit: &Commit) -> ConnectionRow {
        let committed_at_us = commit.synced_at_us.max(self.row.committed_at_us.map_or(i64::MIN, |last| last + 1));
        let refresh = match (self.is_first, self.request.start_from) {
            (true, StartFrom::Beginning) => Some(Refresh::of(committed_at_us, &commit.selection)),
            (true, StartFrom::GivenState) => None,
            _ => self.row.refresh.clone(),
        };
        ConnectionRow {
            sequence: self.row.sequence + 1,
            state: commit.state.clone(),
            committed_at_us: Some(committed_at_us),
            refresh,
            ..self.row.clone()
        }
    }

    fn merge<'a>(&'a mut self, commit: &'a Commit, row: &ConnectionRow, table: usize) -> Result<Merge<'a, E>> {
        let unknown = || Error::new(Code::HostBug, "find the table of a segment");
        let table = commit.tables.get(table).ok_or_else(unknown)?;
        Ok(Merge {
            engine: &mut self.engine,
            schema: &self.request.connection,
            table,
            deletes: match table {
                table if table.is_rejected() => Deletes::Hard,
                table if table.history => Deletes::Soft,
                _ => self.request.deletes,
            },
            synced_at_us: row.committed_at_us.unwrap_or(commit.synced_at_us),
            place: Place::Table,
        })
    }

    /// The last statement of a transaction.
    fn advance(&mut self, row: &ConnectionRow) -> Result<()> {
        let sync = self.request.sync.id.clone();
        match self.catalog().advance(row, &sync) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.fenced_off()),
            // The other sync's change of this row is newer than this transaction.
            Err(failure) if E::is_conflict(&failure) => Err(self.fenced_off()),
            Err(failure) => Err(E::failed("save the state".to_owned(), failure)),
        }
    }

    /// The end of a transaction.
    fn end(&mut self, (row, committed): (ConnectionRow, Committed)) -> Result<(ConnectionRow, Committed)> {
        match self.engine.commit() {
            Ok(()) => Ok((row, committed)),
            Err(failure) if E::is_conflict(&failure) => Err(self.fenced_off()),
            Err(failure) => {
                let error = E::failed("commit".to_owned(), failure);
                if self.is_durable(&row, &error) { Ok((row, committed)) } else { Err(error) }
            }
        }
    }

    /// Whether a commit was made although its answer was lost: another session can tell.
    fn is_durable(&mut self, row: &ConnectionRow, error: &Error) -> bool {
        if error.code() != Code::WarehouseUnreachable || self.engine.reconnect().is_err() {
            return false;
        }
        let sync = self.request.sync.id.clone();
        let states = self.catalog().states().unwrap_or_default();
        let is_durable = states.iter().any(|state| state.sequence == row.sequence && state.sync == sync);
        let (connection, fence) = (self.request.connection.clone(), self.row.fence);
        is_durable && self.engine.took_fence(&connection, fence).is_ok()
    }

    /// The error of a commit that was not made, or `fenced-off` where another sync has taken over: its rows may be what
    /// was in the way, or it ended this session.
    fn explained(&mut self, error: Error) -> Error {
        let is_lost = error.code() == Code::WarehouseUnreachable && self.engine.reconnect().is_err();
        if is_lost || error.code() == Code::FencedOff {
            return error;
        }
        match self.catalog().connection() {
            Ok(row) if row.as_ref().is_none_or(|row| row.fence != self.row.fence) => self.fenced_off().because(error),
            _ => error,
        }
    }

    /// Takes back a transaction that waits for more rows; returns why it does, or why that could not be done.
    fn stage_again(&mut self, segments: Vec<Staged>, error: Error) -> Error {
        let taken_back = self.engine.rollback().map_err(failed::<E>("take a transaction back"));
        let staged = taken_back
            .and_then(|()| self.stage.push(&mut self.engine, segments).map_err(failed::<E>("stage rows again")));
        staged.err().unwrap_or(error)
    }

    fn fenced_off(&self) -> Error {
        let connection = ddl::quoted(&self.request.connection);
        Error::new(Code::FencedOff, format!("commit: another sync of {connection} has taken over")).hint(
            "Run only one sync of a connection at a time. Nothing of this commit was written; the other sync goes on.",
        )
    }
}

impl<E: Engine> Destination for SqlDestination<E> {
    fn stage(&mut self, segments: Vec<Segment>, tables: &[TableSchema]) -> Result<()> {
        let segments = prepared::<E>(&self.request.connection, tables, segments)?;
        self.stage.push(&mut self.engine, segments).map_err(failed::<E>("stage rows"))
    }

    fn commit(&mut self, mut commit: Commit) -> Result<Committed> {
        let last = std::mem::take(&mut commit.segments);
        let last = prepared::<E>(&self.request.connection, &commit.tables, last)?;
        let mut segments = self.stage.take();
        segments.extend(last);
        let begun = self.engine.begin().map_err(failed::<E>("begin a transaction"));
        let written = match begun.and_then(|()| self.write(&commit, &segments)) {
            Err(error) if error.code() == Code::TableShrinks => return Err(self.stage_again(segments, error)),
            written => written,
        };
        // They are the engine's now, and it needs most memory while it commits.
        drop(segments);
        match written.and_then(|written| self.end(written)) {
            Ok((row, committed)) => {
                self.row = row;
                self.tables = commit.tables;
                self.sync = commit.sync;
                self.is_first = false;
                Ok(committed)
            }
            Err(error) => {
                // The first error tells what happened; a transaction that cannot be rolled back is over already.
                let _ = self.engine.rollback();
                Err(self.explained(error))
            }
        }
    }

    fn discard(&mut self) -> Result<()> {
        self.stage.discard(&mut self.engine).map_err(failed::<E>("discard staged rows"))
    }

    fn finish(&mut self, sync: &SyncRecord) -> Result<Vec<u64>> {
        if *sync != self.sync {
            let schema = self.request.connection.as_str();
            let outcome = self.sync.outcome.as_str();
            transaction(&mut self.engine, |engine| {
                let noted = Catalog { engine, schema }.note_sync(sync, outcome);
                noted.map_err(failed::<E>("note the sync's end in _syncs"))
            })?;
            self.sync = sync.clone();
        }
        let counts = read::count(&mut self.engine, &self.request.connection, &self.tables)?;
        self.engine.finished();
        Ok(counts)
    }

    fn memory_bytes(&mut self) -> Option<u64> {
        self.memory_bytes_max.max(self.engine.memory_bytes())
    }
}

/// Whether a full refresh deletes the rows of a table that do not come back.
fn is_refreshed(refresh: &Refresh, commit: &Commit, table: &TableSchema) -> bool {
    let name = &table.source_name;
    !table.is_rejected() && refresh.includes(name) && commit.selection.contains(name)
}

fn is_truncated(segments: &[Staged], table: usize) -> bool {
    segments.iter().any(|segment| segment.table == table && segment.truncates)
}

fn keeps_history(commit: &Commit, table: usize) -> bool {
    commit.tables.get(table).is_some_and(|table| table.history)
}

/// Segments as the engine can take them.
fn prepared<E: Engine>(schema: &str, tables: &[TableSchema], segments: Vec<Segment>) -> Result<Vec<Staged>> {
    check_values::<E>(schema, tables, &segments)?;
    let mut prepared = Vec::with_capacity(segments.len());
    for segment in segments {
        let key = tables.get(segment.table).map_or(&[][..], |table| &table.key);
        let parts = stage::parts(segment, key, E::COLUMNS_MAX);
        prepared.extend(parts.map_err(|error| Error::new(Code::HostBug, "cut a wide segment").because(error))?);
    }
    Ok(prepared)
}

/// Refuses values that the engine cannot hold, where table and column are still known.
fn check_values<E: Engine>(schema: &str, tables: &[TableSchema], segments: &[Segment]) -> Result<()> {
    for segment in segments {
        let found = [&segment.rows, &segment.patches]
            .into_iter()
            .find_map(|rows| E::unfit(rows).map(|(place, row, why)| (place, why, key_of(tables, segment, rows, row))));
        let Some((place, why, key)) = found else { continue };
        let table = tables.get(segment.table);
        let column = segment.columns.get(place).and_then(|column| table?.columns.get(column.column));
        let [table, column] = [table.map(|table| &table.name), column.map(|column| &column.name)]
            .map(|name| ddl::quoted(name.map_or("", String::as_str)));
        let what = format!("write column {column} of the table {}.{table}, row {key}: {why}", ddl::quoted(schema));
        return Err(Error::new(Code::ValueMismatch, what)
            .hint("Take it out of the values in the connector. What was committed stands."));
    }
    Ok(())
}

/// What a row of a segment is known by, such as `id = 7`.
fn key_of(tables: &[TableSchema], segment: &Segment, rows: &RecordBatch, row: usize) -> String {
    const CHARACTERS_MAX: usize = 100;
    let Some(table) = tables.get(segment.table) else { return String::new() };
    let term = |key: &usize| {
        let place = segment.columns.iter().position(|column| column.column == *key)?;
        let value = array_value_to_string(rows.columns().get(place)?, row).ok()?;
        let value: String = value.chars().take(CHARACTERS_MAX).collect();
        Some(format!("{} = {}", table.columns.get(*key)?.name, value.escape_debug()))
    };
    table.key.iter().filter_map(term).collect::<Vec<_>>().join(", ")
}

/// Runs `work` between BEGIN and COMMIT; rolls back if it fails.
fn transaction<E: Engine, T>(engine: &mut E, work: impl FnOnce(&mut E) -> Result<T>) -> Result<T> {
    engine.begin().map_err(failed::<E>("begin a transaction"))?;
    let done = work(engine).and_then(|done| engine.commit().map(|()| done).map_err(failed::<E>("commit")));
    if done.is_err() {
        // The first error tells what happened; a transaction that cannot be rolled back is over already.
        let _ = engine.rollback();
    }
    done
}

/// What the first transaction of a sync found.
struct Begun {
    row: ConnectionRow,
    tables: Vec<TableSchema>,
    empty: Vec<bool>,
}

fn begin<E: Engine>(engine: &mut E, request: &OpenRequest) -> Result<Begun> {
    for _ in 1..FENCE_ATTEMPTS {
        match try_begin(engine, request)? {
            Some(begun) => return Ok(begun),
            None => std::thread::sleep(FENCE_PAUSE),
        }
    }
    let what = format!("begin a sync of {}: another sync of it is committing", request.connection);
    Err(Error::new(Code::WarehouseInUse, what).hint("Run again when that sync has ended."))
}

/// None if a commit of another sync was in the way.
fn try_begin<E: Engine>(engine: &mut E, request: &OpenRequest) -> Result<Option<Begun>> {
    match engine.begin() {
        Ok(()) => {}
        Err(failure) if E::is_conflict(&failure) => return Ok(None),
        Err(failure) => return Err(E::failed("begin a transaction".to_owned(), failure)),
    }
    let begun = begin_inside(engine, request);
    match begun {
        Ok(Some(begun)) => match engine.commit() {
            Ok(()) => Ok(Some(begun)),
            Err(failure) if E::is_conflict(&failure) => Ok(None),
            Err(failure) => Err(E::failed("commit the start of the sync".to_owned(), failure)),
        },
        other => {
            // The first error tells what happened; a transaction that cannot be rolled back is over already.
            let _ = engine.rollback();
            other
        }
    }
}

fn begin_inside<E: Engine>(engine: &mut E, request: &OpenRequest) -> Result<Option<Begun>> {
    let schema = request.connection.as_str();
    let own = [(SYSTEM, "format"), catalog::HISTORIES, (schema, ddl::SYNCS)];
    let census = find_tables(engine, &own)?;
    let has = |schema: &str, table: &str| census.contains_key(&(schema.to_owned(), table.to_owned()));
    if has(SYSTEM, "format") {
        let mut catalog = Catalog { engine, schema };
        catalog.check_format()?;
        // Every row is looked at for it: once is enough.
        if !has(schema, ddl::SYNCS)
            && let Some(other) = catalog.namesake().map_err(failed::<E>("read the connections"))?
        {
            return Err(name_refused(schema, &format!("the warehouse already has a connection \"{other}\"")));
        }
    }
    let mut sql = String::new();
    if !has(SYSTEM, "format") {
        sql.push_str(&catalog::create(engine));
    }
    if !has(schema, ddl::SYNCS) {
        sql.push_str(&ddl::create_connection(engine, schema));
    }
    if request.history && !catalog::has_history(&census) {
        sql.push_str(&catalog::create_history(engine));
    }
    if !sql.is_empty() {
        match engine.run(&sql) {
            Ok(()) => {}
            Err(failure) if E::is_conflict(&failure) => return Ok(None),
            Err(failure) => return Err(E::failed(format!("make the schema {}", ddl::quoted(schema)), failure)),
        }
    }
    let mut catalog = Catalog { engine, schema };
    let row = match catalog.take_fence() {
        Ok(row) => row,
        Err(failure) if E::is_conflict(&failure) => return Ok(None),
        Err(failure) => return Err(E::failed("take the fence".to_owned(), failure)),
    };
    match catalog.begin_sync(&request.sync) {
        Ok(()) => {}
        Err(failure) if E::is_conflict(&failure) => return Ok(None),
        Err(failure) => return Err(E::failed("note the sync in _syncs".to_owned(), failure)),
    }
    let mut tables = if row.fence == 1 { Vec::new() } else { catalog.tables(false)? };
    let census = if E::SEES_COMMITS {
        let names = tables.iter().map(|table| (schema, table.name.as_str())).chain([catalog::HISTORIES]);
        find_tables(engine, &names.collect::<Vec<_>>())?
    } else {
        census
    };
    if catalog::has_history(&census) {
        Catalog { engine, schema }.mark_histories(&mut tables)?;
    }
    let empty = tables.iter().map(|table| is_empty(engine, &census, schema, table)).collect::<Result<_>>()?;
    Ok(Some(Begun { row, tables, empty }))
}

fn find_tables<E: Engine>(engine: &mut E, names: &[(&str, &str)]) -> Result<Census> {
    engine.find_tables(names).map_err(failed::<E>("read the list of tables"))
}

fn is_empty<E: Engine>(engine: &E, census: &Census, schema: &str, table: &TableSchema) -> Result<bool> {
    census.get(&(schema.to_owned(), table.name.clone())).map(|has_rows| !has_rows).ok_or_else(|| {
        let name = engine.table(schema, &table.name);
        Error::new(Code::DestinationFailed, format!("find the table {name}, which the warehouse's catalog lists"))
            .hint("It was dropped or renamed by hand. Put it back, or reset the connection and sync everything again.")
    })
}

/// Names that cannot be a schema beside the engines' own and the catalog's.
fn check_name<E: Engine>(connection: &str) -> Result<()> {
    let reserved = [SYSTEM, "information_schema", "pg_catalog"];
    if connection.is_empty() || connection.contains('\0') {
        return Err(name_refused(connection, "it is empty or contains a NUL"));
    }
    if connection.len() > E::NAME_BYTES_MAX {
        return Err(name_refused(
            connection,
            &format!("the warehouse holds names of up to {} bytes", E::NAME_BYTES_MAX),
        ));
    }
    if reserved.iter().any(|name| name.eq_ignore_ascii_case(connection)) {
        return Err(name_refused(connection, "the warehouse uses that schema itself"));
    }
    if let Some(why) = E::refuses(connection) {
        return Err(name_refused(connection, why));
    }
    Ok(())
}

fn name_refused(connection: &str, why: &str) -> Error {
    Error::new(Code::Usage, format!("use \"{}\" as a connection's name: {why}", connection.escape_default()))
        .hint("Choose another name with --connection NAME.")
}
