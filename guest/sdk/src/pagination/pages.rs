//! Asks for page after page, one ahead of the page that is worked on.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Page, Pagination, Signal};
use crate::error::{Error, Result};
use crate::http::{Pending, Request, Response};
use crate::json::Path;
use crate::record::start_of;

/// The pages of a request, in order; ends at the last page or the first error.
///
/// The first page is asked for as soon as it is made, the next one as soon as its cursor is known. Dropping it cancels
/// what is under way.
///
/// Where a source ends in a way of its own, say so:
///
/// ```
/// # use elt_sdk::testing::{self, Answer};
/// use elt_sdk::prelude::*;
///
/// # testing::serve(|asked| match asked.query("page").as_deref() {
/// #     Some("1") => Answer::json(r#"[{"id": 1}]"#),
/// #     _ => Answer::status(404),
/// # });
/// let http = Client::new("https://api.example.com");
/// for page in http.get("people").pages("", PageNumber::new("page")).end_on(404) {
///     fine!("{} people", page?.len());
/// }
/// # Ok::<(), Error>(())
/// ```
#[must_use = "pages are read by iterating"]
pub struct Pages<P> {
    request: Request,
    pagination: P,
    records: Path,
    ends: Ends,
    upcoming: Option<(Option<String>, Result<Pending>)>,
    /// How many pages may still be asked for.
    left: usize,
    /// Hashes of the cursors asked for.
    cursors: BTreeSet<u64>,
    /// The hash of the page before, and how many pages in a row had it.
    previous: Option<(u64, usize)>,
    /// Whether the page under way is not the very first.
    is_beyond_first: bool,
    /// Where the next sync goes on if nothing follows.
    place: Option<String>,
    restarted: bool,
}

/// What ends the pages, or begins them anew, beside what the pagination says.
#[derive(Default)]
struct Ends {
    statuses: Vec<Box<dyn Signal>>,
    repeated_cursor: bool,
    repeated_page: bool,
    alike: bool,
    restarts: Vec<(Box<dyn Signal>, Request)>,
}

impl<P: Pagination> Pages<P> {
    pub(crate) fn new(request: Request, records: &str, pagination: P) -> Self {
        let start = pagination.start();
        let mut pages = Self {
            records: Path::new(records),
            ends: Ends::default(),
            request,
            pagination,
            upcoming: None,
            left: usize::MAX,
            cursors: BTreeSet::new(),
            previous: None,
            is_beyond_first: start.is_some(),
            place: start.clone(),
            restarted: false,
        };
        pages.ask(start.or_else(|| pages.pagination.first()));
        pages
    }

    /// Ends after so many pages, at least one; the next one is not asked for, and [`Page::cursor`] leads there.
    pub fn limit(mut self, pages: usize) -> Self {
        // The first one is under way.
        self.left = pages.saturating_sub(1);
        self
    }

    /// Ends where a page beyond the first is answered so: `404`, `[400, 416]`, a code in the answer (`"no_such_page"`), or a
    /// function of the [`Error`]. An empty page stands for the answer. For the very first page it is an error as ever.
    pub fn end_on(mut self, signal: impl Signal + 'static) -> Self {
        self.ends.statuses.push(Box::new(signal));
        self
    }

    /// Ends where the source names a cursor that was asked for already. Without this call that is an error: the pages go
    /// round in circles.
    pub fn end_on_repeated_cursor(mut self) -> Self {
        self.ends.repeated_cursor = true;
        self
    }

    /// Ends where a page has the same records as the page before: the source gives its last one to whoever asks for one
    /// beyond. Without this call that is an error, as for a source that does not look at the page it is asked for.
    pub fn end_on_repeated_page(mut self) -> Self {
        self.ends.repeated_page = true;
        self
    }

    /// Pages of the same records may follow each other: rows without a key, which are often alike.
    pub fn alike(mut self) -> Self {
        self.ends.alike = true;
        self
    }

    /// Begins anew, once, where a cursor is answered so, because it has expired: `410`, `[410, 422]`, a code in the
    /// answer (`"EXPIRED_CURSOR"`), or a function of the [`Error`]. `request` says from where: the same request for all
    /// there is, or one from a moment on. [`Page::restarted`] is true of the page that then comes.
    ///
    /// ```
    /// # use elt_sdk::testing::{self, Answer};
    /// use elt_sdk::prelude::*;
    ///
    /// # testing::serve(|asked| match asked.query("token").as_deref() {
    /// #     Some("old") => Answer::status(410),
    /// #     _ => Answer::json(r#"{"items": [{"id": 1}], "token": "new", "more": false}"#),
    /// # });
    /// fn events(http: &Client, state: &mut State, operations: &mut Operations) -> Result<()> {
    ///     let changes = Cursor::new("token", "token").more("more").start(state.get("place"));
    ///     let request = http.get("events");
    ///     for page in request.clone().pages("items", changes).restart_on(410, request) {
    ///         let page = page?;
    ///         if page.restarted() {
    ///             operations.truncate("events")?; // what was deleted meanwhile is not told any more
    ///         }
    ///         operations.upsert_page("events", &page)?;
    ///         state.set("place", page.place())?;
    ///         operations.checkpoint(state)?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn restart_on(mut self, signal: impl Signal + 'static, request: Request) -> Self {
        self.ends.restarts.push((Box::new(signal), request));
        self
    }

    /// Whether a page or an error is still to come.
    pub(super) fn has_more(&self) -> bool {
        self.upcoming.is_some()
    }

    fn ask(&mut self, cursor: Option<String>) {
        self.cursors.extend(cursor.as_deref().map(hash));
        let request = self.request.clone();
        let request = match &cursor {
            Some(cursor) => self.pagination.apply(request, cursor),
            None => request,
        };
        self.upcoming = Some((cursor, request.start()));
    }

    fn read(&mut self, asked: Option<String>, pending: Result<Pending>) -> Result<Page> {
        let answer = pending.and_then(Pending::wait);
        let status = answer.as_ref().ok().map(Response::status);
        let none_if_missing = self.request.takes_missing_as_none();
        match answer.and_then(|answer| Page::read(answer, &self.records, none_if_missing)) {
            Ok(page) => self.take(page, asked),
            Err(error) => self.refused(status, error, asked),
        }
    }

    fn take(&mut self, mut page: Page, asked: Option<String>) -> Result<Page> {
        page.asked = asked;
        page.request = Some(Box::new(self.request.clone()));
        page.restarted = std::mem::take(&mut self.restarted);
        if self.is_repeated(&page)? {
            return Ok(Page::beyond(self.place.take(), page.asked));
        }
        page.cursor = self.pagination.next(&page)?;
        self.refuse_circle(&mut page)?;
        self.place = self.pagination.last(&page);
        page.place = page.cursor.clone().or_else(|| self.place.clone());
        self.is_beyond_first = true;
        if let Some(cursor) = page.cursor.clone()
            && self.left > 0
        {
            self.left -= 1;
            self.ask(Some(cursor));
        }
        Ok(page)
    }

    /// An answer that is an error: for the pages it may be the end, or a reason to begin anew.
    fn refused(&mut self, status: Option<u16>, error: Error, asked: Option<String>) -> Result<Page> {
        let ended = self.ends.statuses.iter().any(|signal| signal.is(status, &error));
        if ended && self.is_beyond_first {
            return Ok(Page::beyond(self.place.take(), asked));
        }
        let expired = |(signal, _): &(Box<dyn Signal>, Request)| self.is_beyond_first && signal.is(status, &error);
        let Some(at) = self.ends.restarts.iter().position(expired) else {
            return Err(error);
        };
        // Once: a source whose new cursors expire too would never come to an end.
        let (_, request) = std::mem::take(&mut self.ends.restarts).swap_remove(at);
        crate::warning!("the cursor has expired, the pages begin anew: {error}");
        self.request = request;
        self.cursors.clear();
        (self.previous, self.place, self.is_beyond_first, self.restarted) = (None, None, false, true);
        self.ask(self.pagination.first());
        match self.upcoming.take() {
            Some((asked, pending)) => self.read(asked, pending),
            None => Err(error),
        }
    }

    /// Whether the page is the one before again, and that is the end; an error where it must not be.
    fn is_repeated(&mut self, page: &Page) -> Result<bool> {
        let exact = self.ends.repeated_page;
        let this = (!page.is_empty()).then(|| if exact { hash(page.lines()) } else { hash(page.fingerprint()) });
        let before = self.previous.filter(|(before, _)| Some(*before) == this).map_or(0, |(_, times)| times);
        self.previous = this.map(|this| (this, before + 1));
        if before == 0 || self.ends.alike {
            return Ok(false);
        }
        if self.ends.repeated_page {
            return Ok(true);
        }
        if before < self.pagination.same_in_a_row_max() || page.is_of_one_kind() {
            return Ok(false);
        }
        let problem = format_args!(
            "two pages in a row are the same; if its rows are really alike, say `.alike()`, if it repeats its last page, \
             `.end_on_repeated_page()`"
        );
        Err(page.error(problem))
    }

    fn refuse_circle(&self, page: &mut Page) -> Result<()> {
        let Some(cursor) = page.cursor.take_if(|cursor| self.cursors.contains(&hash(cursor.as_str()))) else {
            return Ok(());
        };
        if self.ends.repeated_cursor {
            return Ok(());
        }
        // What follows a question mark may be a query with secrets in it.
        let cursor = cursor.split('?').next().unwrap_or_default();
        Err(page.error(format_args!("the pages go round in circles, `{}` leads back", start_of(cursor))))
    }
}

impl<P: Pagination> Iterator for Pages<P> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        let (asked, pending) = self.upcoming.take()?;
        Some(self.read(asked, pending))
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
