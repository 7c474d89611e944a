//! What an answer says about how much there is: more or not, how many records, how many pages.

use super::Page;
use crate::error::Result;
use crate::record::start_of;

/// Where an answer says that there is more, or that there is not.
#[derive(Debug, Clone, Default)]
pub(super) struct More {
    /// True there means that there is more.
    pub(super) more: Option<String>,
    /// True there means that there is not.
    pub(super) end: Option<String>,
}

impl More {
    /// Whether the answer says that there is more; `None` where it says nothing. A source may leave out what is false,
    /// so a mark that is missing proves nothing.
    pub(super) fn says(&self, page: &Page) -> Option<bool> {
        let is_true = |place: &String| page.mark(place).map(|mark| !is_false(&mark));
        let ended = self.end.as_ref().and_then(is_true);
        self.more.as_ref().and_then(is_true).or(ended.map(|ended| !ended))
    }

    /// Whether it is to be told at all.
    pub(super) fn is_asked_for(&self) -> bool {
        self.more.is_some() || self.end.is_some()
    }

    /// Its place, for a message.
    pub(super) fn name(&self) -> &str {
        self.more.as_deref().or(self.end.as_deref()).unwrap_or_default()
    }
}

/// The ways in which sources write that there is nothing.
pub(super) fn is_false(text: &str) -> bool {
    let text = text.trim();
    ["", "0", "false", "no", "n", "null", "[]", "{}"].iter().any(|no| text.eq_ignore_ascii_case(no))
}

/// How many there are, of records or of pages; what an earlier page said holds where a page says nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Total {
    place: Option<String>,
    known: Option<u64>,
}

impl Total {
    pub(super) fn at(place: &str) -> Self {
        Self { place: Some(place.to_owned()), known: None }
    }

    /// The count, where there is one; below zero stands for a source that does not know.
    pub(super) fn told(&mut self, page: &Page) -> Result<Option<u64>> {
        let Some(text) = self.place.as_deref().and_then(|place| page.get(place)) else {
            return Ok(self.known);
        };
        if !text.trim().starts_with('-') {
            self.known = Some(count(page, &text)?);
        }
        Ok(self.known)
    }
}

/// A count that the source gave, or a number that the state did.
pub(super) fn count(page: &Page, text: &str) -> Result<u64> {
    let whole = text.trim();
    let whole =
        whole.split_once('.').filter(|(_, rest)| rest.bytes().all(|digit| digit == b'0')).map_or(whole, |it| it.0);
    whole.parse().map_err(|_| page.error(format_args!("`{}` is no count", start_of(text))))
}

/// Pages without a record in a row, though the source says that there is more.
#[derive(Debug, Clone, Default)]
pub(super) struct Empties(u32);

/// So many are a source that does not know its end.
const EMPTY_MAX: u32 = 1000;

impl Empties {
    /// Counts one more page: an error where there were too many, a warning at the first of them.
    pub(super) fn count(&mut self, page: &Page, goes_on: bool) -> Result<()> {
        if !page.is_empty() || !goes_on {
            self.0 = 0;
            return Ok(());
        }
        self.0 += 1;
        if self.0 == 1 {
            crate::warning!(
                "{}",
                page.error(format_args!("the page is empty, though the source says that there is more"))
            );
        }
        if self.0 < EMPTY_MAX {
            return Ok(());
        }
        let problem = format_args!("{EMPTY_MAX} pages in a row are empty, though the source says that there is more");
        Err(page.error(problem))
    }
}

#[cfg(test)]
mod tests {
    use super::is_false;

    #[test]
    fn every_way_to_write_no_is_read() {
        for text in ["", " ", "0", "false", "False", "NO", "n", "null", "[]"] {
            assert!(is_false(text), "{text}");
        }
        for text in ["true", "1", "yes", "https://h/?page=2", "00", "-1", "off-season"] {
            assert!(!is_false(text), "{text}");
        }
    }
}
