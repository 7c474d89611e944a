//! Opening a warehouse's file: one engine per file and process, its settings, and the first transaction of a sync.
//!
//! DuckDB keeps other processes out with a lock on the file, but such a lock does not tell two engines of one process
//! apart: they would both write. So every file has one slot here, and whoever opens it in this process shares the engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duckdb::{AccessMode, Config, Connection};

use super::catalog::{self, Catalog, Census, ConnectionRow};
use super::ddl::{self, Place};
use super::errors::{self, failed, failed_on_disk, failed_to_open};
use crate::destination::OpenRequest;
use crate::error::{Code, Error, Result};
use crate::schema::TableSchema;

/// What the engine may hold in memory before it writes to its temporary folder beside the file. A transaction of 50,000
/// rows needs a tenth of it.
pub(super) const MEMORY_LIMIT: &str = "1GiB";
/// Threads of an engine that writes. A transaction of 50,000 rows is too small to share: with two threads a row costs one
/// and a half to two times the CPU, and the connector and the decoder need the other cores.
const WRITE_THREADS: usize = 1;
/// Threads of an engine that only reads, at most.
const READ_THREADS_MAX: usize = 4;
/// Bytes of the log at which a commit also moves it into the file. The engine's 16 MiB is one transaction of 50,000 rows.
pub(super) const CHECKPOINT_THRESHOLD: &str = "64MiB";

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Reading and writing; makes the file if it is not there.
    Write,
    /// Reading only.
    Read,
}

/// An open file in this process.
struct Open {
    engine: Connection,
    access: Access,
    users: usize,
}

type Slot = Arc<Mutex<Option<Open>>>;

static SLOTS: Mutex<BTreeMap<PathBuf, Slot>> = Mutex::new(BTreeMap::new());

/// A connection to a warehouse. The last one of a process closes the file.
pub(super) struct Warehouse {
    engine: Option<Connection>,
    slot: Slot,
}

impl Warehouse {
    /// Opens the file, or joins those who have it open in this process.
    pub(super) fn open(path: &Path, access: Access) -> Result<Self> {
        let path = absolute(path, access)?;
        let slot = Arc::clone(locked(&SLOTS).entry(path.clone()).or_default());
        let mut open = locked(&slot);
        if open.is_none() {
            *open = Some(Open { engine: start(&path, access)?, access, users: 0 });
        }
        let Some(shared) = open.as_mut() else { return Err(in_use_here(&path)) };
        if shared.access == Access::Read || access == Access::Read {
            // A reader sees the file as it was opened, and a lock is lost with any handle of the process that is closed.
            if shared.access != access {
                return Err(in_use_here(&path));
            }
        }
        let engine = shared.engine.try_clone().map_err(failed("connect to the warehouse"))?;
        shared.users += 1;
        drop(open);
        Ok(Self { engine: Some(engine), slot })
    }

    /// The connection.
    pub(super) fn engine(&self) -> Result<&Connection> {
        self.engine.as_ref().ok_or_else(|| Error::new(Code::HostBug, "use a warehouse that is closed"))
    }
}

impl Drop for Warehouse {
    fn drop(&mut self) {
        // Inside the slot's lock: nobody may open the file while it is being closed.
        let mut open = locked(&self.slot);
        drop(self.engine.take());
        if let Some(shared) = open.as_mut() {
            shared.users = shared.users.saturating_sub(1);
            if shared.users == 0 {
                *open = None;
            }
        }
    }
}

/// A panic of another thread leaves nothing half-done in what these locks guard.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_use_here(path: &Path) -> Error {
    Error::new(
        Code::WarehouseInUse,
        format!("open the warehouse {}: this process has it open in another way", path.display()),
    )
    .hint("Wait until the sync or the query that uses it has ended.")
}

/// The one path by which a file is known here. For writing, makes the folder.
fn absolute(path: &Path, access: Access) -> Result<PathBuf> {
    if let Ok(found) = path.canonicalize() {
        return Ok(found);
    }
    let Some(name) = path.file_name() else {
        let what = format!("open the warehouse {}: the path names no file", path.display());
        return Err(Error::new(Code::WarehouseUnwritable, what)
            .hint("Give the path of a file, for example files/warehouse.db."));
    };
    if access == Access::Read {
        return Err(Error::new(
            Code::DestinationInvalid,
            format!("open the warehouse {}: there is no such file", path.display()),
        )
        .hint("Run a sync first, or give the path of the warehouse with --destination duckdb:PATH."));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let what = || format!("make the folder {} of the warehouse", folder.display());
    std::fs::create_dir_all(folder).map_err(|error| failed_on_disk(what(), error))?;
    Ok(folder.canonicalize().map_err(|error| failed_on_disk(what(), error))?.join(name))
}

/// Starts an engine on the file, closed to everything else: no other file, no extension from outside, and no statement
/// can open it again.
fn start(path: &Path, access: Access) -> Result<Connection> {
    let threads = match access {
        Access::Write => WRITE_THREADS,
        Access::Read => std::thread::available_parallelism().map_or(1, usize::from).min(READ_THREADS_MAX),
    };
    let config = || -> Result<Config, duckdb::Error> {
        Config::default()
            .access_mode(if access == Access::Read { AccessMode::ReadOnly } else { AccessMode::ReadWrite })?
            .enable_autoload_extension(false)?
            .with("allow_community_extensions", "false")?
            .enable_external_access(false)?
            .max_memory(MEMORY_LIMIT)?
            .with("threads", threads.to_string())?
            .with("checkpoint_threshold", CHECKPOINT_THRESHOLD)?
            .with("lock_configuration", "true")
    };
    let config = config().map_err(failed("configure the engine"))?;
    Connection::open_with_flags(path, config).map_err(failed_to_open(path))
}

/// What the first transaction of a sync found.
pub(super) struct Begun {
    pub(super) place: Place,
    pub(super) row: ConnectionRow,
    pub(super) tables: Vec<TableSchema>,
    pub(super) empty: Vec<bool>,
}

/// How often a sync tries to take the fence while a commit of the sync before it is under way.
const FENCE_ATTEMPTS: u32 = 100;
const FENCE_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// The first transaction of a sync: makes what is missing, takes the fence, notes the sync, reads tables and state.
pub(super) fn begin(engine: &Connection, request: &OpenRequest) -> Result<Begun> {
    check_name(&request.connection)?;
    let catalog: String = engine
        .query_row("SELECT current_database()", [], |row| row.get(0))
        .map_err(failed("read the name of the database"))?;
    let place = Place { catalog, schema: request.connection.clone() };
    for _ in 1..FENCE_ATTEMPTS {
        match try_begin(engine, &place, request)? {
            Some(begun) => return Ok(begun),
            None => std::thread::sleep(FENCE_PAUSE),
        }
    }
    let what = format!("begin a sync of {}: another sync of it is committing", request.connection);
    Err(Error::new(Code::WarehouseInUse, what).hint("Run again when that sync has ended."))
}

/// None if a commit of another sync was in the way.
fn try_begin(engine: &Connection, place: &Place, request: &OpenRequest) -> Result<Option<Begun>> {
    engine.execute_batch("BEGIN").map_err(failed("begin a transaction"))?;
    let begun = begin_inside(engine, place, request);
    match begun {
        Ok(Some(begun)) => match engine.execute_batch("COMMIT") {
            Ok(()) => Ok(Some(begun)),
            Err(error) if errors::is_conflict(&error) => Ok(None),
            Err(error) => Err(failed("commit the start of the sync")(error)),
        },
        other => {
            // The first error tells what happened; a transaction that cannot be rolled back is over already.
            let _ = engine.execute_batch("ROLLBACK");
            other
        }
    }
}

fn begin_inside(engine: &Connection, place: &Place, request: &OpenRequest) -> Result<Option<Begun>> {
    let catalog = Catalog { engine, place };
    let census = Census::take(engine, place).map_err(failed("read the list of tables"))?;
    if census.has_catalog() {
        catalog.check_format()?;
        if let Some(other) = catalog.namesake().map_err(failed("read the connections"))? {
            return Err(name_refused(&place.schema, &format!("the warehouse already has a connection \"{other}\"")));
        }
    }
    let mut sql = String::new();
    if !census.has_catalog() {
        sql.push_str(&catalog::create(place));
    }
    if !census.has_connection(place) {
        sql.push_str(&ddl::create_schema(place));
    }
    if !sql.is_empty() {
        engine.execute_batch(&sql).map_err(failed(format!("make the schema {}", ddl::quoted(&place.schema))))?;
    }
    let row = match catalog.take_fence() {
        Ok(row) => row,
        Err(error) if errors::is_conflict(&error) => return Ok(None),
        Err(error) => return Err(failed("take the fence")(error)),
    };
    match catalog.begin_sync(&request.sync) {
        Ok(()) => {}
        Err(error) if errors::is_conflict(&error) => return Ok(None),
        Err(error) => return Err(failed("note the sync in _syncs")(error)),
    }
    let tables = if row.fence == 1 { Vec::new() } else { catalog.tables()? };
    let empty = tables.iter().map(|table| count(&census, place, table).map(|rows| rows == 0)).collect::<Result<_>>()?;
    Ok(Some(Begun { place: place.clone(), row, tables, empty }))
}

fn count(census: &Census, place: &Place, table: &TableSchema) -> Result<u64> {
    census.rows(&place.schema, &table.name).ok_or_else(|| {
        let what = format!("find the table {}, which the warehouse's catalog lists", place.table(&table.name));
        Error::new(Code::DestinationFailed, what)
            .hint("It was dropped or renamed by hand. Put it back, or reset the connection and sync everything again.")
    })
}

/// Names that cannot be a schema beside DuckDB's own and the catalog's.
fn check_name(connection: &str) -> Result<()> {
    let reserved = [catalog::SYSTEM, "information_schema", "pg_catalog"];
    if connection.is_empty() || connection.contains('\0') {
        return Err(name_refused(connection, "it is empty or contains a NUL"));
    }
    if reserved.iter().any(|name| name.eq_ignore_ascii_case(connection)) {
        return Err(name_refused(connection, "the warehouse uses that schema itself"));
    }
    Ok(())
}

fn name_refused(connection: &str, why: &str) -> Error {
    Error::new(Code::Usage, format!("use \"{}\" as a connection's name: {why}", connection.escape_default()))
        .hint("Choose another name with --connection NAME.")
}
