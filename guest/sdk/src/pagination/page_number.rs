//! Pagination by page number.

use super::offset::count;
use super::{Page, Pagination};
use crate::error::Result;
use crate::http::Request;

/// Asks for page 1, 2, 3 …; ends at an empty page, or where the number of pages is reached.
#[derive(Debug, Clone)]
pub struct PageNumber {
    parameter: String,
    pages: Option<String>,
    first: u64,
    at: u64,
}

impl PageNumber {
    /// The name of the parameter that takes the number; the first page is 1.
    pub fn new(parameter: &str) -> Self {
        Self { parameter: parameter.to_owned(), pages: None, first: 1, at: 1 }
    }

    /// The number of the first page, for sources that count from 0.
    #[must_use]
    pub fn first(mut self, number: u64) -> Self {
        (self.first, self.at) = (number, number);
        self
    }

    /// Where the answer says how many pages there are, a field's name or a JSON pointer; saves the request for an
    /// empty page.
    #[must_use]
    pub fn total_pages(mut self, field: &str) -> Self {
        self.pages = Some(field.to_owned());
        self
    }

    /// Begins at this page.
    #[must_use]
    pub fn start(mut self, number: u64) -> Self {
        self.at = number;
        self
    }
}

impl Pagination for PageNumber {
    fn mark(&self) -> Option<&str> {
        self.pages.as_deref()
    }

    fn start(&self) -> Option<String> {
        Some(self.at.to_string())
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        self.at += 1;
        let pages = page.mark().map(|mark| count(page, mark)).transpose()?;
        let ended = page.is_empty() || pages.is_some_and(|pages| self.at >= self.first + pages);
        Ok((!ended).then(|| self.at.to_string()))
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        request.query(&self.parameter, cursor)
    }
}
