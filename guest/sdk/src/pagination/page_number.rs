//! Pagination by page number.

use super::place::Place;
use super::told::{Empties, More, Total, count};
use super::{Page, Pagination};
use crate::error::Result;
use crate::http::Request;

/// Asks for page 1, 2, 3 …; ends where the source says so, by a number of pages, a total or a mark, else at an empty
/// page. An empty page does not end it where the source says that there is more.
#[derive(Debug, Clone)]
pub struct PageNumber {
    parameter: String,
    place: Place,
    pages: Total,
    total: Total,
    more: More,
    first: u64,
    start: Option<String>,
    /// The most records that a page had.
    widest: u64,
    /// The last page with records.
    filled: Option<u64>,
    empties: Empties,
}

impl PageNumber {
    /// The name of the parameter that takes the number; the first page is 1.
    pub fn new(parameter: &str) -> Self {
        Self {
            parameter: parameter.to_owned(),
            place: Place::Query,
            pages: Total::default(),
            total: Total::default(),
            more: More::default(),
            first: 1,
            start: None,
            widest: 0,
            filled: None,
            empties: Empties::default(),
        }
    }

    /// The number of the first page, for sources that count from 0.
    #[must_use]
    pub fn first(mut self, number: u64) -> Self {
        self.first = number;
        self
    }

    /// The number is sent in the request's body; the parameter is a field's name or a JSON pointer.
    #[must_use]
    pub fn in_body(mut self) -> Self {
        self.place = Place::Body;
        self
    }

    /// Where the answer says how many pages there are: a field's name, a JSON pointer, or a header
    /// (`header:X-Total-Pages`).
    #[must_use]
    pub fn total_pages(mut self, field: &str) -> Self {
        self.pages = Total::at(field);
        self
    }

    /// Where the answer says how many records there are in all (not in this page).
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

    /// Begins at this page, [`Page::cursor`] or [`Page::place`] of an earlier sync; `None` begins at the beginning.
    #[must_use]
    pub fn start(mut self, number: Option<String>) -> Self {
        self.start = number.filter(|start| !start.is_empty());
        self
    }
}

impl Pagination for PageNumber {
    fn first(&self) -> Option<String> {
        Some(self.first.to_string())
    }

    fn start(&self) -> Option<String> {
        self.start.clone()
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        let number = page.asked().map_or(Ok(self.first), |number| count(page, number))?;
        let next = number.saturating_add(1);
        if !page.is_empty() {
            self.filled = Some(number);
        }
        self.widest = self.widest.max(page.len() as u64);
        let asked = next.saturating_sub(self.first);
        // As many records as a page ever had, not as were asked for: the source may have lowered it.
        let covered = asked.saturating_mul(self.widest.max(1));
        let goes_on = match (self.pages.told(page)?, self.total.told(page)?, self.more.says(page)) {
            (None, None, None) => !page.is_empty(),
            (pages, total, more) => {
                let more_pages = pages.is_some_and(|pages| asked < pages);
                more_pages || total.is_some_and(|total| covered < total) || more == Some(true)
            }
        };
        self.empties.count(page, goes_on)?;
        Ok(goes_on.then(|| next.to_string()))
    }

    /// The last page may grow.
    fn last(&self, page: &Page) -> Option<String> {
        self.filled.map(|filled| filled.to_string()).or_else(|| page.asked().map(str::to_owned))
    }

    fn same_in_a_row_max(&self) -> usize {
        1
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        self.place.put(request, &self.parameter, cursor)
    }
}
