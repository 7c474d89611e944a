//! Finds many texts in one pass and replaces each by its own.

use std::borrow::Cow;
use std::ops::Range;

use aho_corasick::packed::Searcher;
use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind};

use model::error::{Code, Error, Result};

/// How many bytes of a text are looked for at first. Eight do not turn up by chance.
const BEGINNING_BYTES: usize = 8;
/// Bytes looked through with the automaton behind a place where a text may begin.
const STRETCH_BYTES: usize = 4_096;

/// What to look for, and what to put in its place.
pub(super) struct Replacer {
    /// Looks for the beginnings of the texts, many bytes at a time: six times as fast as the automaton. None on processors
    /// that cannot, or if there are too many.
    beginnings: Option<Searcher>,
    /// Looks for the texts, in time that grows with the bytes alone whatever a source makes them.
    automaton: AhoCorasick,
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
        let beginnings = beginnings(&patterns);
        // A table of transitions would take more memory than the secrets are worth.
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .prefilter(beginnings.is_none())
            .build(&patterns)
            .map_err(|error| Error::new(Code::HostBug, "look for the secrets of this connection").because(error))?;
        let bytes_max = patterns.iter().map(String::len).max().unwrap_or(0);
        patterns.sort_unstable();
        Ok(Some(Self { beginnings, automaton, sorted: patterns, by, bytes_max }))
    }

    /// How many texts are looked for.
    pub(super) fn len(&self) -> usize {
        self.by.len()
    }

    /// Whether any of them is in a text.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        self.find(text).next().is_some()
    }

    /// Where they are: the number of the pair, and the place.
    pub(super) fn find<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = (usize, Range<usize>)> + use<'t, '_> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let found = self.next(text, from)?;
            from = found.1.end;
            Some(found)
        })
    }

    /// The first of them that begins at `from` or behind it.
    fn next(&self, text: &[u8], mut from: usize) -> Option<(usize, Range<usize>)> {
        let found = |range: Range<usize>| {
            let found = self.automaton.find(Input::new(text).range(range))?;
            Some((found.pattern().as_usize(), found.range()))
        };
        let Some(beginnings) = &self.beginnings else { return found(from..text.len()) };
        loop {
            let at = beginnings.find_in(text, aho_corasick::Span::from(from..text.len()))?.start();
            // What begins in this stretch may end behind it.
            let end = at.saturating_add(STRETCH_BYTES.max(self.bytes_max)).min(text.len());
            let next = found(at..end.saturating_add(self.bytes_max).min(text.len()));
            if next.as_ref().is_some_and(|(_, range)| range.start < end) {
                return next;
            }
            from = end;
        }
    }

    /// What stands for the text of a pair.
    pub(super) fn by(&self, pair: usize) -> &str {
        &self.by[pair]
    }

    /// A text with all of them replaced.
    pub(super) fn replaced_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.replaced_text_where(text, |_| true)
    }

    /// Bytes with all of them replaced.
    pub(super) fn replaced(&self, bytes: &[u8]) -> Vec<u8> {
        let (mut replaced, mut end) = (Vec::with_capacity(bytes.len()), 0);
        for (pair, range) in self.find(bytes) {
            replaced.extend_from_slice(&bytes[end..range.start]);
            replaced.extend_from_slice(self.by(pair).as_bytes());
            end = range.end;
        }
        replaced.extend_from_slice(&bytes[end..]);
        replaced
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

/// A search for the first bytes of texts.
fn beginnings(texts: &[String]) -> Option<Searcher> {
    let mut beginnings: Vec<_> = texts.iter().map(|text| &text.as_bytes()[..text.len().min(BEGINNING_BYTES)]).collect();
    beginnings.sort_unstable();
    beginnings.dedup();
    Searcher::new(beginnings)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of all texts at each place the longest, one place after the other.
    fn searched<'t>(texts: &[String], text: &'t [u8]) -> Vec<(&'t [u8], Range<usize>)> {
        let (mut found, mut at) = (Vec::new(), 0);
        while at < text.len() {
            let longest = texts.iter().filter(|one| text[at..].starts_with(one.as_bytes())).map(String::len).max();
            if let Some(bytes) = longest {
                found.push((&text[at..at + bytes], at..at + bytes));
            }
            at += longest.unwrap_or(1);
        }
        found
    }

    proptest! {
        /// Texts that begin alike, repeat themselves and are parts of each other, in texts full of what almost is one.
        #[test]
        fn the_longest_of_the_first_is_found(
            texts in prop::collection::vec("[ab]{4,12}|a{8,30}b|[a-c]{30}", 1..9),
            pieces in prop::collection::vec((0_usize..9, 0_usize..40, "[a-c]{0,20}", 0_usize..5_000), 0..12),
        ) {
            let replacer = Replacer::new(texts.iter().map(|text| (text.clone(), String::new()))).unwrap().unwrap();
            let mut text = String::new();
            for (which, bytes, rest, far) in &pieces {
                let one = &texts[which % texts.len()];
                text.push_str(&one[..(*bytes).min(one.len())]);
                text.push_str(rest);
                text.extend(std::iter::repeat_n('x', if far % 3 == 0 { *far } else { 0 }));
            }
            let found: Vec<_> = replacer.find(text.as_bytes()).map(|(pair, range)| (texts[pair].as_bytes(), range)).collect();
            prop_assert_eq!(found, searched(&texts, text.as_bytes()));
            prop_assert_eq!(replacer.is_in(text.as_bytes()), texts.iter().any(|one| text.contains(one)));
        }
    }

    /// As many as the fast search does not take.
    #[test]
    fn a_thousand_texts_are_found() {
        let texts: Vec<String> = (0..1_000).map(|number| format!("{number:04}-secret")).collect();
        let replacer = Replacer::new(texts.iter().map(|text| (text.clone(), "*".to_owned()))).unwrap().unwrap();
        assert!(replacer.beginnings.is_none());
        assert_eq!(replacer.replaced_text("0000-secret, 1000-secret, 0999-secret"), "*, 1000-secret, *");
    }
}
