//! The seam between a guest and the world: whoever implements [`World`] watches all that crosses it, and may answer in the
//! world's place. Recordings are made and replayed here.
//!
//! What a guest does depends on nothing but its arguments and what crosses here: answers to its requests, what it reads of
//! them, clocks and random bytes. A world that gives the same sees the same operations (invariant 9).

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use model::error::Error;
use model::{Batch, Configuration, LogLevel, Selection};

/// Sees what crosses the border of one sync's guests, in the order in which it does, and decides what comes back.
/// Called from the guest's thread; what it does, the guest waits for.
pub trait World: Send + Sync {
    /// The configuration that the guest gets instead of the connection's: then there are no secrets in it.
    fn configuration(&self) -> Option<&Configuration> {
        None
    }

    /// A call of an export begins; what follows belongs to it until the next one begins.
    fn begin(&self, call: &Call<'_>);

    /// What the guest's random numbers are made of in this call.
    fn seed(&self) -> [u8; 32];

    /// Time since 1970, as the guest reads it.
    fn wall_clock(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// Nanoseconds of a clock that only goes on; `real` is what the machine's own says.
    fn monotonic_clock(&self, real: u64) -> u64 {
        real
    }

    /// The guest sends a request, number `exchange` of this call, counted from 0: who answers it?
    fn send(&self, exchange: u64, request: &Sent) -> Given;

    /// Something else crossed.
    fn crossed(&self, crossing: Crossing<'_>);

    /// What stands for a token that the guest wants protected, where this world knows.
    fn protect(&self, _token: &str) -> Option<String> {
        None
    }

    /// Whether a token that replaces another is kept for later syncs: the source has really taken the other one back.
    fn keeps_tokens(&self) -> bool {
        false
    }

    /// The call has ended.
    fn end(&self, error: Option<&Error>);
}

/// Takes secrets out of bytes before they are kept.
pub type Scrub = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// A call of an export.
#[derive(Clone)]
pub struct Call<'a> {
    /// Which: `check`, `schema` or `update`.
    pub export: &'static str,
    /// `name version` of the connector.
    pub connector: &'a str,
    /// The component's SHA-256, in hex.
    pub component: &'a str,
    /// The configuration as the guest gets it.
    pub configuration: &'a Configuration,
    /// The state it starts from.
    pub state: Option<&'a str>,
    /// The tables selected.
    pub selection: &'a Selection,
    /// Takes out the secrets that are known when it is called.
    pub scrub: Scrub,
}

/// A request as the guest made it: with placeholders where secrets belong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// `GET` and so on.
    pub method: String,
    /// The URL without what `query` adds.
    pub url: String,
    /// Appended to the URL's own query.
    pub query: Vec<(String, String)>,
    /// Header fields, in order.
    pub headers: Vec<(String, String)>,
    /// Credentials.
    pub authentication: Option<Credentials>,
    /// What the body is; none without one.
    pub body_kind: Option<BodyKind>,
    /// The body, a form's as a JSON list of pairs.
    #[serde(skip)]
    pub body: Vec<u8>,
    /// May be sent twice.
    pub idempotent: bool,
    /// The whole body is read before the answer is handed over.
    pub buffer: bool,
    /// Time for one attempt, in milliseconds.
    pub timeout_ms: Option<u32>,
}

/// Credentials of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Credentials {
    /// User and password.
    Basic(String, String),
    /// A token.
    Bearer(String),
}

/// What a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyKind {
    /// JSON text.
    Json,
    /// Fields of a form.
    Form,
    /// Anything else.
    Bytes,
}

impl Sent {
    /// The method and the whole URL, for people.
    pub fn label(&self) -> String {
        let mut text = format!("{} {}", self.method, self.url);
        let mut glue = if self.url.contains('?') { '&' } else { '?' };
        for (name, value) in &self.query {
            text.push(glue);
            text.push_str(name);
            text.push('=');
            text.push_str(value);
            glue = '&';
        }
        text
    }
}

/// Who answers a request.
pub enum Given {
    /// The network.
    Network,
    /// This answer, instead of the network.
    Answer(Answer),
    /// No answer: the guest is told why, by `send` itself or by what waits for the answer.
    Failure(Trouble),
    /// Nobody: the sync ends.
    End(Error),
}

/// An answer as the guest gets it: final, decompressed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The URL that answered.
    pub url: String,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, or as much of it as came or was read.
    pub body: Arc<[u8]>,
    /// How the body ends.
    pub ending: Ending,
}

/// How the body of an answer ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// It is whole.
    #[default]
    Whole,
    /// The guest did not read on: what follows is not known.
    Unread,
    /// It broke off.
    Broken(Trouble),
}

/// What kept an answer, or the rest of one, from coming.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// One of the contract's `error-kind`, as written there.
    pub kind: TroubleKind,
    /// For people.
    pub message: String,
    /// How long the source asked to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Told by `send` itself.
    pub at_send: bool,
}

/// The contract's `error-kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the contract, wit/connector.wit, explains each")]
pub enum TroubleKind {
    Denied,
    InvalidRequest,
    Connect,
    Timeout,
    Protocol,
    Redirect,
    RateLimited,
}

/// What crosses besides requests.
pub enum Crossing<'a> {
    /// The answer to a request has begun.
    Answered {
        /// The number of the request.
        exchange: u64,
        /// The status code.
        status: u16,
        /// The URL that answered.
        url: &'a str,
        /// Header fields.
        headers: &'a [(String, String)],
    },
    /// The guest was told that there is no answer.
    Failed(u64, &'a Trouble),
    /// The guest read these bytes of an answer's body.
    Read(u64, &'a [u8]),
    /// The guest has done with an answer, or the answer's body has ended.
    Closed(u64, Ending),
    /// A token was protected, and this stands for it.
    Protected(&'a str),
    /// Rows, or a truncate.
    Written(&'a Batch),
    /// A checkpoint's state.
    Saved(&'a str),
    /// The guest waits until all is durable.
    Flushed,
    /// A line of the guest's log, as people see it.
    Logged(LogLevel, &'a str),
}

/// Random numbers that are made of a seed: SHA-256 of the seed and a counter, block after block.
pub(super) struct Stream {
    seed: [u8; 32],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Stream {
    /// `purpose` tells the streams of one seed apart.
    pub(super) fn new(seed: &[u8; 32], purpose: &str) -> Self {
        let seed = Sha256::new().chain_update(seed).chain_update(purpose).finalize().into();
        Self { seed, counter: 0, block: [0; 32], used: 32 }
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == self.block.len() {
                let block = Sha256::new().chain_update(self.seed).chain_update(self.counter.to_le_bytes()).finalize();
                self.block = block.into();
                self.counter += 1;
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

impl rand_core::TryRng for Stream {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_le_bytes(self.array()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_le_bytes(self.array()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.fill(bytes);
        Ok(())
    }
}

/// The wall clock of a guest, as its world has it.
pub(super) struct WallClock(pub(super) Arc<dyn World>);

impl wasmtime_wasi::HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0.wall_clock()
    }
}

/// The monotonic clock of a guest, as its world has it.
pub(super) struct MonotonicClock {
    world: Arc<dyn World>,
    begun: Instant,
}

impl MonotonicClock {
    pub(super) fn new(world: Arc<dyn World>) -> Self {
        Self { world, begun: Instant::now() }
    }
}

impl wasmtime_wasi::HostMonotonicClock for MonotonicClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        let real = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.world.monotonic_clock(real)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_bytes_however_they_are_asked_for() {
        let mut one = Stream::new(&[7; 32], "secure");
        let whole: [u8; 100] = one.array();
        let mut other = Stream::new(&[7; 32], "secure");
        let parts: Vec<u8> = (0..25).flat_map(|_| other.array::<4>()).collect();
        assert_eq!(whole[..], parts[..]);
        assert_ne!(whole, Stream::new(&[7; 32], "insecure").array());
        assert_ne!(whole, Stream::new(&[8; 32], "secure").array());
    }
}
