//! One attempt: a request and the redirects it leads to, every hop checked, up to the head of the final answer.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{self, HeaderName, HeaderValue};
use url::Host;

use super::audit::Audit;
use super::body::{Accounts, Body, Coding};
use super::outgoing;
use super::redirect::{self, Trail};
use super::request::{Hop, Prepared};
use super::wire::Wire;
use super::{ErrorKind, Failure, HttpError, Response, Shared};
use crate::egress::Target;
use crate::secrets::Escape;

/// The head of an answer; its body is still on its way.
pub(super) struct Answer {
    response: reqwest::Response,
    hop: Hop,
    /// Where it comes from.
    target: Target,
    audit: Audit,
}

/// Asks, and follows redirects.
pub(super) async fn exchange(shared: &Shared, prepared: &Prepared) -> Result<Answer, Failure> {
    let mut hop = prepared.first.clone();
    let mut trail = Trail::new(&hop, shared.settings.limits.redirects_max);
    loop {
        let answer = ask(shared, hop, prepared.timeout).await?;
        let refuse = |what: String| Failure::new(ErrorKind::Redirect, &answer.hop.label(), what);
        let location = answer.response.headers().get(header::LOCATION).map(HeaderValue::as_bytes);
        // A source that repeats a secret in the new URL must not send it anywhere by that: it is put in anew, or not.
        let location = location.map(|bytes| shared.settings.secrets.mask(bytes, &answer.target));
        let next = redirect::follow(&answer.hop, answer.status(), location.as_deref()).map_err(refuse)?;
        let Some(next) = next else {
            return Ok(answer);
        };
        trail.take(&next).map_err(refuse)?;
        shared.stats.count_redirect();
        answer.discard().await;
        hop = next;
    }
}

/// Sends one hop and waits for the head of its answer.
async fn ask(shared: &Shared, mut hop: Hop, timeout: Duration) -> Result<Answer, Failure> {
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
        return Err(Failure::invalid(&label, "the URL has no usable host"));
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
    let late = |_elapsed| Err(Failure::new(ErrorKind::Timeout, &label, format!("no answer within {timeout:?}")));
    match sent.unwrap_or_else(late) {
        Ok(response) => {
            let status = response.status().as_u16();
            shared.stats.note_status(status);
            audit.answered(status);
            Ok(Answer { response, hop, target, audit })
        }
        Err(failure) => {
            audit.failed(&failure);
            Err(failure)
        }
    }
}

async fn send(shared: &Shared, target: &Target, hop: &Hop, label: &str) -> Result<reqwest::Response, Failure> {
    let pool = shared.dialer.pool(target).map_err(|reason| {
        Failure::new(ErrorKind::Connect, label, format!("could not prepare a connection: {reason}"))
    })?;
    let request = outgoing::compose(hop, target, &shared.settings)?;
    pool.execute(request).await.map_err(|error| {
        // The library may say what it was given, or what came.
        match Failure::from_library(label, &error) {
            Failure::Exchange(error) => {
                let message = shared.settings.secrets.mask(error.message.as_bytes(), target);
                Failure::Exchange(HttpError { message: String::from_utf8_lossy(&message).into_owned(), ..error })
            }
            failure @ Failure::Sync(_) => failure,
        }
    })
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(super) fn label(&self) -> String {
        self.hop.label()
    }

    pub(super) fn retry_after(&self) -> Option<&str> {
        self.response.headers().get(header::RETRY_AFTER)?.to_str().ok()
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
            [one] => Coding::of(one.as_bytes()),
            _ => Coding::Identity,
        };
        // They describe the compressed body, which the guest never sees.
        let compressed = |name: &HeaderName| {
            coding != Coding::Identity && [header::CONTENT_ENCODING, header::CONTENT_LENGTH].contains(name)
        };
        let headers = headers
            .iter()
            .filter(|(name, _)| !compressed(name))
            .map(|(name, value)| {
                // Before bytes that are no UTF-8 are replaced: a secret may have them.
                let value = secrets.mask(value.as_bytes(), &self.target);
                (name.as_str().to_owned(), String::from_utf8_lossy(&value).into_owned())
            })
            .collect();
        let content_type = self.response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let masker = secrets.masker(&self.target, Escape::of_content_type(content_type.unwrap_or_default()));
        let wire = Wire::new(self.response, shared.settings.timing.clone(), Arc::clone(&shared.stats));
        let accounts =
            Accounts { budget: Arc::clone(&shared.budget), stats: Arc::clone(&shared.stats), audit: self.audit };
        let mut body = Body::open(label.clone(), wire, coding, accounts, masker).await?;
        if buffer {
            body.read_ahead_all().await?;
        } else {
            body.read_ahead_some().await?;
        }
        Ok(Response { status, headers, url: self.hop.url.into(), label, body })
    }
}
