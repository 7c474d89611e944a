//! `host run`: one sync of a connector into the destination.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::json_lines::JsonLines;
use super::log_file::LogFile;
use super::progress::{Display, Everyone};
use super::recording::Tape;
use super::report::{self, Setting};
use super::screen::Screen;
use super::{load, recording, text};
use crate::options::{self, ConnectorOptions, DestinationOptions};
use model::error::{Code, Error, Result};
use model::schema::{self, SchemaContract};
use model::{RecordRules, Selection};
use proof::recording::Replay;
use sandbox::Pacing;
use server::audit_log::Audit;
use stream::{CommitPolicy, Event, LogLevel, Observer, Outcome, Progress, Report, Request, Stop};
use warehouse::{DestinationUrl, ShrinkMax};

/// What can be typed after `host run`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option without a value")]
pub(super) struct Arguments {
    /// The connector: a WebAssembly component
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
    #[command(flatten)]
    connector: ConnectorOptions,
    #[command(flatten)]
    recording: recording::Options,
    #[command(flatten)]
    destination: DestinationOptions,
    /// The connection's name, which is its schema in the warehouse (default: the connector's name)
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Syncs this table only (repeatable)
    #[arg(long = "table", value_name = "NAME")]
    tables: Vec<String>,
    /// Starts this sync from the state in FILE instead of the destination's
    #[arg(long, value_name = "FILE", conflicts_with = "full_refresh")]
    state: Option<PathBuf>,
    /// Starts without a state, so that everything is fetched again; rows that do not come back are deleted at the end
    #[arg(long)]
    full_refresh: bool,
    /// What becomes of rows that the source deleted
    #[arg(long, value_enum, default_value_t = Deletes::Soft, value_name = "HOW")]
    deletes: Deletes,
    /// How much of a table a truncate or a full refresh may delete, in percent of its rows; 100 lets it be emptied (default: any
    /// part of it, but not all). More ends the sync before the commit
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    shrink_max: Option<u8>,
    /// Keeps every version of this table's rows from now on, '*' for every table (repeatable; see docs/guides/history.md). The
    /// warehouse remembers it: leaving it out later changes nothing
    #[arg(long, value_name = "TABLE")]
    history: Vec<String>,
    /// Stops after about N rows; they are loaded, and the next sync goes on from the last checkpoint
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_rows: Option<u64>,
    /// The commit interval: no more than about N rows are fetched again after a crash. Commits at the first checkpoint after
    /// five sixths of N rows, 32 MiB or 5 s
    #[arg(long, value_name = "N", default_value_t = CommitPolicy::default().rows, value_parser = clap::value_parser!(u64).range(1..))]
    commit_rows: u64,
    /// Which changes of the source the tables follow (repeatable, or separated by commas)
    #[arg(long, value_enum, value_delimiter = ',', default_value = "allow", value_name = "WHAT")]
    schema_change: Vec<SchemaChange>,
    /// What becomes of a value that does not fit a column of a fixed type
    #[arg(long, value_enum, default_value_t = OnMismatch::Fail, value_name = "HOW")]
    on_mismatch: OnMismatch,
    /// What becomes of a record that cannot be taken (see docs/guides/bad-records.md)
    #[arg(long, value_enum, default_value_t = OnBadRecord::Fail, value_name = "HOW")]
    on_bad_record: OnBadRecord,
    /// What becomes of a text that the destination cannot hold: half a surrogate pair, NUL in some
    #[arg(long, value_enum, default_value_t = OnUnstorable::Fail, value_name = "HOW")]
    on_unstorable: OnUnstorable,
    /// How many records are set aside in one sync; one more ends it
    #[arg(long, value_name = "N", default_value_t = model::REJECTED_MAX)]
    rejected_max: u64,
    /// What becomes of texts that look like dates and timestamps
    #[arg(long, value_enum, default_value_t = Timestamps::Infer, value_name = "HOW")]
    timestamps: Timestamps,
    /// Writes nothing: prints the first records of every table and the types inferred from them
    #[arg(long, help_heading = "Output")]
    dry_run: bool,
    /// Prints events on stdout (stderr if rows go there), one JSON object a line (docs/formats/events.md), instead of words
    /// for people
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Shows every line of the connector's log, the fine ones too, and changes of the schema as they come
    #[arg(short, long, help_heading = "Output")]
    verbose: bool,
    /// Appends everything that happens to FILE, fine log lines included
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    log_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Timestamps {
    /// Columns of instants, timestamps and dates, as long as every value has one and the same format
    Infer,
    /// They stay text
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaChange {
    /// New columns are added, types widen
    Allow,
    /// Fields without a column are left out and noted
    FreezeColumns,
    /// Types stay: a value of another type is a mismatch
    FreezeTypes,
    /// Any change ends the sync
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnMismatch {
    /// It ends the sync, naming table, column, record and value
    Fail,
    /// The declared type is given up, and the column widens
    Widen,
    /// NULL is stored instead, and noted
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnBadRecord {
    /// It ends the sync; everything up to the last checkpoint is durable
    Fail,
    /// It is set aside in the table _rejected, and the sync goes on
    Quarantine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnUnstorable {
    /// Its record is a bad one
    Fail,
    /// U+FFFD stands in the place of each character, and that is noted
    Replace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Deletes {
    /// They stay, marked by the column _deleted
    Soft,
    /// They are removed from the table
    Hard,
}

impl From<Deletes> for warehouse::Deletes {
    fn from(deletes: Deletes) -> Self {
        match deletes {
            Deletes::Soft => Self::Soft,
            Deletes::Hard => Self::Hard,
        }
    }
}

/// A share in percent, with or without its sign.
fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<u8>().ok().filter(|percent| *percent <= 100);
    number.ok_or_else(|| "a share is a whole number from 0 to 100, such as 20 or 20%".to_owned())
}

/// A trial run stops after this many rows unless told otherwise.
const DRY_RUN_ROWS: u64 = 1_000;
/// Records of each table that a trial run shows.
const DRY_RUN_RECORDS: usize = 5;

/// Syncs, prints the report, returns the exit status.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> u8 {
    let log = match arguments.log_file.as_deref().map(LogFile::open).transpose() {
        Ok(log) => log.map(Arc::new),
        Err(error) => return arguments.end(&Report::not_begun(error), false, None, *screen),
    };
    let tape = match arguments.recording.open(*screen) {
        Ok(tape) => tape,
        Err(error) => return arguments.end(&Report::not_begun(error), false, None, *screen),
    };
    let (report, began) =
        begin(arguments, &tape, log.clone(), *screen).unwrap_or_else(|error| (Report::not_begun(error), false));
    let status = arguments.end(&report, began, log.as_deref(), *screen);
    tape.conclude(status, *screen)
}

/// Loads the connector and syncs; also says whether the sync got as far as to begin.
fn begin(arguments: &Arguments, tape: &Tape, log: Option<Arc<LogFile>>, screen: Screen) -> Result<(Report, bool)> {
    let sandbox = arguments.connector.in_force()?;
    let destination = if arguments.dry_run { DestinationUrl::Null } else { arguments.destination.in_force()? };
    let state =
        arguments.state.as_deref().map(|path| options::state(path, sandbox.limits.state_bytes_max)).transpose()?;
    let component = Arc::new(load::component(&arguments.component, &sandbox.limits, screen)?);
    load::block_on(async {
        let described = component.describe(&sandbox.limits).await?;
        let connection = model::connection_name(arguments.connection.as_deref(), &described.name)?;
        let (configuration, unknown) = match tape.replay() {
            // A field that is new since then has its default.
            Some(replay) => (replay.recorded_configuration().clone().prepare(&described.fields)?.0, Vec::new()),
            None => sandbox.configuration.prepare(&described.fields)?,
        };
        let mut request = Request {
            id: stream::new_id(),
            component: Arc::clone(&component),
            configuration,
            connection,
            destination: Arc::new(destination),
            selection: arguments.selection(),
            full_refresh: arguments.full_refresh,
            state,
            deletes: arguments.deletes.into(),
            shrink_max: arguments.shrink_max.and_then(ShrinkMax::percent).unwrap_or_default(),
            history: arguments.history(),
            limit_rows: arguments.limit_rows.or(arguments.dry_run.then_some(DRY_RUN_ROWS)),
            timestamps: arguments.timestamps == Timestamps::Infer,
            commits: CommitPolicy { rows: arguments.commit_rows, ..CommitPolicy::default() },
            contract: arguments.contract()?,
            records: arguments.records(),
            sample_records: if arguments.dry_run { DRY_RUN_RECORDS } else { 0 },
            limits: sandbox.limits,
            allow: sandbox.allow,
            pacing: Pacing::default(),
            secrets: sandbox.secrets,
            world: tape.world(),
        };
        let audit_log = sandbox.audit_log;
        let audit = audit_log.map(|path| Audit::open(&path, &request.connection)).transpose()?;
        let logs = log.map(|log| -> Arc<dyn Observer> { log }).into_iter();
        let logs = logs.chain(audit.map(|audit| -> Arc<dyn Observer> { Arc::new(audit) })).collect();
        if let Some(replay) = tape.replay() {
            as_recorded(&mut request, replay, arguments.connection.is_none());
        }
        Box::pin(sync(request, &unknown, arguments, logs, screen)).await
    })?
}

/// Asks for the sync that was recorded. It begins from that sync's state, so it must not meet the connection's own tables.
fn as_recorded(request: &mut Request, replay: &Replay, by_default: bool) {
    if by_default {
        request.connection.push_str("_replay");
    }
    request.state = replay.state().map(ToOwned::to_owned);
    request.full_refresh = request.state.is_none();
    request.selection = replay.selection().clone();
}

/// Runs the sync with everyone watching who wants to.
async fn sync(
    request: Request,
    unknown: &[String],
    arguments: &Arguments,
    logs: Vec<Arc<dyn Observer>>,
    screen: Screen,
) -> Result<(Report, bool)> {
    let progress = Arc::new(Progress::default());
    let display = Arc::new(Display::new(screen, arguments.verbose, Arc::clone(&progress)));
    let mut observers: Vec<Arc<dyn Observer>> = vec![];
    if arguments.json {
        observers.push(Arc::new(arguments.json_lines(screen)));
    } else {
        observers.push(Arc::<Display>::clone(&display));
    }
    observers.extend(logs);
    let observer = Arc::new(Everyone::new(observers));
    for field in unknown {
        observer.event(&Event::Notice { level: LogLevel::Warning, message: load::unknown_field(field) });
    }
    let stop = stop_on_signals(Arc::clone(&display))?;
    let drawing = if arguments.json { None } else { display.draw() };
    // On the heap: it holds all that a sync is made of.
    let report = Box::pin(stream::run(request, Arc::<Everyone>::clone(&observer), progress, stop)).await;
    drop(drawing);
    display.conclude();
    Ok((report, observer.began()))
}

/// The first SIGINT or SIGTERM asks the sync to end, the second ends the process at once.
fn stop_on_signals(display: Arc<Display>) -> Result<watch::Receiver<Option<Stop>>> {
    let listen = |kind| signal(kind).map_err(|error| Error::new(Code::HostBug, "listen for signals").because(error));
    let (mut interrupts, mut terminations) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let (stop, stopped) = watch::channel(None);
    tokio::spawn(async move {
        loop {
            let asked = tokio::select! {
                _ = interrupts.recv() => Stop::Interrupt,
                _ = terminations.recv() => Stop::Terminate,
            };
            if stop.send_replace(Some(asked)).is_some() {
                let code = if asked == Stop::Interrupt { Code::Interrupted } else { Code::Terminated };
                std::process::exit(i32::from(code.fault().exit_status()));
            }
            display.tell("stopping: what is complete is being committed (once more ends at once)");
        }
    });
    Ok(stopped)
}

impl Arguments {
    fn selection(&self) -> Selection {
        if self.tables.is_empty() { Selection::All } else { Selection::Tables(self.tables.clone()) }
    }

    fn history(&self) -> Selection {
        if self.history.iter().any(|name| name == "*") {
            Selection::All
        } else {
            Selection::Tables(self.history.clone())
        }
    }

    fn json_lines(&self, screen: Screen) -> JsonLines {
        let beside_rows = !self.dry_run && matches!(self.destination.in_force(), Ok(DestinationUrl::JsonLines));
        JsonLines { screen, beside_rows }
    }

    fn records(&self) -> RecordRules {
        RecordRules {
            on_bad_record: match self.on_bad_record {
                OnBadRecord::Fail => model::OnBadRecord::Fail,
                OnBadRecord::Quarantine => model::OnBadRecord::Quarantine,
            },
            on_unstorable: match self.on_unstorable {
                OnUnstorable::Fail => model::OnUnstorable::Fail,
                OnUnstorable::Replace => model::OnUnstorable::Replace,
            },
            rejected_max: self.rejected_max,
        }
    }

    fn contract(&self) -> Result<SchemaContract> {
        let has = |change| self.schema_change.contains(&change);
        let contract = SchemaContract {
            freeze_columns: has(SchemaChange::FreezeColumns),
            freeze_types: has(SchemaChange::FreezeTypes),
            fail: has(SchemaChange::Fail),
            on_mismatch: match self.on_mismatch {
                OnMismatch::Fail => schema::OnMismatch::Fail,
                OnMismatch::Widen => schema::OnMismatch::Widen,
                OnMismatch::Null => schema::OnMismatch::Null,
            },
        };
        if self.on_mismatch == OnMismatch::Widen && (contract.freeze_types || contract.fail) {
            return Err(Error::new(Code::Usage, "widen columns whose types --schema-change keeps as they are")
                .hint("Use --on-mismatch null or fail with it, or leave --schema-change at allow."));
        }
        Ok(contract)
    }

    /// Prints the report, for people or for programs, and returns the exit status.
    fn end(&self, report: &Report, began: bool, log: Option<&LogFile>, screen: Screen) -> u8 {
        let destination = if self.dry_run { "null:".to_owned() } else { self.destination.text() };
        let setting = Setting {
            destination: &destination,
            destination_flag: &self.destination.flag(),
            dry_run: self.dry_run,
            state_given: self.full_refresh || self.state.is_some(),
            paint: screen.paint,
            room: screen.room_for_people,
        };
        let page = |setting: &Setting<'_>| match &report.outcome {
            Outcome::Failed(error) if !began => report::failure(error, setting.paint),
            _ => report::summary(report, setting),
        };
        if let Some(log) = log {
            log.lines(&page(&Setting { paint: text::Paint { colours: false }, room: text::Room::Endless, ..setting }));
        }
        let printed = if self.json {
            let lines = self.json_lines(screen);
            if let (Outcome::Failed(error), false) = (&report.outcome, lines.beside_rows) {
                screen.people(&report::failure(error, screen.paint));
            }
            lines.put(&stream::lines::report(report, &destination, &stream::lines::now()))
        } else {
            screen.people(&page(&setting));
            screen.data(&report::samples(&report.samples, screen.room_for_data)).map(|_closed| ())
        };
        match (&report.outcome, printed) {
            (Outcome::Failed(error), _) => error.fault().exit_status(),
            (_, Err(error)) => {
                screen.people(&report::failure(&error, screen.paint));
                error.fault().exit_status()
            }
            _ => 0,
        }
    }
}
