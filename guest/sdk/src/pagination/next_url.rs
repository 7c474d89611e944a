//! Pagination by URL: each answer holds the next page's URL.

use serde::Deserialize;

use super::told::{More, is_false};
use super::{Page, Pagination};
use crate::error::Result;
use crate::http::Request;

/// Follows the URL in the answer, whole or relative; null, absent, empty or false ends the pages. Headers and
/// credentials stay those of the request, its query does not: the URL holds its own.
///
/// Of the URL, path and query are kept; scheme, host and port are the client's. A source that calls itself by an inner
/// name, or by `http` behind a proxy, is followed, and a cursor in the state is good where the source has moved.
/// [`elsewhere`](Self::elsewhere) follows to other hosts.
#[derive(Debug, Clone)]
pub struct NextUrl {
    field: String,
    among: bool,
    elsewhere: bool,
    more: More,
    start: Option<String>,
}

/// A link in a list of them, by the names that are in use.
#[derive(Deserialize)]
struct Link {
    #[serde(alias = "relation")]
    rel: Option<String>,
    #[serde(alias = "url", alias = "uri")]
    href: Option<String>,
}

impl NextUrl {
    /// Where the URL stands in the answer: a field's name, a JSON pointer (`/links/next`), or a header
    /// (`header:X-Next-Page`).
    pub fn new(field: &str) -> Self {
        Self { field: field.to_owned(), among: false, elsewhere: false, more: More::default(), start: None }
    }

    /// The URL is one of a list of links, the one with relation `next`: `[{"rel": "next", "href": "…"}]`, or `relation` and
    /// `url`. `field` is where the list stands.
    pub fn among(field: &str) -> Self {
        Self { among: true, ..Self::new(field) }
    }

    /// Where the answer says whether there is more (`has_more`), for sources that always name a next URL.
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

    /// Follows to other hosts than the client's too; they must be among the connector's.
    #[must_use]
    pub fn elsewhere(mut self) -> Self {
        self.elsewhere = true;
        self
    }

    /// Begins at this URL, [`Page::cursor`] or [`Page::place`] of an earlier sync; `None` begins at the beginning.
    #[must_use]
    pub fn start(mut self, url: Option<String>) -> Self {
        self.start = url.filter(|start| !start.is_empty());
        self
    }

    fn found(&self, page: &Page) -> Result<Option<String>> {
        let url = if self.among { self.link(page)? } else { page.get(&self.field) };
        Ok(url.filter(|url| !is_false(url)).map(|url| page.cursor_of_url(&url, self.elsewhere)))
    }

    fn link(&self, page: &Page) -> Result<Option<String>> {
        let Some(links) = page.value(&self.field) else { return Ok(None) };
        let complain = |error| page.error(format_args!("`{}` is no list of links: {error}", self.field));
        let links: Option<Vec<Link>> = serde_json::from_str(links.get()).map_err(complain)?;
        let is_next = |link: &Link| link.rel.as_deref().is_some_and(|rel| rel.eq_ignore_ascii_case("next"));
        Ok(links.unwrap_or_default().into_iter().find(is_next).and_then(|link| link.href))
    }
}

impl Pagination for NextUrl {
    fn start(&self) -> Option<String> {
        self.start.clone()
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        let found = self.found(page)?;
        match self.more.says(page) {
            Some(false) => Ok(None),
            Some(true) if found.is_none() => {
                let (field, more) = (&self.field, self.more.name());
                Err(page.error(format_args!("there is no URL at `{field}`, though `{more}` says that there is more")))
            }
            None if self.more.is_asked_for() && page.is_empty() => Ok(None),
            _ => Ok(found),
        }
    }

    fn last(&self, page: &Page) -> Option<String> {
        let told = self.found(page).ok().flatten().filter(|_| self.more.says(page) == Some(false));
        told.or_else(|| page.asked().map(str::to_owned))
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        request.at(cursor, self.elsewhere)
    }
}
