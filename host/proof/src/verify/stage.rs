//! The world of a connector that is being verified: answers from the book, or live ones that go into it, and one fault where
//! the rule asks for it. The clock starts at the same moment in every run and goes on with each look at it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::book::{Book, key};
use super::digest::{Rows, Store};
use super::fault::Fault;
use model::LogLevel;
use model::error::{Code, Error};
use sandbox::{Answer, Call, Crossing, Ending, Given, Sent, Trouble, TroubleKind, World};

/// Between two looks at a clock, in nanoseconds.
const TICK_NS: u64 = 1_000_000;

/// What a request of a sync takes, as the connector's clock shows it, in nanoseconds: so that it tells what was asked first from
/// what came later, in whole seconds too.
const REQUEST_NS: u64 = 10_000_000_000;

/// Which requests of `update` meet a fault.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The one of this number, counted from 0.
    Number(u64),
    /// All that ask the same, by its key.
    Same(String),
}

/// What a run is to be like.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    /// Each request goes to the source, also one that was made before: it may answer otherwise.
    pub(super) is_first: bool,
    /// What goes wrong, and where.
    pub(super) fault: Option<(Place, Fault)>,
    /// Every request is answered with this status.
    pub(super) refuse_all: Option<u16>,
    /// Another seed gives other random numbers.
    pub(super) seed: u8,
    /// A run that sends more requests goes in circles.
    pub(super) requests_max: Option<u64>,
    /// Only this table is selected.
    pub(super) selected: Option<String>,
    /// How much later than the first run it begins.
    pub(super) later: Duration,
}

/// The world of one run.
pub(super) struct Stage {
    book: Arc<Book>,
    store: Arc<Store>,
    live: bool,
    script: Script,
    started_at: Duration,
    scene: Mutex<Scene>,
}

/// Something the connector did.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// How many requests it had sent by then.
    pub(super) requests: usize,
    pub(super) act: Act,
}

/// What it did.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Batch(Arc<Rows>),
    Save(String),
}

/// A request and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) request: Sent,
    pub(super) answer: Option<Answer>,
}

/// All that happened so far.
#[derive(Default)]
pub(super) struct Scene {
    in_update: bool,
    pub(super) steps: Vec<Step>,
    pub(super) asked: Vec<Asked>,
    /// When the first request was sent, by the connector's clock: since 1970.
    pub(super) first_asked_at: Option<Duration>,
    pub(super) logs: Vec<(LogLevel, String)>,
    /// A request that neither book nor source could answer.
    pub(super) unanswered: Option<String>,
    /// The run was ended because it sent too many requests.
    pub(super) in_circles: bool,
    open: HashMap<u64, Open>,
    given: HashMap<u64, Answer>,
    pending: HashMap<u64, String>,
    missing: HashMap<u64, String>,
    times: HashMap<String, usize>,
    ticks: u64,
    received: u64,
}

/// An answer that is being read.
struct Open {
    /// Under which it goes into the book, where it comes from the source.
    key: Option<String>,
    answer: Answer,
    body: Vec<u8>,
}

impl Stage {
    /// `began` is when the first run began.
    pub(super) fn new(book: Arc<Book>, store: Arc<Store>, live: bool, script: Script, began: Duration) -> Self {
        let started_at = began + script.later;
        Self { book, store, live, script, started_at, scene: Mutex::default() }
    }

    /// Bytes of bodies read so far.
    pub(super) fn received(&self) -> u64 {
        self.scene().received
    }

    /// Takes what happened.
    pub(super) fn take(&self) -> Scene {
        std::mem::take(&mut *self.scene())
    }

    fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, scene: &mut Scene, exchange: u64, request: &Sent) -> Given {
        if let Some(status) = self.script.refuse_all {
            return Fault::Status(status).applied(&Answer { url: request.url.clone(), ..Answer::default() }, None);
        }
        let key = key(request);
        let times = scene.times.entry(key.clone()).or_default();
        let known = if self.script.is_first && self.live {
            self.book.answer(&key, *times)
        } else {
            self.book.answer_or_last(&key, *times)
        };
        *times += 1;
        let is_there = |place: &Place| match place {
            Place::Number(at) => *at == exchange,
            Place::Same(asked) => *asked == key,
        };
        let fault = self.script.fault.as_ref().filter(|(place, _)| scene.in_update && is_there(place));
        match (known, fault) {
            (Some(Ok(good)), Some((_, fault))) => {
                let before = scene.asked.iter().rev().skip(1).find_map(|asked| asked.answer.clone());
                fault.applied(&good, before.as_ref())
            }
            (Some(Ok(answer)), _) => Given::Answer(answer),
            (Some(Err(trouble)), _) => Given::Failure(trouble),
            (None, _) if self.live => {
                scene.pending.insert(exchange, key);
                Given::Network
            }
            (None, _) => {
                let label = request.label();
                let message = format!("{label}: it was not recorded, and the source is not there");
                scene.missing.insert(exchange, label);
                Given::Failure(Trouble { kind: TroubleKind::Protocol, message, retry_after_ms: None, at_send: false })
            }
        }
    }

    fn close(&self, scene: &mut Scene, exchange: u64, ending: Ending) {
        let Some(Open { key, mut answer, body }) = scene.open.remove(&exchange) else { return };
        if key.is_some() {
            answer.body = body.into();
            answer.ending = ending;
        }
        if let Some(asked) = usize::try_from(exchange).ok().and_then(|at| scene.asked.get_mut(at)) {
            asked.answer = Some(answer.clone());
        }
        if let Some(key) = key {
            self.book.note(key, Ok(answer));
        }
    }
}

impl World for Stage {
    fn begin(&self, call: &Call<'_>) {
        let mut scene = self.scene();
        scene.in_update = call.export == "update";
        scene.asked.clear();
        scene.first_asked_at = None;
        scene.open.clear();
        scene.given.clear();
        scene.pending.clear();
        scene.missing.clear();
    }

    fn seed(&self) -> [u8; 32] {
        [self.script.seed; 32]
    }

    fn wall_clock(&self) -> Duration {
        let mut scene = self.scene();
        scene.ticks += TICK_NS;
        self.started_at + Duration::from_nanos(scene.ticks)
    }

    fn send(&self, exchange: u64, request: &Sent) -> Given {
        let mut scene = self.scene();
        let now = self.started_at + Duration::from_nanos(scene.ticks);
        scene.first_asked_at.get_or_insert(now);
        scene.ticks += REQUEST_NS;
        scene.asked.push(Asked { request: request.clone(), answer: None });
        if self.script.requests_max.is_some_and(|max| scene.asked.len() as u64 > max) {
            scene.in_circles = true;
            return Given::End(Error::new(Code::ConnectorFailed, "go on: it goes in circles"));
        }
        let given = self.answer(&mut scene, exchange, request);
        if let Given::Answer(answer) = &given {
            scene.given.insert(exchange, answer.clone());
        }
        given
    }

    fn crossed(&self, crossing: Crossing<'_>) {
        let mut scene = self.scene();
        let requests = scene.asked.len();
        match crossing {
            Crossing::Answered { exchange, status, url, headers } => {
                let key = scene.pending.remove(&exchange);
                let given = scene.given.remove(&exchange);
                let asked = || Answer { status, url: url.to_owned(), headers: headers.to_vec(), ..Answer::default() };
                let answer = given.filter(|_| key.is_none()).unwrap_or_else(asked);
                scene.open.insert(exchange, Open { key, answer, body: Vec::new() });
            }
            Crossing::Failed(exchange, trouble) => {
                if let Some(label) = scene.missing.remove(&exchange) {
                    scene.unanswered.get_or_insert(label);
                }
                if let Some(key) = scene.pending.remove(&exchange) {
                    self.book.note(key, Err(trouble.clone()));
                }
            }
            Crossing::Read(exchange, bytes) => {
                scene.received += bytes.len() as u64;
                // What the book answers is known already.
                if let Some(open) = scene.open.get_mut(&exchange).filter(|open| open.key.is_some()) {
                    open.body.extend_from_slice(bytes);
                }
            }
            Crossing::Closed(exchange, ending) => self.close(&mut scene, exchange, ending),
            Crossing::Written(batch) => {
                let selected = self.script.selected.as_ref().is_none_or(|table| *table == batch.table);
                if selected {
                    scene.steps.push(Step { requests, act: Act::Batch(self.store.keep(batch)) });
                }
            }
            Crossing::Saved(state) => scene.steps.push(Step { requests, act: Act::Save(state.to_owned()) }),
            Crossing::Logged(level, message) => scene.logs.push((level, message.to_owned())),
            Crossing::Protected(_) | Crossing::Flushed => {}
        }
    }

    fn end(&self, _error: Option<&Error>) {}
}
