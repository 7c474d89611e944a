//! Pagination by key: each page begins after the last record of the page before.

use serde_json::value::RawValue;

use super::place::Place;
use super::told::More;
use super::{Page, Pagination};
use crate::error::{Error, Result};
use crate::http::Request;
use crate::json::{self, Path};
use crate::record::{Record, start_of};
use crate::time;

/// A field of the last record goes back as a parameter of the query. Ends at an empty page, or where the answer says
/// that there is no more.
///
/// The key must be one that no two records share: a page that ends between two records of one key would lose the second.
/// A moment is no such key, so one is refused unless [`inclusive`](Self::inclusive) or [`unique`](Self::unique) says how
/// it is meant.
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
    place: Place,
    more: More,
    ties: Ties,
    start: Option<String>,
}

/// What becomes of records that share a key.
#[derive(Debug, Clone, Copy)]
enum Ties {
    /// There are none, it is said; moments are not believed.
    Unexpected,
    /// There are none, the author is sure.
    Impossible,
    /// The source gives the records of the key again.
    Again {
        /// How many records the source puts into a page, as the author says.
        full: usize,
        /// The same, as pages show that were not the last.
        cut: usize,
        /// How many records were in the page before.
        before: usize,
    },
}

impl Keyset {
    /// The last record's `field`, a name or a JSON pointer, is sent as `parameter` of the query.
    pub fn new(parameter: &str, field: &str) -> Self {
        Self {
            parameter: parameter.to_owned(),
            field: field.to_owned(),
            place: Place::Query,
            more: More::default(),
            ties: Ties::Unexpected,
            start: None,
        }
    }

    /// The key is sent in the request's body, in the type it came in; `parameter` is a field's name or a JSON pointer.
    #[must_use]
    pub fn in_body(mut self) -> Self {
        self.place = Place::Body;
        self
    }

    /// Where the answer says whether there is more, a field's name or a JSON pointer (`has_more`); saves the request
    /// for an empty page.
    #[must_use]
    pub fn more(mut self, field: &str) -> Self {
        self.more.more = Some(field.to_owned());
        self
    }

    /// The source gives the records of that key again, since others may share it (an instant of change): ends where a
    /// page goes no further. `page` is how many records the source puts into one; so many of one key are an error,
    /// because nothing leads past them.
    #[must_use]
    pub fn inclusive(mut self, page: usize) -> Self {
        self.ties = Ties::Again { full: page, cut: usize::MAX, before: 0 };
        self
    }

    /// No two records of the list share the key, although it is a moment.
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.ties = Ties::Impossible;
        self
    }

    /// Begins after this key, that of a record of an earlier sync; `None` begins at the beginning.
    #[must_use]
    pub fn start(mut self, key: Option<String>) -> Self {
        self.start = key.filter(|start| !start.is_empty());
        self
    }

    /// The key of a record.
    fn key(&self, record: &Record) -> Result<String> {
        let value = json::search(record.json(), &Path::new(&self.field)).ok().flatten();
        let missing = || {
            let record = start_of(record.json());
            Error::source(format_args!("a record has no `{}`, which leads to the next page: {record}", self.field))
        };
        value.and_then(|value: &RawValue| self.place.cursor(value)).ok_or_else(missing)
    }

    /// Refuses a key that records share where the source goes on after it.
    fn refuse_ties(&self, page: &Page, key: &str) -> Result<()> {
        let field = &self.field;
        if matches!(self.ties, Ties::Unexpected) && time::looks_like_moment(field, key) {
            return Err(Error::internal(format_args!(
                "`{field}` is a moment ({key}), which records may share: those after a page's end would be lost; \
                 `.inclusive(page)` where the source gives them again, `.unique()` where no two records share one"
            )));
        }
        let before = page.last_but_one().map(|record| self.key(&record)).transpose()?;
        if before.as_deref() == Some(key) {
            return Err(page.error(format_args!(
                "two records in a row have the same `{field}` ({key}): a page that ends between such records loses one; \
                 say `.inclusive(page)` if the source gives the records of a key again"
            )));
        }
        Ok(())
    }
}

impl Pagination for Keyset {
    fn start(&self) -> Option<String> {
        self.start.clone()
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        let says = self.more.says(page);
        let Some(last) = page.last() else {
            if says == Some(true) {
                let more = self.more.name();
                return Err(page.error(format_args!("the page is empty, though `{more}` says that there is more")));
            }
            return Ok(None);
        };
        let key = self.key(&last)?;
        let Ties::Again { full, cut, before } = &mut self.ties else {
            self.refuse_ties(page, &key)?;
            return Ok((says != Some(false)).then_some(key));
        };
        let is_stuck = page.asked() == Some(&key);
        if is_stuck && (page.len() >= *full || page.len() >= *cut || says == Some(true)) {
            let field = &self.field;
            return Err(page.error(format_args!("a page is full of records with one and the same `{field}`")));
        }
        // A page that another one goes on from was cut where the source cuts, whatever was asked for.
        if *before > 0 && !is_stuck {
            *cut = if *cut == usize::MAX { *before } else { (*cut).max(*before) };
        }
        *before = page.len();
        Ok((!is_stuck && says != Some(false)).then_some(key))
    }

    fn last(&self, page: &Page) -> Option<String> {
        let key = page.last().and_then(|last| self.key(&last).ok());
        key.or_else(|| page.asked().map(str::to_owned))
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        self.place.put(request, &self.parameter, cursor)
    }
}
