//! One page: the answer's body and where its records lie in it.

use std::fmt;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::http::{Response, failure, not_json, url};
use crate::json::{self, Path};
use crate::record::{Record, start_of};

/// One page of records.
#[derive(Debug, Default)]
pub struct Page {
    url: String,
    links: Vec<String>,
    body: String,
    records: Vec<Range<usize>>,
    mark: Option<String>,
    pub(super) cursor: Option<String>,
}

impl Page {
    /// Reads an answer; its records are told apart, not read.
    pub(crate) fn read(answer: Response, records: &Path, mark: Option<&Path>) -> Result<Self> {
        let answer = answer.error_for_status()?;
        let (method, status, url, headers) = (answer.method(), answer.status(), answer.url(), answer.headers());
        let place = failure::name(method, &url, status);
        let header = |name| headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.clone());
        let links = header("link").collect();
        if status == 204 {
            return Ok(Self { url, links, ..Self::default() });
        }
        let body = String::from_utf8(answer.bytes()?);
        let body = body.map_err(|error| Error::source(format_args!("{place}: {error}")))?;
        let found = json::records(&body, records, mark)
            .map_err(|error| not_json(&place, header("content-type").next(), &body, &error))?;
        let no_records = || {
            let start = start_of(body.trim_start());
            Error::source(format_args!("{place}: no array of records at `{records}`; the body starts: {start}"))
        };
        let records = found.elements.ok_or_else(no_records)?;
        Ok(Self { url, links, body, records, mark: found.value, cursor: None })
    }

    /// The records, in the source's order. One that is damaged inside shows where it is read: here, or in the host.
    pub fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.records.iter().map(|range| Record::from(&self.body[range.clone()]))
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What leads to the next page, for the state: pass it to the pagination's `start` to resume there. `None` on the
    /// last page.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// The whole body, for what else is in it.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The URL that answered.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The values of the answer's `Link` headers.
    pub fn links(&self) -> &[String] {
        &self.links
    }

    /// The value at [`Pagination::mark`](super::Pagination::mark) as text; `None` where it is absent or null.
    pub fn mark(&self) -> Option<&str> {
        self.mark.as_deref()
    }

    /// A source error that says which page is meant; the query may hold secrets and stays out.
    pub(super) fn error(&self, problem: fmt::Arguments<'_>) -> Error {
        Error::source(format_args!("{}: {problem}", url::without_query(&self.url)))
    }

    /// The body's length, its first and its last record: the same again for another page means that the source does
    /// not look at the page it is asked for.
    pub(super) fn fingerprint(&self) -> (usize, &str, &str) {
        let record = |range: Option<&Range<usize>>| range.map_or("", |range| &self.body[range.clone()]);
        (self.body.len(), record(self.records.first()), record(self.records.last()))
    }
}
