//! Opening a warehouse's file: settings, and the functions that statements of ours use.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, OpenFlags};

use super::convert::{MICROS_OF, TEXT_OF};
use super::errors::{failed, failed_to_open};
use super::value::{self, BadValue};
use crate::Access;
use crate::file::absolute;
use model::error::Result;
use model::schema::ColumnType;

/// How long a transaction waits for another one of the file to end.
pub(super) const WAIT: Duration = Duration::from_secs(10);

/// Every commit is on disk before it counts, and readers see the file as of the last one while another is written. The
/// cache (in KiB) keeps the index of a million keys in memory: keys come in no order.
const WRITE_SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;";

/// Opens the file at `path`; for writing, makes it and its folder if they are not there.
pub(super) fn open(path: &Path, access: Access, wait: Duration) -> Result<Connection> {
    let path = absolute(path, access, "sqlite")?;
    let flags = match access {
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let engine = Connection::open_with_flags(&path, flags).map_err(failed_to_open(&path))?;
    set_up(&engine, access, wait).map_err(failed_to_open(&path))?;
    add_functions(&engine).map_err(failed("add functions to the engine"))?;
    Ok(engine)
}

fn set_up(engine: &Connection, access: Access, wait: Duration) -> rusqlite::Result<()> {
    engine.busy_timeout(wait)?;
    // A name in double quotes that is no column's is an error, not a text.
    engine.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    engine.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    // Views and triggers of a file that others made may not call functions with effects.
    engine.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    engine.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    if access == Access::Write {
        engine.execute_batch(WRITE_SETTINGS)?;
    }
    // The first look into the file: what is no database is noticed here.
    engine.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

fn add_functions(engine: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    engine.create_scalar_function(TEXT_OF, 2, flags, |call: &mut Context<'_>| {
        let column_type = call.get_or_create_aux(1, |text| -> Result<ColumnType, Failure> {
            Ok(text.as_str()?.parse::<ColumnType>()?)
        })?;
        value::text(call.get_raw(0), *column_type).map_err(bad_value)
    })?;
    engine.create_scalar_function(MICROS_OF, 1, flags, |call: &mut Context<'_>| {
        call.get::<Option<String>>(0)?.map(|text| value::micros(&text)).transpose().map_err(bad_value)
    })
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn bad_value(error: BadValue) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(error.into())
}
