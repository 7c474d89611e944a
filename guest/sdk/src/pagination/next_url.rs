//! Pagination by URL: each answer's body holds the next page's URL.

use super::{Page, Pagination};
use crate::error::Result;
use crate::http::{Request, url};

/// Follows the URL in the answer, whole or relative; null, absent or empty ends the pages. Headers and credentials stay
/// those of the request, its query does not: the URL holds its own.
#[derive(Debug, Clone)]
pub struct NextUrl {
    field: String,
    start: Option<String>,
}

impl NextUrl {
    /// Where the URL stands in the answer, a field's name or a JSON pointer (`/links/next`).
    pub fn new(field: &str) -> Self {
        Self { field: field.to_owned(), start: None }
    }

    /// Begins at this URL, [`Page::cursor`] of an earlier sync; `None` begins at the beginning.
    #[must_use]
    pub fn start(mut self, url: Option<String>) -> Self {
        self.start = url.filter(|start| !start.is_empty());
        self
    }
}

impl Pagination for NextUrl {
    fn mark(&self) -> Option<&str> {
        Some(&self.field)
    }

    fn start(&self) -> Option<String> {
        self.start.clone()
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        Ok(page.mark().filter(|mark| !mark.is_empty()).map(|mark| url::join(page.url(), mark)))
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        request.at(cursor)
    }
}
