//! One page: what stands around its records, and a hold on the records in the host.

use std::cell::OnceCell;
use std::fmt;

use serde_json::value::RawValue;

use super::told::is_false;
use crate::error::{Error, Result};
use crate::http::{Request, Response, url};
use crate::imports;
use crate::json::{self, Path};
use crate::record::Record;

/// One page of records. They stay in the host until they are looked at.
#[derive(Debug, Default)]
pub struct Page {
    url: String,
    headers: Vec<(String, String)>,
    body: String,
    body_bytes: u64,
    /// `None` where there is not one record.
    kept: Option<imports::Records>,
    count: u32,
    /// The first and the last record.
    ends: [String; 2],
    /// All of them, a line each, once they were looked at.
    lines: OnceCell<String>,
    /// Whether the array of records was not there.
    missing: bool,
    /// The request that all pages are made from.
    pub(super) request: Option<Box<Request>>,
    pub(super) asked: Option<String>,
    pub(super) cursor: Option<String>,
    pub(super) place: Option<String>,
    pub(super) restarted: bool,
}

impl Page {
    /// Reads an answer; its records are told apart, not read.
    pub(crate) fn read(answer: Response, records: &Path, none_if_missing: bool) -> Result<Self> {
        let answer = answer.error_for_status()?;
        let (url, headers) = (answer.url(), answer.headers());
        let page = Self { url, headers, ..Self::default() };
        if answer.status() == 204 {
            return Ok(page);
        }
        let Some(kept) = answer.records(records)? else {
            let body = answer.peek()?;
            if !(none_if_missing && is_missing(&body, records)) {
                return Err(answer.no_records(records, &body));
            }
            return Ok(Self { body_bytes: body.len() as u64, body, missing: true, ..page });
        };
        let (count, body_bytes) = (kept.count(), kept.body_bytes());
        let mut page = Self { body: text(kept.rest()), body_bytes, count, ..page };
        if count > 0 {
            page.ends = [0, count - 1].map(|number| text(kept.read(number, 1)));
            page.kept = Some(kept);
        }
        Ok(page)
    }

    /// A page beyond the end: nothing is there.
    pub(super) fn beyond(place: Option<String>, asked: Option<String>) -> Self {
        Self { asked, place, ..Self::default() }
    }

    /// The records, in the source's order; they are fetched from the host at the first call. One that is damaged inside
    /// shows where it is read. To write them as they are,
    /// [`upsert_page`](crate::operations::Operations::upsert_page) is cheaper.
    pub fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        let lines = self.lines();
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

    /// The last record but one.
    pub(super) fn last_but_one(&self) -> Option<Record<'static>> {
        let number = self.count.checked_sub(2)?;
        self.kept.as_ref().map(|kept| Record::from(text(kept.read(number, 1)).trim_end().to_owned()))
    }

    /// What leads to the next page, for a state that resumes an interrupted copy: pass it to the pagination's `start`.
    /// `None` on the last page, so that the next copy begins anew.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Where to go on from, for a state that never begins anew: what leads to the next page, and on the last one what
    /// the next sync is to begin with. That is the source's own word for it (a cursor on the last page, the last
    /// key), else that page again, since it may grow. `None` only where this is the first page and the request as it is
    /// leads there.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// The cursor that this page was asked for with.
    pub fn asked(&self) -> Option<&str> {
        self.asked.as_deref()
    }

    /// Whether the pages began anew just here, see [`Pages::restart_on`](super::Pages::restart_on).
    pub fn restarted(&self) -> bool {
        self.restarted
    }

    /// The body without the records, whose array is empty in it: for what else is in it.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// A value beside the records as text, as [`Record::get`]: at a field's name, a JSON pointer (`/meta/next`), or in a
    /// header (`header:X-Next`). `None` where it is absent or null.
    pub fn get(&self, place: &str) -> Option<String> {
        match place.strip_prefix(HEADER) {
            Some(name) => self.header(name).map(str::to_owned),
            None => self.value(place).and_then(json::text),
        }
    }

    /// A value beside the records as the JSON it is, at a field's name or a JSON pointer.
    pub fn value(&self, place: &str) -> Option<&RawValue> {
        if place.starts_with(HEADER) {
            return None;
        }
        json::search(&self.body, &Path::new(place)).ok()?
    }

    /// As [`get`](Self::get), with null as a text of its own.
    pub(super) fn mark(&self, place: &str) -> Option<String> {
        self.get(place).or_else(|| self.value(place).map(|null| null.get().to_owned()))
    }

    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let name = name.trim();
        self.headers.iter().find_map(|(of, value)| of.eq_ignore_ascii_case(name).then_some(value.as_str()))
    }

    /// The answer's headers in the order received, names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The URL that answered.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the array of records was not there, see [`Request::none_if_missing`].
    pub(super) fn is_missing(&self) -> bool {
        self.missing
    }

    /// The cursor for a URL in the answer.
    pub(super) fn cursor_of_url(&self, reference: &str, elsewhere: bool) -> String {
        let place = &self.url;
        self.request
            .as_ref()
            .map_or_else(|| url::join(place, reference), |request| request.cursor_of_url(place, reference, elsewhere))
    }

    /// A source error that says which page is meant; the query may hold secrets and stays out.
    pub(super) fn error(&self, problem: fmt::Arguments<'_>) -> Error {
        Error::source(format_args!("{}: {problem}", url::without_query(&self.url)))
    }

    /// The body's length, its first and its last record: the same again for another page means, most of the time, that the
    /// source does not look at the page it is asked for.
    pub(super) fn fingerprint(&self) -> (u64, &[String; 2]) {
        (self.body_bytes, &self.ends)
    }

    /// The text of all records, a line each.
    pub(super) fn lines(&self) -> &str {
        let fetch = || self.kept.as_ref().map_or_else(String::new, |kept| text(kept.read(0, self.count)));
        self.lines.get_or_init(fetch)
    }

    /// Whether there are several records, and all of them alike: rows without a key, which may fill many pages.
    pub(super) fn is_of_one_kind(&self) -> bool {
        let mut lines = self.lines().split_terminator('\n');
        let first = lines.next();
        self.count > 1 && lines.all(|line| Some(line) == first)
    }
}

/// How a place in the headers begins.
const HEADER: &str = "header:";

/// Whether a body says that there are no records by leaving out their array: nothing else is in its place, what should
/// hold it is null or missing, and no error is reported.
fn is_missing(body: &str, records: &Path) -> bool {
    let at = |path: &Path| json::search(body, path).ok().flatten();
    let holds = |path: Path| at(&path).is_none_or(|value| value.get().starts_with(['{', '[', 'n']));
    let reported = |name| at(&Path::field(name)).and_then(json::text).is_some_and(|error| !is_false(&error));
    at(records).is_none() && records.parents().all(holds) && !["error", "errors"].into_iter().any(reported)
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
