//! The answers of a source by what was asked: who asks the same again is answered without the source.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::recording::Recording;
use sandbox::{Answer, Sent, Trouble, without_placeholders};

/// What came of a request.
pub(super) type Outcome = Result<Answer, Trouble>;

/// All answers, in the order in which they came to each request.
#[derive(Default)]
pub(super) struct Book {
    answers: Mutex<HashMap<String, Vec<Outcome>>>,
}

/// What makes two requests the same: method, URL and body. Header fields and credentials are not looked at, since they hold
/// placeholders that are new for each sync.
pub(super) fn key(request: &Sent) -> String {
    without_placeholders(&format!("{}\n{}", request.label(), String::from_utf8_lossy(&request.body)))
}

impl Book {
    /// The answers of a recording.
    pub(super) fn of(recording: &Recording) -> Self {
        let book = Self::default();
        for (request, outcome) in recording.exchanges() {
            book.note(key(request), outcome);
        }
        book
    }

    pub(super) fn note(&self, key: String, outcome: Outcome) {
        self.answers().entry(key).or_default().push(outcome);
    }

    /// The answer to a request that is made for the `times`-th time, counted from 0, in one sync.
    pub(super) fn answer(&self, key: &str, times: usize) -> Option<Outcome> {
        self.answers().get(key)?.get(times).cloned()
    }

    /// The same; who asks more often than it was asked before gets the last answer again.
    pub(super) fn answer_or_last(&self, key: &str, times: usize) -> Option<Outcome> {
        let answers = self.answers();
        let known = answers.get(key)?;
        known.get(times).or_else(|| known.last()).cloned()
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<String, Vec<Outcome>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
