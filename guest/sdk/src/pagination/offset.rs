//! Pagination by offset: so many records, from the so-manieth on.

use super::place::Place;
use super::told::{Empties, More, Total, count};
use super::{Page, Pagination};
use crate::error::Result;
use crate::http::Request;

/// Asks for `limit` records from an offset on, which grows by the records that came. Ends where the source says so, by a
/// total or a mark, else at an empty page. A page shorter than the limit does not end it, many sources cap the limit
/// without a word; and an empty one does not where the source says that there is more.
#[derive(Debug, Clone)]
pub struct Offset {
    parameter: String,
    limit: (String, u64),
    place: Place,
    total: Total,
    more: More,
    start: Option<String>,
    /// The most records that a page had: no page leads further.
    widest: u64,
    /// Where the last page with records ended.
    after: Option<u64>,
    empties: Empties,
}

impl Offset {
    /// The names of the two parameters, and how many records to ask for.
    pub fn new(offset: &str, limit: &str, records: u64) -> Self {
        Self {
            parameter: offset.to_owned(),
            limit: (limit.to_owned(), records),
            place: Place::Query,
            total: Total::default(),
            more: More::default(),
            start: None,
            widest: 0,
            after: None,
            empties: Empties::default(),
        }
    }

    /// Offset and limit are sent in the request's body, as numbers; the parameters are names of fields or JSON pointers.
    #[must_use]
    pub fn in_body(mut self) -> Self {
        self.place = Place::Body;
        self
    }

    /// Where the answer says how many records there are in all (not in this page): a field's name, a JSON pointer, or a
    /// header (`header:X-Total-Count`).
    #[must_use]
    pub fn total(mut self, field: &str) -> Self {
        self.total = Total::at(field);
        self
    }

    /// Where the answer says whether there is more (`has_more`).
    #[must_use]
    pub fn more(mut self, field: &str) -> Self {
        self.more.more = Some(field.to_owned());
        self
    }

    /// Begins at this offset, [`Page::cursor`] or [`Page::place`] of an earlier sync; `None` begins at the beginning.
    #[must_use]
    pub fn start(mut self, offset: Option<String>) -> Self {
        self.start = offset.filter(|start| !start.is_empty());
        self
    }
}

impl Pagination for Offset {
    fn first(&self) -> Option<String> {
        Some("0".to_owned())
    }

    fn start(&self) -> Option<String> {
        self.start.clone()
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        let at = count(page, page.asked().unwrap_or("0"))?;
        let came = page.len() as u64;
        self.widest = self.widest.max(came);
        // Where nothing came, no further than any page has led: the source may have a smaller limit.
        let step = if came > 0 {
            came
        } else if self.widest > 0 {
            self.widest
        } else {
            self.limit.1.max(1)
        };
        let next = at.saturating_add(step);
        if came > 0 {
            self.after = Some(next);
        }
        let goes_on = match (self.total.told(page)?, self.more.says(page)) {
            (None, None) => came > 0,
            (total, more) => total.is_some_and(|total| next < total) || more == Some(true),
        };
        self.empties.count(page, goes_on)?;
        Ok(goes_on.then(|| next.to_string()))
    }

    fn last(&self, page: &Page) -> Option<String> {
        self.after.map(|after| after.to_string()).or_else(|| page.asked().map(str::to_owned))
    }

    fn same_in_a_row_max(&self) -> usize {
        1
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        let (limit, records) = &self.limit;
        let request = self.place.put(request, limit, &records.to_string());
        self.place.put(request, &self.parameter, cursor)
    }
}
