//! Pagination by a cursor: each answer holds an opaque text that leads to the next page.

use super::{Page, Pagination};
use crate::error::Result;
use crate::http::Request;

/// The answer's cursor goes back as a parameter of the query; null, absent, empty or false ends the pages.
#[derive(Debug, Clone)]
pub struct Cursor {
    parameter: String,
    field: String,
    start: Option<String>,
}

impl Cursor {
    /// The cursor is sent as `parameter` of the query and found in the answer at `field`, a field's name or a JSON
    /// pointer (`/meta/next`).
    pub fn new(parameter: &str, field: &str) -> Self {
        Self { parameter: parameter.to_owned(), field: field.to_owned(), start: None }
    }

    /// Begins at this cursor, [`Page::cursor`] of an earlier sync; `None` begins at the beginning.
    #[must_use]
    pub fn start(mut self, cursor: Option<String>) -> Self {
        self.start = cursor.filter(|start| !start.is_empty());
        self
    }
}

impl Pagination for Cursor {
    fn mark(&self) -> Option<&str> {
        Some(&self.field)
    }

    fn start(&self) -> Option<String> {
        self.start.clone()
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        Ok(page.mark().filter(|mark| !matches!(*mark, "" | "false")).map(str::to_owned))
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        request.query(&self.parameter, cursor)
    }
}
