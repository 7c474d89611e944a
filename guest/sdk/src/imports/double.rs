//! The imports outside a component, answered by the test double of this thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use serde_json::value::RawValue;

use crate::bindings::elt::connector::{http, log::Level, operations::Batch, operations::Kind};
use crate::json::{self, Path};
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

    #[expect(clippy::unnecessary_wraps, reason = "the contract's signature")]
    pub(crate) fn peek_all(&self) -> Result<Vec<u8>, http::Error> {
        Ok(self.body.borrow().clone().into())
    }

    pub(crate) fn records(&self, pointer: &str) -> Result<Records, http::NoRecords> {
        let not_json = |error: &dyn std::fmt::Display| http::NoRecords::NotJson(error.to_string());
        let body: Vec<u8> = self.body.borrow().clone().into();
        let body = String::from_utf8(body).map_err(|error| not_json(&error))?;
        let array = json::search(&body, &Path::new(pointer)).map_err(|error| not_json(&error))?;
        // Null counts as a list without elements; anything but a list is none.
        let elements: Option<Vec<&RawValue>> = array
            .map_or(Err(()), |array| serde_json::from_str(array.get()).map_err(drop))
            .map_err(|()| http::NoRecords::NotThere)?;
        let at = |text: &str| text.as_ptr().addr() - body.as_ptr().addr();
        let elements = elements.unwrap_or_default();
        let ends = elements
            .first()
            .zip(elements.last())
            .map(|(first, last)| (at(first.get()), at(last.get()) + last.get().len()));
        let rest = ends.map_or_else(|| body.clone(), |(first, last)| [&body[..first], &body[last..]].concat());
        let lines = elements.iter().map(|element| element.get().replace(['\n', '\r'], " ") + "\n").collect();
        self.body.take();
        Ok(Records { lines, rest, body_bytes: body.len() as u64 })
    }
}

/// The records of an answer's body.
#[derive(Debug)]
pub(crate) struct Records {
    lines: Vec<String>,
    rest: String,
    body_bytes: u64,
}

impl Records {
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.lines.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    pub(crate) fn rest(&self) -> Vec<u8> {
        self.rest.clone().into_bytes()
    }

    pub(crate) fn read(&self, first: u32, count: u32) -> Vec<u8> {
        let lines = self.lines.iter().skip(first as usize).take(count as usize);
        lines.flat_map(|line| line.bytes()).collect()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the contract's signature")]
pub(crate) fn send(request: &http::Request) -> Result<Pending, http::Error> {
    let url = Asked::new(request).url().to_owned();
    let asked = Asked::new(&double::with(|double| double.secrets.put_into(request.clone())));
    let answered = double::answer(asked).map(|mut answer| {
        if answer.says_length && !answer.headers.iter().any(|(name, _)| name == "content-length") {
            let length = answer.body.len().to_string();
            answer = answer.header("content-length", &length);
        }
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

pub(crate) fn write_records(table: &str, kind: Kind, records: &Records) {
    write(&[Batch { table: table.to_owned(), kind, rows: records.read(0, records.count()) }]);
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
