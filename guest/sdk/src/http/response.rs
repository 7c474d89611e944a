//! An answer, and a request under way.

use std::io;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::again::Again;
use super::failure;
use super::request::Request;
use crate::bindings::elt::connector::http::{self as wit, Method};
use crate::error::{Error, Result};
use crate::imports;
use crate::json::Path;
use crate::record::{Record, start_of};
use crate::rows::{Arrival, Format, open};

/// A request under way. Dropping it cancels it.
#[must_use = "dropping it cancels the request"]
pub struct Pending {
    method: Method,
    inner: imports::Pending,
    /// The token it was sent with.
    generation: u64,
    /// The request, where its answer may be a reason to send it again.
    request: Option<Box<Request>>,
}

impl Pending {
    /// Sends a request as it is.
    pub(super) fn send(request: &wit::Request, generation: u64) -> Result<Self> {
        let inner = imports::send(request).map_err(failure::from_exchange)?;
        Ok(Self { method: request.method, inner, generation, request: None })
    }

    /// The same, to be sent again where the answer is a reason to.
    pub(super) fn settled(self, request: Request) -> Self {
        Self { request: Some(Box::new(request)), ..self }
    }

    /// Waits for the answer.
    pub fn wait(mut self) -> Result<Response> {
        let request = self.request.take();
        let (answer, generation) = self.wait_once()?;
        match request {
            Some(request) => Again { request: *request, generation }.settle(answer),
            None => Ok(answer),
        }
    }

    /// Waits for the answer of this attempt, and gives the token it was made with.
    pub(super) fn wait_once(self) -> Result<(Response, u64)> {
        let answer = self.inner.wait().map_err(failure::from_exchange)?;
        Ok((Response::new(self.method, answer), self.generation))
    }
}

/// An answer. The body stays in the host until it is read.
pub struct Response {
    method: Method,
    status: u16,
    inner: imports::Response,
}

impl Response {
    pub(super) fn new(method: Method, inner: imports::Response) -> Self {
        Self { method, status: inner.status(), inner }
    }

    /// The final status, after the host's retries and redirects.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The URL that answered, after redirects.
    pub fn url(&self) -> String {
        self.inner.url()
    }

    /// Header fields in the order received, names in lower case.
    pub fn headers(&self) -> Vec<(String, String)> {
        self.inner.headers()
    }

    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers().into_iter().find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }

    /// How long the source asks to wait, by the header `Retry-After`.
    pub fn retry_after(&self) -> Option<Duration> {
        failure::retry_after(&self.header("retry-after")?)
    }

    /// The answer itself below status 400; from there on the error it stands for: 401 and 403 authentication, 429 rate
    /// limited, 408 and 5xx transient, others source. The message has method, URL, status and the body's start.
    pub fn error_for_status(self) -> Result<Self> {
        if self.status < 400 {
            return Ok(self);
        }
        let body = self.piece(1024).unwrap_or_default();
        let mut message = self.name();
        let body = String::from_utf8_lossy(&body);
        if !body.trim().is_empty() {
            message.push_str(": ");
            message.push_str(start_of(body.trim()));
        }
        let error = failure::from_status(self.status, message, || self.retry_after());
        Err(error.answered(self.status, self.headers(), body.into_owned()))
    }

    /// The whole body.
    pub fn bytes(self) -> Result<Vec<u8>> {
        self.inner.read_all().map_err(failure::from_exchange)
    }

    /// The whole body as UTF-8.
    pub fn text(self) -> Result<String> {
        let (method, status, url) = (self.method, self.status, self.url());
        let complain = |error| Error::source(format_args!("{}: {error}", failure::name(method, &url, status)));
        String::from_utf8(self.bytes()?).map_err(complain)
    }

    /// The whole body as JSON, in a type of one's own. An error status is an error as in
    /// [`error_for_status`](Self::error_for_status); anything but JSON of that shape is a source error that names URL,
    /// status, content type and the body's start.
    pub fn json<T: DeserializeOwned>(self) -> Result<T> {
        let answer = self.error_for_status()?;
        let (place, content_type) = (answer.name(), answer.header("content-type"));
        let body = answer.bytes()?;
        serde_json::from_slice(&body)
            .map_err(|error| not_json(&place, content_type, &String::from_utf8_lossy(&body), &error))
    }

    /// The whole body, a JSON object, as one record: its fields by name, or a row to be written. An error status is an
    /// error, as in [`json`](Self::json).
    pub fn record(self) -> Result<Record<'static>> {
        self.json::<Box<RawValue>>().map(|value| Record::from(value.get().to_owned()))
    }

    /// The next piece of the body, at most 64 KiB; `None` at its end.
    pub fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let piece = self.piece(64 * 1024)?;
        Ok((!piece.is_empty()).then_some(piece))
    }

    /// The records of an export, one after the other: [`Csv`](crate::rows::Csv), [`JsonLines`](crate::rows::JsonLines),
    /// [`JsonArray`](crate::rows::JsonArray) or [`Xml`](crate::rows::Xml). See [`crate::rows`] for what an answer has to
    /// prove. Any status but 200 is an error, and so is 204 unless the export may be empty.
    pub fn rows<F: Format>(self, format: F) -> Result<impl Iterator<Item = Result<Record<'static>>>> {
        let answer = self.error_for_status()?;
        let place = answer.name();
        match answer.status() {
            200 | 203 | 204 => {}
            202 => return Err(Error::transient(format_args!("{place}: the source has not finished its export"))),
            _ => return Err(Error::source(format_args!("{place}: the answer is no export"))),
        }
        let arrival = Arrival {
            content_type: answer.header("content-type"),
            of_unknown_length: ["content-length", "transfer-encoding"].iter().all(|name| answer.header(name).is_none()),
            no_content: answer.status() == 204,
        };
        let rows = open(format, &arrival, answer).map_err(|error| error.context(&place))?;
        Ok(rows.map(move |row| row.map_err(|error| error.context(&place))))
    }

    /// The records of the body, kept in the host; `None` where there is JSON without an array at `path`, which then stays
    /// to be read.
    pub(crate) fn records(&self, path: &Path) -> Result<Option<imports::Records>> {
        match self.inner.records(&path.pointer()) {
            Ok(records) => Ok(Some(records)),
            Err(wit::NoRecords::Exchange(error)) => Err(failure::from_exchange(error)),
            Err(wit::NoRecords::NotJson(error)) => {
                Err(not_json(&self.name(), self.header("content-type"), &self.start()?, &error))
            }
            Err(wit::NoRecords::NotThere) => Ok(None),
        }
    }

    /// The error for an answer without the array of records.
    pub(crate) fn no_records(&self, path: &Path, body: &str) -> Error {
        let start = start_of(body.trim_start());
        Error::source(format_args!("{}: no array of records at `{path}`; the body starts: {start}", self.name()))
    }

    /// The whole body as text, which stays there to be read again.
    pub(crate) fn peek(&self) -> Result<String> {
        let body = self.inner.peek_all().map_err(failure::from_exchange)?;
        Ok(String::from_utf8(body).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The next kilobyte of the body as text, for a message.
    fn start(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.piece(1024)?).into_owned())
    }

    /// The next bytes of the body; none at its end.
    fn piece(&self, max_bytes: usize) -> Result<Vec<u8>> {
        let max_bytes = u32::try_from(max_bytes).unwrap_or(u32::MAX);
        self.inner.read(max_bytes).map_err(failure::from_exchange)
    }

    /// Method, URL and status, for messages.
    pub(super) fn name(&self) -> String {
        failure::name(self.method, &self.inner.url(), self.status)
    }
}

/// Reads the body; `BufReader::new(answer).lines()` gives the lines of an export. The error is an [`Error`] inside.
impl io::Read for Response {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let piece = self.piece(into.len())?;
        let length = piece.len().min(into.len());
        into[..length].copy_from_slice(&piece[..length]);
        Ok(length)
    }
}

/// The error for a body that is no JSON, or JSON of another shape.
fn not_json(place: &str, content_type: Option<String>, body: &str, error: &dyn std::fmt::Display) -> Error {
    let content_type = content_type.unwrap_or_else(|| "of no content type".to_owned());
    let start = start_of(body.trim_start());
    Error::source(format_args!(
        "{place}: the body ({content_type}) is not the JSON expected, {error}; it starts: {start}"
    ))
}
