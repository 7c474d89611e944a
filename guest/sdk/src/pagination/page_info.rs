//! Pagination of GraphQL: a connection's `pageInfo` says whether there is more and where it begins.

use serde::Deserialize;

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
struct Info {
    has_next_page: bool,
    end_cursor: Option<String>,
}

impl PageInfo {
    /// The variable that takes the cursor (`after`), and where the answer holds the connection's `pageInfo`, a JSON
    /// pointer; the query must ask for its `hasNextPage` and `endCursor`.
    pub fn new(variable: &str, page_info: &str) -> Self {
        Self { variable: format!("/variables/{variable}"), field: page_info.to_owned(), start: None }
    }

    /// Begins at this cursor, [`Page::cursor`] of an earlier sync; `None` begins at the beginning.
    #[must_use]
    pub fn start(mut self, cursor: Option<String>) -> Self {
        self.start = cursor.filter(|start| !start.is_empty());
        self
    }
}

impl Pagination for PageInfo {
    fn mark(&self) -> Option<&str> {
        Some(&self.field)
    }

    fn start(&self) -> Option<String> {
        self.start.clone()
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        let missing = || page.error(format_args!("there is no pageInfo at `{}`", self.field));
        let text = page.mark().ok_or_else(missing)?;
        let complain = |error| page.error(format_args!("the pageInfo is unreadable, {error}: {}", start_of(text)));
        let info: Info = serde_json::from_str(text).map_err(complain)?;
        match info.end_cursor.filter(|cursor| !cursor.is_empty()) {
            Some(cursor) if info.has_next_page => Ok(Some(cursor)),
            None if info.has_next_page => {
                Err(page.error(format_args!("the pageInfo has no endCursor, though there is more")))
            }
            _ => Ok(None),
        }
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        request.json_field(&self.variable, cursor)
    }
}
