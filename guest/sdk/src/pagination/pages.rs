//! Asks for page after page, one ahead of the page that is worked on.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Page, Pagination};
use crate::error::Result;
use crate::http::{Pending, Request, url};
use crate::json::Path;
use crate::record::start_of;

/// The pages of a request, in order; ends at the last page or the first error.
///
/// The first page is asked for as soon as it is made, the next one as soon as its cursor is known. Dropping it cancels
/// what is under way.
#[must_use = "pages are read by iterating"]
pub struct Pages<P> {
    request: Request,
    pagination: P,
    records: Path,
    mark: Option<Path>,
    upcoming: Option<Result<Pending>>,
    /// How many pages may still be asked for.
    left: usize,
    /// Hashes of the cursors asked for.
    cursors: BTreeSet<u64>,
    /// The hash of the page before.
    previous: Option<u64>,
}

impl<P: Pagination> Pages<P> {
    pub(crate) fn new(request: Request, records: &str, pagination: P) -> Self {
        let start = pagination.start();
        let mut pages = Self {
            records: Path::new(records),
            mark: pagination.mark().map(Path::new),
            request,
            pagination,
            upcoming: None,
            left: usize::MAX,
            cursors: BTreeSet::new(),
            previous: None,
        };
        pages.ask(start.as_deref());
        pages
    }

    /// Ends after so many pages, at least one; the next one is not asked for, and [`Page::cursor`] leads there.
    pub fn limit(mut self, pages: usize) -> Self {
        // The first one is under way.
        self.left = pages.saturating_sub(1);
        self
    }

    /// Whether a page or an error is still to come.
    pub(super) fn has_more(&self) -> bool {
        self.upcoming.is_some()
    }

    fn ask(&mut self, cursor: Option<&str>) {
        self.cursors.extend(cursor.map(hash));
        let request = self.request.clone();
        let request = match cursor {
            Some(cursor) => self.pagination.apply(request, cursor),
            None => request,
        };
        self.upcoming = Some(request.start());
    }

    fn read(&mut self, pending: Result<Pending>) -> Result<Page> {
        let mut page = Page::read(pending?.wait()?, &self.records, self.mark.as_ref())?;
        self.refuse_repetition(&page)?;
        page.cursor = self.pagination.next(&page)?;
        if let Some(cursor) = page.cursor.as_deref() {
            if self.cursors.contains(&hash(cursor)) {
                let cursor = if url::is_absolute(cursor) { url::without_query(cursor) } else { cursor.to_owned() };
                let problem = format_args!("the pages go round in circles, `{}` leads back", start_of(&cursor));
                return Err(page.error(problem));
            }
            if self.left > 0 {
                self.left -= 1;
                self.ask(Some(cursor));
            }
        }
        Ok(page)
    }

    fn refuse_repetition(&mut self, page: &Page) -> Result<()> {
        let this = (!page.is_empty()).then(|| hash(page.fingerprint()));
        if this.is_some() && this == self.previous {
            return Err(page.error(format_args!("two pages in a row are the same")));
        }
        self.previous = this;
        Ok(())
    }
}

impl<P: Pagination> Iterator for Pages<P> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        let pending = self.upcoming.take()?;
        Some(self.read(pending))
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
