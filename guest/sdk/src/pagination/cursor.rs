//! Pagination by a cursor: each answer holds an opaque text that leads to the next page.

use super::{Page, Pagination};
use crate::error::Result;
use crate::http::Request;

/// The answer's cursor goes back as a parameter of the query; null, absent, empty or false ends the pages.
#[derive(Debug, Clone)]
pub struct Cursor {
    parameter: String,
    field: String,
    place: Place,
    start: Option<String>,
}

/// Where the cursor goes.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Beside the other parameters of the query.
    Query,
    /// In their place.
    Alone,
    /// Into the JSON body.
    Body,
}

impl Cursor {
    /// The cursor is sent as `parameter` of the query and found in the answer at `field`, a field's name or a JSON
    /// pointer (`/meta/next`).
    pub fn new(parameter: &str, field: &str) -> Self {
        Self { parameter: parameter.to_owned(), field: field.to_owned(), place: Place::Query, start: None }
    }

    /// The cursor is sent without the request's other parameters: it stands for them too.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.place = Place::Alone;
        self
    }

    /// The cursor is sent in the request's JSON body, where `parameter` is a field's name or a JSON pointer.
    #[must_use]
    pub fn in_body(mut self) -> Self {
        self.place = Place::Body;
        self
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
        match self.place {
            Place::Query => request.query(&self.parameter, cursor),
            Place::Alone => request.without_query().query(&self.parameter, cursor),
            Place::Body => request.json_field(&self.parameter, cursor),
        }
    }
}
