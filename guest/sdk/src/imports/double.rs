//! The imports outside a component, answered by the test double of this thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use crate::bindings::elt::connector::{http, log::Level, operations::Batch};
use crate::testing::double::{self, Operation};
use crate::testing::{Answer, Asked};

/// A request under way: its answer is already there.
pub(crate) struct Pending(Cell<Option<Result<Response, http::Error>>>);

impl Pending {
    pub(crate) fn wait(&self) -> Result<Response, http::Error> {
        let twice = http::Error {
            kind: http::ErrorKind::InvalidRequest,
            message: "wait was called twice".to_owned(),
            retry_after_ms: None,
        };
        self.0.take().unwrap_or(Err(twice))
    }
}

/// An answer whose body is read piece by piece.
pub(crate) struct Response {
    url: String,
    answer: Answer,
    body: RefCell<VecDeque<u8>>,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.answer.status
    }

    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        self.answer.headers.clone()
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    #[expect(clippy::unnecessary_wraps, reason = "the contract's signature")]
    pub(crate) fn read(&self, max_bytes: u32) -> Result<Vec<u8>, http::Error> {
        let mut body = self.body.borrow_mut();
        let length = body.len().min(max_bytes as usize);
        Ok(body.drain(..length).collect())
    }

    #[expect(clippy::unnecessary_wraps, reason = "the contract's signature")]
    pub(crate) fn read_all(&self) -> Result<Vec<u8>, http::Error> {
        Ok(self.body.take().into())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the contract's signature")]
pub(crate) fn send(request: &http::Request) -> Result<Pending, http::Error> {
    let url = Asked::new(request).url().to_owned();
    let asked = Asked::new(&double::with(|double| double.secrets.put_into(request.clone())));
    let answered = double::answer(asked).map(|mut answer| {
        let body = RefCell::new(VecDeque::from(std::mem::take(&mut answer.body)));
        Response { url, answer, body }
    });
    Ok(Pending(Cell::new(Some(answered))))
}

pub(crate) fn fetch(request: &http::Request) -> Result<Response, http::Error> {
    send(request)?.wait()
}

pub(crate) fn protect(secret: &str, _hosts: &[String]) -> String {
    double::with(|double| double.secrets.protect(secret))
}

pub(crate) fn log(level: Level, message: &str) {
    double::with(|double| double.logs.push((level.into(), message.to_owned())));
}

pub(crate) fn write(batches: &[Batch]) {
    double::with(|double| {
        double.writes += 1;
        double.operations.extend(batches.iter().flat_map(Operation::of));
    });
}

pub(crate) fn save(state: &str) {
    double::with(|double| double.operations.push(Operation::Checkpoint(state.to_owned())));
}

pub(crate) fn flush() {
    double::with(|double| double.flushes += 1);
}

pub(crate) fn now() -> SystemTime {
    double::with(|double| double.now).unwrap_or_else(SystemTime::now)
}

/// Returns at once; a clock that the test stopped moves on.
pub(crate) fn sleep(time: Duration) {
    double::with(|double| {
        double.slept.push(time);
        double.now = double.now.map(|now| now + time);
    });
}
