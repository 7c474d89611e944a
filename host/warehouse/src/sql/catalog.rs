//! What the warehouse remembers about connections in its schema `_elt`: the fence, the state and its history, tables
//! and their columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray};

use super::ddl::{self, INSTANT};
use super::engine::{Census, Engine, KeyedRows, LoadColumn, Scalar, Target, failed};
use super::stage::batch_of;
use crate::{ConnectionRow, Refresh, StateRow, SyncRecord};
use model::error::{Code, Error, Result};
use model::schema::{ColumnSchema, ColumnType, TableSchema};

/// The schema of the catalog's own tables.
pub(crate) const SYSTEM: &str = "_elt";
/// The format of the catalog. Raised whenever an older program could not work with what a newer one writes.
const FORMAT: i64 = 1;
/// The format of a catalog in which tables may keep their history, which an older program would write over. A catalog gets it
/// when that is first asked for.
const FORMAT_HISTORY: i64 = 2;
/// The table that lists them.
const HISTORY: &str = "history";
/// The same with its schema.
pub(super) const HISTORIES: (&str, &str) = (SYSTEM, HISTORY);
/// How many states of a connection are kept.
const STATES_MAX: u64 = 100;

/// What fails where the catalog cannot be read.
const READ: &str = "read the warehouse's catalog";

const LONG: ColumnType = ColumnType::Long { exact: false };
const TEXT: ColumnType = ColumnType::String;

/// Makes the catalog's tables.
pub(super) fn create<E: Engine>(engine: &E) -> String {
    let [text, long, boolean, instant] =
        [TEXT, LONG, ColumnType::Boolean, INSTANT].map(|column_type| engine.type_name(column_type));
    let mut sql = engine.create_schema(SYSTEM);
    let mut table = |name: &str, columns: &str, key: &[&str]| sql.push_str(&create_table(engine, name, columns, key));
    table("format", &format!("version {long} NOT NULL"), &["version"]);
    table(
        "connections",
        &format!(
            "connection {text} NOT NULL, fence {long} NOT NULL, sequence {long} NOT NULL, state {text}, \
             committed_at {instant}, refresh_since {instant}, refresh_tables {text}"
        ),
        &["connection"],
    );
    table(
        "states",
        &format!(
            "connection {text} NOT NULL, sequence {long} NOT NULL, state {text}, committed_at {instant} NOT NULL, \
             sync {text} NOT NULL"
        ),
        &["connection", "sequence"],
    );
    table(
        "tables",
        &format!(
            "connection {text} NOT NULL, position {long} NOT NULL, source_name {text} NOT NULL, name {text} NOT NULL"
        ),
        &["connection", "position"],
    );
    table(
        "columns",
        &format!(
            "connection {text} NOT NULL, table_position {long} NOT NULL, position {long} NOT NULL, source_name {text} NOT \
             NULL, name {text} NOT NULL, column_type {text} NOT NULL, declared {boolean} NOT NULL, key_position {long}"
        ),
        &["connection", "table_position", "position"],
    );
    let format = engine.table(SYSTEM, "format");
    sql + &format!("INSERT INTO {format} VALUES ({FORMAT});\n")
}

/// Makes the table of those tables that keep their history.
pub(super) fn create_history<E: Engine>(engine: &E) -> String {
    let [text, long] = [TEXT, LONG].map(|column_type| engine.type_name(column_type));
    let columns = format!("connection {text} NOT NULL, table_position {long} NOT NULL");
    let table = create_table(engine, HISTORY, &columns, &["connection", "table_position"]);
    table + &format!("INSERT INTO {} VALUES ({FORMAT_HISTORY});\n", engine.table(SYSTEM, "format"))
}

/// Whether a list of tables has that one.
pub(super) fn has_history(census: &Census) -> bool {
    let (schema, table) = HISTORIES;
    census.contains_key(&(schema.to_owned(), table.to_owned()))
}

fn create_table<E: Engine>(engine: &E, name: &str, columns: &str, key: &[&str]) -> String {
    let key: Vec<String> = key.iter().map(|column| ddl::quoted(column)).collect();
    let create = format!("CREATE TABLE {} ({columns});\n", engine.table(SYSTEM, name));
    create + &engine.create_key(SYSTEM, name, &key, KeyedRows::All)
}

/// The catalog, seen by one connection.
pub(super) struct Catalog<'a, E> {
    pub(super) engine: &'a mut E,
    pub(super) schema: &'a str,
}

type Row = Vec<Scalar>;

impl<E: Engine> Catalog<'_, E> {
    fn at(&self, table: &str) -> String {
        self.engine.table(SYSTEM, table)
    }

    fn name(&self) -> Scalar {
        Scalar::Text(self.schema.to_owned())
    }

    /// Refuses a catalog that a newer program wrote.
    pub(super) fn check_format(&mut self) -> Result<()> {
        let sql = format!("SELECT max(version) FROM {}", self.at("format"));
        let rows = self.engine.query(&sql, &[]).map_err(failed::<E>("read the format of the warehouse"))?;
        let version = rows.first().map_or(0, |row| integer(row, 0));
        if version > FORMAT_HISTORY {
            let what = format!(
                "use the warehouse: its format is {version}, this program knows formats up to {FORMAT_HISTORY}"
            );
            return Err(
                Error::new(Code::DestinationFailed, what).hint("Use the newer version of this program that wrote it.")
            );
        }
        Ok(())
    }

    /// Takes the fence: from now on only this sync can commit for the connection. Returns the connection's row.
    pub(super) fn take_fence(&mut self) -> Result<ConnectionRow, E::Failure> {
        let name = [self.name()];
        let (connections, columns) = (self.at("connections"), self.connection_columns());
        let sql = format!("UPDATE {connections} SET fence = fence + 1 WHERE connection = $1 RETURNING {columns}");
        if let Some(row) = self.engine.query(&sql, &name)?.first() {
            return Ok(connection_row(row));
        }
        let sql = format!("INSERT INTO {connections} (connection, fence, sequence) VALUES ($1, 1, 0)");
        self.engine.execute(&sql, &name)?;
        Ok(ConnectionRow { connection: self.schema.to_owned(), fence: 1, ..ConnectionRow::default() })
    }

    /// The connection's row, if a sync was ever opened.
    pub(super) fn connection(&mut self) -> Result<Option<ConnectionRow>, E::Failure> {
        let sql = format!("{} WHERE connection = $1", self.select_connections());
        let rows = self.engine.query(&sql, &[self.name()])?;
        Ok(rows.first().map(connection_row))
    }

    /// Writes everything there is to know of a connection that the catalog does not have yet.
    pub(super) fn add(
        &mut self,
        row: &ConnectionRow,
        states: &[StateRow],
        tables: &[TableSchema],
    ) -> Result<(), E::Failure> {
        if row.fence > 0 {
            let refresh_tables = row.refresh.as_ref().and_then(Refresh::tables_json);
            let sql = format!(
                "INSERT INTO {} VALUES ($1, $2, $3, $4, {}, {}, $5)",
                self.at("connections"),
                self.instant(row.committed_at_us),
                self.instant(row.refresh.as_ref().map(|refresh| refresh.since_us)),
            );
            let values = [
                self.name(),
                long(row.fence),
                long(row.sequence),
                optional(row.state.as_deref()),
                optional(refresh_tables.as_deref()),
            ];
            self.engine.execute(&sql, &values)?;
        }
        self.add_states(states)?;
        self.record(&[], tables)
    }

    fn add_states(&mut self, states: &[StateRow]) -> Result<(), E::Failure> {
        if states.is_empty() {
            return Ok(());
        }
        let sequences = states.iter().map(|state| usize::try_from(state.sequence).unwrap_or(usize::MAX));
        let instants = states.iter().map(|state| state.committed_at_us);
        let columns: [(&str, ColumnType, ArrayRef); 5] = [
            ("connection", TEXT, texts(states.iter().map(|_| self.schema))),
            ("sequence", LONG, longs(sequences)),
            ("state", TEXT, Arc::new(states.iter().map(|state| state.state.as_deref()).collect::<StringArray>())),
            (
                "committed_at",
                INSTANT,
                Arc::new(TimestampMicrosecondArray::from_iter_values(instants).with_timezone("UTC")),
            ),
            ("sync", TEXT, texts(states.iter().map(|state| state.sync.as_str()))),
        ];
        self.load("states", columns)
    }

    /// Every connection's row, by name.
    pub(super) fn connections(&mut self) -> Result<Vec<ConnectionRow>, E::Failure> {
        let sql = format!("{} ORDER BY connection", self.select_connections());
        Ok(self.engine.query(&sql, &[])?.iter().map(connection_row).collect())
    }

    fn select_connections(&self) -> String {
        format!("SELECT {} FROM {}", self.connection_columns(), self.at("connections"))
    }

    /// What `connection_row` reads.
    fn connection_columns(&self) -> String {
        let [committed_at, refresh_since] = ["committed_at", "refresh_since"].map(|name| self.engine.micros(name));
        format!("connection, fence, sequence, state, {committed_at}, {refresh_since}, refresh_tables")
    }

    /// A connection whose name differs from this one only in case: both would have the same schema.
    pub(super) fn namesake(&mut self) -> Result<Option<String>, E::Failure> {
        let sql = format!(
            "SELECT connection FROM {} WHERE lower(connection) = lower($1) AND connection <> $2",
            self.at("connections")
        );
        let rows = self.engine.query(&sql, &[self.name(), self.name()])?;
        Ok(rows.first().and_then(|row| text(row, 0)))
    }

    /// The last step of a commit: the state, if this sync still holds the fence and nobody committed in between.
    /// Returns whether it did.
    pub(super) fn advance(&mut self, row: &ConnectionRow, sync: &str) -> Result<bool, E::Failure> {
        let refresh_tables = row.refresh.as_ref().and_then(Refresh::tables_json);
        let sql = format!(
            "UPDATE {} SET sequence = $1, state = $2, committed_at = {}, refresh_since = {}, refresh_tables = $3 \
             WHERE connection = $4 AND fence = $5 AND sequence = $6",
            self.at("connections"),
            self.instant(row.committed_at_us),
            self.instant(row.refresh.as_ref().map(|refresh| refresh.since_us)),
        );
        let values = [
            long(row.sequence),
            optional(row.state.as_deref()),
            optional(refresh_tables.as_deref()),
            self.name(),
            long(row.fence),
            long(row.sequence.saturating_sub(1)),
        ];
        if self.engine.execute(&sql, &values)? != 1 {
            return Ok(false);
        }
        // Only now: the sync that took over may have noted a state of this number.
        self.note_state(row, sync).map(|()| true)
    }

    /// Adds to the history of states; the oldest are forgotten.
    fn note_state(&mut self, row: &ConnectionRow, sync: &str) -> Result<(), E::Failure> {
        let states = self.at("states");
        let committed_at = self.instant(row.committed_at_us);
        let sql = format!("INSERT INTO {states} VALUES ($1, $2, $3, {committed_at}, $4)");
        let values = [self.name(), long(row.sequence), optional(row.state.as_deref()), Scalar::Text(sync.to_owned())];
        self.engine.execute(&sql, &values)?;
        if let Some(last) = row.sequence.checked_sub(STATES_MAX).filter(|last| *last > 0) {
            let sql = format!("DELETE FROM {states} WHERE connection = $1 AND sequence <= $2");
            self.engine.execute(&sql, &[self.name(), long(last)])?;
        }
        Ok(())
    }

    /// The states of the last commits, the newest first.
    pub(super) fn states(&mut self) -> Result<Vec<StateRow>, E::Failure> {
        let sql = format!(
            "SELECT sequence, state, {}, sync FROM {} WHERE connection = $1 ORDER BY sequence DESC",
            self.engine.micros("committed_at"),
            self.at("states")
        );
        let rows = self.engine.query(&sql, &[self.name()])?;
        let state = |row: &Row| StateRow {
            sequence: natural(row, 0),
            state: text(row, 1),
            committed_at_us: integer(row, 2),
            sync: text(row, 3).unwrap_or_default(),
        };
        Ok(rows.iter().map(state).collect())
    }

    /// The connection's tables in the order in which they were made. `has_history`: some connection's tables keep theirs.
    pub(super) fn tables(&mut self, has_history: bool) -> Result<Vec<TableSchema>> {
        let mut tables = self.table_rows().map_err(failed::<E>(READ))?;
        let mut keys: Vec<BTreeMap<i64, usize>> = vec![BTreeMap::new(); tables.len()];
        for row in self.column_rows().map_err(failed::<E>(READ))? {
            let index = usize::try_from(integer(&row, 0)).unwrap_or(usize::MAX);
            let (Some(table), Some(key)) = (tables.get_mut(index), keys.get_mut(index)) else {
                return Err(damaged("a column has no table"));
            };
            if let Some(Scalar::Integer(position)) = row.get(5) {
                key.insert(*position, table.columns.len());
            }
            table.columns.push(column(&row).ok_or_else(|| damaged("a column's type is none this program knows"))?);
        }
        for (table, key) in tables.iter_mut().zip(keys) {
            table.key = key.into_values().collect();
        }
        if has_history {
            self.mark_histories(&mut tables)?;
        }
        Ok(tables)
    }

    /// Marks those of the connection's tables that keep their history.
    pub(super) fn mark_histories(&mut self, tables: &mut [TableSchema]) -> Result<()> {
        for position in self.histories().map_err(failed::<E>(READ))? {
            tables.get_mut(position).ok_or_else(|| damaged("a history has no table"))?.history = true;
        }
        Ok(())
    }

    /// The positions of the tables that keep their history.
    fn histories(&mut self) -> Result<Vec<usize>, E::Failure> {
        let sql = format!("SELECT table_position FROM {} WHERE connection = $1", self.at(HISTORY));
        let rows = self.engine.query(&sql, &[self.name()])?;
        Ok(rows.iter().map(|row| usize::try_from(integer(row, 0)).unwrap_or(usize::MAX)).collect())
    }

    fn table_rows(&mut self) -> Result<Vec<TableSchema>, E::Failure> {
        let sql =
            format!("SELECT source_name, name FROM {} WHERE connection = $1 ORDER BY position", self.at("tables"));
        let table = |row: &Row| TableSchema {
            source_name: text(row, 0).unwrap_or_default(),
            name: text(row, 1).unwrap_or_default(),
            key: Vec::new(),
            columns: Vec::new(),
            history: false,
        };
        Ok(self.engine.query(&sql, &[self.name()])?.iter().map(table).collect())
    }

    /// Not joined with the tables: starting a join costs more than a second statement.
    fn column_rows(&mut self) -> Result<Vec<Row>, E::Failure> {
        let sql = format!(
            "SELECT table_position, source_name, name, column_type, declared, key_position FROM {} WHERE connection = $1 \
             ORDER BY table_position, position",
            self.at("columns")
        );
        self.engine.query(&sql, &[self.name()])
    }

    /// Writes what differs between the tables `old`, which the catalog holds, and the tables `new`.
    pub(super) fn record(&mut self, old: &[TableSchema], new: &[TableSchema]) -> Result<(), E::Failure> {
        self.record_new(old, new)?;
        let sql = format!(
            "UPDATE {} SET column_type = $1, declared = $2, key_position = $3 \
             WHERE connection = $4 AND table_position = $5 AND position = $6",
            self.at("columns")
        );
        for (position, (before, after)) in old.iter().zip(new).enumerate() {
            for (column, (was, now)) in before.columns.iter().zip(&after.columns).enumerate() {
                let key = key_position(after, column);
                if was != now || key_position(before, column) != key {
                    let values = [
                        Scalar::Text(now.column_type.to_string()),
                        Scalar::Boolean(now.declared),
                        key.map_or(Scalar::Null, Scalar::Integer),
                        self.name(),
                        long(position as u64),
                        long(column as u64),
                    ];
                    self.engine.execute(&sql, &values)?;
                }
            }
        }
        self.record_histories(old, new)
    }

    fn record_histories(&mut self, old: &[TableSchema], new: &[TableSchema]) -> Result<(), E::Failure> {
        for (position, table) in new.iter().enumerate() {
            if table.history && !old.get(position).is_some_and(|old| old.history) {
                let sql = format!("INSERT INTO {} VALUES ($1, $2)", self.at(HISTORY));
                self.engine.execute(&sql, &[self.name(), long(position as u64)])?;
            }
        }
        Ok(())
    }

    fn record_new(&mut self, old: &[TableSchema], new: &[TableSchema]) -> Result<(), E::Failure> {
        if new.len() > old.len() {
            let added = || new.iter().enumerate().skip(old.len());
            let columns: [(&str, ColumnType, ArrayRef); 4] = [
                ("connection", TEXT, texts(added().map(|_| self.schema))),
                ("position", LONG, longs(added().map(|(position, _)| position))),
                ("source_name", TEXT, texts(added().map(|(_, table)| table.source_name.as_str()))),
                ("name", TEXT, texts(added().map(|(_, table)| table.name.as_str()))),
            ];
            self.load("tables", columns)?;
        }
        let known = |position: usize| old.get(position).map_or(0, |table| table.columns.len());
        let added = || {
            new.iter().enumerate().flat_map(|(position, table)| {
                let columns = table.columns.iter().enumerate().skip(known(position));
                columns.map(move |(index, column)| (position, table, index, column))
            })
        };
        if added().next().is_none() {
            return Ok(());
        }
        let types: Vec<String> = added().map(|(_, _, _, column)| column.column_type.to_string()).collect();
        let columns: [(&str, ColumnType, ArrayRef); 8] = [
            ("connection", TEXT, texts(added().map(|_| self.schema))),
            ("table_position", LONG, longs(added().map(|(position, ..)| position))),
            ("position", LONG, longs(added().map(|(_, _, index, _)| index))),
            ("source_name", TEXT, texts(added().map(|(.., column)| column.source_name.as_str()))),
            ("name", TEXT, texts(added().map(|(.., column)| column.name.as_str()))),
            ("column_type", TEXT, texts(types.iter().map(String::as_str))),
            (
                "declared",
                ColumnType::Boolean,
                Arc::new(added().map(|(.., column)| Some(column.declared)).collect::<BooleanArray>()),
            ),
            (
                "key_position",
                LONG,
                Arc::new(added().map(|(_, table, index, _)| key_position(table, index)).collect::<Int64Array>()),
            ),
        ];
        self.load("columns", columns)
    }

    fn load<const N: usize>(
        &mut self,
        table: &str,
        columns: [(&str, ColumnType, ArrayRef); N],
    ) -> Result<(), E::Failure> {
        let into: Vec<LoadColumn> = columns.iter().map(|(name, kind, _)| LoadColumn::new(*name, *kind)).collect();
        // Columns of one length: there is no way for this to fail.
        let Ok(rows) = batch_of(columns.into_iter().map(|(_, _, array)| array).collect()) else { return Ok(()) };
        self.engine.load(Target::Table { schema: SYSTEM, name: table }, &into, &rows)
    }

    /// Makes `state` what the next sync starts from, as a commit of its own without rows. A sync that began before cannot
    /// commit any more.
    pub(super) fn set_state(&mut self, row: &ConnectionRow) -> Result<bool, E::Failure> {
        let sql = format!("UPDATE {} SET fence = $1 WHERE connection = $2 AND fence < $3", self.at("connections"));
        if self.engine.execute(&sql, &[long(row.fence), self.name(), long(row.fence)])? != 1 {
            return Ok(false);
        }
        self.advance(row, "")
    }

    /// Forgets the connection's tables and state. Its fence stays and rises, so that a sync which began before cannot
    /// commit any more.
    pub(super) fn forget(&mut self, has_history: bool) -> Result<(), E::Failure> {
        for table in ["tables", "columns", "states"].into_iter().chain(has_history.then_some(HISTORY)) {
            let sql = format!("DELETE FROM {} WHERE connection = $1", self.at(table));
            self.engine.execute(&sql, &[self.name()])?;
        }
        let sql = format!(
            "UPDATE {} SET fence = fence + 1, sequence = 0, state = NULL, committed_at = NULL, refresh_since = NULL, \
             refresh_tables = NULL WHERE connection = $1",
            self.at("connections")
        );
        self.engine.execute(&sql, &[self.name()]).map(drop)
    }

    /// Notes that a sync has begun, and that those which never said how they ended were interrupted.
    pub(super) fn begin_sync(&mut self, sync: &SyncRecord) -> Result<(), E::Failure> {
        let syncs = self.engine.table(self.schema, ddl::SYNCS);
        self.engine.execute(&format!("UPDATE {syncs} SET outcome = 'interrupted' WHERE outcome = 'running'"), &[])?;
        let sql = format!(
            "INSERT INTO {syncs} (id, started_at, ended_at, outcome, error, rows, state_before, state_after) \
             VALUES ($1, {}, {}, $2, $3, {}, $5, $6)",
            self.engine.instant(sync.started_at_us),
            self.instant(sync.ended_at_us),
            self.json("$4")
        );
        let values = [
            Scalar::Text(sync.id.clone()),
            Scalar::Text(sync.outcome.clone()),
            optional(sync.error.as_deref()),
            rows_json(sync),
            optional(sync.state_before.as_deref()),
            optional(sync.state_after.as_deref()),
        ];
        self.engine.execute(&sql, &values).map(drop)
    }

    /// Brings the sync's row up to date, which has this outcome now, or that of one that another sync has taken over from.
    pub(super) fn note_sync(&mut self, sync: &SyncRecord, outcome: &str) -> Result<(), E::Failure> {
        let sql = format!(
            "UPDATE {} SET ended_at = {}, outcome = $1, error = $2, rows = {}, state_before = $4, state_after = $5 \
             WHERE id = $6 AND outcome IN ($7, 'interrupted')",
            self.engine.table(self.schema, ddl::SYNCS),
            self.instant(sync.ended_at_us),
            self.json("$3")
        );
        let values = [
            Scalar::Text(sync.outcome.clone()),
            optional(sync.error.as_deref()),
            rows_json(sync),
            optional(sync.state_before.as_deref()),
            optional(sync.state_after.as_deref()),
            Scalar::Text(sync.id.clone()),
            Scalar::Text(outcome.to_owned()),
        ];
        self.engine.execute(&sql, &values).map(drop)
    }

    fn instant(&self, us: Option<i64>) -> String {
        us.map_or_else(|| "NULL".to_owned(), |us| self.engine.instant(us))
    }

    /// A parameter with JSON text. It is bound as text: engines bind what they cast to by itself in their own format.
    fn json(&self, parameter: &str) -> String {
        let [text, json] = [TEXT, ColumnType::Json].map(|column_type| self.engine.type_name(column_type));
        format!("CAST(CAST({parameter} AS {text}) AS {json})")
    }
}

fn rows_json(sync: &SyncRecord) -> Scalar {
    Scalar::Text(if sync.rows.is_empty() { "{}".to_owned() } else { sync.rows.clone() })
}

fn key_position(table: &TableSchema, column: usize) -> Option<i64> {
    table.key.iter().position(|index| *index == column).and_then(|position| i64::try_from(position).ok())
}

/// The column in a row of `_elt.columns`.
fn column(row: &Row) -> Option<ColumnSchema> {
    Some(ColumnSchema {
        source_name: text(row, 1)?,
        name: text(row, 2)?,
        column_type: text(row, 3)?.parse().ok()?,
        declared: matches!(row.get(4), Some(Scalar::Boolean(true) | Scalar::Integer(1))),
    })
}

fn connection_row(row: &Row) -> ConnectionRow {
    let instant = |index: usize| matches!(row.get(index), Some(Scalar::Integer(_))).then(|| integer(row, index));
    ConnectionRow {
        connection: text(row, 0).unwrap_or_default(),
        fence: natural(row, 1),
        sequence: natural(row, 2),
        state: text(row, 3),
        committed_at_us: instant(4),
        refresh: instant(5).map(|since_us| Refresh::new(since_us, text(row, 6).as_deref())),
    }
}

pub(super) fn integer(row: &Row, index: usize) -> i64 {
    match row.get(index) {
        Some(Scalar::Integer(value)) => *value,
        _ => 0,
    }
}

pub(super) fn natural(row: &Row, index: usize) -> u64 {
    u64::try_from(integer(row, index)).unwrap_or(0)
}

fn text(row: &Row, index: usize) -> Option<String> {
    match row.get(index) {
        Some(Scalar::Text(value)) => Some(value.clone()),
        _ => None,
    }
}

fn long(value: u64) -> Scalar {
    Scalar::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn optional(value: Option<&str>) -> Scalar {
    value.map_or(Scalar::Null, |value| Scalar::Text(value.to_owned()))
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from(values.collect::<Vec<&str>>()))
}

fn longs(values: impl Iterator<Item = usize>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values.map(|value| i64::try_from(value).unwrap_or(i64::MAX))))
}

fn damaged(why: &str) -> Error {
    Error::new(Code::WarehouseCorrupted, format!("read the warehouse's catalog: {why}"))
        .hint("Was the schema _elt changed by hand? Restore it from a backup, or reset the connection.")
}
