//! Pagination of GraphQL: a connection's `pageInfo` says whether there is more and where it begins.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::place::Place;
use super::{Page, Pagination};
use crate::error::Result;
use crate::http::Request;
use crate::record::start_of;

/// The connection's end cursor goes back as a variable of the query. See [`Request::graphql`] for an example.
#[derive(Debug, Clone)]
pub struct PageInfo {
    variable: String,
    field: String,
    start: Option<String>,
}

/// What the specification of connections names so.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    has_next_page: bool,
    #[serde(borrow)]
    end_cursor: Option<&'a RawValue>,
}

impl Info<'_> {
    fn cursor(&self) -> Option<String> {
        self.end_cursor.and_then(|cursor| Place::Body.cursor(cursor)).filter(|cursor| !cursor.is_empty())
    }
}

impl PageInfo {
    /// The variable that takes the cursor (`after`), and where the answer holds the connection's `pageInfo`, a JSON
    /// pointer; the query must ask for its `hasNextPage` and `endCursor`.
    pub fn new(variable: &str, page_info: &str) -> Self {
        Self { variable: format!("/variables/{variable}"), field: page_info.to_owned(), start: None }
    }

    /// Begins at this cursor, [`Page::cursor`] or [`Page::place`] of an earlier sync; `None` begins at the beginning.
    #[must_use]
    pub fn start(mut self, cursor: Option<String>) -> Self {
        self.start = cursor.filter(|start| !start.is_empty());
        self
    }
}

impl PageInfo {
    fn info<'a>(&self, page: &'a Page) -> Result<Info<'a>> {
        let missing = || page.error(format_args!("there is no pageInfo at `{}`", self.field));
        let text = page.value(&self.field).ok_or_else(missing)?.get();
        let complain = |error| page.error(format_args!("the pageInfo is unreadable, {error}: {}", start_of(text)));
        serde_json::from_str(text).map_err(complain)
    }
}

impl Pagination for PageInfo {
    fn start(&self) -> Option<String> {
        self.start.clone()
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        if page.is_missing() {
            return Ok(None);
        }
        let info = self.info(page)?;
        match info.cursor() {
            Some(cursor) if info.has_next_page => Ok(Some(cursor)),
            None if info.has_next_page => {
                Err(page.error(format_args!("the pageInfo has no endCursor, though there is more")))
            }
            _ => Ok(None),
        }
    }

    fn last(&self, page: &Page) -> Option<String> {
        let info = self.info(page).ok().filter(|info| !info.has_next_page);
        info.and_then(|info| info.cursor()).or_else(|| page.asked().map(str::to_owned))
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        Place::Body.put(request, &self.variable, cursor)
    }
}
