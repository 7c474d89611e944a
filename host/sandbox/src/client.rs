//! The HTTP client behind the guest's `http` import: it connects, retries, follows redirects, decompresses and counts,
//! so that connectors need not, and so that they cannot do otherwise.
//!
//! ```text
//! Client::send -> task: slot -> attempt (hops: policy, pace, dial) -> retry? -> Response
//! Pending::wait <-------------------------------------------------------------'
//! ```
//!
//! A client belongs to one sync: nothing of it, no connection, cookie or session, is shared with another. What a guest
//! may be told is an [`HttpError`]; what ends its sync (a limit, a fault of the host) is an [`model::error::Error`].

mod attempt;
mod audit;
mod body;
mod budget;
mod dial;
mod error;
mod outgoing;
mod pace;
mod redirect;
mod request;
mod response;
mod retry;
mod settings;
mod stats;
mod wire;

#[cfg(test)]
mod tests;

pub use audit::Exchange;
pub use dial::trusted_tls;
pub(crate) use dial::{Resolver, SystemResolver};
pub(crate) use error::{ErrorKind, Failure, HttpError};
pub use pace::{Pace, Pacing};
pub(crate) use request::{Authentication, Body, Method, Request};
pub(crate) use response::Response;
pub(crate) use retry::Options as RetryOptions;
pub(crate) use settings::{Limits, Settings, Timing};
pub(crate) use stats::Stats;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use self::attempt::Answer;
use self::audit::Audit;
use self::budget::{Budget, Held};
use self::dial::Dialer;
use self::request::Prepared;
use self::retry::{Decision, Moment, Outcome};
use super::egress::Policy;

/// Hears what people may want to know while it happens. Called from several threads; must not block.
pub(crate) trait Watch: Send + Sync + 'static {
    /// A request will be tried again; `reason` is a sentence about why.
    fn retrying(&self, reason: &str, wait: Duration) {
        let _ = (reason, wait);
    }

    /// An exchange has ended.
    fn exchanged(&self, exchange: &Exchange) {
        let _ = exchange;
    }

    /// A request was refused.
    fn denied(&self, reason: &str) {
        let _ = reason;
    }
}

/// Nobody listens.
impl Watch for () {}

/// The HTTP client of one sync. Costs nothing until the first request.
#[derive(Clone)]
pub(crate) struct Client(Arc<Shared>);

/// What all requests of a sync share.
struct Shared {
    policy: Arc<Policy>,
    settings: Settings,
    stats: Arc<Stats>,
    watch: Arc<dyn Watch>,
    budget: Arc<Budget>,
    dialer: Dialer,
    pace: Pace,
    slots: Semaphore,
}

impl Client {
    /// A client that resolves names as the operating system does.
    pub(crate) fn new(policy: Policy, settings: Settings, stats: Arc<Stats>, watch: Arc<dyn Watch>) -> Self {
        Self::with_resolver(policy, settings, stats, watch, Arc::new(SystemResolver))
    }

    /// A client that resolves names as it is told.
    pub(crate) fn with_resolver(
        policy: Policy,
        settings: Settings,
        stats: Arc<Stats>,
        watch: Arc<dyn Watch>,
        resolver: Arc<dyn Resolver>,
    ) -> Self {
        let policy = Arc::new(policy);
        Self(Arc::new(Shared {
            budget: Budget::new(settings.limits.clone()),
            dialer: Dialer::new(Arc::clone(&policy), resolver, settings.timing.clone()),
            pace: settings.pacing.source.clone().unwrap_or_else(|| Pace::new(&settings.rate_limits)),
            slots: Semaphore::new(settings.limits.in_flight_max as usize),
            policy,
            settings,
            stats,
            watch,
        }))
    }

    /// Starts a request and returns at once. What can be refused without asking anyone is refused here.
    pub(crate) fn send(&self, request: Request) -> Result<Pending, Failure> {
        let shared = Arc::clone(&self.0);
        let prepared = request::prepare(request, &shared.settings)?;
        let label = prepared.first.label();
        if let Err(denied) = shared.policy.check_url(&prepared.first.url) {
            let failure = Failure::denied(&label, &denied);
            Audit::start(&prepared.first, &shared).failed(&failure);
            shared.note_denial(&failure);
            return Err(failure);
        }
        let mut held = shared.budget.hold();
        held.grow(&label, prepared.first.body.as_ref().map_or(0, |body| body.bytes.len() as u64))?;
        let Ok(runtime) = Handle::try_current() else {
            return Err(Failure::bug(format!("send {label}: there is no runtime to send it")));
        };
        let first = &prepared.first;
        let span = tracing::info_span!(
            "request",
            otel.kind = "client",
            http.request.method = first.method.as_str(),
            server.address = first.url.host_str(),
            server.port = first.url.port_or_known_default(),
            http.response.status_code = tracing::field::Empty,
        );
        Ok(Pending { task: runtime.spawn(run(shared, prepared, held).instrument(span)), label })
    }

    /// The counters.
    pub(crate) fn stats(&self) -> &Arc<Stats> {
        &self.0.stats
    }
}

/// A request under way. Dropping it cancels it.
pub(crate) struct Pending {
    task: JoinHandle<Result<Response, Failure>>,
    label: String,
}

impl Pending {
    /// Waits for status and headers; with `buffer`, for the whole body.
    pub(crate) async fn wait(mut self) -> Result<Response, Failure> {
        match (&mut self.task).await {
            Ok(result) => result,
            Err(error) => {
                let what = if error.is_panic() { "the host broke" } else { "it was cancelled" };
                Err(Failure::bug(format!("send {}: {what}", self.label)))
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What follows an attempt.
#[expect(clippy::large_enum_variant, reason = "lives from one line to the next")]
enum Step {
    Done(Result<Response, Failure>),
    Again { reason: String, wait: Duration },
}

/// Attempt after attempt, until one is to be handed over.
async fn run(shared: Arc<Shared>, prepared: Prepared, _held: Held) -> Result<Response, Failure> {
    let Ok(_slot) = shared.slots.acquire().await else {
        return Err(Failure::bug("send a request: the client is closed"));
    };
    let _flight = shared.stats.flight();
    let started = Instant::now();
    let mut attempt = 1;
    let result = loop {
        match step(&shared, &prepared, attempt).await {
            Step::Done(result) => break result,
            Step::Again { reason, wait } => {
                tracing::debug!(attempt, wait_ms = stats::milliseconds(wait), "{reason}; trying again");
                shared.watch.retrying(&reason, wait);
                shared.stats.count_retry(wait);
                tokio::time::sleep(wait).await;
                attempt += 1;
            }
        }
    };
    shared.stats.count_wait(started.elapsed());
    if let Ok(response) = &result {
        tracing::Span::current().record("http.response.status_code", response.status());
    }
    if let Err(failure) = &result {
        shared.note_denial(failure);
    }
    result
}

async fn step(shared: &Shared, prepared: &Prepared, attempt: u32) -> Step {
    let decide = |outcome: Outcome<'_>| {
        let repeatable = prepared.repeatable;
        let moment = Moment { attempt, repeatable, now: SystemTime::now(), chance: fastrand::f64() };
        retry::decide(&shared.settings.retry, moment, outcome)
    };
    let failure = match attempt::exchange(shared, prepared).await {
        Ok(answer) => match decide(Outcome::Status { status: answer.status(), retry_after: answer.retry_after() }) {
            Decision::HandOver => match answer.open(shared, prepared.buffer).await {
                Ok(response) => return Step::Done(Ok(response)),
                Err(failure) => failure,
            },
            Decision::Retry(wait) => {
                let reason = format!("{}: the source answered {}", answer.label(), answer.status());
                answer.discard().await;
                return Step::Again { reason, wait };
            }
            Decision::TooLong(wait) => return Step::Done(Err(too_long(&answer, wait, &shared.settings.retry))),
        },
        Err(failure) => failure,
    };
    match &failure {
        Failure::Exchange(error) => match decide(Outcome::Failed(error.kind)) {
            Decision::Retry(wait) => Step::Again { reason: error.message.clone(), wait },
            Decision::HandOver | Decision::TooLong(_) => Step::Done(Err(failure)),
        },
        Failure::Sync(_) => Step::Done(Err(failure)),
    }
}

fn too_long(answer: &Answer, wait: Duration, options: &RetryOptions) -> Failure {
    let (label, status) = (answer.label(), answer.status());
    let message = format!(
        "{label}: the source answered {status} and asks to wait {} s, longer than the {} s that the host waits",
        wait.as_secs(),
        options.retry_after_max.as_secs()
    );
    Failure::Exchange(HttpError {
        kind: ErrorKind::RateLimited,
        message,
        retry_after_ms: Some(stats::milliseconds(wait)),
    })
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stats.summarise();
    }
}

impl Shared {
    fn note_denial(&self, failure: &Failure) {
        if let Failure::Exchange(HttpError { kind: ErrorKind::Denied, message, .. }) = failure {
            tracing::debug!("{message}");
            self.stats.count_denial(message);
            self.watch.denied(message);
        }
    }
}
