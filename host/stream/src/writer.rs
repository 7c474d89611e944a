//! The thread that owns the destination: stages and commits what the decoder hands over, in order.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;
use tracing::{Span, info_span};

use super::event::{Event, Observer, Progress};
use super::tables::Counts;
use model::error::{Code, Error, Result};
use model::schema::{SchemaChange, TableSchema, changes};
use sandbox::Turn;
use warehouse::{Commit, Destination, Segment, SyncRecord, Versions};

/// How much work may wait: none. One transaction is written while the next is decoded, which is all that two threads can
/// overlap; a third in between would only take memory.
const QUEUE: usize = 0;

/// Work for the writer.
pub(crate) enum Work {
    /// Rows that no checkpoint covers yet.
    Stage(Vec<Segment>, Vec<TableSchema>),
    /// A transaction, its operations by table, and what the guest waits for if it is a full one.
    Commit(Box<Commit>, Vec<Counts>, Option<Turn>),
    /// Say that everything handed over before is durable.
    Tell(oneshot::Sender<()>),
}

/// What the writer did, and the destination to end with.
pub(crate) struct Written {
    pub(crate) destination: Box<dyn Destination>,
    /// The tables of the last commit.
    pub(crate) tables: Vec<TableSchema>,
    /// Updates and deletes without a row, by table.
    pub(crate) ignored: Vec<u64>,
    /// Rows deleted by the last commit because a full refresh did not bring them back, by table.
    pub(crate) swept: Vec<u64>,
    /// Versions of rows, by table.
    pub(crate) versions: Vec<Versions>,
    /// Operations committed, by table.
    pub(crate) totals: Vec<Counts>,
    pub(crate) state: Option<String>,
    /// When the last commit was durable.
    pub(crate) committed_at: Option<Instant>,
    /// What went wrong; nothing was done after it.
    pub(crate) failed: Option<Error>,
}

/// The writer's thread.
pub(crate) struct Writer {
    thread: JoinHandle<Written>,
}

/// What the writer starts from.
pub(crate) struct Start {
    pub(crate) destination: Box<dyn Destination>,
    pub(crate) tables: Vec<TableSchema>,
    pub(crate) sequence: u64,
    pub(crate) state: Option<String>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) progress: Arc<Progress>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(start: Start) -> Result<(Self, SyncSender<Work>)> {
        let (sender, receiver) = sync_channel(QUEUE);
        let sync = Span::current();
        let thread =
            std::thread::Builder::new().name("writer".into()).spawn(move || sync.in_scope(|| write(start, &receiver)));
        let thread = thread.map_err(|error| Error::new(Code::HostBug, "start the writer's thread").because(error))?;
        Ok((Self { thread }, sender))
    }

    /// Waits until everything handed over is done; the sender must be gone.
    pub(crate) fn join(self) -> Result<Written> {
        self.thread.join().map_err(|_| Error::new(Code::HostBug, "write: the writer's thread panicked"))
    }
}

fn write(start: Start, work: &Receiver<Work>) -> Written {
    let Start { destination, tables, mut sequence, state, observer, progress } = start;
    let mut held = Held::default();
    let mut written = Written {
        destination,
        tables,
        ignored: Vec::new(),
        swept: Vec::new(),
        versions: Vec::new(),
        totals: Vec::new(),
        state,
        committed_at: None,
        failed: None,
    };
    while let Ok(next) = work.recv() {
        let done = match next {
            Work::Stage(segments, tables) => written.destination.stage(segments, &tables),
            Work::Commit(commit, counts, turn) => {
                let ends = commit.sync.ended_at_us.is_some();
                let counts = held.with(counts);
                let teller = Teller { observer: &*observer, progress: &progress, sequence: sequence + 1, counts };
                let committed = commit_one(&mut written, *commit, &teller);
                match (committed, turn) {
                    // The rows that are missing may come; what is read meanwhile waits with those that are staged.
                    (Err(error), _) if error.code() == Code::TableShrinks && !ends => held.hold(error, teller.counts),
                    (Err(error), turn) => {
                        turn.into_iter().for_each(Turn::lose);
                        Err(error)
                    }
                    (Ok(()), _) => {
                        sequence += 1;
                        Ok(())
                    }
                }
            }
            Work::Tell(durable) => match held.why.take() {
                Some(error) => Err(error),
                None => {
                    let _ = durable.send(()); // a guest that no longer waits needs no answer
                    Ok(())
                }
            },
        };
        if let Err(error) = done {
            written.failed = Some(error);
            return written;
        }
    }
    if let Err(error) = written.destination.discard() {
        written.failed = Some(error);
    }
    written
}

/// A commit that waits for the rows of a table which it would shrink too much.
#[derive(Default)]
struct Held {
    /// Why; none if there is no such commit.
    why: Option<Error>,
    /// Its operations by table.
    counts: Vec<Counts>,
}

impl Held {
    fn hold(&mut self, why: Error, counts: Vec<Counts>) -> Result<()> {
        (self.why, self.counts) = (Some(why), counts);
        Ok(())
    }

    /// The operations of the next commit, which takes with it what is held.
    fn with(&mut self, mut counts: Vec<Counts>) -> Vec<Counts> {
        self.why = None;
        let held = std::mem::take(&mut self.counts);
        for (own, more) in counts.iter_mut().zip(held) {
            own.add(more);
        }
        counts
    }
}

/// Who is told of a commit, and what.
struct Teller<'a> {
    observer: &'a dyn Observer,
    progress: &'a Progress,
    sequence: u64,
    counts: Vec<Counts>,
}

fn commit_one(written: &mut Written, commit: Commit, teller: &Teller<'_>) -> Result<()> {
    let begun = Instant::now();
    let (tables, state) = (commit.tables.clone(), commit.state.clone());
    let committed =
        info_span!("commit", elt.sequence = teller.sequence).in_scope(|| written.destination.commit(commit))?;
    written.committed_at = Some(Instant::now());
    for change in changes(&written.tables, &tables) {
        teller.observer.event(&describe(change, &tables));
    }
    written.ignored.resize(tables.len(), 0);
    for (sum, more) in written.ignored.iter_mut().zip(&committed.ignored) {
        *sum += more;
    }
    written.swept = committed.swept;
    written.versions.resize(tables.len(), Versions::default());
    for (sum, more) in written.versions.iter_mut().zip(committed.versions) {
        sum.add(more);
    }
    written.totals.resize(tables.len(), Counts::default());
    for (total, more) in written.totals.iter_mut().zip(&teller.counts) {
        total.add(*more);
    }
    let rows = teller.counts.iter().map(|counts| counts.rows()).sum();
    written.tables = tables;
    written.state.clone_from(&state);
    teller.progress.commits.fetch_add(1, Ordering::Relaxed);
    teller.progress.rows_committed.fetch_add(rows, Ordering::Relaxed);
    let (sequence, duration) = (teller.sequence, begun.elapsed());
    teller.observer.event(&Event::Committed { sequence, rows, state, duration });
    Ok(())
}

fn describe(change: SchemaChange, tables: &[TableSchema]) -> Event {
    let (table, column) = match change {
        SchemaChange::NewTable { table } | SchemaChange::HistoryBegun { table } => (table, None),
        SchemaChange::NewColumn { table, column } | SchemaChange::Widened { table, column, .. } => {
            (table, Some(column))
        }
    };
    let column = column.map(|column| &tables[table].columns[column]);
    Event::SchemaChanged {
        table: tables[table].name.clone(),
        column: column.map(|column| column.name.clone()),
        change,
        data_type: column.map(|column| column.column_type.data_type().to_string()),
    }
}

/// The sync's record when it has ended.
pub(crate) fn ended(record: &SyncRecord, outcome: &str, error: Option<&Error>) -> SyncRecord {
    SyncRecord {
        ended_at_us: Some(super::run::now_us()),
        outcome: outcome.to_owned(),
        error: error.map(|error| format!("{}: {}", error.code(), error.chain())),
        ..record.clone()
    }
}
