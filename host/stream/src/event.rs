//! What a sync tells while it runs: events for logs and `--json`, counters for a progress display.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Rejection;
use model::LogLevel;
use model::schema::SchemaChange;
use sandbox::{Exchange, Meter};

/// Something that happened, in order.
#[derive(Clone, Debug)]
pub enum Event {
    /// The sync began.
    Started {
        /// The connection.
        connection: String,
        /// `name version` of the connector.
        connector: String,
        /// Where rows go.
        destination: String,
        /// The state it starts from; none on the first sync.
        state: Option<String>,
    },
    /// The connector wrote a log line.
    Log {
        /// Its level.
        level: LogLevel,
        /// Its text, cut to the limit.
        message: String,
    },
    /// The host has something to say: a retry, an odd thing in the stream.
    Notice {
        /// Its level.
        level: LogLevel,
        /// A sentence.
        message: String,
    },
    /// A record could not be taken and is set aside with the commit that follows.
    Rejected(Rejection),
    /// The warehouse's schema changed with the commit that follows.
    SchemaChanged {
        /// The table's name in the warehouse.
        table: String,
        /// The column's name, unless the whole table is new.
        column: Option<String>,
        /// What changed.
        change: SchemaChange,
        /// The type now, as people see it.
        data_type: Option<String>,
    },
    /// Rows and state became durable.
    Committed {
        /// How many commits the connection has had.
        sequence: u64,
        /// Rows of this commit, in all tables.
        rows: u64,
        /// The state that is durable now.
        state: Option<String>,
        /// How long the destination took.
        duration: Duration,
    },
}

/// Who wants to know. Called from several threads; must not block for long.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event);
    /// The connector made a request, or was refused one, and it has ended.
    fn exchanged(&self, exchange: &Exchange) {
        let _ = exchange;
    }
}

/// Counters of a running sync, to be read at any time.
#[derive(Debug, Default)]
pub struct Progress {
    tables: Mutex<Vec<TableProgress>>,
    /// Operations decoded so far, in all tables.
    pub rows: AtomicU64,
    /// Bytes of rows taken from the guest.
    pub row_bytes: AtomicU64,
    /// Rows durable so far.
    pub rows_committed: AtomicU64,
    /// Checkpoints saved by the guest.
    pub checkpoints: AtomicU64,
    /// Commits.
    pub commits: AtomicU64,
    /// The connector's HTTP requests.
    pub meter: Meter,
    /// Most memory the guest had at once, in bytes.
    pub guest_memory_bytes: AtomicU64,
    /// How long the guest has computed, in microseconds.
    pub guest_cpu_us: AtomicU64,
}

/// One table's line in a progress display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableProgress {
    /// The table's name in the warehouse.
    pub table: String,
    /// Operations so far.
    pub rows: u64,
}

impl Progress {
    /// The tables in order of appearance.
    pub fn tables(&self) -> Vec<TableProgress> {
        self.tables.lock().map(|tables| tables.clone()).unwrap_or_default()
    }

    /// Counts rows of a table.
    pub(super) fn count(&self, table: &str, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        let Ok(mut tables) = self.tables.lock() else { return };
        match tables.iter_mut().find(|line| line.table == table) {
            Some(line) => line.rows += rows,
            None => tables.push(TableProgress { table: table.to_owned(), rows }),
        }
    }
}
