//! Postgres as a destination: a server that other hosts may write to at the same time.
//!
//! The folder holds one file per concern: `address` (the URL), `open` (a session and its settings), `tls`, `convert` (types),
//! `copy` (rows on the wire), `inline` (rows as parameters), `idle` (sessions between two syncs), `pool` (whose turn it is to
//! have one), `query` (any SQL that reads), `errors` (the server's words as codes). Everything else is `sql`.

mod address;
mod convert;
mod copy;
mod errors;
mod idle;
mod inline;
mod open;
mod pool;
mod query;
mod tls;

#[cfg(test)]
mod bench;
#[cfg(test)]
pub(super) mod tests;

use std::io::Write as _;

use arrow::record_batch::RecordBatch;
use postgres::Client;
use postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use sha2::{Digest as _, Sha256};

pub use address::PostgresAddress;
pub(super) use query::query;

use self::errors::{Failure, failed};
use self::idle::{Held, Session};
use super::sql::ddl::{literal, quoted};
use super::sql::{Census, Engine, KeyedRows, LoadColumn, SYSTEM, Scalar, Target};
use super::{Access, SYNCS};
use model::error::{Error, Result};
use model::schema::{ColumnType, DELETED};

/// A session with a server. Its client has a runtime of its own: it is used, and closed, on threads that block only.
pub(super) struct Postgres {
    /// None once the sync has ended.
    session: Option<Session>,
    address: PostgresAddress,
    access: Access,
    /// Set once the sync has the fence.
    held: Option<Held>,
}

impl Postgres {
    /// Begins a session with the database.
    pub(super) fn open(address: &PostgresAddress, access: Access) -> Result<Self> {
        let session = Some(open::open(address, access)?);
        Ok(Self { session, address: address.clone(), access, held: None })
    }

    /// A session for a sync: that of an earlier one, if there is one.
    pub(super) fn open_for_sync(address: &PostgresAddress) -> Result<Self> {
        let access = Access::Write;
        let set_up = |session| open::set_up(session, access);
        let session = Some(idle::session(address, set_up, || open::open(address, access))?);
        Ok(Self { session, address: address.clone(), access, held: None })
    }

    fn client(&mut self) -> Result<&mut Client, Failure> {
        self.session.as_mut().map(|session| &mut session.client).ok_or(Failure::Ended)
    }

    /// The name of the index of a table's key, quoted.
    fn key(&self, schema: &str, table: &str) -> String {
        self.index("key", schema, table)
    }

    /// The name of an index of a table, quoted.
    fn index(&self, kind: &str, schema: &str, table: &str) -> String {
        let target = self.table(schema, table);
        let number = Sha256::digest(&target).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        quoted(&format!("_elt_{kind}_{number:016x}"))
    }
}

type Wrong = Box<dyn std::error::Error + Send + Sync>;

impl Scalar {
    /// The type a value is sent as; the server finds out about a NULL.
    fn postgres_type(&self) -> Type {
        match self {
            Self::Null => Type::UNKNOWN,
            Self::Boolean(_) => Type::BOOL,
            Self::Integer(_) => Type::INT8,
            Self::Text(_) => Type::TEXT,
        }
    }
}

impl ToSql for Scalar {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Wrong> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Boolean(value) => value.to_sql(kind, out),
            Self::Integer(value) => value.to_sql(kind, out),
            // Words of an error, for example: an engine that holds no NUL must be able to remember them.
            Self::Text(value) if value.contains('\0') => value.replace('\0', "\u{fffd}").to_sql(kind, out),
            Self::Text(value) => value.to_sql(kind, out),
        }
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A cell of a small result: integers of any width are one kind.
impl<'a> FromSql<'a> for Scalar {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Wrong> {
        Ok(match *kind {
            Type::BOOL => Self::Boolean(bool::from_sql(kind, raw)?),
            Type::INT2 => Self::Integer(i16::from_sql(kind, raw)?.into()),
            Type::INT4 => Self::Integer(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(kind, raw)?),
            Type::TEXT | Type::VARCHAR | Type::NAME | Type::JSON => {
                Self::Text(std::str::from_utf8(raw).map(str::to_owned)?)
            }
            _ => Self::Null,
        })
    }

    fn from_sql_null(_kind: &Type) -> Result<Self, Wrong> {
        Ok(Self::Null)
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }
}

fn typed(values: &[Scalar]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (value as &(dyn ToSql + Sync), value.postgres_type())).collect()
}

impl Engine for Postgres {
    type Failure = Failure;

    /// Read committed, whatever the role's default: the fence is a row that is looked at again once it can be locked.
    const BEGIN: &'static str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
    const SEES_COMMITS: bool = true;
    const NAME_BYTES_MAX: usize = 63;
    const COLUMNS_MAX: usize = 1_600;
    const COLUMNS_RESERVED: &'static [&'static str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

    fn refuses(connection: &str) -> Option<&'static str> {
        connection.starts_with("pg_").then_some("Postgres keeps names that begin with pg_ for itself")
    }

    fn type_name(&self, column_type: ColumnType) -> String {
        convert::postgres_type(column_type)
    }

    fn expression(&self, value: &str, from: ColumnType, to: ColumnType) -> Option<String> {
        convert::expression(value, from, to)
    }

    fn table(&self, schema: &str, name: &str) -> String {
        format!("{}.{}", quoted(schema), quoted(name))
    }

    fn temporary(&self, name: &str) -> String {
        format!("pg_temp.{}", quoted(name))
    }

    fn instant(&self, us: i64) -> String {
        let text =
            jiff::Timestamp::from_microsecond(us).map_or_else(|_| "infinity".to_owned(), |time| time.to_string());
        format!("TIMESTAMPTZ {}", literal(&text))
    }

    fn micros(&self, instant: &str) -> String {
        format!("CAST(extract(epoch FROM {instant}) * 1000000 AS bigint)")
    }

    /// Not IF NOT EXISTS: that asks for the right to make schemas even where somebody made this one beforehand.
    fn create_schema(&self, schema: &str) -> String {
        let (name, text) = (quoted(schema), literal(schema));
        let make = format!(
            "BEGIN IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = {text}) THEN CREATE SCHEMA {name}; END IF; END"
        );
        format!("DO {};\n", literal(&make))
    }

    fn drop_schema(&self, schema: &str) -> String {
        if schema == "public" { String::new() } else { format!("DROP SCHEMA {}", quoted(schema)) }
    }

    /// The index has a name that no table of a source has: in Postgres both share one space of names.
    fn create_key(&self, schema: &str, table: &str, columns: &[String], rows: KeyedRows) -> String {
        let (name, target, condition) = (self.key(schema, table), self.table(schema, table), rows.condition());
        let key = format!("CREATE UNIQUE INDEX {name} ON {target} ({}){condition};\n", columns.join(", "));
        if schema == SYSTEM || table == SYNCS || rows == KeyedRows::Active {
            return key;
        }
        // Holds deleted rows only, so it costs nothing while there are none.
        let (name, deleted) = (self.index("deleted", schema, table), quoted(DELETED));
        format!("{key}CREATE INDEX {name} ON {target} ({deleted}) WHERE {deleted};\n")
    }

    fn drop_key(&self, schema: &str, table: &str) -> String {
        format!("DROP INDEX {}.{};\n", quoted(schema), self.key(schema, table))
    }

    fn run(&mut self, sql: &str) -> Result<(), Failure> {
        Ok(self.client()?.batch_execute(sql)?)
    }

    fn execute(&mut self, sql: &str, values: &[Scalar]) -> Result<u64, Failure> {
        Ok(self.client()?.execute_typed(sql, &typed(values))?)
    }

    fn query(&mut self, sql: &str, values: &[Scalar]) -> Result<Vec<Vec<Scalar>>, Failure> {
        let rows = self.client()?.query_typed(sql, &typed(values))?;
        let cells = |row: postgres::Row| (0..row.len()).map(|index| row.try_get(index)).collect::<Result<_, _>>();
        Ok(rows.into_iter().map(cells).collect::<Result<_, postgres::Error>>()?)
    }

    fn load(&mut self, target: Target<'_>, columns: &[LoadColumn], rows: &RecordBatch) -> Result<(), Failure> {
        let table = match target {
            Target::Table { schema, name } => self.table(schema, name),
            Target::Temporary(name) => self.temporary(name),
        };
        let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
        let sql = format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", names.join(", "));
        let mut writer = self.client()?.copy_in(&sql)?;
        let types = columns.iter().map(|column| column.column_type);
        // A writer that is dropped without `finish` takes the rows back.
        copy::write(rows, types, |bytes| writer.write_all(bytes).map_err(Failure::Sending))?;
        writer.finish()?;
        Ok(())
    }

    fn inlined(&self, columns: &[LoadColumn], rows: &RecordBatch) -> Option<String> {
        inline::table(columns, rows)
    }

    fn execute_with(&mut self, sql: &str, columns: &[LoadColumn], rows: &RecordBatch) -> Result<u64, Failure> {
        let values = inline::values(columns, rows)?;
        let typed: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|values| (values as &(dyn ToSql + Sync), values.kind())).collect();
        Ok(self.client()?.execute_typed(sql, &typed)?)
    }

    /// By name, since to list a schema is to read the names of the whole database. What has no file of its own, such as a
    /// view, may have rows.
    fn find_tables(&mut self, names: &[(&str, &str)]) -> Result<Census, Failure> {
        let one = |(index, (schema, name)): (usize, &(&str, &str))| {
            format!("({index}, to_regclass({}))", literal(&self.table(schema, name)))
        };
        let all: Vec<String> = names.iter().enumerate().map(one).collect();
        let sql = format!(
            "SELECT i, pg_relation_filenode(o) IS NULL OR pg_relation_size(o) > 0 FROM (VALUES {}) AS n (i, o) \
             WHERE o IS NOT NULL",
            all.join(", ")
        );
        let mut found = Census::new();
        for row in self.query(&sql, &[])? {
            if let [Scalar::Integer(index), has_rows] = row.as_slice()
                && let Some((schema, name)) = usize::try_from(*index).ok().and_then(|index| names.get(index))
            {
                found.insert(((*schema).to_owned(), (*name).to_owned()), *has_rows != Scalar::Boolean(false));
            }
        }
        Ok(found)
    }

    /// A table whose file has no page has no row; one that has may have had rows only.
    fn census(&mut self, schemas: &[&str]) -> Result<Census, Failure> {
        let names: Vec<String> = schemas.iter().map(|schema| literal(schema)).collect();
        let sql = format!(
            "SELECT n.nspname, c.relname, pg_relation_size(c.oid) > 0 FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname IN ({})",
            names.join(", ")
        );
        let rows = self.client()?.query_typed(&sql, &[])?;
        let one = |row: postgres::Row| -> Result<_, postgres::Error> {
            Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get::<_, Option<bool>>(2)?.unwrap_or(true)))
        };
        Ok(rows.into_iter().map(one).collect::<Result<_, _>>()?)
    }

    /// A schema that somebody else made is theirs to drop.
    fn is_bare(&mut self, schema: &str) -> Result<bool, Failure> {
        let sql = "SELECT NOT EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass \
                   AND refobjid = n.oid AND deptype = 'n') AND pg_has_role(n.nspowner, 'USAGE') \
                   FROM pg_namespace n WHERE n.nspname = $1";
        let rows = self.query(sql, &[Scalar::Text(schema.to_owned())])?;
        Ok(rows.first().and_then(|row| row.first()) == Some(&Scalar::Boolean(true)))
    }

    fn memory_bytes(&mut self) -> Option<u64> {
        None
    }

    fn unfit(rows: &RecordBatch) -> Option<(usize, usize, &'static str)> {
        copy::find_nul(rows).map(|(column, row)| (column, row, errors::NUL_TEXT))
    }

    /// Every session of a connection's syncs holds a shared lock of the connection's number, which is how they are found. One
    /// that is inside a transaction now cannot commit it any more, because the fence has moved; if its host stands still, all
    /// that its rows keep locked would hold up this sync. To look for them is to read the locks of the whole server: they are
    /// looked for only where this session cannot have the lock for itself, which it then shares within the same statement.
    fn took_fence(&mut self, connection: &str, fence: u64) -> Result<(), Failure> {
        const NUMBER: &str = "hashtextextended('elt connection ' || $1, 0)";
        let sql = format!(
            "SELECT CASE WHEN pg_try_advisory_lock({NUMBER}) THEN \
             CASE WHEN pg_advisory_lock_shared({NUMBER}) IS NOT NULL THEN pg_advisory_unlock({NUMBER}) END END"
        );
        let fence = i64::try_from(fence).unwrap_or(i64::MAX);
        self.held = Some(Held { connection: connection.to_owned(), fence });
        let alone = self.query(&sql, &[Scalar::Text(connection.to_owned())])?;
        if alone == [[Scalar::Boolean(true)]] {
            return Ok(());
        }
        let sql = format!(
            "SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
             WHERE l.locktype = 'advisory' AND l.objsubid = 1 \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND (l.classid::bigint << 32 | l.objid::bigint) = {NUMBER} \
             AND a.pid <> pg_backend_pid() AND a.usename = current_user AND a.xact_start IS NOT NULL \
             AND $2 = (SELECT c.fence FROM {} c WHERE c.connection = $1)",
            self.table(SYSTEM, "connections")
        );
        self.query(&sql, &[Scalar::Text(connection.to_owned()), Scalar::Integer(fence)])?;
        let sql = format!("SELECT pg_advisory_lock_shared({NUMBER})");
        self.query(&sql, &[Scalar::Text(connection.to_owned())]).map(drop)
    }

    fn reconnect(&mut self) -> Result<()> {
        self.session = Some(open::open(&self.address, self.access)?);
        Ok(())
    }

    fn finished(&mut self) {
        if let Some((session, held)) = self.session.take().zip(self.held.take()) {
            idle::put(&self.address, session, held);
        }
    }

    fn is_conflict(failure: &Failure) -> bool {
        failure.is_conflict()
    }

    fn failed(what: String, failure: Failure) -> Error {
        failed(what)(failure)
    }
}
