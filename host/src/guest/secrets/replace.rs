//! Finds many texts in one pass and replaces each by its own.

use std::borrow::Cow;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::error::{Code, Error, Result};

/// What to look for, and what to put in its place.
pub(super) struct Replacer {
    find: AhoCorasick,
    /// What is looked for, in order.
    sorted: Vec<String>,
    by: Vec<String>,
    bytes_max: usize,
}

impl Replacer {
    /// Of pairs of a text and its replacement; none if there are no pairs. Of texts that begin at one place the longest
    /// counts, of equal ones the first.
    pub(super) fn new(pairs: impl Iterator<Item = (String, String)>) -> Result<Option<Self>> {
        let (mut patterns, by): (Vec<String>, Vec<String>) = pairs.unzip();
        if patterns.is_empty() {
            return Ok(None);
        }
        // A table of transitions would take more memory than the secrets are worth: a prefilter skips what cannot match.
        let find = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&patterns)
            .map_err(|error| Error::new(Code::HostBug, "look for the secrets of this connection").because(error))?;
        let bytes_max = patterns.iter().map(String::len).max().unwrap_or(0);
        patterns.sort_unstable();
        Ok(Some(Self { find, sorted: patterns, by, bytes_max }))
    }

    /// How many texts are looked for.
    pub(super) fn len(&self) -> usize {
        self.by.len()
    }

    /// Whether any of them is in a text.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        self.find.is_match(text)
    }

    /// Where they are: the number of the pair, and the place.
    pub(super) fn find<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = (usize, Range<usize>)> + use<'t, '_> {
        self.find.find_iter(text).map(|found| (found.pattern().as_usize(), found.range()))
    }

    /// What stands for the text of a pair.
    pub(super) fn by(&self, pair: usize) -> &str {
        &self.by[pair]
    }

    /// A text with all of them replaced.
    pub(super) fn replaced_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.replaced_text_where(text, |_| true)
    }

    /// A text with some of them replaced.
    pub(super) fn replaced_text_where<'t>(&self, text: &'t str, which: impl Fn(usize) -> bool) -> Cow<'t, str> {
        let (mut replaced, mut end) = (String::new(), 0);
        for (pair, range) in self.find(text.as_bytes()) {
            if which(pair) {
                // Whole texts were found in a text: both ends are between two letters.
                replaced.push_str(text.get(end..range.start).unwrap_or_default());
                replaced.push_str(self.by(pair));
                end = range.end;
            }
        }
        if end == 0 {
            return Cow::Borrowed(text);
        }
        replaced.push_str(text.get(end..).unwrap_or_default());
        Cow::Owned(replaced)
    }

    /// Where the first of those texts may begin that the end of these bytes cuts off.
    pub(super) fn cut_at(&self, bytes: &[u8]) -> usize {
        let earliest = bytes.len().saturating_sub(self.bytes_max.saturating_sub(1));
        // Of those that are greater than a text, the ones that begin with it come first.
        let begins = |rest: &[u8]| {
            let next = self.sorted.partition_point(|pattern| pattern.as_bytes() <= rest);
            self.sorted.get(next).is_some_and(|pattern| pattern.as_bytes().starts_with(rest))
        };
        (earliest..bytes.len()).find(|at| begins(&bytes[*at..])).unwrap_or(bytes.len())
    }
}
