//! Runs one sync: connects guest, decoder and writer, waits for the end, says what came out.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tracing::{Instrument as _, info_span};

use super::decoder::{Decoded, Decoder, Ending, Flow};
use super::event::{Event, Observer, Progress};
use super::redacting::{self, Redacting};
use super::report::{Outcome, Report, Sample, TableReport};
use super::tables::{Counts, NameRules, Settings, Tables};
use super::unstorable::TextRules;
use super::writer::{self, Writer, Written, ended};
use super::{Request, Stop};
use model::error::{Code, Error, Fault, Result};
use model::schema::{SchemaChange, TableSchema, changes};
use model::{Description, LogLevel, Selection, Table};
use sandbox::{Exchange, Grants, Lead, Listener, OperationSender, Secrets};
use warehouse::{Deletes, Destination, OpenRequest, Opened, StartFrom, SyncRecord};

/// Bytes of rows that may wait between the guest and the decoder.
const CHANNEL_BYTES: usize = 1 << 20;

/// Microseconds since 1970.
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A name for a sync: its moment in microseconds since 1970 and a random part. Later ones sort behind earlier ones.
pub fn new_id() -> String {
    format!("{:016}-{:08x}", now_us(), fastrand::u32(..))
}

/// Runs one sync to its end. `stop` ends it early: what is complete is committed. Never fails itself: whatever happens
/// is in the report's outcome.
pub async fn run(
    request: Request,
    observer: Arc<dyn Observer>,
    progress: Arc<Progress>,
    stop: watch::Receiver<Option<Stop>>,
) -> Report {
    let started_at_us = now_us();
    let id = request.id.clone();
    let record = SyncRecord { id, started_at_us, outcome: "running".into(), ..SyncRecord::default() };
    let (secrets, begun) = (Secrets::default(), Instant::now());
    let mut run = Run { request, observer, progress, record, secrets, state_durable: None, begun };
    let done = run.all(stop).await;
    run.report(done)
}

/// One sync under way.
struct Run {
    request: Request,
    observer: Arc<dyn Observer>,
    progress: Arc<Progress>,
    record: SyncRecord,
    /// Nothing, until the connector has said what is secret.
    secrets: Secrets,
    /// The destination's state when the sync began.
    state_durable: Option<String>,
    begun: Instant,
}

/// What a sync starts from, once nothing speaks against it.
struct Ready {
    tables: Tables,
    state: Option<String>,
    connector: String,
}

/// What came out of the threads.
struct Done {
    decoded: Decoded,
    written: Written,
    rows_now: Vec<u64>,
    known: Vec<TableSchema>,
    destination_memory_bytes: Option<u64>,
    ending: Result<Ending>,
}

/// Passes what the guest says on to the observer and the counters.
struct Ear {
    observer: Arc<dyn Observer>,
    progress: Arc<Progress>,
}

impl Listener for Ear {
    fn log(&self, level: LogLevel, message: &str) {
        self.observer.event(&Event::Log { level, message: message.to_owned() });
    }

    fn memory(&self, bytes: u64) {
        self.progress.guest_memory_bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    fn cpu(&self, spent: Duration) {
        self.progress.guest_cpu_us.store(u64::try_from(spent.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn retrying(&self, reason: &str, wait: Duration) {
        let message = format!("{reason}; trying again in {:.1} s", wait.as_secs_f64());
        self.observer.event(&Event::Notice { level: LogLevel::Warning, message });
    }

    fn exchanged(&self, exchange: &Exchange) {
        self.observer.exchanged(exchange);
    }
}

impl Run {
    async fn all(&mut self, stop: watch::Receiver<Option<Stop>>) -> Result<Done> {
        let component = Arc::clone(&self.request.component);
        let description = unless_stopped(&stop, component.describe(&self.request.limits)).await?;
        let connector = format!("{} {}", description.name, description.version);
        self.keep_secrets(description)?;
        let grants = self.grants();
        let (place, open) = (Arc::clone(&self.request.destination), self.open_request());
        // The destination opens while the connector names its tables.
        let span = info_span!("open");
        let opening = tokio::task::spawn_blocking(move || span.in_scope(|| place.open(open)));
        let schema = self.request.component.schema(&grants).instrument(info_span!("schema"));
        let schema = unless_stopped(&stop, schema).await;
        let opened = opening.await.map_err(|error| bug("open the destination", error))?;
        let (mut destination, opened) = opened?;
        self.state_durable.clone_from(&opened.state);
        match self.prepare(schema, &opened, connector) {
            Ok(ready) => self.drive(ready, destination, opened, (grants, stop)).await,
            Err(error) => {
                let error = self.secrets.redact_error(error);
                let record = failed(&self.record, &error);
                // The sync's end is noted where possible; the first error is what counts. Closing may block as well.
                let _ = tokio::task::spawn_blocking(move || destination.finish(&record).map(drop)).await;
                Err(error)
            }
        }
    }

    /// Takes the secrets out of the configuration; from here on nobody is told them.
    fn keep_secrets(&mut self, description: &Description) -> Result<()> {
        let Request { configuration, secrets, connection, limits, .. } = &self.request;
        self.secrets = match self.request.world.as_ref().and_then(|world| world.configuration()) {
            Some(_recorded) => Secrets::plain(configuration),
            None => Secrets::new(description, configuration, secrets, (connection, limits))?,
        };
        self.observer = Arc::new(Redacting::new(Arc::clone(&self.observer), self.secrets.clone()));
        Ok(())
    }

    fn open_request(&self) -> OpenRequest {
        let start_from = match (&self.request.state, self.request.full_refresh) {
            (Some(_), _) => StartFrom::GivenState,
            (None, true) => StartFrom::Beginning,
            (None, false) => StartFrom::LastCommit,
        };
        let (connection, sync) = (self.request.connection.clone(), self.record.clone());
        let history = self.request.history != Selection::none();
        let (deletes, shrink_max) = (self.request.deletes, self.request.shrink_max);
        OpenRequest { connection, sync, start_from, deletes, history, shrink_max }
    }

    fn grants(&self) -> Grants {
        let (observer, progress) = (Arc::clone(&self.observer), Arc::clone(&self.progress));
        Grants {
            secrets: self.secrets.clone(),
            limits: self.request.limits.clone(),
            allow: self.request.allow.clone(),
            listener: Arc::new(Ear { observer, progress }),
            meter: self.progress.meter.clone(),
            pacing: self.request.pacing.clone(),
            world: self.request.world.clone(),
        }
    }

    /// Everything that can be refused before the connector reads anything.
    fn prepare(&mut self, schema: Result<Vec<Table>>, opened: &Opened, connector: String) -> Result<Ready> {
        let declared = schema?;
        let state = match (&self.request.state, self.request.full_refresh) {
            (Some(state), _) => Some(state.clone()),
            (None, true) => None,
            (None, false) => opened.state.clone(),
        };
        self.record.state_before.clone_from(&state);
        self.observer.event(&Event::Started {
            connection: self.request.connection.clone(),
            connector: connector.clone(),
            destination: self.request.destination.to_string(),
            state: state.clone(),
        });
        self.check_selection(&declared, opened, state.is_some())?;
        self.check_history(&declared, opened)?;
        let settings = Settings {
            selection: self.request.selection.clone(),
            history: self.request.history.clone(),
            limits: self.request.limits.clone(),
            time: self.request.timestamps,
            sample_records: self.request.sample_records,
            contract: self.request.contract,
            names: NameRules { bytes_max: opened.name_bytes_max, reserved: opened.columns_reserved },
            texts: TextRules { nul_fits: opened.nul_fits, any_json_fits: opened.any_json_fits },
            records: self.request.records,
            sync: self.record.id.clone(),
        };
        let tables = Tables::new(declared, opened.tables.clone(), &opened.empty, settings)?;
        Ok(Ready { tables, state, connector })
    }

    fn check_selection(&self, declared: &[Table], opened: &Opened, resumes: bool) -> Result<()> {
        let Selection::Tables(selected) = &self.request.selection else { return Ok(()) };
        for name in selected {
            if declared.iter().all(|table| table.name != *name) {
                return Err(table_unknown("select", name, declared));
            }
            // The state is past the rows that this table missed.
            if resumes && opened.tables.iter().all(|table| table.source_name != *name) {
                let message = format!(
                    "table \"{name}\" is newly selected, and this sync goes on from a state of others: run once with --full-refresh to fetch all of it"
                );
                self.observer.event(&Event::Notice { level: LogLevel::Warning, message });
            }
        }
        Ok(())
    }

    fn check_history(&self, declared: &[Table], opened: &Opened) -> Result<()> {
        if let Selection::Tables(names) = &self.request.history {
            let known = |name: &str| {
                let mut sources = opened.tables.iter().map(|table| &table.source_name);
                declared.iter().any(|table| table.name == name) || sources.any(|source| source == name)
            };
            if let Some(name) = names.iter().find(|name| !known(name)) {
                return Err(table_unknown("keep the history of", name, declared));
            }
        }
        let keeps = opened.tables.iter().find(|table| table.history).map(|table| &table.source_name);
        if self.request.deletes == Deletes::Soft || (self.request.history == Selection::none() && keeps.is_none()) {
            return Ok(());
        }
        let which = keeps.map_or_else(String::new, |name| format!(": table \"{name}\" keeps its history"));
        let message = format!("remove deleted rows from a connection whose tables keep their history{which}");
        Err(Error::new(Code::Usage, message).hint(
            "A history holds the rows that are gone. Leave --deletes at soft, and take the rows of now WHERE _active. Tables \
             whose deleted rows must go belong into another connection (--connection NAME).",
        ))
    }

    async fn drive(
        &self,
        ready: Ready,
        destination: Box<dyn Destination>,
        opened: Opened,
        (grants, stop): (Grants, watch::Receiver<Option<Stop>>),
    ) -> Result<Done> {
        let (observer, progress) = (Arc::clone(&self.observer), Arc::clone(&self.progress));
        let start = writer::Start {
            destination,
            tables: opened.tables.clone(),
            sequence: opened.sequence,
            state: opened.state,
            observer,
            progress,
        };
        let (writer, work) = Writer::start(start)?;
        let state = ready.state.clone();
        let decoder = Decoder {
            tables: ready.tables,
            writer: work,
            observer: Arc::clone(&self.observer),
            progress: Arc::clone(&self.progress),
            connector: ready.connector,
            sync: self.record.clone(),
            state: ready.state,
            rows_left: self.request.limit_rows.unwrap_or(u64::MAX),
            policy: self.request.commits,
            totals: Vec::new(),
            flow: Flow::new(self.begun),
        };
        let (full, ahead) = (self.request.commits.full(), self.request.commits.ahead());
        let (operations, received) = sandbox::operations(Lead { channel_bytes: CHANNEL_BYTES, full, ahead });
        let ending = Arc::new(OnceLock::new());
        let (told, runtime) = (Arc::clone(&ending), tokio::runtime::Handle::current());
        let decoding = tokio::task::spawn_blocking(move || {
            decoder.run(received, &runtime, &|| told.get().copied().unwrap_or(Ending::Aborted))
        });
        let update = self.update(&grants, state.as_deref(), operations, (stop, &ending));
        let updated = update.instrument(info_span!("update")).await;
        let left = decoding.await.map_err(|error| bug("decode rows", error))?;
        let (secrets, known) = (self.secrets.clone(), opened.tables);
        let conclude = move || conclude(writer, left, updated, (known, secrets));
        tokio::task::spawn_blocking(conclude).await.map_err(|error| bug("finish the sync", error))?
    }

    /// Runs the connector until it ends, is stopped, or its rows are no longer taken.
    async fn update(
        &self,
        grants: &Grants,
        state: Option<&str>,
        operations: OperationSender,
        (stop, ending): (watch::Receiver<Option<Stop>>, &OnceLock<Ending>),
    ) -> Result<()> {
        let not_taken = operations.watch();
        // Keeps the channel open until the ending is set: the decoder asks for it as soon as the channel is closed.
        let _open = operations.clone();
        // Boxed: it is large, and would be moved along with all that waits for it.
        let update = Box::pin(self.request.component.update(grants, state, &self.request.selection, operations));
        let wall_max = self.request.limits.wall_max;
        // What is over is told while the requests are still under way: the other branches are dropped before a branch's end.
        let stopped = async { grants.meter.end(stopped(stop).await) };
        let late = async {
            tokio::time::sleep(wall_max).await;
            let error = Error::new(Code::LimitTime, format!("finish within {wall_max:?} (limit wall)"));
            grants.meter.end(error.hint(format!("{AGAIN} Or raise the limit with --limit wall=…")))
        };
        tokio::select! {
            biased;
            stopped = stopped => Err(stopped),
            result = update => {
                if result.is_ok() {
                    let _ = ending.set(Ending::Finished);
                }
                result
            }
            () = not_taken => Err(Error::new(Code::Interrupted, "go on: rows are no longer taken")),
            late = late => Err(late),
        }
    }

    fn report(self, done: Result<Done>) -> Report {
        let secrets = self.secrets.clone();
        let mut report = self.whole_report(done);
        redacting::redact_report(&secrets, &mut report);
        report
    }

    fn whole_report(self, done: Result<Done>) -> Report {
        let mut report = Report {
            id: self.record.id,
            connection: self.request.connection,
            connector: self.request.component.name(),
            outcome: Outcome::Succeeded,
            tables: Vec::new(),
            requests: self.progress.meter.requests(),
            retries: self.progress.meter.retries(),
            response_bytes: self.progress.meter.response_bytes(),
            checkpoints: self.progress.checkpoints.load(Ordering::Relaxed),
            commits: self.progress.commits.load(Ordering::Relaxed),
            duration: self.begun.elapsed(),
            first_row_after: None,
            committed_after: None,
            guest_memory_peak_bytes: self.progress.guest_memory_bytes.load(Ordering::Relaxed),
            destination_memory_bytes: None,
            state_before: self.record.state_before.clone(),
            state_after: self.state_durable,
            without_operations: Vec::new(),
            notes: Vec::new(),
            samples: Vec::new(),
        };
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                report.outcome = Outcome::Failed(error);
                return report;
            }
        };
        report.tables = table_reports(&done);
        report.notes = done.decoded.tables.notes().to_vec();
        report.samples = samples(&done.decoded.tables);
        report.first_row_after = done.decoded.first_row;
        report.committed_after = done.written.committed_at.map(|at| at.saturating_duration_since(self.begun));
        report.destination_memory_bytes = done.destination_memory_bytes;
        report.state_after = done.written.state;
        report.outcome = match done.ending {
            Ok(Ending::LimitRows) => Outcome::LimitRows,
            Ok(Ending::Finished | Ending::Aborted) => {
                report.without_operations = done.decoded.tables.without_operations();
                Outcome::Succeeded
            }
            Err(error) => Outcome::Failed(error),
        };
        report
    }
}

/// What to do after a sync that ended early.
const AGAIN: &str = "Run again: the sync goes on from the last checkpoint.";

/// Waits until the sync is asked to stop, if ever.
async fn stopped(mut stop: watch::Receiver<Option<Stop>>) -> Error {
    let error = match stop.wait_for(Option::is_some).await.map(|stop| *stop) {
        Ok(Some(Stop::Interrupt)) => Error::new(Code::Interrupted, "finish: the sync was interrupted"),
        Ok(Some(Stop::Terminate)) => Error::new(Code::Terminated, "finish: the sync was terminated"),
        Ok(Some(Stop::Quota)) => Error::new(Code::LimitQuota, "finish: the tenant has used up its quota for today"),
        _ => std::future::pending().await,
    };
    error.hint(AGAIN)
}

/// A call of the connector, given up when the sync is asked to stop.
async fn unless_stopped<T>(stop: &watch::Receiver<Option<Stop>>, call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        stopped = stopped(stop.clone()) => Err(stopped),
        result = call => result,
    }
}

/// `what` completes "failed to … table".
fn table_unknown(what: &str, name: &str, declared: &[Table]) -> Error {
    let names: Vec<&str> = declared.iter().map(|table| table.name.as_str()).collect();
    let message = format!("{what} table \"{name}\": the connector has no such table");
    Error::new(Code::TableUnknown, message).hint(format!("It has: {}.", names.join(", ")))
}

/// The record of a sync that did not succeed.
fn failed(record: &SyncRecord, error: &Error) -> SyncRecord {
    let outcome = if matches!(error.fault(), Fault::Signal(_)) { "interrupted" } else { "failed" };
    ended(record, outcome, Some(error))
}

fn bug(what: &str, error: tokio::task::JoinError) -> Error {
    Error::new(Code::HostBug, what).because(error)
}

/// Rows were discarded as those of a failed sync are, and yet the connector succeeded.
fn lost() -> Error {
    Error::new(Code::HostBug, "commit the rows after the last checkpoint")
}

/// Waits for the writer and puts the results of guest, decoder and writer together: the first cause counts.
fn conclude(
    writer: Writer,
    mut decoded: Decoded,
    updated: Result<()>,
    (known, secrets): (Vec<TableSchema>, Secrets),
) -> Result<Done> {
    let mut written = writer.join()?;
    let result = std::mem::replace(&mut decoded.result, Ok(Ending::Aborted));
    let ending = match (written.failed.take(), result) {
        (Some(error), _) | (None, Err(error)) => Err(error),
        (None, Ok(Ending::LimitRows)) => Ok(Ending::LimitRows),
        (None, Ok(Ending::Aborted)) => updated.and_then(|()| Err(lost())),
        (None, Ok(Ending::Finished)) => updated.map(|()| Ending::Finished),
    };
    let ending = ending.map_err(|error| secrets.redact_error(error));
    let record = match &ending {
        Ok(_) => decoded.sync.clone(),
        Err(error) => SyncRecord { state_after: written.state.clone(), ..failed(&decoded.sync, error) },
    };
    let (rows_now, ending) = match written.destination.finish(&record) {
        Ok(rows_now) => (rows_now, ending),
        Err(error) => (Vec::new(), ending.and(Err(error))),
    };
    let destination_memory_bytes = written.destination.memory_bytes();
    // Closing belongs to the sync's time: engines write what they still hold.
    written.destination = warehouse::closed();
    Ok(Done { decoded, written, rows_now, known, destination_memory_bytes, ending })
}

fn table_reports(done: &Done) -> Vec<TableReport> {
    let tables = &done.written.tables;
    let mut reports: Vec<TableReport> = tables
        .iter()
        .enumerate()
        .map(|(index, table)| {
            let counts = done.written.totals.get(index).copied().unwrap_or_default();
            let Counts { upserted, updated, deleted, truncated, rejected } = counts;
            let versions = done.written.versions.get(index).copied().unwrap_or_default();
            TableReport {
                table: table.name.clone(),
                upserted,
                updated,
                deleted,
                truncated,
                rejected,
                ignored: done.written.ignored.get(index).copied().unwrap_or(0),
                swept: done.written.swept.get(index).copied().unwrap_or(0),
                history: table.history,
                versions_begun: versions.begun,
                versions_ended: versions.ended,
                repeated_keys: done.decoded.tables.repeated(index),
                rows_now: done.rows_now.get(index).copied().unwrap_or(0),
                ..TableReport::default()
            }
        })
        .collect();
    for change in changes(&done.known, tables) {
        match change {
            SchemaChange::NewTable { table } => {
                reports[table].is_new = true;
                let columns = tables[table].columns.iter();
                let columns = columns.map(|column| (column.name.clone(), column.column_type.data_type().to_string()));
                reports[table].new_columns.extend(columns);
            }
            SchemaChange::NewColumn { table, column } => {
                let column = &tables[table].columns[column];
                let data_type = column.column_type.data_type().to_string();
                reports[table].new_columns.push((column.name.clone(), data_type));
            }
            SchemaChange::Widened { table, column, from, to } => {
                let (from, to) = (from.data_type().to_string(), to.data_type().to_string());
                if from != to {
                    let name = tables[table].columns[column].name.clone();
                    reports[table].widened_columns.push((name, from, to));
                }
            }
            SchemaChange::HistoryBegun { table } => reports[table].history_is_new = true,
        }
    }
    let touched = |report: &TableReport| {
        let operations = report.upserted + report.updated + report.deleted + report.truncated + report.rejected;
        operations + report.swept > 0 || report.history_is_new
    };
    let told = reports.into_iter().zip(tables).filter(|(report, table)| touched(report) && !table.is_rejected());
    told.map(|(report, _)| report).collect()
}

fn samples(tables: &Tables) -> Vec<Sample> {
    let described = tables.schemas().iter().enumerate().map(|(index, schema)| Sample {
        table: schema.name.clone(),
        primary_key: schema.key.iter().map(|column| schema.columns[*column].name.clone()).collect(),
        columns: schema
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.column_type.data_type().to_string()))
            .collect(),
        records: tables.samples(index).to_vec(),
    });
    described.filter(|sample| !sample.records.is_empty()).collect()
}
