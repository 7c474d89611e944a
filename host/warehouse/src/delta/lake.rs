//! Rows in and out of the scratch: what a session loads when it begins, and the files that a transaction needs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::errors::Failure;
use super::journal::{Entry, Journal};
use super::log::{self, Add, Snapshot};
use super::scratch::{self, Column};
use super::{DeltaLake, TableName, is_syncs, names, table_folder};
use crate::SYNCS;
use crate::sql::ddl::quoted;
use crate::sql::{Engine, Portrait, Reach, Scalar};
use model::error::{Code, Error, Result};
use model::schema::{ColumnType, DELETED, SYNCED_AT, SchemaChange, TableSchema, changes};

/// A file of fewer rows is small: when a table has many of them, the next commit makes one of them all.
const SMALL_ROWS: u64 = 10_000;
const SMALL_FILES_MAX: usize = 16;

/// How long a commit that was announced is waited for before it is taken for that of a dead host: hosts that begin at once
/// would take over from each other in turn.
const PAUSES_MAX: u32 = 10;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(25);

/// What a transaction has of a table in the scratch.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// The files whose rows are in the scratch, by path. They are not in the table any more after the commit.
    pub(super) brought: Vec<String>,
    /// How many rows those were, and how many of them not deleted.
    pub(super) rows: u64,
    pub(super) live: u64,
}

impl DeltaLake {
    /// Loads what the session needs, if that was not done yet.
    pub(super) fn load_once(&mut self) -> Result<(), Failure> {
        if self.is_loaded { Ok(()) } else { self.load() }
    }

    /// Reads the journals and fills the scratch accordingly: the catalog, and for a sync the connection's tables.
    pub(super) fn load(&mut self) -> Result<(), Failure> {
        self.scratch.clear(self.store.root(), self.access)?;
        self.snapshots.clear();
        self.journals.clear();
        self.touched.clear();
        self.dropped.clear();
        let folders = Journal::folders(&*self.store)?;
        Portrait::make_catalog(&mut self.scratch.engine)?;
        let Some(connection) = self.connection.clone() else {
            for folder in folders {
                let journal = Journal::read_folder(&*self.store, &folder)?;
                journal.entry.portrait()?.hang(&mut self.scratch.engine)?;
                self.journals.insert(journal.entry.connection.clone(), journal);
            }
            self.is_loaded = true;
            return Ok(());
        };
        for other in folders.iter().filter_map(|folder| names::name(folder)).filter(|name| *name != connection) {
            Portrait::note_name(&mut self.scratch.engine, &other)?;
        }
        let mut journal = Journal::read(&*self.store, &connection)?;
        for _ in 0..PAUSES_MAX {
            if journal.entry.pending.is_empty() {
                break;
            }
            std::thread::sleep(PAUSE);
            journal = Journal::read(&*self.store, &connection)?;
        }
        let portrait = journal.entry.portrait()?;
        self.journals.insert(connection.clone(), journal);
        portrait.hang(&mut self.scratch.engine)?;
        // Before the first sync there is nothing, and the catalog says so.
        if portrait.row.fence > 0 {
            portrait.make_schema(&mut self.scratch.engine)?;
            portrait.make_tables(&mut self.scratch.engine)?;
            self.bring_syncs(&connection)?;
        }
        self.is_loaded = true;
        Ok(())
    }

    /// Before a transaction: what others have written since is read again, unless this session should have been the only one.
    pub(super) fn catch_up(&mut self) -> Result<(), Failure> {
        if !self.is_loaded {
            return self.load();
        }
        let Some(connection) = self.connection.clone() else { return self.load() };
        let Some(journal) = self.journals.get(&connection) else { return self.load() };
        if !journal.is_outdated(&*self.store)? {
            return Ok(());
        }
        if !self.has_fence {
            return self.load();
        }
        let newest = Journal::read(&*self.store, &connection)?;
        // An entry of ours whose answer was lost: the commit that it announced was not made.
        if newest.entry.writer.starts_with(&self.session) && !newest.entry.pending.is_empty() {
            self.journals.insert(connection, newest);
            self.snapshots.clear();
            return Ok(());
        }
        Err(Failure::Overtaken)
    }

    pub(super) fn journal(&self, connection: &str) -> Result<&Journal> {
        let found = self.journals.get(connection);
        found.ok_or_else(|| Error::new(Code::HostBug, format!("find the journal of {}", quoted(connection))))
    }

    /// The table as it counts: as of the version before a commit that was never completed, otherwise the newest. None if there
    /// is no table.
    pub(super) fn snapshot(&mut self, connection: &str, table: &str) -> Result<Option<&Snapshot>, Failure> {
        let name: TableName = (connection.to_owned(), table.to_owned());
        if !self.snapshots.contains_key(&name) {
            let entry = &self.journal(connection)?.entry;
            let Some(stored) = entry.stored.get(table) else { return Ok(None) };
            let (folder, pending) =
                (stored.folder.clone(), entry.pending.iter().find(|pending| pending.table == table));
            let at = pending.and_then(|pending| pending.before);
            let read = Snapshot::read(&*self.store, &mut self.scratch, &folder, at)?;
            let Some(snapshot) = read else { return Err(Failure::Lake(missing(connection, table, &folder))) };
            self.check_transaction(connection, &snapshot)?;
            self.snapshots.insert(name.clone(), snapshot);
        }
        Ok(self.snapshots.get(&name))
    }

    /// Every commit of a table names the entry of the journal that it belongs to: one from beyond the newest is another host's.
    fn check_transaction(&self, connection: &str, snapshot: &Snapshot) -> Result<(), Failure> {
        let number = i64::try_from(self.journal(connection)?.number).unwrap_or(i64::MAX);
        let last = snapshot.transactions.get(&application(connection)).map_or(0, |last| last.version);
        // The number is that of the entry which completes the commit; a pending one is followed by it.
        if last > number + 1 { Err(Failure::Overtaken) } else { Ok(()) }
    }

    /// The files of a table that are not in the scratch yet, with their places for the engine.
    fn waiting(&mut self, connection: &str, table: &str) -> Result<(String, Vec<Add>), Failure> {
        let name = (connection.to_owned(), table.to_owned());
        let brought = self.touched.get(&name).map(|touched| touched.brought.clone()).unwrap_or_default();
        let folder = table_folder(connection, table);
        let Some(snapshot) = self.snapshot(connection, table)? else { return Ok((folder, Vec::new())) };
        let waiting = snapshot.files.values().filter(|file| !brought.contains(&file.path)).cloned().collect();
        Ok((folder, waiting))
    }

    fn local_files(&mut self, folder: &str, files: &[Add]) -> Result<Vec<PathBuf>> {
        let keys = files.iter().map(|file| log::file_key(folder, &file.path));
        keys.map(|key| self.scratch.file(&*self.store, &key?)).collect()
    }

    /// Brings the rows that a statement is about to look for: whole files, those that hold one.
    pub(super) fn bring(&mut self, connection: &str, table: &TableSchema, rows: Reach<'_>) -> Result<(), Failure> {
        self.touched.entry((connection.to_owned(), table.name.clone())).or_default();
        let (folder, mut waiting) = self.waiting(connection, &table.name)?;
        let is_small = |file: &Add| rows_of(file).is_some_and(|rows| rows < SMALL_ROWS);
        let fold_small = waiting.iter().filter(|file| is_small(file)).count() > SMALL_FILES_MAX;
        let (mut chosen, rest): (Vec<Add>, Vec<Add>) = waiting.drain(..).partition(|file| fold_small && is_small(file));
        chosen.extend(self.chosen(connection, table, &folder, (rest, rows))?);
        if chosen.is_empty() {
            return Ok(());
        }
        let columns = self.scratch.columns(connection, &table.name)?;
        let values: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
        self.insert(connection, &table.name, (&folder, &chosen), (&columns, &values))
    }

    /// Those of some files that hold rows which are looked for.
    fn chosen(
        &mut self,
        connection: &str,
        table: &TableSchema,
        folder: &str,
        (files, rows): (Vec<Add>, Reach<'_>),
    ) -> Result<Vec<Add>, Failure> {
        let column = |name: &str, kind: ColumnType| Column { name: name.to_owned(), kind: self.type_name(kind) };
        let marks = [column(DELETED, ColumnType::Boolean)];
        let instants = [column(SYNCED_AT, ColumnType::UtcDatetime(None))];
        let keys: Vec<Column> = table
            .key
            .iter()
            .filter_map(|index| table.columns.get(*index))
            .map(|key| column(&key.name, key.column_type))
            .collect();
        match rows {
            Reach::Nothing => Ok(Vec::new()),
            Reach::All => Ok(files),
            Reach::WrittenBefore(us) => {
                let condition = format!("t.{} < {}", quoted(SYNCED_AT), self.instant(us));
                self.filtered(folder, files, &instants, &condition)
            }
            Reach::Deleted => {
                let stored = self.journal(connection)?.entry.stored.get(&table.name);
                if stored.is_none_or(|stored| stored.rows == stored.live) {
                    return Ok(Vec::new());
                }
                self.filtered(folder, files, &marks, &format!("t.{}", quoted(DELETED)))
            }
            Reach::Keys { stage, key } => {
                let files = self.in_range(files, stage, (key, &keys))?;
                let terms: Vec<String> = key.iter().map(|(name, value)| format!("t.{name} = {value}")).collect();
                let condition = format!("EXISTS (SELECT 1 FROM {stage} AS s WHERE {})", terms.join(" AND "));
                self.filtered(folder, files, &keys, &condition)
            }
        }
    }

    fn filtered(
        &mut self,
        folder: &str,
        mut files: Vec<Add>,
        columns: &[Column],
        condition: &str,
    ) -> Result<Vec<Add>, Failure> {
        if files.is_empty() {
            return Ok(files);
        }
        let paths = self.local_files(folder, &files)?;
        let mut found = self.scratch.files_where(&paths, columns, condition)?.into_iter().rev();
        let mut chosen = Vec::new();
        for place in found.by_ref() {
            chosen.push(files.swap_remove(place));
        }
        Ok(chosen)
    }

    /// Leaves out files whose statistics say that they hold no key of a stage.
    fn in_range(
        &mut self,
        files: Vec<Add>,
        stage: &str,
        (key, columns): (&[(String, String)], &[Column]),
    ) -> Result<Vec<Add>, Failure> {
        let (Some((_, value)), Some(column)) = (key.first(), columns.first()) else { return Ok(files) };
        if files.is_empty() {
            return Ok(files);
        }
        let sql = format!("SELECT CAST(min({value}) AS VARCHAR), CAST(max({value}) AS VARCHAR) FROM {stage} AS s");
        let row = self.scratch.engine.query(&sql, &[])?.into_iter().next().unwrap_or_default();
        let (Some(Scalar::Text(low)), Some(Scalar::Text(high))) = (row.first(), row.get(1)) else { return Ok(files) };
        let overlaps = |file: &Add| {
            let Some((least, greatest)) = bounds(file, &column.name) else { return true };
            let is_before = |one: &Bound, text: &str| one.is_before(text, &column.kind) == Some(true);
            let is_after = |one: &Bound, text: &str| one.is_after(text, &column.kind) == Some(true);
            !is_before(&greatest, low) && !is_after(&least, high)
        };
        Ok(files.into_iter().filter(overlaps).collect())
    }

    /// Reads files into the scratch.
    fn insert(
        &mut self,
        connection: &str,
        table: &str,
        (folder, files): (&str, &[Add]),
        (columns, values): (&[Column], &[String]),
    ) -> Result<(), Failure> {
        if files.is_empty() {
            return Ok(());
        }
        let paths = self.local_files(folder, files)?;
        let target = self.table(connection, table);
        self.scratch.insert(&target, &paths, columns, values)?;
        let (rows, live) = self.scratch.count(&paths, !is_syncs(table))?;
        let touched = self.touched.entry((connection.to_owned(), table.to_owned())).or_default();
        touched.brought.extend(files.iter().map(|file| file.path.clone()));
        touched.rows += rows;
        touched.live += live;
        Ok(())
    }

    /// After changes to the schema: tables with a wider column are brought as a whole and converted on the way, so that every
    /// file has the types that the table has; tables that are new or have new columns are noted.
    pub(super) fn bring_widened(
        &mut self,
        connection: &str,
        old: &[TableSchema],
        new: &[TableSchema],
    ) -> Result<(), Failure> {
        let mut widened: BTreeMap<usize, BTreeMap<usize, String>> = BTreeMap::new();
        for change in changes(old, new) {
            match change {
                SchemaChange::NewTable { table }
                | SchemaChange::NewColumn { table, .. }
                | SchemaChange::HistoryBegun { table } => {
                    self.touched.entry((connection.to_owned(), new[table].name.clone())).or_default();
                }
                SchemaChange::Widened { table, column, from, to } => {
                    let name = quoted(&new[table].columns[column].name);
                    let value = self.expression(&name, from, to);
                    let value = value.ok_or_else(|| Error::new(Code::HostBug, format!("convert {from} to {to}")))?;
                    if self.type_name(from) != self.type_name(to) {
                        widened.entry(table).or_default().insert(column, value);
                    }
                }
            }
        }
        for (index, values) in widened {
            self.bring_converted(connection, &old[index], &values)?;
        }
        Ok(())
    }

    fn bring_converted(
        &mut self,
        connection: &str,
        old: &TableSchema,
        converted: &BTreeMap<usize, String>,
    ) -> Result<(), Failure> {
        self.touched.entry((connection.to_owned(), old.name.clone())).or_default();
        let (folder, files) = self.waiting(connection, &old.name)?;
        let columns = self.columns_of(old);
        let value =
            |(index, column): (usize, &Column)| converted.get(&index).cloned().unwrap_or_else(|| quoted(&column.name));
        let values: Vec<String> = columns.iter().enumerate().map(value).collect();
        self.insert(connection, &old.name, (&folder, &files), (&columns, &values))
    }

    /// A table's columns as the engine has them, in the order of the schema, then the host's own.
    fn columns_of(&self, table: &TableSchema) -> Vec<Column> {
        let own = [(SYNCED_AT, ColumnType::UtcDatetime(None)), (DELETED, ColumnType::Boolean)];
        let columns = table.columns.iter().map(|column| (column.name.as_str(), column.column_type)).chain(own);
        columns.map(|(name, kind)| Column { name: name.to_owned(), kind: self.type_name(kind) }).collect()
    }

    /// Fills `_syncs`, which is in the scratch as a whole.
    fn bring_syncs(&mut self, connection: &str) -> Result<(), Failure> {
        let (folder, files) = self.waiting(connection, SYNCS)?;
        let columns = self.scratch.columns(connection, SYNCS)?;
        let values: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
        self.insert(connection, SYNCS, (&folder, &files), (&columns, &values))?;
        self.touched.clear();
        Ok(())
    }

    /// Something that changes when `_syncs` does.
    pub(super) fn fingerprint(&mut self) -> Result<String, Failure> {
        let Some(connection) = self.connection.clone() else { return Ok(String::new()) };
        if self.scratch.columns(&connection, SYNCS)?.is_empty() {
            return Ok(String::new());
        }
        let table = self.table(&connection, SYNCS);
        let sql =
            format!("SELECT CAST(count(*) AS VARCHAR) || ' ' || CAST(bit_xor(hash(s)) AS VARCHAR) FROM {table} AS s");
        match self.scratch.engine.query(&sql, &[])?.into_iter().next().unwrap_or_default().into_iter().next() {
            Some(Scalar::Text(text)) => Ok(text),
            _ => Ok("none".to_owned()),
        }
    }

    /// Makes a view of every table; with a query, of those that it can mean.
    pub(super) fn show(&mut self, sql: Option<&str>) -> Result<()> {
        self.show_all(sql).map_err(|failure| Self::failed("read the lake".to_owned(), failure))
    }

    fn show_all(&mut self, sql: Option<&str>) -> Result<(), Failure> {
        self.load_once()?;
        let sql = sql.map(str::to_lowercase);
        let is_meant = |name: &str| sql.as_ref().is_none_or(|sql| sql.contains(&name.to_lowercase()));
        let entries: Vec<Entry> = self.journals.values().map(|journal| journal.entry.clone()).collect();
        for entry in entries {
            let portrait = entry.portrait()?;
            portrait.make_schema(&mut self.scratch.engine)?;
            if entry.stored.contains_key(SYNCS) && is_meant(SYNCS) {
                self.bring_syncs(&entry.connection)?;
            }
            for table in portrait
                .tables
                .iter()
                .filter(|table| is_meant(&table.name.replace('"', "\"\"")) || is_meant(&table.name))
            {
                let (folder, files) = self.waiting(&entry.connection, &table.name)?;
                let paths = self.local_files(&folder, &files)?;
                let rows = scratch::typed(&paths, &self.columns_of(table));
                let view = self.table(&entry.connection, &table.name);
                self.scratch.engine.run(&format!("CREATE VIEW {view} AS SELECT * FROM {rows}"))?;
            }
        }
        Ok(())
    }
}

/// The name under which a connection's transactions stand in its tables.
pub(super) fn application(connection: &str) -> String {
    format!("elt:{connection}")
}

fn missing(connection: &str, table: &str, folder: &str) -> Error {
    let name = format!("{}.{}", quoted(connection), quoted(table));
    Error::new(Code::DestinationFailed, format!("find the table {name}: the folder {folder} has no Delta table"))
        .hint("It was removed by hand. Put it back, or reset the connection and sync everything again.")
}

/// A file's statistics, where they can be read.
fn statistics(file: &Add) -> Option<serde_json::Value> {
    serde_json::from_str(file.stats.as_deref()?).ok()
}

pub(super) fn rows_of(file: &Add) -> Option<u64> {
    statistics(file)?.get("numRecords")?.as_u64()
}

/// A least or greatest value of a file.
enum Bound {
    Number(i64),
    Text(String),
}

fn bounds(file: &Add, column: &str) -> Option<(Bound, Bound)> {
    let statistics = statistics(file)?;
    let bound = |which: &str| match statistics.get(which)?.get(column)? {
        serde_json::Value::Number(number) => number.as_i64().map(Bound::Number),
        serde_json::Value::String(text) => Some(Bound::Text(text.clone())),
        _ => None,
    };
    Some((bound("minValues")?, bound("maxValues")?))
}

impl Bound {
    fn compare(&self, text: &str, kind: &str) -> Option<std::cmp::Ordering> {
        match (self, kind) {
            (Self::Number(number), "SMALLINT" | "INTEGER" | "BIGINT") => Some(number.cmp(&text.parse::<i64>().ok()?)),
            (Self::Text(own), "VARCHAR") => Some(own.as_bytes().cmp(text.as_bytes())),
            (Self::Text(own), "DATE") if own.len() == 10 && text.len() == 10 => Some(own.as_str().cmp(text)),
            _ => None,
        }
    }

    fn is_before(&self, text: &str, kind: &str) -> Option<bool> {
        self.compare(text, kind).map(std::cmp::Ordering::is_lt)
    }

    fn is_after(&self, text: &str, kind: &str) -> Option<bool> {
        self.compare(text, kind).map(std::cmp::Ordering::is_gt)
    }
}
