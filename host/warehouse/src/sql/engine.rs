//! What an engine that speaks SQL has to bring: its words where they differ, and a few ways to run statements.
//!
//! Everything else (catalog, fence, merge, staging) is written once, on top of this trait. Statements number their
//! parameters `$1`, `$2` … in the order in which they appear, which every engine understands.

use std::collections::{BTreeMap, BTreeSet};

use arrow::record_batch::RecordBatch;

use super::catalog::{integer, natural};
use super::ddl::quoted;
use model::error::{Error, Result};
use model::schema::{ACTIVE, ColumnType, DELETED, SYNCED_AT, TableSchema};

/// A value in a statement of ours: a parameter or a cell of a small result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Null,
    Boolean(bool),
    Integer(i64),
    Text(String),
}

/// A table that rows are loaded into.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    /// A table of a schema.
    Table { schema: &'a str, name: &'a str },
    /// A temporary table of this session.
    Temporary(&'a str),
}

/// The rows of a table that have a key each of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyedRows {
    /// Every row.
    All,
    /// The active versions, of which each key has one at most.
    Active,
}

impl KeyedRows {
    pub(super) fn of(table: &TableSchema) -> Self {
        if table.history { Self::Active } else { Self::All }
    }

    /// The end of CREATE INDEX.
    pub(crate) fn condition(self) -> String {
        match self {
            Self::All => String::new(),
            Self::Active => format!(" WHERE {}", quoted(ACTIVE)),
        }
    }
}

/// A column that rows are loaded into.
#[derive(Clone, Debug)]
pub(crate) struct LoadColumn {
    pub(crate) name: String,
    pub(crate) column_type: ColumnType,
}

impl LoadColumn {
    pub(super) fn new(name: impl Into<String>, column_type: ColumnType) -> Self {
        Self { name: name.into(), column_type }
    }
}

/// Rows that a statement is about to look for, so that an engine which keeps them elsewhere can bring them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach<'a> {
    /// None: rows will be added.
    Nothing,
    /// Every row.
    All,
    /// Rows that no commit since this instant has written, in microseconds since 1970.
    WrittenBefore(i64),
    /// Rows that are marked as deleted.
    Deleted,
    /// Rows with the key of a row `s` of a stage: the key's columns, quoted, and for each the expression of its value in
    /// `s`.
    Keys { stage: &'a str, key: &'a [(String, String)] },
}

/// How many rows a table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Rows that are there now: not deleted, or active.
    pub(crate) live: u64,
    /// Rows marked as deleted.
    pub(crate) deleted: u64,
    /// All rows.
    pub(crate) rows: u64,
    /// The last commit that wrote a row, in microseconds since 1970.
    pub(crate) synced_at_us: Option<i64>,
}

/// The tables of some schemas, by schema and name, and whether there are rows in each. `true` where that is not known.
pub(crate) type Census = BTreeMap<(String, String), bool>;

/// One session with an engine. Blocking.
pub(crate) trait Engine: Send {
    /// What the engine says when it refuses.
    type Failure: std::error::Error + Send + Sync + 'static;

    /// The statement that begins a transaction that will write.
    const BEGIN: &'static str = "BEGIN";
    /// Whether a transaction sees what others commit after it began. Then what was read before the fence is read again.
    const SEES_COMMITS: bool = false;
    /// Bytes of Arrow data that wait in memory for their commit before they are moved into temporary tables.
    const STAGED_BYTES_MAX: usize = 64 << 20;
    /// The longest name of a table or column, in bytes of UTF-8.
    const NAME_BYTES_MAX: usize = 1_000;
    /// Names that a column of a table cannot have, in lower case.
    const COLUMNS_RESERVED: &'static [&'static str] = &[];
    /// Whether a text can have the character NUL.
    const NUL_FITS: bool = true;
    /// The most columns of a table, the host's own among them.
    const COLUMNS_MAX: usize = usize::MAX;
    /// The most columns that are added or widened one by one in a transaction; for more, the table is made anew.
    const ALTERS_MAX: usize = usize::MAX;

    // --- words ---

    /// Why no connection can have this name, beyond what is true of every engine; none if it can.
    fn refuses(_connection: &str) -> Option<&'static str> {
        None
    }

    /// The engine's type for a column type.
    fn type_name(&self, column_type: ColumnType) -> String;

    /// The expression that turns `value`, an expression of type `from`, into the type `to` without loss, by the rules of
    /// docs/TYPES.md; none where the lattice has no such step. NULL stays NULL.
    fn expression(&self, value: &str, from: ColumnType, to: ColumnType) -> Option<String>;

    /// A table, quoted and with its schema.
    fn table(&self, schema: &str, name: &str) -> String;

    /// A temporary table, quoted and so that no other table can be meant.
    fn temporary(&self, name: &str) -> String;

    /// The literal of an instant, in microseconds since 1970.
    fn instant(&self, us: i64) -> String;

    /// The expression for microseconds since 1970 of an instant.
    fn micros(&self, instant: &str) -> String;

    /// Makes a schema if it is not there; empty where the engine has none.
    fn create_schema(&self, schema: &str) -> String;

    /// Drops a schema in which nothing is left; empty where the engine has none.
    fn drop_schema(&self, schema: &str) -> String;

    /// What follows the creation of a table so that rows are found by their key; `columns` are quoted. May be empty.
    fn create_key(&self, schema: &str, table: &str, columns: &[String], rows: KeyedRows) -> String;

    /// Takes back what `create_key` made for all rows of a table; empty where it makes nothing.
    fn drop_key(&self, _schema: &str, _table: &str) -> String {
        String::new()
    }

    /// Changes the type of a column of a table (already quoted) with all its values. `None` where the lattice has no such
    /// step.
    fn widen(&self, table: &str, column: &str, (from, to): (ColumnType, ColumnType)) -> Option<String> {
        let name = quoted(column);
        let (value, kind) = (self.expression(&name, from, to)?, self.type_name(to));
        Some(format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {kind} USING {value};\n"))
    }

    /// Deletes the rows of a table that have the key of a row `s` of a stage. `key` has the key's columns, quoted, and for
    /// each the expression of its value in `s`.
    fn delete_matching(&self, table: &str, stage: &str, key: &[(String, String)]) -> String {
        format!("DELETE FROM {table} AS t USING {stage} AS s WHERE {}", matches(key))
    }

    /// What follows SELECT to count the rows of a table (already quoted) that are not deleted, as `n`.
    fn count_live(&self, table: &str) -> String {
        format!("count(*) AS n FROM {table} WHERE NOT {}", quoted(DELETED))
    }

    // --- deeds ---

    /// Runs several statements, separated by semicolons.
    fn run(&mut self, sql: &str) -> Result<(), Self::Failure>;

    /// Runs a statement and returns how many rows it changed.
    fn execute(&mut self, sql: &str, values: &[Scalar]) -> Result<u64, Self::Failure>;

    /// Runs a query with a small result.
    fn query(&mut self, sql: &str, values: &[Scalar]) -> Result<Vec<Vec<Scalar>>, Self::Failure>;

    /// Writes rows into the columns of a table, as many rows as there are; other columns become NULL. The columns' types
    /// are those of the arrays (see `arrow_type` in `sync::column`).
    fn load(&mut self, target: Target<'_>, columns: &[LoadColumn], rows: &RecordBatch) -> Result<(), Self::Failure>;

    /// Writes rows into a table of a schema in place of those that have their key, if the engine does so better in one step
    /// than by deleting and loading: returns whether it did. Columns of the table that are not in `columns` become NULL.
    fn replace(
        &mut self,
        _schema: &str,
        _table: &TableSchema,
        _columns: &[LoadColumn],
        _rows: &RecordBatch,
    ) -> Result<bool, Self::Failure> {
        Ok(false)
    }

    /// The rows of a batch as a table in a statement that they are sent along with, if the engine does better so than with a
    /// temporary table: an expression with these columns.
    fn inlined(&self, _columns: &[LoadColumn], _rows: &RecordBatch) -> Option<String> {
        None
    }

    /// Runs a statement that reads the rows of a batch as `inlined` says, and returns how many rows it changed.
    fn execute_with(&mut self, sql: &str, _columns: &[LoadColumn], _rows: &RecordBatch) -> Result<u64, Self::Failure> {
        self.execute(sql, &[])
    }

    /// Is called before anything else where the session is for a sync of one connection.
    fn attach(&mut self, _connection: &str) -> Result<()> {
        Ok(())
    }

    /// Begins a transaction that will write.
    fn begin(&mut self) -> Result<(), Self::Failure> {
        self.run(Self::BEGIN)
    }

    /// Makes all of a transaction durable, or nothing.
    fn commit(&mut self) -> Result<(), Self::Failure> {
        self.run("COMMIT")
    }

    /// Gives a transaction up.
    fn rollback(&mut self) -> Result<(), Self::Failure> {
        self.run("ROLLBACK")
    }

    /// Is called in a transaction when its changes to the schema are made.
    fn migrated(&mut self, _schema: &str, _old: &[TableSchema], _new: &[TableSchema]) -> Result<(), Self::Failure> {
        Ok(())
    }

    /// Is called in a transaction before rows of a table are changed.
    fn reach(&mut self, _schema: &str, _table: &TableSchema, _rows: Reach<'_>) -> Result<(), Self::Failure> {
        Ok(())
    }

    /// Drops tables that are there.
    fn drop_tables(&mut self, schema: &str, names: &[&str]) -> Result<(), Self::Failure> {
        for name in names {
            let sql = format!("DROP TABLE IF EXISTS {}", self.table(schema, name));
            self.run(&sql)?;
        }
        Ok(())
    }

    /// How many rows a table has.
    fn extent(&mut self, schema: &str, table: &TableSchema) -> Result<Extent, Self::Failure> {
        let (deleted, name) = (quoted(DELETED), self.table(schema, &table.name));
        let long = self.type_name(ColumnType::Long { exact: false });
        let live = is_live(table);
        let counted = |which: &str| format!("CAST(coalesce(sum(CASE WHEN {which} THEN 1 ELSE 0 END), 0) AS {long})");
        let synced_at = self.micros(&format!("max({})", quoted(SYNCED_AT)));
        let sql = format!("SELECT {}, {}, {synced_at}, count(*) FROM {name}", counted(&live), counted(&deleted));
        let row = self.query(&sql, &[])?.into_iter().next().unwrap_or_default();
        let is_known = matches!(row.get(2), Some(Scalar::Integer(_)));
        Ok(Extent {
            live: natural(&row, 0),
            deleted: natural(&row, 1),
            rows: natural(&row, 3),
            synced_at_us: is_known.then(|| integer(&row, 2)),
        })
    }

    /// How many rows that are not deleted a table has, those of the transaction under way among them.
    fn live(&mut self, schema: &str, table: &TableSchema) -> Result<u64, Self::Failure> {
        let sql = format!("SELECT count(*) FROM {} WHERE {}", self.table(schema, &table.name), is_live(table));
        Ok(self.query(&sql, &[])?.first().map_or(0, |row| natural(row, 0)))
    }

    /// The tables of these schemas that any connection made.
    fn census(&mut self, schemas: &[&str]) -> Result<Census, Self::Failure>;

    /// Those of some tables, by schema and name, that are there; others may be among them.
    fn find_tables(&mut self, names: &[(&str, &str)]) -> Result<Census, Self::Failure> {
        let schemas: BTreeSet<&str> = names.iter().map(|(schema, _)| *schema).collect();
        self.census(&schemas.into_iter().collect::<Vec<_>>())
    }

    /// Whether nothing is left in a schema, so that it can be dropped.
    fn is_bare(&mut self, schema: &str) -> Result<bool, Self::Failure>;

    /// Memory the engine itself holds in this process, in bytes, where it can tell.
    fn memory_bytes(&mut self) -> Option<u64>;

    /// The first value that no column can hold, as the places of its column and row, and why.
    fn unfit(_rows: &RecordBatch) -> Option<(usize, usize, &'static str)> {
        None
    }

    /// Is called when a sync has taken the fence: sessions of earlier syncs of the connection cannot commit any more, and what
    /// they still hold may be taken from them.
    fn took_fence(&mut self, _connection: &str, _fence: u64) -> Result<(), Self::Failure> {
        Ok(())
    }

    /// Is called when a sync has ended, and is the last call.
    fn finished(&mut self) {}

    /// Begins another session after one was lost (`warehouse-unreachable`).
    fn reconnect(&mut self) -> Result<()> {
        Ok(())
    }

    // --- failures ---

    /// Whether another transaction changed the same rows first, so that trying again may help.
    fn is_conflict(failure: &Self::Failure) -> bool;

    /// The failure as an error; `what` completes "failed to …".
    fn failed(what: String, failure: Self::Failure) -> Error;
}

/// The condition under which a row of a table is there.
pub(crate) fn is_live(table: &TableSchema) -> String {
    if table.history { quoted(ACTIVE) } else { format!("NOT {}", quoted(DELETED)) }
}

/// The row `t` of a table and the row `s` of a stage have the same key.
pub(super) fn matches(key: &[(String, String)]) -> String {
    let terms: Vec<String> = key.iter().map(|(column, value)| format!("t.{column} = {value}")).collect();
    terms.join(" AND ")
}

/// For `map_err`: the engine's failure as an error.
pub(super) fn failed<E: Engine>(what: impl Into<String>) -> impl FnOnce(E::Failure) -> Error {
    let what = what.into();
    move |failure| E::failed(what, failure)
}
