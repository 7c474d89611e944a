//! The imports as the host gives them to a component.

use std::thread;
use std::time::{Duration, SystemTime};

use crate::bindings::elt::connector;
pub(crate) use connector::checkpoint::{flush, save};
pub(crate) use connector::http::{PendingResponse as Pending, Records, Response, fetch, protect, replace, send};
pub(crate) use connector::log::write as log;
pub(crate) use connector::operations::{write, write_records};

pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

pub(crate) fn sleep(time: Duration) {
    thread::sleep(time);
}
