//! Opening a warehouse's file: one engine per file and process, and its settings.
//!
//! DuckDB keeps other processes out with a lock on the file, but such a lock does not tell two engines of one process
//! apart: they would both write. So every file has one slot here, and whoever opens it in this process shares the engine.

use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::io::ErrorKind::{AlreadyExists, PermissionDenied, Unsupported};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duckdb::{AccessMode, Config, Connection};

use super::errors::{failed, failed_to_open};
use crate::Access;
use crate::file::absolute;
use crate::sql::ddl::literal;
use model::error::{Code, Error, Result};

/// What the engine may hold in memory before it writes to its temporary folder beside the file. A transaction of 50,000
/// rows needs a tenth of it.
pub(super) const MEMORY_LIMIT: &str = "1GiB";
/// Bytes of a block, in files that are made from now on. Each column of a commit takes a few: with the usual 256 KiB a table
/// of 2,000 columns does not fit into the memory above, with these one of 5,000 does. Nothing else was seen to change:
/// 200,000 rows take the same processor time; with 16 KiB they take 5 % more.
const BLOCK_BYTES: &str = "65536";
/// Threads of an engine that writes. A transaction of 50,000 rows is too small to share: with two threads a whole sync takes
/// a tenth to a fifth more processor time, and the connector and the decoder need the other cores.
const WRITE_THREADS: usize = 1;
/// Threads of an engine that only reads, at most.
const READ_THREADS_MAX: usize = 4;
/// Bytes of the log at which a commit also moves it into the file: about two transactions of 50,000 rows. More waits in
/// memory and is written twice (docs/decisions/0008-path-of-a-batch.md).
pub(super) const CHECKPOINT_THRESHOLD: &str = "16MiB";

/// An open file in this process.
struct Open {
    engine: Connection,
    access: Access,
    users: usize,
}

type Slot = Arc<Mutex<Option<Open>>>;

static SLOTS: Mutex<BTreeMap<PathBuf, Slot>> = Mutex::new(BTreeMap::new());

/// A connection to a warehouse.
pub(super) struct OpenFile {
    // Dropped in this order: the slot's own connection closes the file, inside the slot's lock.
    engine: Connection,
    _lease: Option<Lease>,
}

impl OpenFile {
    /// Opens the file, or joins those who have it open in this process.
    pub(super) fn open(path: &Path, access: Access) -> Result<Self> {
        let path = absolute(path, access, "duckdb")?;
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
        Ok(Self { engine, _lease: Some(Lease(slot)) })
    }

    /// An engine without a file: it may read and write the files of these folders, and spills into one of its own.
    pub(super) fn in_memory(folders: &[&Path], spill: &Path, threads: usize) -> Result<Self> {
        let names: Vec<String> = folders.iter().map(|folder| literal(&folder.to_string_lossy())).collect();
        let config = || -> Result<Config, duckdb::Error> {
            Config::default()
                .enable_autoload_extension(false)?
                .with("allow_community_extensions", "false")?
                .with("temp_directory", spill.to_string_lossy())?
                .max_memory(MEMORY_LIMIT)?
                .with("default_block_size", BLOCK_BYTES)?
                .with("threads", threads.to_string())
        };
        let config = config().map_err(failed("configure the engine"))?;
        let engine = Connection::open_in_memory_with_flags(config).map_err(failed("start the engine"))?;
        // In this order: no folder can be allowed once access is disabled.
        let closed = format!(
            "SET allowed_directories = [{}]; SET enable_external_access = false; SET lock_configuration = true",
            names.join(", ")
        );
        engine.execute_batch(&closed).map_err(failed("configure the engine"))?;
        Ok(Self { engine, _lease: None })
    }

    /// The connection.
    pub(super) fn engine(&self) -> &Connection {
        &self.engine
    }
}

/// One user's share of an open file. The last one of a process closes it.
struct Lease(Slot);

impl Drop for Lease {
    fn drop(&mut self) {
        // Inside the slot's lock: nobody may open the file while it is being closed.
        let mut open = locked(&self.0);
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

pub(super) fn threads(access: Access) -> usize {
    match access {
        Access::Write => WRITE_THREADS,
        Access::Read => std::thread::available_parallelism().map_or(1, usize::from).min(READ_THREADS_MAX),
    }
}

/// Starts an engine on the file, closed to everything else: no other file, no extension from outside, and no statement
/// can open it again.
fn start(path: &Path, access: Access) -> Result<Connection> {
    if access == Access::Write {
        match found(path) {
            Found::Nothing => make(path, |made| std::fs::hard_link(made, path))?,
            Found::Part => replace(path)?,
            Found::File => {}
        }
    }
    Connection::open_with_flags(path, config(access)?).map_err(failed_to_open(path))
}

fn config(access: Access) -> Result<Config> {
    let config = || -> Result<Config, duckdb::Error> {
        Config::default()
            .access_mode(if access == Access::Read { AccessMode::ReadOnly } else { AccessMode::ReadWrite })?
            .enable_autoload_extension(false)?
            .with("allow_community_extensions", "false")?
            .enable_external_access(false)?
            .max_memory(MEMORY_LIMIT)?
            .with("threads", threads(access).to_string())?
            .with("default_block_size", BLOCK_BYTES)?
            .with("checkpoint_threshold", CHECKPOINT_THRESHOLD)?
            .with("lock_configuration", "true")
    };
    config().map_err(failed("configure the engine"))
}

/// What is there before the engine starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// Nothing, or part of a file, that somebody made beforehand or a host died in writing; it never held a row.
    Part,
    File,
}

/// The blocks that DuckDB writes first, one after the other. A shorter file never held a row.
const HEADER_BYTES: u64 = 3 * 4_096;
const MAGIC: (usize, &[u8]) = (8, b"DUCK");

fn found(path: &Path) -> Found {
    match std::fs::symlink_metadata(path) {
        Ok(found) => {
            let is_part = found.is_file() && found.len() < HEADER_BYTES && !path.with_added_extension("wal").exists();
            if is_part && is_ours(path) { Found::Part } else { Found::File }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Found::Nothing,
        Err(_) => Found::File,
    }
}

/// Whether a short file is empty or begins as DuckDB's do.
fn is_ours(path: &Path) -> bool {
    let (at, magic) = MAGIC;
    std::fs::read(path)
        .is_ok_and(|bytes| bytes.is_empty() || bytes.get(at..).is_some_and(|rest| rest.starts_with(magic)))
}

/// Makes the file under a name of its own and gives it the right one then: where several make it at the same time, one has
/// made it, and nobody ever finds a part that another one is still writing.
fn make(path: &Path, put: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    let made = path.with_added_extension(format!("{:016x}.new", fastrand::u64(..)));
    let opened = Connection::open_with_flags(&made, config(Access::Write)?).map_err(failed_to_open(path));
    let put = opened.map(|engine| {
        drop(engine);
        // A name is durable when its folder is.
        put(&made).and_then(|()| std::fs::File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all())
    });
    // It has another name now; or this is part of one.
    let _ = std::fs::remove_file(&made);
    let _ = std::fs::remove_file(made.with_added_extension("wal"));
    match put? {
        Ok(()) => Ok(()),
        // Somebody else was first; or these files cannot have two names, and the engine makes its file itself.
        Err(error) if [AlreadyExists, PermissionDenied, Unsupported].contains(&error.kind()) => Ok(()),
        Err(error) => Err(unmade(path).because(error)),
    }
}

/// Puts a whole file in the place of a part. Who holds the lock of the part does that, and finds it as it was.
fn replace(path: &Path) -> Result<()> {
    let failed = |error: std::io::Error| unmade(path).because(error);
    let part = std::fs::File::open(path).map_err(failed)?;
    match part.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(failed(error)),
        Err(TryLockError::WouldBlock) => {
            return Err(Error::new(Code::WarehouseInUse, format!("open the warehouse {}", path.display()))
                .hint("Another program is making it. Run again in a moment."));
        }
    }
    let is_same = |there: std::fs::Metadata| part.metadata().is_ok_and(|part| part.ino() == there.ino());
    if found(path) == Found::Part && std::fs::symlink_metadata(path).is_ok_and(is_same) {
        make(path, |made| std::fs::rename(made, path))?;
    }
    Ok(())
}

fn unmade(path: &Path) -> Error {
    Error::new(Code::DestinationFailed, format!("make the warehouse {}", path.display()))
}
