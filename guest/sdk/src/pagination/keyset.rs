//! Pagination by key: each page begins after the last record of the page before.

use super::{Page, Pagination};
use crate::error::Result;
use crate::http::Request;

/// A field of the last record goes back as a parameter of the query. Ends at an empty page, or where the answer says
/// that there is no more.
///
/// ```
/// # use elt_sdk::testing::{self, Answer};
/// use elt_sdk::prelude::*;
///
/// # testing::serve(|asked| Answer::json(match asked.query("after_id").as_deref() {
/// #     None => r#"{"items": [{"id": 1}, {"id": 2}], "has_more": true}"#,
/// #     _ => r#"{"items": [{"id": 3}], "has_more": false}"#,
/// # }));
/// let http = Client::new("https://api.example.com");
/// let pages = http.get("people").pages("items", Keyset::new("after_id", "id").more("has_more"));
/// assert_eq!(pages.map(|page| page.map(|page| page.len())).collect::<Result<Vec<_>>>()?, [2, 1]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Keyset {
    parameter: String,
    field: String,
    more: Option<String>,
    inclusive: Option<usize>,
    start: Option<String>,
}

impl Keyset {
    /// The last record's `field` is sent as `parameter` of the query.
    pub fn new(parameter: &str, field: &str) -> Self {
        Self { parameter: parameter.to_owned(), field: field.to_owned(), more: None, inclusive: None, start: None }
    }

    /// Where the answer says whether there is more, a field's name or a JSON pointer (`has_more`); saves the request
    /// for an empty page.
    #[must_use]
    pub fn more(mut self, field: &str) -> Self {
        self.more = Some(field.to_owned());
        self
    }

    /// The source gives the records of that key again, since others may share it (an instant of change): ends where a
    /// page goes no further. `page` is how many records the source puts into one; so many of one key are an error,
    /// because nothing leads past them.
    #[must_use]
    pub fn inclusive(mut self, page: usize) -> Self {
        self.inclusive = Some(page);
        self
    }

    /// Begins after this key, that of a record of an earlier sync; `None` begins at the beginning.
    #[must_use]
    pub fn start(mut self, key: Option<String>) -> Self {
        self.start = key.filter(|start| !start.is_empty());
        self
    }
}

impl Pagination for Keyset {
    fn mark(&self) -> Option<&str> {
        self.more.as_deref()
    }

    fn start(&self) -> Option<String> {
        self.start.clone()
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        let ended = self.more.is_some() && matches!(page.mark(), None | Some("false" | "" | "0"));
        let key = page.last().filter(|_| !ended).map(|last| last.required(&self.field)).transpose()?;
        let Some(full) = self.inclusive else { return Ok(key) };
        // What was asked for is kept here: the key of the page before.
        let asked = std::mem::replace(&mut self.start, key.clone());
        if key.is_some() && key == asked {
            let field = &self.field;
            let stuck = page.len() >= full;
            let stuck =
                stuck.then(|| page.error(format_args!("a page is full of records with one and the same `{field}`")));
            return stuck.map_or(Ok(None), Err);
        }
        Ok(key)
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        request.query(&self.parameter, cursor)
    }
}
