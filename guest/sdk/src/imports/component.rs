//! The imports as the host gives them to a component.

use std::thread;
use std::time::{Duration, SystemTime};

use crate::bindings::elt::connector;
use crate::bindings::elt::connector::http::{self, Error, Request, SpecialRequest};
use crate::http::Terms;
pub(crate) use connector::checkpoint::{flush, save};
pub(crate) use connector::http::{PendingResponse as Pending, Records, Response, protect};
pub(crate) use connector::log::write as log;
pub(crate) use connector::operations::{write, write_records};

pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

pub(crate) fn sleep(time: Duration) {
    thread::sleep(time);
}

pub(crate) fn send(request: &Request, terms: &Terms) -> Result<Pending, Error> {
    if terms.are_usual() {
        return http::send(request);
    }
    let special = SpecialRequest::new(request);
    terms.set(&special);
    special.send()
}

pub(crate) fn fetch(request: &Request, terms: &Terms) -> Result<Response, Error> {
    if terms.are_usual() { http::fetch(request) } else { send(request, terms)?.wait() }
}
