//! A guest's request from `send` to the end of the answer's body: by the network or by the guest's world, and told to that
//! world on the way.

use std::sync::Arc;

use bytes::Bytes;

use super::bindings::elt::connector::http;
use super::client::{self, ErrorKind, Failure, HttpError};
use super::world::{Answer, Crossing, Ending, Given, Sent, Trouble, TroubleKind, World};

/// The most bytes that one read hands over. Within this, a read fills the size asked for or ends, so that what a guest
/// sees does not depend on how the body came over the wire.
pub(super) const READ_BYTES_MAX: u32 = 1 << 20;

/// A request under way.
pub(super) struct Pending {
    source: Waiting,
    watcher: Option<Watcher>,
}

enum Waiting {
    Network(client::Pending),
    Given(Result<Answer, Trouble>),
}

/// An answer whose body may not be read yet.
pub(super) struct Open {
    source: Body,
    watcher: Option<Watcher>,
    ended: bool,
    /// What every further read is told.
    broken: Option<HttpError>,
    /// The rest of the body, where it was read already and stays to be read again.
    kept: Option<Bytes>,
}

enum Body {
    Network(Box<client::Response>),
    Given { answer: Answer, taken: usize },
}

/// Tells the world what becomes of one exchange.
#[derive(Clone)]
struct Watcher {
    world: Arc<dyn World>,
    exchange: u64,
}

/// Sends a request, or has the world answer it.
pub(super) fn send(
    client: &client::Client,
    world: Option<(&Arc<dyn World>, u64)>,
    request: http::Request,
) -> Result<Pending, Failure> {
    let Some((world, exchange)) = world else {
        return Ok(Pending { source: Waiting::Network(client.send(request.into())?), watcher: None });
    };
    let watcher = Watcher { world: Arc::clone(world), exchange };
    let source = match world.send(exchange, &Sent::from(&request)) {
        Given::Network => {
            Waiting::Network(client.send(request.into()).inspect_err(|failure| watcher.failed(failure, true))?)
        }
        Given::Answer(answer) => Waiting::Given(Ok(answer)),
        Given::Failure(trouble) if trouble.at_send => {
            let failure = Failure::Exchange(trouble.into());
            watcher.failed(&failure, true);
            return Err(failure);
        }
        Given::Failure(trouble) => Waiting::Given(Err(trouble)),
        Given::End(error) => return Err(Failure::Sync(error)),
    };
    Ok(Pending { source, watcher: Some(watcher) })
}

impl Pending {
    /// Waits for status and headers; with `buffer`, for the whole body.
    pub(super) async fn wait(self) -> Result<Open, Failure> {
        let result = match self.source {
            Waiting::Network(pending) => pending.wait().await.map(|response| Body::Network(Box::new(response))),
            Waiting::Given(Ok(answer)) => Ok(Body::Given { answer, taken: 0 }),
            Waiting::Given(Err(trouble)) => Err(Failure::Exchange(trouble.into())),
        };
        match result {
            Ok(source) => {
                let open = Open { source, watcher: self.watcher, ended: false, broken: None, kept: None };
                open.tell(|exchange| Crossing::Answered {
                    exchange,
                    status: open.status(),
                    url: open.url(),
                    headers: open.headers(),
                });
                Ok(open)
            }
            Err(failure) => {
                if let Some(watcher) = &self.watcher {
                    watcher.failed(&failure, false);
                }
                Err(failure)
            }
        }
    }
}

impl Open {
    pub(super) fn status(&self) -> u16 {
        match &self.source {
            Body::Network(response) => response.status(),
            Body::Given { answer, .. } => answer.status,
        }
    }

    pub(super) fn headers(&self) -> &[(String, String)] {
        match &self.source {
            Body::Network(response) => response.headers(),
            Body::Given { answer, .. } => &answer.headers,
        }
    }

    pub(super) fn url(&self) -> &str {
        match &self.source {
            Body::Network(response) => response.url(),
            Body::Given { answer, .. } => &answer.url,
        }
    }

    /// The next bytes: as many as asked for (at most [`READ_BYTES_MAX`]), fewer only before the end or before the place
    /// where the body broke; none at the end.
    pub(super) async fn read(&mut self, bytes_max: u32) -> Result<Vec<u8>, Failure> {
        let wanted = bytes_max.clamp(1, READ_BYTES_MAX);
        if let Some(kept) = &mut self.kept {
            let count = kept.len().min(wanted as usize);
            return Ok(kept.split_to(count).into());
        }
        let result = match (&self.broken, &mut self.source) {
            (Some(error), _) => return Err(Failure::Exchange(error.clone())),
            (None, Body::Network(response)) => filled(response, wanted).await,
            (None, Body::Given { answer, taken }) => next(answer, taken, wanted as usize),
        };
        let at_end = result.as_ref().is_ok_and(Vec::is_empty);
        self.told(result, at_end)
    }

    /// The rest of the body.
    pub(super) async fn read_all(&mut self) -> Result<Vec<u8>, Failure> {
        if let Some(kept) = &mut self.kept {
            return Ok(std::mem::take(kept).into());
        }
        let result = match (&self.broken, &mut self.source) {
            (Some(error), _) => return Err(Failure::Exchange(error.clone())),
            (None, Body::Network(response)) => response.read_all().await,
            (None, Body::Given { answer, taken }) => rest(answer, taken),
        };
        self.told(result, true)
    }

    /// The rest of the body, which stays to be read again.
    pub(super) async fn peek_all(&mut self) -> Result<Bytes, Failure> {
        let mut rest = self.read_all().await?;
        rest.shrink_to_fit();
        Ok(self.kept.insert(rest.into()).clone())
    }

    /// Lets go of what stays to be read.
    pub(super) fn discard(&mut self) {
        self.kept = Some(Bytes::new());
    }

    fn told(&mut self, result: Result<Vec<u8>, Failure>, at_end: bool) -> Result<Vec<u8>, Failure> {
        match &result {
            Ok(bytes) => {
                if !bytes.is_empty() {
                    self.tell(|exchange| Crossing::Read(exchange, bytes));
                }
                if at_end {
                    self.close(Ending::Whole);
                }
            }
            Err(Failure::Exchange(error)) => {
                self.broken = Some(error.clone());
                self.close(Ending::Broken(trouble(error, false)));
            }
            Err(Failure::Sync(_)) => self.close(Ending::Unread),
        }
        result
    }

    fn close(&mut self, ending: Ending) {
        if !std::mem::replace(&mut self.ended, true) {
            self.tell(|exchange| Crossing::Closed(exchange, ending));
        }
    }

    fn tell<'a>(&self, crossing: impl FnOnce(u64) -> Crossing<'a>) {
        if let Some(watcher) = &self.watcher {
            watcher.world.crossed(crossing(watcher.exchange));
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close(Ending::Unread);
    }
}

impl Watcher {
    fn failed(&self, failure: &Failure, at_send: bool) {
        if let Failure::Exchange(error) = failure {
            self.world.crossed(Crossing::Failed(self.exchange, &trouble(error, at_send)));
        }
    }
}

/// Reads until the size asked for is there, or the body ends or breaks; a break is told by the read that follows.
async fn filled(response: &mut client::Response, wanted: u32) -> Result<Vec<u8>, Failure> {
    let mut bytes = response.read(wanted).await?;
    while !bytes.is_empty() && bytes.len() < wanted as usize {
        let missing = wanted - u32::try_from(bytes.len()).unwrap_or(wanted);
        match response.read(missing).await {
            Ok(more) if more.is_empty() => break,
            Ok(more) => bytes.extend_from_slice(&more),
            Err(Failure::Exchange(_)) => break,
            Err(end) => return Err(end),
        }
    }
    Ok(bytes)
}

fn next(answer: &Answer, taken: &mut usize, wanted: usize) -> Result<Vec<u8>, Failure> {
    let end = answer.body.len().min(taken.saturating_add(wanted));
    let bytes = answer.body[*taken..end].to_vec();
    *taken = end;
    if bytes.is_empty() { ending(answer).map(|()| bytes) } else { Ok(bytes) }
}

fn rest(answer: &Answer, taken: &mut usize) -> Result<Vec<u8>, Failure> {
    let bytes = answer.body[*taken..].to_vec();
    *taken = answer.body.len();
    ending(answer).map(|()| bytes)
}

fn ending(answer: &Answer) -> Result<(), Failure> {
    match &answer.ending {
        Ending::Whole => Ok(()),
        Ending::Broken(trouble) => Err(Failure::Exchange(trouble.clone().into())),
        Ending::Unread => Err(Failure::Exchange(HttpError {
            kind: ErrorKind::Protocol,
            message: format!("{}: the recording ends here: no more of this body was read when it was made", answer.url),
            retry_after_ms: None,
        })),
    }
}

fn trouble(error: &HttpError, at_send: bool) -> Trouble {
    let kind = match error.kind {
        ErrorKind::Denied => TroubleKind::Denied,
        ErrorKind::InvalidRequest => TroubleKind::InvalidRequest,
        ErrorKind::Connect => TroubleKind::Connect,
        ErrorKind::Timeout => TroubleKind::Timeout,
        ErrorKind::Protocol => TroubleKind::Protocol,
        ErrorKind::Redirect => TroubleKind::Redirect,
        ErrorKind::RateLimited => TroubleKind::RateLimited,
    };
    Trouble { kind, message: error.message.clone(), retry_after_ms: error.retry_after_ms, at_send }
}

impl From<Trouble> for HttpError {
    fn from(from: Trouble) -> Self {
        let kind = match from.kind {
            TroubleKind::Denied => ErrorKind::Denied,
            TroubleKind::InvalidRequest => ErrorKind::InvalidRequest,
            TroubleKind::Connect => ErrorKind::Connect,
            TroubleKind::Timeout => ErrorKind::Timeout,
            TroubleKind::Protocol => ErrorKind::Protocol,
            TroubleKind::Redirect => ErrorKind::Redirect,
            TroubleKind::RateLimited => ErrorKind::RateLimited,
        };
        Self { kind, message: from.message, retry_after_ms: from.retry_after_ms }
    }
}
