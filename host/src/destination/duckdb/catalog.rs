//! What the warehouse remembers about connections in its schema `_elt`: the fence, the state, tables and their columns.

use std::collections::BTreeMap;

use duckdb::{Connection, OptionalExt, params};

use super::ddl::{self, Place};
use super::errors::failed;
use crate::destination::SyncRecord;
use crate::error::{Code, Error, Result};
use crate::schema::{ColumnSchema, ColumnType, TableSchema};

/// The schema of the catalog's own tables.
pub(super) const SYSTEM: &str = "_elt";
/// The format of the catalog. Raised whenever an older program could not work with what a newer one writes.
const FORMAT: i32 = 1;

/// A connection's row: who may commit, how often that happened, and the state of the last commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionRow {
    /// The connection's name.
    pub connection: String,
    /// How many syncs took over so far; only the latest may commit.
    pub fence: u64,
    /// How many commits there were.
    pub sequence: u64,
    /// The state of the last commit.
    pub state: Option<String>,
    /// When that was, in microseconds since 1970.
    pub committed_at_us: Option<i64>,
}

/// The names of the tables in the catalog's and the connection's schemas, by schema, with an estimate of their rows
/// which is exact about whether there were ever any.
pub(super) struct Census {
    tables: BTreeMap<(String, String), u64>,
}

impl Census {
    /// One look at DuckDB's own catalog instead of a question per table.
    pub(super) fn take(connection: &Connection, place: &Place) -> Result<Self, duckdb::Error> {
        let mut statement = connection.prepare(
            "SELECT schema_name, table_name, estimated_size FROM duckdb_tables() \
             WHERE database_name = ? AND NOT temporary AND schema_name IN (?, ?)",
        )?;
        let rows = statement.query_map(params![place.catalog, SYSTEM, place.schema], |row| {
            Ok(((row.get(0)?, row.get(1)?), row.get::<_, Option<i64>>(2)?.unwrap_or(0)))
        })?;
        let tables = rows
            .map(|row| row.map(|(name, rows)| (name, u64::try_from(rows).unwrap_or(0))))
            .collect::<Result<_, _>>()?;
        Ok(Self { tables })
    }

    pub(super) fn has_catalog(&self) -> bool {
        self.rows(SYSTEM, "format").is_some()
    }

    pub(super) fn has_connection(&self, place: &Place) -> bool {
        self.rows(&place.schema, ddl::SYNCS).is_some()
    }

    /// None where there is no such table.
    pub(super) fn rows(&self, schema: &str, table: &str) -> Option<u64> {
        self.tables.get(&(schema.to_owned(), table.to_owned())).copied()
    }
}

/// Makes the catalog's tables.
pub(super) fn create(place: &Place) -> String {
    let at = |table: &str| format!("{}.{SYSTEM}.{table}", ddl::quoted(&place.catalog));
    format!(
        "CREATE SCHEMA IF NOT EXISTS {}.{SYSTEM};\n\
         CREATE TABLE {} (version INTEGER NOT NULL);\n\
         INSERT INTO {} VALUES ({FORMAT});\n\
         CREATE TABLE {} (connection VARCHAR NOT NULL, fence BIGINT NOT NULL, sequence BIGINT NOT NULL, state VARCHAR, \
             committed_at TIMESTAMPTZ);\n\
         CREATE TABLE {} (connection VARCHAR NOT NULL, position INTEGER NOT NULL, source_name VARCHAR NOT NULL, \
             name VARCHAR NOT NULL);\n\
         CREATE TABLE {} (connection VARCHAR NOT NULL, table_position INTEGER NOT NULL, position INTEGER NOT NULL, \
             source_name VARCHAR NOT NULL, name VARCHAR NOT NULL, column_type VARCHAR NOT NULL, declared BOOLEAN NOT NULL, \
             key_position INTEGER);\n",
        ddl::quoted(&place.catalog),
        at("format"),
        at("format"),
        at("connections"),
        at("tables"),
        at("columns")
    )
}

/// The catalog of one warehouse, seen by one connection.
pub(super) struct Catalog<'a> {
    pub(super) engine: &'a Connection,
    pub(super) place: &'a Place,
}

impl Catalog<'_> {
    fn at(&self, table: &str) -> String {
        format!("{}.{SYSTEM}.{table}", ddl::quoted(&self.place.catalog))
    }

    /// Refuses a catalog that a newer program wrote.
    pub(super) fn check_format(&self) -> Result<()> {
        let sql = format!("SELECT max(version) FROM {}", self.at("format"));
        let version: Option<i32> =
            self.engine.query_row(&sql, [], |row| row.get(0)).map_err(failed("read the format of the warehouse"))?;
        let version = version.unwrap_or(0);
        if version > FORMAT {
            let what = format!("use the warehouse: its format is {version}, this program knows formats up to {FORMAT}");
            return Err(
                Error::new(Code::DestinationFailed, what).hint("Use the newer version of this program that wrote it.")
            );
        }
        Ok(())
    }

    /// Takes the fence: from now on only this sync can commit for the connection. Returns the connection's row.
    pub(super) fn take_fence(&self) -> Result<ConnectionRow, duckdb::Error> {
        let name = &self.place.schema;
        let sql = format!("UPDATE {} SET fence = fence + 1 WHERE connection = ?", self.at("connections"));
        if self.engine.execute(&sql, params![name])? == 0 {
            let sql = format!("INSERT INTO {} VALUES (?, 1, 0, NULL, NULL)", self.at("connections"));
            self.engine.execute(&sql, params![name])?;
            return Ok(ConnectionRow {
                connection: name.clone(),
                fence: 1,
                sequence: 0,
                state: None,
                committed_at_us: None,
            });
        }
        self.connection()?.ok_or(duckdb::Error::QueryReturnedNoRows)
    }

    /// The connection's row, if a sync was ever opened.
    pub(super) fn connection(&self) -> Result<Option<ConnectionRow>, duckdb::Error> {
        let sql = format!("{} WHERE connection = ?", self.select_connections());
        self.engine.query_row(&sql, params![self.place.schema], connection_row).optional()
    }

    /// Every connection's row, by name.
    pub(super) fn connections(&self) -> Result<Vec<ConnectionRow>, duckdb::Error> {
        let sql = format!("{} ORDER BY connection", self.select_connections());
        self.engine.prepare(&sql)?.query_map([], connection_row)?.collect()
    }

    fn select_connections(&self) -> String {
        format!("SELECT connection, fence, sequence, state, epoch_us(committed_at) FROM {}", self.at("connections"))
    }

    /// A connection whose name differs from this one only in case: both would have the same schema.
    pub(super) fn namesake(&self) -> Result<Option<String>, duckdb::Error> {
        let sql = format!(
            "SELECT connection FROM {} WHERE lower(connection) = lower(?1) AND connection <> ?1",
            self.at("connections")
        );
        self.engine.query_row(&sql, params![self.place.schema], |row| row.get(0)).optional()
    }

    /// The last step of a commit: the state, if this sync still holds the fence and nobody committed in between.
    /// Returns whether it did.
    pub(super) fn advance(&self, row: &ConnectionRow) -> Result<bool, duckdb::Error> {
        let sql = format!(
            "UPDATE {} SET sequence = ?, state = ?, committed_at = CAST(? AS TIMESTAMPTZ) \
             WHERE connection = ? AND fence = ? AND sequence = ?",
            self.at("connections")
        );
        let committed_at = row.committed_at_us.map(instant);
        let values = params![row.sequence, row.state, committed_at, row.connection, row.fence, row.sequence - 1];
        Ok(self.engine.execute(&sql, values)? == 1)
    }

    /// The connection's tables in the order in which they were made.
    pub(super) fn tables(&self) -> Result<Vec<TableSchema>> {
        let mut tables = self.table_rows().map_err(failed("read the warehouse's catalog"))?;
        let mut keys: Vec<BTreeMap<i32, usize>> = vec![BTreeMap::new(); tables.len()];
        for row in self.column_rows().map_err(failed("read the warehouse's catalog"))? {
            let (Some(table), Some(key)) = (tables.get_mut(row.table), keys.get_mut(row.table)) else {
                return Err(damaged("a column has no table"));
            };
            if let Some(position) = row.key_position {
                key.insert(position, table.columns.len());
            }
            table.columns.push(row.column.ok_or_else(|| damaged("a column's type is none this program knows"))?);
        }
        for (table, key) in tables.iter_mut().zip(keys) {
            table.key = key.into_values().collect();
        }
        Ok(tables)
    }

    fn table_rows(&self) -> Result<Vec<TableSchema>, duckdb::Error> {
        let sql = format!("SELECT source_name, name FROM {} WHERE connection = ? ORDER BY position", self.at("tables"));
        let table = |row: &duckdb::Row<'_>| {
            Ok(TableSchema { source_name: row.get(0)?, name: row.get(1)?, key: Vec::new(), columns: Vec::new() })
        };
        self.engine.prepare(&sql)?.query_map(params![self.place.schema], table)?.collect()
    }

    /// Not joined with the tables: starting a join costs more than a second statement.
    fn column_rows(&self) -> Result<Vec<ColumnRow>, duckdb::Error> {
        let sql = format!(
            "SELECT table_position, source_name, name, column_type, declared, key_position FROM {} WHERE connection = ? \
             ORDER BY table_position, position",
            self.at("columns")
        );
        self.engine.prepare(&sql)?.query_map(params![self.place.schema], column_row)?.collect()
    }

    /// Writes what differs between the tables `old`, which the catalog holds, and the tables `new`.
    pub(super) fn record(&self, old: &[TableSchema], new: &[TableSchema]) -> Result<(), duckdb::Error> {
        self.record_new(old, new)?;
        let sql = format!(
            "UPDATE {} SET column_type = ?, declared = ?, key_position = ? WHERE connection = ? AND table_position = ? AND position = ?",
            self.at("columns")
        );
        for (position, (before, after)) in old.iter().zip(new).enumerate() {
            for (column, (was, now)) in before.columns.iter().zip(&after.columns).enumerate() {
                let key = key_position(after, column);
                if was != now || key_position(before, column) != key {
                    let values =
                        params![now.column_type.to_string(), now.declared, key, self.place.schema, position, column];
                    self.engine.execute(&sql, values)?;
                }
            }
        }
        Ok(())
    }

    fn record_new(&self, old: &[TableSchema], new: &[TableSchema]) -> Result<(), duckdb::Error> {
        let (catalog, connection) = (&self.place.catalog, &self.place.schema);
        if new.len() > old.len() {
            let mut rows = self.engine.appender_to_catalog_and_db("tables", catalog, SYSTEM)?;
            for (position, table) in new.iter().enumerate().skip(old.len()) {
                rows.append_row(params![connection, position, table.source_name, table.name])?;
            }
            rows.flush()?;
        }
        let known = |position: usize| old.get(position).map_or(0, |table| table.columns.len());
        if new.iter().enumerate().all(|(position, table)| table.columns.len() == known(position)) {
            return Ok(());
        }
        let mut rows = self.engine.appender_to_catalog_and_db("columns", catalog, SYSTEM)?;
        for (position, table) in new.iter().enumerate() {
            for (index, column) in table.columns.iter().enumerate().skip(known(position)) {
                let (kind, key) = (column.column_type.to_string(), key_position(table, index));
                let declared = column.declared;
                rows.append_row(params![
                    connection,
                    position,
                    index,
                    column.source_name,
                    column.name,
                    kind,
                    declared,
                    key
                ])?;
            }
        }
        rows.flush()
    }

    /// Forgets the connection's tables and state. Its fence stays and rises, so that a sync which began before cannot
    /// commit any more.
    pub(super) fn forget(&self) -> Result<(), duckdb::Error> {
        let connection = params![self.place.schema];
        self.engine.execute(&format!("DELETE FROM {} WHERE connection = ?", self.at("tables")), connection)?;
        self.engine.execute(&format!("DELETE FROM {} WHERE connection = ?", self.at("columns")), connection)?;
        let sql = format!(
            "UPDATE {} SET fence = fence + 1, sequence = 0, state = NULL, committed_at = NULL WHERE connection = ?",
            self.at("connections")
        );
        self.engine.execute(&sql, connection).map(drop)
    }

    /// Notes that a sync has begun, and that those which never said how they ended were interrupted.
    pub(super) fn begin_sync(&self, sync: &SyncRecord) -> Result<(), duckdb::Error> {
        let syncs = self.place.table(ddl::SYNCS);
        self.engine.execute(&format!("UPDATE {syncs} SET outcome = 'interrupted' WHERE outcome = 'running'"), [])?;
        let sql = format!(
            "INSERT INTO {syncs} (id, started_at, ended_at, outcome, error, rows, state_before, state_after) \
             VALUES (?, CAST(? AS TIMESTAMPTZ), CAST(? AS TIMESTAMPTZ), ?, ?, CAST(? AS JSON), ?, ?)"
        );
        let (started_at, ended_at) = (instant(sync.started_at_us), sync.ended_at_us.map(instant));
        let rows = rows_json(sync);
        let values =
            params![sync.id, started_at, ended_at, sync.outcome, sync.error, rows, sync.state_before, sync.state_after];
        self.engine.execute(&sql, values).map(drop)
    }

    /// Brings the sync's row up to date.
    pub(super) fn note_sync(&self, sync: &SyncRecord) -> Result<(), duckdb::Error> {
        let sql = format!(
            "UPDATE {} SET ended_at = CAST(? AS TIMESTAMPTZ), outcome = ?, error = ?, rows = CAST(? AS JSON), state_before = ?, \
             state_after = ? WHERE id = ?",
            self.place.table(ddl::SYNCS)
        );
        let ended_at = sync.ended_at_us.map(instant);
        let rows = rows_json(sync);
        let values = params![ended_at, sync.outcome, sync.error, rows, sync.state_before, sync.state_after, sync.id];
        self.engine.execute(&sql, values).map(drop)
    }
}

/// An instant as text which every build of the engine reads the same way, whatever the session's zone.
pub(super) fn instant(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| format!("epoch {us} us"), |time| time.to_string())
}

fn rows_json(sync: &SyncRecord) -> &str {
    if sync.rows.is_empty() { "{}" } else { &sync.rows }
}

fn key_position(table: &TableSchema, column: usize) -> Option<usize> {
    table.key.iter().position(|index| *index == column)
}

/// A row of `_elt.columns`.
struct ColumnRow {
    table: usize,
    column: Option<ColumnSchema>,
    key_position: Option<i32>,
}

fn column_row(row: &duckdb::Row<'_>) -> Result<ColumnRow, duckdb::Error> {
    let column_type: String = row.get(3)?;
    let column = match column_type.parse::<ColumnType>() {
        Ok(column_type) => {
            Some(ColumnSchema { source_name: row.get(1)?, name: row.get(2)?, column_type, declared: row.get(4)? })
        }
        Err(_) => None,
    };
    Ok(ColumnRow { table: row.get(0)?, column, key_position: row.get(5)? })
}

fn connection_row(row: &duckdb::Row<'_>) -> Result<ConnectionRow, duckdb::Error> {
    Ok(ConnectionRow {
        connection: row.get(0)?,
        fence: row.get(1)?,
        sequence: row.get(2)?,
        state: row.get(3)?,
        committed_at_us: row.get(4)?,
    })
}

fn damaged(why: &str) -> Error {
    Error::new(Code::WarehouseCorrupted, format!("read the warehouse's catalog: {why}"))
        .hint("Was the schema _elt changed by hand? Restore the file from a backup, or reset the connection.")
}
