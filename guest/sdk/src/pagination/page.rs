//! One page: what stands around its records, and a hold on the records in the host.

use std::cell::OnceCell;
use std::fmt;

use crate::error::{Error, Result};
use crate::http::{Response, url};
use crate::imports;
use crate::json::{self, Path};
use crate::record::Record;

/// One page of records. They stay in the host until they are looked at.
#[derive(Debug, Default)]
pub struct Page {
    url: String,
    links: Vec<String>,
    body: String,
    body_bytes: u64,
    /// `None` where there is not one record.
    kept: Option<imports::Records>,
    count: u32,
    /// The first and the last record.
    ends: [String; 2],
    /// All of them, a line each, once they were looked at.
    lines: OnceCell<String>,
    mark: Option<String>,
    pub(super) cursor: Option<String>,
}

impl Page {
    /// Reads an answer; its records are told apart, not read.
    pub(crate) fn read(answer: Response, records: &Path, mark: Option<&Path>) -> Result<Self> {
        let answer = answer.error_for_status()?;
        let (status, url, headers) = (answer.status(), answer.url(), answer.headers());
        let links = headers.into_iter().filter(|(name, _)| name == "link").map(|(_, value)| value).collect();
        if status == 204 {
            return Ok(Self { url, links, ..Self::default() });
        }
        let kept = answer.records(records)?;
        let (count, body_bytes) = (kept.count(), kept.body_bytes());
        let body = text(kept.rest());
        let mark = mark.and_then(|mark| json::search(&body, mark).ok()?).and_then(json::text);
        let mut page = Self { url, links, body, body_bytes, count, mark, ..Self::default() };
        if count > 0 {
            page.ends = [0, count - 1].map(|number| text(kept.read(number, 1)));
            page.kept = Some(kept);
        }
        Ok(page)
    }

    /// The records, in the source's order; they are fetched from the host at the first call. One that is damaged inside
    /// shows where it is read. To write them as they are,
    /// [`upsert_page`](crate::operations::Operations::upsert_page) is cheaper.
    pub fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        let fetch = || self.kept.as_ref().map_or_else(String::new, |kept| text(kept.read(0, self.count)));
        let lines = self.lines.get_or_init(fetch);
        Records { lines: lines.split_terminator('\n'), left: self.len() }
    }

    /// The first record.
    pub fn first(&self) -> Option<Record<'_>> {
        self.end(0)
    }

    /// The last record, for what a state remembers of it.
    pub fn last(&self) -> Option<Record<'_>> {
        self.end(1)
    }

    fn end(&self, which: usize) -> Option<Record<'_>> {
        (!self.is_empty()).then(|| Record::from(self.ends[which].trim_end_matches('\n')))
    }

    /// The records in the host; `None` where there are none.
    pub(crate) fn kept(&self) -> Option<&imports::Records> {
        self.kept.as_ref()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What leads to the next page, for the state: pass it to the pagination's `start` to resume there. `None` on the
    /// last page.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// The body without the records, whose array is empty in it: for what else is in it.
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
    pub(super) fn fingerprint(&self) -> (u64, &[String; 2]) {
        (self.body_bytes, &self.ends)
    }
}

/// The iterator of [`Page::records`].
struct Records<'a> {
    lines: std::str::SplitTerminator<'a, char>,
    left: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let line = self.lines.next()?;
        self.left -= 1;
        Some(Record::from(line))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Records<'_> {}

/// What the host cut out of a text is text.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}
