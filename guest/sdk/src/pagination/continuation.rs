//! Pagination by several values at once: an answer names all that the next request is to carry.

use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};

use super::place::Place;
use super::told::{More, is_false};
use super::{Page, Pagination};
use crate::error::{Error, Result};
use crate::http::Request;
use crate::json;
use crate::record::start_of;

/// The answer's continuation goes back as parameters of the query, beside those of the request or in the place of those
/// with the same names. Without one the pages end.
///
/// ```
/// # use elt_sdk::testing::{self, Answer};
/// use elt_sdk::prelude::*;
///
/// # testing::serve(|asked| Answer::json(match asked.query("apcontinue").as_deref() {
/// #     None => r#"{"pages": [{"id": 1}], "continue": {"apcontinue": "B", "continue": "-||"}}"#,
/// #     _ => r#"{"pages": [{"id": 2}]}"#,
/// # }));
/// let http = Client::new("https://wiki.example.com");
/// let pages = http.get("api").query("list", "allpages").pages("pages", Continuation::object("continue"));
/// assert_eq!(pages.count(), 2);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Continuation {
    found: Found,
    place: Place,
    more: More,
    start: Option<String>,
}

/// Where the values stand.
#[derive(Debug, Clone)]
enum Found {
    /// In an object, under the names they are sent back by.
    Object(String),
    /// One by one: the name to send it back by, and its place.
    Each(Vec<(String, String)>),
}

impl Continuation {
    /// The values stand in one object, at a field's name or a JSON pointer, under the names that they are sent back by.
    pub fn object(field: &str) -> Self {
        Self::new(Found::Object(field.to_owned()))
    }

    /// Each value is sent back by the first name of its pair and found at the second: a field's name, a JSON pointer, or
    /// a header (`header:x-ms-continuation`). Those that are null, absent or empty are left out.
    pub fn each<const N: usize>(values: [(&str, &str); N]) -> Self {
        Self::new(Found::Each(values.map(|(name, place)| (name.to_owned(), place.to_owned())).into()))
    }

    fn new(found: Found) -> Self {
        Self { found, place: Place::Query, more: More::default(), start: None }
    }

    /// The values are sent in the request's body, in the types they came in.
    #[must_use]
    pub fn in_body(mut self) -> Self {
        self.place = Place::Body;
        self
    }

    /// Where the answer says whether there is more, for sources that always send a continuation.
    #[must_use]
    pub fn more(mut self, field: &str) -> Self {
        self.more.more = Some(field.to_owned());
        self
    }

    /// Begins at this continuation, [`Page::cursor`] or [`Page::place`] of an earlier sync; `None` begins at the beginning.
    #[must_use]
    pub fn start(mut self, cursor: Option<String>) -> Self {
        self.start = cursor.filter(|start| !start.is_empty());
        self
    }

    /// The continuation as an object, whose text is the cursor.
    fn found(&self, page: &Page) -> Result<Option<String>> {
        let values = match &self.found {
            Found::Object(field) => {
                let text = page.value(field).map_or("null", RawValue::get);
                let complain = |_| page.error(format_args!("`{field}` is no object to go on from: {}", start_of(text)));
                serde_json::from_str::<Option<Values>>(text).map_err(complain)?.unwrap_or_default()
            }
            Found::Each(places) => {
                let mut values = Values::new();
                for (name, place) in places {
                    let Some(text) = page.get(place).filter(|text| !is_false(text)) else { continue };
                    let value = match page.value(place) {
                        Some(value) => value.to_owned(),
                        None => to_raw_value(&text)?,
                    };
                    values.insert(name.clone(), value);
                }
                values
            }
        };
        if values.is_empty() {
            return Ok(None);
        }
        serde_json::to_string(&values).map(Some).map_err(Error::internal)
    }
}

type Values = BTreeMap<String, Box<RawValue>>;

impl Pagination for Continuation {
    fn start(&self) -> Option<String> {
        self.start.clone()
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        let found = self.found(page)?;
        Ok(found.filter(|_| self.more.says(page) != Some(false)))
    }

    fn last(&self, page: &Page) -> Option<String> {
        let told = self.found(page).ok().flatten().filter(|_| self.more.says(page) == Some(false));
        told.or_else(|| page.asked().map(str::to_owned))
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        let values: Values = match serde_json::from_str(cursor) {
            Ok(values) => values,
            Err(error) => return request.fail(format_args!("the continuation is no JSON object: {error}")),
        };
        values.iter().fold(request, |request, (name, value)| match self.place {
            Place::Body => request.put_body(name, value),
            place => place.put(request, name, &json::text(value).unwrap_or_default()),
        })
    }
}
