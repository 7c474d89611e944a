//! What stands in for the host on one thread.

use std::cell::RefCell;
use std::fmt;
use std::time::{Duration, SystemTime};

use super::secrets::Secrets;
use super::{Answer, Asked};
use crate::bindings::elt::connector::http::Error;
use crate::bindings::elt::connector::log as wit;
use crate::bindings::elt::connector::operations::{Batch, Kind};
use crate::log::Level;

/// Answers a request.
pub(crate) type Handler = Box<dyn FnMut(&Asked) -> Answer>;

/// Everything a connector did on this thread, and what it is to be told.
#[derive(Default)]
pub(crate) struct Double {
    pub(crate) handler: Option<Handler>,
    pub(crate) secrets: Secrets,
    pub(crate) now: Option<SystemTime>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) slept: Vec<Duration>,
    pub(crate) logs: Vec<(Level, String)>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) writes: usize,
    pub(crate) flushes: usize,
}

thread_local! {
    static DOUBLE: RefCell<Double> = RefCell::default();
}

/// Works on this thread's double.
pub(crate) fn with<T>(work: impl FnOnce(&mut Double) -> T) -> T {
    DOUBLE.with_borrow_mut(work)
}

/// Answers a request by this thread's handler, which may itself use what the SDK offers.
pub(crate) fn answer(asked: Asked) -> Result<Answer, Error> {
    let handler = with(|double| double.handler.take());
    let (answer, handler) = match handler {
        Some(mut handler) => (handler(&asked), Some(handler)),
        None => (Answer::denied(format_args!("{asked}: the test answers no requests")), None),
    };
    with(|double| {
        double.handler = handler;
        double.asked.push(asked);
        answer.failure.clone().map_or_else(|| Ok(double.secrets.mask(answer)), Err)
    })
}

/// An operation in the order issued. Prints as `upsert table {"id":1}`, `truncate table`, `checkpoint {}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Table and record.
    Upsert(String, String),
    /// Table and record.
    Update(String, String),
    /// Table and record.
    Delete(String, String),
    /// Table.
    Truncate(String),
    /// State.
    Checkpoint(String),
}

impl Operation {
    /// The operations of a batch.
    pub(crate) fn of(batch: &Batch) -> Vec<Self> {
        let rows = String::from_utf8_lossy(&batch.rows);
        let rows = rows.lines().filter(|line| !line.is_empty()).map(str::to_owned);
        let table = || batch.table.clone();
        match batch.kind {
            Kind::Upsert => rows.map(|row| Self::Upsert(table(), row)).collect(),
            Kind::Update => rows.map(|row| Self::Update(table(), row)).collect(),
            Kind::Delete => rows.map(|row| Self::Delete(table(), row)).collect(),
            Kind::Truncate => vec![Self::Truncate(table())],
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upsert(table, row) => write!(f, "upsert {table} {row}"),
            Self::Update(table, row) => write!(f, "update {table} {row}"),
            Self::Delete(table, row) => write!(f, "delete {table} {row}"),
            Self::Truncate(table) => write!(f, "truncate {table}"),
            Self::Checkpoint(state) => write!(f, "checkpoint {state}"),
        }
    }
}

impl From<wit::Level> for Level {
    fn from(level: wit::Level) -> Self {
        match level {
            wit::Level::Fine => Self::Fine,
            wit::Level::Info => Self::Info,
            wit::Level::Warning => Self::Warning,
            wit::Level::Severe => Self::Severe,
        }
    }
}
