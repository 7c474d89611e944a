//! Pagination by a cursor: each answer holds an opaque value that leads to the next page.

use super::place::Place;
use super::told::{More, is_false};
use super::{Page, Pagination};
use crate::error::Result;
use crate::http::Request;

/// The answer's cursor goes back as a parameter of the query. Null, absent, `""`, `0` and false end the pages; so does
/// what [`more`](Self::more) and [`end`](Self::end) say, whatever cursor there is.
#[derive(Debug, Clone)]
pub struct Cursor {
    parameter: String,
    field: String,
    place: Place,
    first: Option<String>,
    start: Option<String>,
    last: Option<String>,
    more: More,
}

impl Cursor {
    /// The cursor is sent as `parameter` of the query and found in the answer at `field`: a field's name, a JSON
    /// pointer (`/meta/next`), or a header (`header:X-Next-Cursor`).
    pub fn new(parameter: &str, field: &str) -> Self {
        Self {
            parameter: parameter.to_owned(),
            field: field.to_owned(),
            place: Place::Query,
            first: None,
            start: None,
            last: None,
            more: More::default(),
        }
    }

    /// The cursor is sent without the request's other parameters: it stands for them too.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.place = Place::Alone;
        self
    }

    /// The cursor is sent in the request's body, in the type it came in (a number as a number, a list as a list): in
    /// JSON, where `parameter` is a field's name or a JSON pointer, or in a form.
    #[must_use]
    pub fn in_body(mut self) -> Self {
        self.place = Place::Body;
        self
    }

    /// The cursor is sent as a header, whose name `parameter` is.
    #[must_use]
    pub fn in_header(mut self) -> Self {
        self.place = Place::Header;
        self
    }

    /// The first page is asked for with a cursor too: `*`, `-1`, or an empty text.
    #[must_use]
    pub fn first(mut self, cursor: &str) -> Self {
        self.first = Some(cursor.to_owned());
        self
    }

    /// This value of the cursor means that there is no more, `-1` for instance.
    #[must_use]
    pub fn last(mut self, cursor: &str) -> Self {
        self.last = Some(cursor.to_owned());
        self
    }

    /// Where the answer says whether there is more (`has_more`): then its cursor leads on only if there is, and the last
    /// page's is [`Page::place`], for the next sync.
    #[must_use]
    pub fn more(mut self, field: &str) -> Self {
        self.more.more = Some(field.to_owned());
        self
    }

    /// The other way round: where the answer says that this is the end (`end_of_stream`).
    #[must_use]
    pub fn end(mut self, field: &str) -> Self {
        self.more.end = Some(field.to_owned());
        self
    }

    /// Begins at this cursor, [`Page::cursor`] or [`Page::place`] of an earlier sync; `None` begins at the beginning.
    #[must_use]
    pub fn start(mut self, cursor: Option<String>) -> Self {
        self.start = cursor.filter(|start| !start.is_empty());
        self
    }

    /// The answer's cursor, if it is one.
    fn found(&self, page: &Page) -> Option<String> {
        let text = page.get(&self.field).filter(|text| !is_false(text) && Some(text) != self.last.as_ref())?;
        page.value(&self.field).map_or(Some(text), |value| self.place.cursor(value))
    }
}

impl Pagination for Cursor {
    fn first(&self) -> Option<String> {
        self.first.clone()
    }

    fn start(&self) -> Option<String> {
        self.start.clone()
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        let found = self.found(page);
        match self.more.says(page) {
            Some(false) => Ok(None),
            Some(true) if found.is_none() => {
                let (field, more) = (&self.field, self.more.name());
                Err(page
                    .error(format_args!("there is no cursor at `{field}`, though `{more}` says that there is more")))
            }
            None if self.more.is_asked_for() && page.is_empty() => Ok(None),
            _ => Ok(found),
        }
    }

    fn last(&self, page: &Page) -> Option<String> {
        let told = self.found(page).filter(|_| self.more.says(page) == Some(false));
        told.or_else(|| page.asked().map(str::to_owned))
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        self.place.put(request, &self.parameter, cursor)
    }
}
