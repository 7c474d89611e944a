//! One attempt: a request and the redirects it leads to, every hop checked, up to the head of the final answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::{self, HeaderName, HeaderValue};
use tokio::sync::Notify;
use url::Host;

use super::audit::Audit;
use super::body::{Accounts, Body, Coding};
use super::digest::Challenge;
use super::hint::Hint;
use super::outgoing;
use super::redirect::{self, Trail};
use super::request::{Hop, Prepared};
use super::wire::Wire;
use super::{ErrorKind, Failure, Response, Shared};
use crate::egress::Target;

/// The head of an answer; its body is still on its way.
pub(super) struct Answer {
    response: reqwest::Response,
    hop: Hop,
    audit: Audit,
}

/// Where an exchange stands: what is asked next, and the way there.
pub(super) struct Course {
    hop: Hop,
    trail: Trail,
    /// The origin that credentials were meant for, once they stayed behind.
    left: Option<String>,
}

/// Why an attempt brought no answer.
pub(super) struct Broken {
    pub(super) failure: Failure,
    /// Whether it broke before anything was sent.
    pub(super) is_unsent: bool,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self { failure, is_unsent: false }
    }
}

impl Course {
    /// From the beginning.
    pub(super) fn new(shared: &Shared, prepared: &Prepared) -> Self {
        let hop = prepared.first.clone();
        let trail = Trail::new(&hop, shared.cookies(&hop), shared.settings.limits.redirects_max);
        Self { hop, trail, left: None }
    }

    /// Whether what is asked next may be asked twice. A GET that a POST has led to may, though the POST may not.
    pub(super) fn is_repeatable(&self, prepared: &Prepared) -> bool {
        let led_to = self.trail.redirects() > 0 && self.hop.method.is_idempotent() && !self.hop.terms.once;
        prepared.repeatable || led_to
    }

    /// Takes the way that an answer sends it, or says that it is the last one.
    fn follow(&mut self, shared: &Shared, answer: &Answer) -> Result<bool, String> {
        if let Some(challenge) = answer.challenge(&self.hop) {
            self.hop.challenge = Some(challenge);
            return Ok(true);
        }
        let location = answer.response.headers().get(header::LOCATION).map(HeaderValue::as_bytes);
        // A source that repeats a secret in the new URL must not send it anywhere by that: it is put in anew, or not.
        let location = location.map(|bytes| match std::str::from_utf8(bytes) {
            Ok(text) => shared.settings.secrets.mask(text).into_owned().into_bytes(),
            Err(_) => bytes.to_vec(),
        });
        let Some(next) = redirect::follow(&self.hop, answer.status(), location.as_deref())? else {
            return Ok(false);
        };
        self.trail.take(&next, shared.cookies(&next))?;
        if self.left.is_none() && redirect::leaves_credentials(&self.hop, &next) {
            self.left = Some(self.hop.url.origin().ascii_serialization());
        }
        shared.stats.count_redirect();
        self.hop = next;
        Ok(true)
    }

    /// What is wrong with a last answer, though it is one.
    fn objection(&self, answer: &Answer, now: SystemTime) -> Option<(ErrorKind, String)> {
        let status = answer.status();
        let has = |names: &[HeaderName]| names.iter().any(|name| self.hop.headers.contains_key(name));
        match (status, &self.left) {
            (401 | 403, Some(left)) if !answer.hint(now).is_throttled() => {
                let place = self.hop.url.origin().ascii_serialization();
                let what = format!(
                    "it is redirected from {left} to {place}, where its credentials do not go along, and is refused \
                     there ({status}); ask there directly if that is meant"
                );
                Some((ErrorKind::Redirect, what))
            }
            (206, _) if !has(&[header::RANGE]) => Some((
                ErrorKind::Protocol,
                "the source answered with a part (206) of what was asked for as a whole".to_owned(),
            )),
            (304, _) if !has(&[header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE]) => Some((
                ErrorKind::Protocol,
                "the source answered that nothing has changed (304), which nobody asked".to_owned(),
            )),
            _ => None,
        }
    }
}

/// Asks, and follows redirects.
pub(super) async fn exchange(shared: &Shared, prepared: &Prepared, course: &mut Course) -> Result<Answer, Broken> {
    loop {
        let answer = ask(shared, course.hop.clone(), prepared.timeout).await?;
        let refuse = |what: String| Failure::new(ErrorKind::Redirect, &answer.hop.label(), what);
        shared.jar.take(answer.response.headers(), &answer.hop.url).map_err(refuse)?;
        if !course.follow(shared, &answer).map_err(refuse)? {
            let objection = course.objection(&answer, SystemTime::now());
            return match objection {
                None => Ok(answer),
                Some((kind, what)) => Err(Failure::new(kind, &answer.hop.label(), what).into()),
            };
        }
        answer.discard().await;
    }
}

/// Sends one hop and waits for the head of its answer.
async fn ask(shared: &Shared, mut hop: Hop, timeout: Duration) -> Result<Answer, Broken> {
    let label = hop.label();
    let target = shared.policy.check_url(&hop.url).map_err(|denied| {
        let failure = Failure::denied(&label, &denied);
        Audit::start(&hop, shared).failed(&failure);
        failure
    })?;
    // What was checked is what is asked: without the dot that may end a name.
    if let Host::Domain(name) = &target.host
        && hop.url.set_host(Some(name)).is_err()
    {
        return Err(Failure::invalid(&label, "the URL has no usable host").into());
    }
    // The source's own limits come last: what waits after them would come too late for its place.
    for pace in shared.settings.pacing.quota.iter().chain([&shared.pace]) {
        let pause = pace.wait(tokio::time::Instant::now());
        shared.stats.count_back_off(pause);
        tokio::time::sleep(pause).await;
    }
    shared.budget.request(&label)?;
    shared.stats.count_request();
    let mut audit = Audit::start(&hop, shared);
    let sent = tokio::time::timeout(timeout, send(shared, &target, &hop, &label)).await;
    let late = |_elapsed| Err(Failure::new(ErrorKind::Timeout, &label, format!("no answer within {timeout:?}")).into());
    match sent.unwrap_or_else(late) {
        Ok(response) => {
            let status = response.status().as_u16();
            shared.stats.note_status(status);
            audit.answered(status);
            Ok(Answer { response, hop, audit })
        }
        Err(broken) => {
            audit.failed(&broken.failure);
            Err(broken)
        }
    }
}

async fn send(shared: &Shared, target: &Target, hop: &Hop, label: &str) -> Result<reqwest::Response, Broken> {
    let outgoing = outgoing::compose(hop, target, &shared.settings, &shared.jar)?;
    let pool = shared.dialer.pool(target, outgoing.certificate.as_deref());
    let pool =
        pool.map_err(|(kind, reason)| Failure::new(kind, label, format!("could not prepare a connection: {reason}")))?;
    shared.dialer.check_for_proxy(target).await.map_err(|denied| Failure::denied(label, &denied))?;
    let (request, flood) = counted(outgoing.request).map_err(|error| Failure::from_library(label, &error))?;
    tokio::select! {
        answer = pool.execute(request) => answer.map_err(|error| {
            let is_unsent = error.is_connect();
            Broken { failure: Failure::from_library(label, &error), is_unsent }
        }),
        () = flood.notified() => {
            let what = format!("the source sends more than {INFORMATIONAL_MAX} provisional answers (1xx) and no final one");
            Err(Failure::new(ErrorKind::Protocol, label, what).into())
        }
    }
}

/// More provisional answers than this are no way to a final one.
const INFORMATIONAL_MAX: u32 = 32;

/// Has the provisional answers to a request counted, and somebody told when there are too many.
fn counted(request: reqwest::Request) -> reqwest::Result<(reqwest::Request, Arc<Notify>)> {
    let mut request = hyper::Request::<reqwest::Body>::try_from(request)?;
    let (flood, count) = (Arc::new(Notify::new()), AtomicU32::new(0));
    let told = Arc::clone(&flood);
    hyper::ext::on_informational(&mut request, move |_| {
        if count.fetch_add(1, Ordering::Relaxed) == INFORMATIONAL_MAX {
            told.notify_one();
        }
    });
    Ok((request.try_into()?, flood))
}

/// What a header field takes besides its text.
const HEADER_BYTES: usize = size_of::<(String, String)>();

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(super) fn label(&self) -> String {
        self.hop.label()
    }

    /// What it says about being asked again.
    pub(super) fn hint(&self, now: SystemTime) -> Hint {
        Hint::read(self.response.headers(), now)
    }

    /// What it asks of a hop that can answer, once.
    fn challenge(&self, hop: &Hop) -> Option<Challenge> {
        if self.status() != 401 || hop.terms.digest.is_none() || hop.challenge.is_some() {
            return None;
        }
        let fields = self.response.headers().get_all(header::WWW_AUTHENTICATE);
        fields.iter().find_map(|field| Challenge::read(field.to_str().ok()?))
    }

    /// Reads what is left of an answer nobody wants, if it is short: its connection can be used again then.
    pub(super) async fn discard(mut self) {
        const BYTES_MAX: usize = 64 * 1024;
        const TIME_MAX: Duration = Duration::from_secs(1);
        let mut bytes = 0;
        let reading = async {
            while let Ok(Some(piece)) = self.response.chunk().await {
                bytes += piece.len();
                if bytes > BYTES_MAX {
                    break;
                }
            }
        };
        // Whether it came to its end makes no difference to anyone.
        let _ = tokio::time::timeout(TIME_MAX, reading).await;
        self.audit.count(bytes as u64);
        self.audit.completed();
    }

    /// Makes it an answer for the guest. With `buffer` the whole body is read, else its beginning; what fails here fails
    /// before the guest has seen any of it, so that the request can be tried again.
    pub(super) async fn open(self, shared: &Shared, buffer: bool) -> Result<Response, Failure> {
        let status = self.status();
        let label = self.label();
        let secrets = &shared.settings.secrets;
        let headers = self.response.headers();
        let encodings: Vec<_> = headers.get_all(header::CONTENT_ENCODING).iter().collect();
        let coding = match encodings.as_slice() {
            [one] if !self.hop.terms.raw => Coding::of(one.as_bytes()),
            _ => Coding::Identity,
        };
        // They describe the compressed body, which the guest never sees.
        let compressed = |name: &HeaderName| {
            coding != Coding::Identity && [header::CONTENT_ENCODING, header::CONTENT_LENGTH].contains(name)
        };
        let headers: Vec<(String, String)> = headers
            .iter()
            .filter(|(name, _)| !compressed(name))
            .map(|(name, value)| {
                let text = String::from_utf8_lossy(value.as_bytes());
                (name.as_str().to_owned(), secrets.mask(&text).into_owned())
            })
            .collect();
        let header_bytes = headers.iter().map(|(name, value)| name.len() + value.len() + HEADER_BYTES).sum::<usize>();
        let mut kept = shared.budget.hold();
        kept.grow(&label, header_bytes as u64)?;
        let wire = Wire::new(self.response, shared.settings.timing.clone(), Arc::clone(&shared.stats));
        let accounts =
            Accounts { budget: Arc::clone(&shared.budget), stats: Arc::clone(&shared.stats), audit: self.audit };
        let mut body = Body::open(label.clone(), wire, coding, accounts, secrets.masker()).await?;
        if buffer {
            body.read_ahead_all().await?;
        } else {
            body.read_ahead_some().await?;
        }
        Ok(Response { status, headers, header_bytes, url: self.hop.url.into(), label, body, _kept: kept })
    }
}
