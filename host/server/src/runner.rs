//! Runs one sync of a connection: from its row in the store to its end in the store. Whatever goes wrong, a panic of the
//! host's own code included, ends this sync alone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use super::Server;
use super::live::Live;
use super::metrics;
use super::place;
use super::schedule::{self, Ended, Schedule};
use super::scheduler::Running;
use super::settings;
use super::store::connections;
use super::store::sealed::Detail;
use super::store::syncs::{self, Begun, End, Waiting};
use super::time;
use super::types::{Quotas, SyncError, SyncOutcome};
use crate::audit_log::Audit;
use model::LogLevel;
use model::error::{Code, Error, Fault, Result};
use sandbox::Exchange;
use stream::{Event, Observer, Outcome, Report, Request, Stop, lines};

/// How often a running sync's use of its tenant's quotas is looked at.
const QUOTA_LOOK: Duration = Duration::from_millis(500);
/// How long the end of a sync waits for a store that cannot be written.
const STORE_PATIENCE: Duration = Duration::from_mins(10);
const STORE_AGAIN: Duration = Duration::from_secs(2);

/// Runs a sync whose turn it is; returns how long it took.
pub(super) async fn run(server: &Arc<Server>, waiting: &Waiting, running: &Arc<Running>) -> Duration {
    let Waiting { id, tenant, connection, .. } = waiting;
    let span = info_span!(
        "sync",
        elt.sync = id,
        elt.tenant = tenant,
        elt.connection = connection,
        elt.outcome = Empty,
        elt.rows = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
    );
    run_one(server, waiting, running).instrument(span).await
}

async fn run_one(server: &Arc<Server>, waiting: &Waiting, running: &Arc<Running>) -> Duration {
    let start = Instant::now();
    let (id, now_us) = (waiting.id.clone(), time::now_us());
    let begun = match server.store.note(move |session| syncs::begin(session, &id, now_us)).await {
        Ok(Some(begun)) => begun,
        // It was cancelled, or its connection deleted, at the last moment.
        Ok(None) => return start.elapsed(),
        Err(error) => {
            tracing::error!(sync = waiting.id, "{}", error.chain());
            return start.elapsed();
        }
    };
    let waited = u64::try_from(now_us.saturating_sub(waiting.queued_at_us)).unwrap_or(0);
    server.metrics.begun(Duration::from_micros(waited));
    let begun = Arc::new(begun);
    let (host, sync, given, alive) = (Arc::clone(server), waiting.clone(), Arc::clone(&begun), Arc::clone(running));
    // A task of its own: if it panics, the panic is this sync's end.
    let attempt = tokio::spawn(async move { attempt(&host, &sync, &given, &alive).await }.in_current_span());
    let result = watched(server, (waiting, &begun), running, attempt).await;
    let end = ended(server, &begun, running, (result, start.elapsed()));
    tell_span(&end);
    note_end(server, waiting, end).await;
    start.elapsed()
}

/// What the sync's span says about its end.
fn tell_span(end: &End) {
    let span = Span::current();
    span.record("elt.outcome", syncs::outcome_text(end.outcome));
    span.record("elt.rows", end.rows);
    if let Some(code) = &end.error_code {
        span.record("error.type", code);
        span.record("otel.status_code", "ERROR");
    }
}

/// Waits for a sync's end, notes that its full refresh is under way, and stops it when its tenant is over a quota.
async fn watched(
    server: &Server,
    (waiting, begun): (&Waiting, &Begun),
    running: &Running,
    mut attempt: JoinHandle<Result<Report>>,
) -> Result<Report> {
    let mut look = tokio::time::interval(QUOTA_LOOK);
    let mut is_refresh_due = begun.full_refresh;
    loop {
        tokio::select! {
            joined = &mut attempt => {
                let panicked = |error| Error::new(Code::HostBug, "go on: the sync panicked").because(error);
                return joined.map_err(panicked)?;
            }
            _ = look.tick() => {
                if is_refresh_due && has_committed(running) {
                    let Waiting { tenant, connection, .. } = waiting.clone();
                    let noted = server.store.note(move |session| connections::refreshed(session, &tenant, &connection));
                    // What cannot be noted is tried again; at worst a refresh begins anew.
                    is_refresh_due = noted.await.is_err();
                }
                if is_over_quota(server, begun, &running.tenant) {
                    running.stop.send_if_modified(|stop| stop.replace(Stop::Quota).is_none());
                }
            }
        }
    }
}

/// Whether something of a sync is durable: a full refresh is then under way in the destination.
fn has_committed(running: &Running) -> bool {
    running.live.progress.commits.load(Ordering::Relaxed) > 0
}

/// The sync itself: a report if it came so far, otherwise what kept it from beginning.
async fn attempt(server: &Arc<Server>, waiting: &Waiting, begun: &Begun, running: &Running) -> Result<Report> {
    check_quotas(server, &waiting.tenant, begun)?;
    let request = prepare(server, waiting, begun, running).await?;
    let (live, stop) = (Arc::clone(&running.live), running.stop.subscribe());
    let progress = Arc::clone(&live.progress);
    let audit = server.audit(&waiting.tenant, &waiting.connection, Some(&waiting.id));
    let observer: Arc<dyn Observer> = match audit {
        Some(audit) => Arc::new(Audited { live, audit }),
        None => live,
    };
    Ok(Box::pin(stream::run(request, observer, progress, stop)).await)
}

/// A sync whose connector's requests are written down.
struct Audited {
    live: Arc<Live>,
    audit: Audit,
}

impl Observer for Audited {
    fn event(&self, event: &Event) {
        self.live.event(event);
    }

    fn exchanged(&self, exchange: &Exchange) {
        self.audit.exchange(exchange);
    }
}

/// Everything that a sync is given, checked again: the operator may have changed what is allowed since.
async fn prepare(server: &Server, waiting: &Waiting, begun: &Begun, running: &Running) -> Result<Request> {
    let connection = &begun.connection.settings;
    if connection.destination != waiting.destination {
        // Another sync may write the file that is meant now: only the queue knows.
        return Err(Error::new(Code::Conflict, "begin: the destination was changed while the sync waited")
            .hint("It is due again in a moment."));
    }
    let folder = server.folder_of(&waiting.tenant);
    let destination = place::allowed(&connection.destination, &begun.tenant.destinations, &folder)?;
    let limits = settings::limits(connection, &begun.tenant)?;
    let digest = connection.digest.as_deref().unwrap_or_default();
    let component = server.components.get(digest).instrument(info_span!("load")).await?;
    let description = component.describe(&limits).await?;
    let given = model::Configuration(connection.configuration.clone());
    let (configuration, unknown) = given.prepare(&description.fields)?;
    for field in unknown {
        let message = format!("the connector does not know the configuration field \"{field}\"; it is ignored");
        running.live.event(&Event::Notice { level: LogLevel::Warning, message });
    }
    let quota = begun.tenant.quotas.requests_per_second;
    let pacing = server.broker.pacing(&waiting.tenant, description, &configuration, quota);
    Ok(Request {
        id: waiting.id.clone(),
        component: Arc::clone(&component),
        configuration,
        connection: waiting.connection.clone(),
        destination: (server.destinations)(destination),
        selection: settings::selection(connection),
        full_refresh: begun.full_refresh,
        state: None,
        deletes: settings::deletes(connection),
        shrink_max: settings::shrink_max(connection)?,
        history: settings::history(connection),
        limit_rows: None,
        timestamps: settings::timestamps(connection),
        commits: stream::CommitPolicy::default(),
        contract: settings::contract(connection)?,
        records: settings::records(connection),
        sample_records: 0,
        limits,
        allow: settings::allow(&begun.tenant),
        pacing,
        world: None,
        secrets: settings::secrets(connection, Some(&begun.connection.token_key)),
    })
}

fn check_quotas(server: &Server, tenant: &str, begun: &Begun) -> Result<()> {
    let Quotas { cpu_seconds_per_day, rows_per_day, disk_bytes, .. } = begun.tenant.quotas;
    let used_up = |what: String| {
        Err(Error::new(Code::LimitQuota, format!("begin: the tenant {tenant} has used up its quota of {what}"))
            .hint("It begins anew at midnight UTC; the operator can raise it."))
    };
    // Who has no quota of a day is not counted: that takes longer, the more syncs run.
    let counted = cpu_seconds_per_day.is_some() || rows_per_day.is_some();
    let (cpu_us, rows) = if counted { server.scheduler.used(tenant, begun.used) } else { (0, 0) };
    if let Some(seconds) = cpu_seconds_per_day.filter(|seconds| cpu_us >= seconds.saturating_mul(1_000_000)) {
        return used_up(format!("{seconds} s of processor time a day"));
    }
    if let Some(most) = rows_per_day.filter(|most| rows >= *most) {
        return used_up(format!("{most} rows a day"));
    }
    let Some(most) = disk_bytes else { return Ok(()) };
    let held = bytes_in(&server.folder_of(tenant));
    if held < most {
        return Ok(());
    }
    Err(Error::new(
        Code::LimitQuota,
        format!("begin: the files of the tenant {tenant} have {held} bytes, its quota is {most}"),
    )
    .hint("Delete rows or files, or let the operator raise the quota."))
}

/// Whether a tenant is over a quota of the day, with all that its running syncs have used by now.
fn is_over_quota(server: &Server, begun: &Begun, tenant: &str) -> bool {
    let Quotas { cpu_seconds_per_day, rows_per_day, .. } = begun.tenant.quotas;
    if cpu_seconds_per_day.is_none() && rows_per_day.is_none() {
        return false;
    }
    let (cpu_us, rows) = server.scheduler.used(tenant, begun.used);
    cpu_seconds_per_day.is_some_and(|seconds| cpu_us > seconds.saturating_mul(1_000_000))
        || rows_per_day.is_some_and(|most| rows > most)
}

/// Bytes of all files in a folder and those below it.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_in(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// What becomes of the sync in the store, and what follows it.
fn ended(server: &Server, begun: &Begun, running: &Running, (result, took): (Result<Report>, Duration)) -> End {
    let progress = &running.live.progress;
    let rows = progress.rows_committed.load(Ordering::Relaxed);
    let cpu_us = progress.guest_cpu_us.load(Ordering::Relaxed);
    let error = match &result {
        Ok(Report { outcome: Outcome::Failed(error), .. }) | Err(error) => Some(error),
        Ok(_) => None,
    };
    let outcome = outcome(error, running);
    let follows = match (outcome, error) {
        (SyncOutcome::Interrupted, _) => Ended::Interrupted,
        (SyncOutcome::Failed, Some(error)) if schedule::may_pass(error.code()) => Ended::MayPass,
        _ => Ended::Settled,
    };
    let schedule = begun.connection.settings.schedule.as_ref().and_then(|typed| Schedule::parse(typed).ok());
    let moment = (time::now_us(), fastrand::f64());
    let mut attempts = begun.connection.attempts;
    if follows != Ended::MayPass && rows > 0 {
        attempts = 0;
    }
    server.metrics.ended(
        &running.tenant,
        &metrics::Ended {
            outcome,
            took,
            rows,
            requests: progress.meter.requests(),
            response_bytes: progress.meter.response_bytes(),
            cpu: Duration::from_micros(cpu_us),
        },
    );
    End {
        outcome,
        rows,
        rejected: result.as_ref().map_or(0, |report| report.tables.iter().map(|table| table.rejected).sum()),
        cpu_us,
        error_code: error.map(|error| error.code().to_string()),
        detail: Detail {
            report: result.as_ref().ok().map(|report| report_text(report, running)),
            log: running.live.kept(),
            error: error.map(|error| {
                let error = told(error);
                SyncError { message: running.live.concealed(&error.message), ..error }
            }),
        },
        next: schedule::after(schedule.as_ref(), follows, attempts, moment),
        is_refreshed: begun.full_refresh
            && (has_committed(running) || matches!(outcome, SyncOutcome::Succeeded | SyncOutcome::Cancelled)),
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }
}

fn outcome(error: Option<&Error>, running: &Running) -> SyncOutcome {
    match error {
        None => SyncOutcome::Succeeded,
        Some(error) if matches!(error.fault(), Fault::Signal(_)) => {
            if running.is_cancelled.load(Ordering::Relaxed) {
                SyncOutcome::Cancelled
            } else {
                SyncOutcome::Interrupted
            }
        }
        Some(_) => SyncOutcome::Failed,
    }
}

/// States in a report that are longer than this are left out of what is kept.
const STATE_KEPT_MAX: usize = 64 << 10;

fn report_text(report: &Report, running: &Running) -> String {
    let short = |state: &Option<String>| state.as_ref().is_none_or(|state| state.len() <= STATE_KEPT_MAX);
    let whole = running.live.concealed(&lines::report(report, &running.destination, &lines::now()));
    if short(&report.state_before) && short(&report.state_after) {
        return whole;
    }
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&whole).unwrap_or_default();
    for name in ["state_before", "state_after"] {
        fields.insert(name.to_owned(), "not kept: too long".into());
    }
    serde_json::Value::Object(fields).to_string()
}

/// An error as it is told.
pub(super) fn told(error: &Error) -> SyncError {
    SyncError {
        code: error.code().to_string(),
        fault: error.fault().to_string(),
        message: error.chain(),
        hint: error.advice().map(str::to_owned),
    }
}

/// Writes the end into the store. A store that cannot be written is tried again: what has happened must not be forgotten
/// because the disk was full for a while. In the end the next start of the server finds the sync as interrupted.
async fn note_end(server: &Server, waiting: &Waiting, end: End) {
    let began = Instant::now();
    loop {
        let (waiting, end) = (waiting.clone(), end.clone());
        let noted = server.store.note(move |session| {
            let Waiting { id, tenant, connection, .. } = &waiting;
            syncs::end(session, (id, tenant, connection), &end, time::now_us())
        });
        let Err(error) = noted.await else { return };
        tracing::error!("a sync's end cannot be noted: {}", error.chain());
        if began.elapsed() > STORE_PATIENCE || server.scheduler.is_draining() {
            return;
        }
        tokio::time::sleep(STORE_AGAIN).await;
    }
}
