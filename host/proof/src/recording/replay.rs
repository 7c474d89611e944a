//! Answers a sync from a recording: no network, the clock and the random numbers of then.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::difference::{Differences, differences};
use super::entry::Entry;
use super::file::Recording;
use model::error::{Code, Error, Result};
use model::{Configuration, Selection};
use sandbox::{Answer, Call, Crossing, Given, Sent, Trouble, World};

/// Between two readings of a clock that were not recorded, in nanoseconds.
const TICK_NS: u64 = 1_000_000;

/// Replays a recording, and keeps what the guest does now.
pub struct Replay {
    recording: Recording,
    configuration: Configuration,
    state: Option<String>,
    selection: Selection,
    acts: Vec<Act>,
    now: Mutex<Now>,
}

/// One call of the recording.
#[derive(Default)]
struct Act {
    export: String,
    seed: [u8; 32],
    answers: HashMap<u64, Result<Answer, Trouble>>,
    sent: u64,
    walls: Vec<u64>,
    monotonics: Vec<u64>,
    placeholders: Vec<String>,
}

/// Where the replay is.
#[derive(Default)]
struct Now {
    /// The next act.
    next: usize,
    seed: [u8; 32],
    answers: HashMap<u64, Result<Answer, Trouble>>,
    sent: u64,
    walls: Readings,
    monotonics: Readings,
    placeholders: VecDeque<String>,
    made: Vec<(Entry, Vec<u8>)>,
}

/// Readings of one clock.
#[derive(Default)]
struct Readings {
    recorded: VecDeque<u64>,
    last: u64,
}

impl Readings {
    fn new(recorded: Vec<u64>) -> Self {
        Self { last: recorded.first().copied().unwrap_or_default(), recorded: recorded.into() }
    }

    /// The next one; where they end, the clock goes on in small steps.
    fn next(&mut self) -> u64 {
        self.last = self.recorded.pop_front().unwrap_or(self.last.saturating_add(TICK_NS));
        self.last
    }
}

impl Replay {
    /// Prepares a replay.
    pub fn new(recording: Recording) -> Result<Self> {
        let Some(Entry::Call { configuration, state, tables, .. }) = recording.call() else {
            return Err(Error::new(Code::RecordingInvalid, "replay the recording: there is no call in it"));
        };
        let (configuration, state) = (Configuration(configuration.clone()), state.clone());
        let selection = tables.clone().map_or(Selection::All, Selection::Tables);
        let acts = acts(&recording);
        Ok(Self { recording, configuration, state, selection, acts, now: Mutex::default() })
    }

    /// What is replayed.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The configuration as the guest had it.
    pub fn recorded_configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The state that the recorded sync started from.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The tables that were selected.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// In what the guest differs now from what it did then.
    pub fn differences(&self) -> Differences {
        let made = std::mem::take(&mut self.now().made);
        differences(&self.recording, &Recording { entries: made })
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn acts(recording: &Recording) -> Vec<Act> {
    let mut acts: Vec<Act> = Vec::new();
    for (entry, bytes) in &recording.entries {
        if let Entry::Call { export, seed, .. } = entry {
            acts.push(Act { export: export.clone(), seed: seed_of(seed), ..Act::default() });
        }
        let Some(act) = acts.last_mut() else { continue };
        match entry {
            Entry::Send { .. } => act.sent += 1,
            Entry::Answer { exchange, status, url, headers, ending, .. } => {
                let (url, headers, body) = (url.clone(), headers.clone(), Arc::from(&bytes[..]));
                let answer = Answer { status: *status, url, headers, body, ending: ending.clone() };
                act.answers.insert(*exchange, Ok(answer));
            }
            Entry::Failure { exchange, trouble } => {
                act.answers.insert(*exchange, Err(trouble.clone()));
            }
            Entry::Wall { ns } => act.walls.push(*ns),
            Entry::Monotonic { ns } => act.monotonics.push(*ns),
            Entry::Protect { placeholder } => act.placeholders.push(placeholder.clone()),
            _ => {}
        }
    }
    acts
}

/// Reads 64 hex digits; what is none counts as 0.
fn seed_of(hex: &str) -> [u8; 32] {
    let mut seed = [0; 32];
    for (byte, digits) in seed.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0);
    }
    seed
}

impl World for Replay {
    fn configuration(&self) -> Option<&Configuration> {
        Some(&self.configuration)
    }

    fn begin(&self, call: &Call<'_>) {
        let mut now = self.now();
        let made = std::mem::take(&mut now.made);
        let found = self.acts.iter().enumerate().skip(now.next).find(|(_, act)| act.export == call.export);
        *now = match found {
            None => Now { next: self.acts.len(), ..Now::default() },
            Some((index, act)) => Now {
                next: index + 1,
                seed: act.seed,
                answers: act.answers.clone(),
                sent: act.sent,
                walls: Readings::new(act.walls.clone()),
                monotonics: Readings::new(act.monotonics.clone()),
                placeholders: act.placeholders.clone().into(),
                made: Vec::new(),
            },
        };
        now.made = made;
        now.made.push((Entry::call_of(call, String::new()), Vec::new()));
    }

    fn seed(&self) -> [u8; 32] {
        self.now().seed
    }

    fn wall_clock(&self) -> Duration {
        Duration::from_nanos(self.now().walls.next())
    }

    fn monotonic_clock(&self, _real: u64) -> u64 {
        self.now().monotonics.next()
    }

    fn send(&self, exchange: u64, request: &Sent) -> Given {
        let mut now = self.now();
        let bytes = request.body.len() as u64;
        now.made.push((Entry::Send { exchange, request: request.clone(), bytes }, request.body.clone()));
        match now.answers.remove(&exchange) {
            Some(Ok(answer)) => Given::Answer(answer),
            Some(Err(trouble)) => Given::Failure(trouble),
            None if exchange < now.sent => Given::Failure(Trouble {
                kind: sandbox::TroubleKind::Protocol,
                message: format!("{}: the recording has no answer: nobody waited for it", request.label()),
                retry_after_ms: None,
                at_send: false,
            }),
            None => {
                let (number, sent) = (exchange + 1, now.sent);
                let message =
                    format!("answer request {number} ({}): there are {sent} in the recording", request.label());
                Given::End(Error::new(Code::RecordingDiffers, message).hint(
                    "This build of the connector asks for more than the recorded one did; record anew to compare further.",
                ))
            }
        }
    }

    fn crossed(&self, crossing: Crossing<'_>) {
        let (entry, bytes) = match crossing {
            Crossing::Written(batch) => {
                let bytes = batch.rows.len() as u64;
                (Entry::Write { table: batch.table.clone(), kind: batch.kind.into(), bytes }, batch.rows.clone())
            }
            Crossing::Saved(state) => (Entry::Save { bytes: state.len() as u64 }, state.as_bytes().to_vec()),
            _ => return,
        };
        self.now().made.push((entry, bytes));
    }

    fn protect(&self, _token: &str) -> Option<String> {
        self.now().placeholders.pop_front()
    }

    fn end(&self, error: Option<&Error>) {
        let (code, message) = (error.map(|error| error.code().to_string()), error.map(Error::chain));
        self.now().made.push((Entry::End { code, message }, Vec::new()));
    }
}
