//! Pagination by offset: so many records, from the so-manieth on.

use super::{Page, Pagination};
use crate::error::Result;
use crate::http::Request;
use crate::record::start_of;

/// Asks for `limit` records from an offset on, which grows by the records that came. Ends at an empty page, or where
/// the total is reached. A page shorter than the limit does not end it: many sources cap the limit without a word.
#[derive(Debug, Clone)]
pub struct Offset {
    parameter: String,
    limit: (String, u64),
    total: Option<String>,
    at: u64,
}

impl Offset {
    /// The names of the two parameters, and how many records to ask for.
    pub fn new(offset: &str, limit: &str, records: u64) -> Self {
        Self { parameter: offset.to_owned(), limit: (limit.to_owned(), records), total: None, at: 0 }
    }

    /// Where the answer says how many records there are in all, a field's name or a JSON pointer; saves the request
    /// for an empty page.
    #[must_use]
    pub fn total(mut self, field: &str) -> Self {
        self.total = Some(field.to_owned());
        self
    }

    /// Begins at this offset.
    #[must_use]
    pub fn start(mut self, offset: u64) -> Self {
        self.at = offset;
        self
    }
}

impl Pagination for Offset {
    fn mark(&self) -> Option<&str> {
        self.total.as_deref()
    }

    fn start(&self) -> Option<String> {
        Some(self.at.to_string())
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        self.at += page.len() as u64;
        let total = page.mark().map(|mark| count(page, mark)).transpose()?;
        let ended = page.is_empty() || total.is_some_and(|total| self.at >= total);
        Ok((!ended).then(|| self.at.to_string()))
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        let (limit, records) = &self.limit;
        request.query(limit, records).query(&self.parameter, cursor)
    }
}

/// A count that the source gave.
pub(super) fn count(page: &Page, text: &str) -> Result<u64> {
    text.parse().map_err(|_| page.error(format_args!("`{}` is no count", start_of(text))))
}
