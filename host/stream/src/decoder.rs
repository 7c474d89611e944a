//! The thread between guest and destination: decodes rows, infers types, folds operations, and decides when to commit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::event::{Event, Observer, Progress};
use super::policy::CommitPolicy;
use super::tables::{Counts, Tables};
use super::writer::{Work, ended};
use model::error::{Code, Error, Result};
use model::{Batch, LogLevel};
use sandbox::{Load, Operation, OperationReceiver, Taken, Turn};
use warehouse::{Commit, SyncRecord};

/// How the stream of operations came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// `update` returned without an error: everything counts.
    Finished,
    /// `update` failed or was stopped: what follows the last checkpoint does not count.
    Aborted,
    /// `--limit-rows` was reached: every row taken counts, the state is that of the last checkpoint.
    LimitRows,
}

/// What the decoder works with.
pub(crate) struct Decoder {
    pub(crate) tables: Tables,
    pub(crate) writer: SyncSender<Work>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) connector: String,
    pub(crate) sync: SyncRecord,
    /// The state of the last checkpoint, at first the one the sync starts from.
    pub(crate) state: Option<String>,
    pub(crate) rows_left: u64,
    pub(crate) policy: CommitPolicy,
    /// Operations handed over for commits, by table.
    pub(crate) totals: Vec<Counts>,
    pub(crate) flow: Flow,
}

/// What the decoder leaves.
pub(crate) struct Decoded {
    pub(crate) tables: Tables,
    /// The sync's record as of the last commit.
    pub(crate) sync: SyncRecord,
    pub(crate) first_row: Option<Duration>,
    pub(crate) result: Result<Ending>,
}

/// Where the stream stands.
pub(crate) struct Flow {
    begun: Instant,
    /// Since the last commit.
    load: Load,
    /// Since the last checkpoint or stage.
    open: Load,
    last_commit: Instant,
    /// A checkpoint was saved that no commit covers.
    checkpoint_waits: bool,
    warned: bool,
    first_row: Option<Duration>,
}

impl Flow {
    pub(crate) fn new(begun: Instant) -> Self {
        Self {
            begun,
            load: Load::default(),
            open: Load::default(),
            last_commit: begun,
            checkpoint_waits: false,
            warned: false,
            first_row: None,
        }
    }
}

/// The writer is gone; its own error says why.
fn writer_gone() -> Error {
    Error::new(Code::HostBug, "hand rows to the writer")
}

impl Decoder {
    /// Works until the stream ends; `ending` says how it did once the channel is closed.
    pub(crate) fn run(
        mut self,
        mut operations: OperationReceiver,
        runtime: &Handle,
        ending: &dyn Fn() -> Ending,
    ) -> Decoded {
        let result = self.take_all(&mut operations, runtime, ending);
        operations.close();
        let result = match result {
            Ok(end) => self.end(end).map(|()| end),
            Err(error) => self.end(Ending::Aborted).and(Err(error)),
        };
        let Self { tables, sync, flow, .. } = self;
        Decoded { tables, sync, first_row: flow.first_row, result }
    }

    fn take_all(
        &mut self,
        operations: &mut OperationReceiver,
        runtime: &Handle,
        ending: &dyn Fn() -> Ending,
    ) -> Result<Ending> {
        while let Some(mut taken) = self.next(operations, runtime)? {
            let turn = taken.turn();
            match taken.operation {
                Operation::Batch(ref batch) => {
                    if self.batch(batch)? {
                        return Ok(Ending::LimitRows);
                    }
                }
                Operation::Save(state) => self.save(state, turn)?,
                Operation::Flush(durable) => self.flush(durable)?,
            }
        }
        Ok(ending())
    }

    /// The next operation. A checkpoint that waits is committed when it comes of age, whatever follows it.
    fn next(&mut self, operations: &mut OperationReceiver, runtime: &Handle) -> Result<Option<Taken>> {
        if !self.flow.checkpoint_waits {
            return Ok(operations.blocking_recv());
        }
        if let Ok(taken) = operations.try_recv() {
            return Ok(Some(taken));
        }
        let age = self.flow.last_commit.elapsed();
        let wait = async { tokio::time::timeout(self.policy.age.saturating_sub(age), operations.recv()).await };
        if let Ok(taken) = runtime.block_on(wait) {
            return Ok(taken);
        }
        self.commit(None, None)?;
        Ok(operations.blocking_recv())
    }

    /// Returns whether the limit of rows is reached.
    fn batch(&mut self, batch: &Batch) -> Result<bool> {
        let (table, rows) = self.tables.take(batch, self.rows_left)?;
        let bytes = batch.rows.len() as u64;
        for rejection in self.tables.untold_rejections() {
            self.observer.event(&Event::Rejected(rejection));
        }
        for note in self.tables.untold_notes() {
            self.observer.event(&Event::Notice { level: LogLevel::Warning, message: note.to_string() });
        }
        if rows > 0 && self.flow.first_row.is_none() {
            self.flow.first_row = Some(self.flow.begun.elapsed());
        }
        self.progress.count(&table, rows);
        self.progress.row_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.flow.load.add(Load { rows, bytes });
        self.flow.open.add(Load { rows, bytes });
        self.rows_left -= rows;
        if self.rows_left == 0 {
            return Ok(true);
        }
        if self.policy.must_stage(self.flow.open) {
            self.stage()?;
        }
        Ok(false)
    }

    /// Too much since the last checkpoint: what is covered is committed, the rest goes to the destination unseen.
    fn stage(&mut self) -> Result<()> {
        if self.flow.checkpoint_waits {
            self.commit(None, None)?;
        }
        if !std::mem::replace(&mut self.flow.warned, true) {
            let message = format!(
                "{} has written {} rows without a checkpoint: they are staged, and lost if it fails before the next one",
                self.connector, self.flow.open.rows
            );
            self.observer.event(&Event::Notice { level: LogLevel::Warning, message });
        }
        let segments = self.tables.spill()?;
        self.flow.open = Load::default();
        self.writer.send(Work::Stage(segments, self.tables.schemas().to_vec())).map_err(|_| writer_gone())
    }

    /// `turn`: a transaction is full with this checkpoint.
    fn save(&mut self, state: String, turn: Option<Turn>) -> Result<()> {
        self.tables.checkpoint();
        self.state = Some(state);
        self.flow.open = Load::default();
        self.flow.checkpoint_waits = true;
        self.progress.checkpoints.fetch_add(1, Ordering::Relaxed);
        if turn.is_some() || self.policy.is_due(self.flow.load, self.flow.last_commit.elapsed()) {
            self.commit(None, turn)?;
        }
        Ok(())
    }

    /// Tells when everything up to the last `save` is durable: by the commit that carries it, or, where that was handed
    /// over before, when the writer has come so far.
    fn flush(&mut self, durable: oneshot::Sender<()>) -> Result<()> {
        if self.flow.checkpoint_waits {
            self.commit(None, None)?;
        }
        self.writer.send(Work::Tell(durable)).map_err(|_| writer_gone())
    }

    /// Hands over what the last checkpoint covers. `last`: the sync's record, if this commit ends it. `turn`: goes back to the
    /// guest when it is durable.
    fn commit(&mut self, last: Option<SyncRecord>, turn: Option<Turn>) -> Result<()> {
        let segments = self.tables.segments()?;
        let folded = self.tables.take_folded();
        let is_last = last.as_ref().is_some_and(|record| record.outcome == "succeeded");
        self.totals.resize(folded.len(), Counts::default());
        for (total, more) in self.totals.iter_mut().zip(&folded) {
            total.add(*more);
        }
        if let Some(last) = last {
            self.sync = last;
        }
        self.sync.state_after.clone_from(&self.state);
        self.sync.rows = self.rows_json();
        let commit = Commit {
            tables: self.tables.checkpointed().to_vec(),
            segments,
            state: self.state.clone(),
            synced_at_us: super::run::now_us(),
            is_last,
            selection: self.tables.selection().clone(),
            sync: self.sync.clone(),
        };
        self.flow.load = self.flow.open;
        self.flow.last_commit = Instant::now();
        self.flow.checkpoint_waits = false;
        self.writer.send(Work::Commit(Box::new(commit), folded, turn)).map_err(|_| writer_gone())
    }

    fn rows_json(&self) -> String {
        let tables = self.totals.iter().zip(self.tables.schemas()).filter(|(_, schema)| !schema.is_rejected());
        let tables = tables.map(|(counts, schema)| {
            let mut rows = serde_json::json!({
                "upserted": counts.upserted, "updated": counts.updated,
                "deleted": counts.deleted, "truncated": counts.truncated,
            });
            if counts.rejected > 0 {
                rows["rejected"] = counts.rejected.into();
            }
            (schema.name.clone(), rows)
        });
        serde_json::Value::Object(tables.collect()).to_string()
    }

    fn end(&mut self, ending: Ending) -> Result<()> {
        match ending {
            Ending::Finished | Ending::LimitRows => {
                if ending == Ending::Finished {
                    self.tables.add_declared()?;
                }
                self.tables.checkpoint();
                let outcome = if ending == Ending::Finished { "succeeded" } else { "limited" };
                let record = ended(&self.sync, outcome, None);
                self.commit(Some(record), None)
            }
            Ending::Aborted => {
                self.tables.drop_uncheckpointed();
                if self.flow.checkpoint_waits { self.commit(None, None) } else { Ok(()) }
            }
        }
    }
}
