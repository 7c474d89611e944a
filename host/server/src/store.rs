//! What the server remembers, in one SQLite file: tenants, tokens, connectors, connections, syncs, what was used of quotas.
//!
//! One thread owns the file and does one piece of work after another, so nothing here needs a lock and every check holds
//! until the transaction that made it ends. Configurations, destinations, reports and logs are sealed (`sandbox::seal`);
//! tokens are kept as SHA-256 only.

pub(super) mod connections;
pub(super) mod connectors;
mod migrations;
pub(super) mod renewed;
pub(super) mod sealed;
pub(super) mod syncs;
pub(super) mod tenants;
pub(super) mod tokens;
pub(super) mod usage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use model::error::{Code, Error, Result};
use sandbox::seal::Keys;

/// Pieces of work that may wait; whoever comes then waits too.
const QUEUE: usize = 1_024;
/// The name of the file in the data folder.
pub(super) const FILE: &str = "server.db";

/// Work on the file, as a transaction.
type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The store, to be asked from anywhere.
#[derive(Clone)]
pub(super) struct Store {
    jobs: SyncSender<Job>,
    keys: Arc<Keys>,
}

/// How sure a change must be when its answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// It outlives a power cut.
    Full,
    /// It outlives the process; a power cut may take the last moments. For what would be done again without harm.
    Process,
}

/// A transaction, and what opens and seals.
pub(super) struct Session<'a> {
    pub(super) sql: Transaction<'a>,
    pub(super) keys: &'a Keys,
}

impl Store {
    /// Opens the file in the data folder, makes it if it is not there, and brings it up to date.
    pub(super) fn open(folder: &Path, keys: Keys) -> Result<Self> {
        let mut connection = open(&folder.join(FILE))?;
        migrations::migrate(&mut connection)?;
        transact(&mut connection, &keys, Durability::Full, sealed::check_key)?;
        let (jobs, received) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || work(connection, &received));
        thread.map_err(|error| Error::new(Code::HostBug, "start the store's thread").because(error))?;
        Ok(Self { jobs, keys: Arc::new(keys) })
    }

    /// Does something in a transaction that is durable when this returns.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run(Durability::Full, work).await
    }

    /// Reads, or notes something that would be done again without harm.
    pub(super) async fn note<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run(Durability::Process, work).await
    }

    /// Brings everything from the log into the file, so that a copy of the file is complete.
    pub(super) async fn finish(&self) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let done = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").map_err(failed);
            // Whoever asked may have gone away.
            let _ = answer.send(done);
        });
        self.hand_over(job).await;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn run<T: Send + 'static>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Session<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let keys = Arc::clone(&self.keys);
        let job: Job = Box::new(move |connection| {
            let done = catch_unwind(AssertUnwindSafe(|| transact(connection, &keys, durability, work)));
            // Whoever asked may have gone away.
            let _ = answer.send(done.unwrap_or_else(|_| Err(Error::new(Code::HostBug, "use the store: it panicked"))));
        });
        self.hand_over(job).await;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Rarely waits: only where more than a thousand pieces of work are before this one.
    async fn hand_over(&self, job: Job) {
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = self.jobs.try_send(job) {
            let jobs = self.jobs.clone();
            // Where the thread is gone, the job is dropped with its answer, and who asked hears that.
            let _ = tokio::task::spawn_blocking(move || jobs.send(job).map_err(drop)).await;
        }
    }
}

fn gone() -> Error {
    Error::new(Code::HostBug, "use the store: its thread has ended")
}

fn work(mut connection: Connection, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        job(&mut connection);
    }
}

fn transact<T>(
    connection: &mut Connection,
    keys: &Keys,
    durability: Durability,
    work: impl FnOnce(&Session<'_>) -> Result<T>,
) -> Result<T> {
    let mode = if durability == Durability::Full { "FULL" } else { "NORMAL" };
    connection.pragma_update(None, "synchronous", mode).map_err(failed)?;
    let sql = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let session = Session { sql, keys };
    let result = work(&session)?;
    session.sql.commit().map_err(failed)?;
    Ok(result)
}

fn open(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path).map_err(failed)?;
    let set = || {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // What was deleted is overwritten: a secret that is gone is gone from the file too.
        connection.pragma_update(None, "secure_delete", true)
    };
    set().map_err(failed)?;
    Ok(connection)
}

/// An error of SQLite.
pub(super) fn failed(error: rusqlite::Error) -> Error {
    let (code, hint) = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            (Code::StoreInvalid, "Bring back a copy of the data folder.")
        }
        _ => (Code::StoreFailed, "See whether the disk is full or the data folder cannot be written."),
    };
    Error::new(code, "use the server's store").hint(hint).because(error)
}

/// JSON of our own types.
pub(super) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::new(Code::HostBug, "write JSON into the store").because(error))
}

/// Our own JSON, read back.
pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        Error::new(Code::StoreInvalid, "read JSON from the store")
            .hint("It was written by another version of the host, or by hand.")
            .because(error)
    })
}

/// A number of rows as SQLite counts.
fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Re-seals everything with the first key, in one transaction. Only while no server runs.
pub(super) fn reseal(folder: &Path, keys: &Keys) -> Result<u64> {
    let mut connection = open(&folder.join(FILE))?;
    migrations::migrate(&mut connection)?;
    let resealed = transact(&mut connection, keys, Durability::Full, sealed::reseal)?;
    // The old texts must not stay behind in the log or in free pages.
    connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")
        .map_err(failed)?;
    Ok(resealed)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn store(folder: &Path) -> Store {
        Store::open(folder, Keys::parse(&sandbox::seal::new_key().unwrap()).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn what_failed_or_panicked_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let insert = "INSERT INTO usage(tenant, day, cpu_us, rows) VALUES ('a', 1, 1, 1)";
        let failing = store.change(move |session| {
            session.sql.execute(insert, []).map_err(failed)?;
            Err::<(), _>(Error::new(Code::Conflict, "go on"))
        });
        assert_eq!(failing.await.unwrap_err().code(), Code::Conflict);
        let panicking = store.change::<()>(move |session| {
            session.sql.execute(insert, []).map_err(failed)?;
            panic!("a bug");
        });
        assert_eq!(panicking.await.unwrap_err().code(), Code::HostBug);
        let count = |session: &Session<'_>| {
            session.sql.query_row("SELECT count(*) FROM usage", [], |row| row.get::<_, i64>(0)).map_err(failed)
        };
        assert_eq!(store.note(count).await.unwrap(), 0);
    }
}
