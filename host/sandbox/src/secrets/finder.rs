//! Finds secrets in a text, however they are written there.
//!
//! A few bytes of each form, its leads, are looked for many at a time. Where one of them stands, the rest of the form is read
//! letter by letter to both sides, each letter in whatever spelling. What a text can cost is bounded.

use std::ops::Range;

use aho_corasick::packed::Searcher;
use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind, Span};

use super::forms::{Form, Kind};
use super::spelling::{self, Reading};

/// Bytes of a lead that are looked for.
const LEAD_BYTES_MAX: usize = 8;
/// More leads are too many for a table of all transitions.
const TABLE_LEADS_MAX: usize = 512;
/// Ways of writing a letter of a token that are tried for each byte of a text, at most: a connector that has made up tokens which
/// almost stand everywhere in an answer does not have them found. For each field as many again.
const TRIES_PER_BYTE: usize = 64;
/// And so many more for a short text.
const TRIES_MIN: usize = 1 << 18;

/// A secret that is in a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Whose form it is: the number it was given with.
    pub(super) secret: usize,
    pub(super) kind: Kind,
    pub(super) range: Range<usize>,
}

/// Looks for the forms of secrets.
pub(super) struct Finder {
    forms: Vec<Sought>,
    /// All of one length, sorted, each once; and the leads that begin so.
    beginnings: Vec<(Vec<u8>, Vec<Start>)>,
    search: Search,
    /// The longest of the forms, in whatever spelling.
    bytes_max: usize,
    accounts: usize,
}

struct Sought {
    secret: usize,
    /// Which account pays for reading it.
    account: usize,
    form: Form,
}

/// Where to begin to read.
struct Start {
    form: usize,
    at: usize,
}

enum Search {
    /// Many bytes at a time; on processors that can, and if there are not too many leads.
    Packed(Searcher),
    Automaton(AhoCorasick),
    Plain,
}

impl Finder {
    /// Of forms, the secrets they belong to, and whether each of these is a token. None if there are no forms.
    pub(super) fn new(given: impl Iterator<Item = (usize, bool, Form)>) -> Option<Self> {
        let mut forms = Vec::new();
        for (secret, is_token, form) in given {
            forms.push(Sought { secret, account: if is_token { 0 } else { secret + 1 }, form });
        }
        let leads = forms.iter().enumerate().flat_map(|(form, sought)| {
            sought.form.leads().into_iter().map(move |lead| (lead.bytes, Start { form, at: lead.at }))
        });
        let leads: Vec<_> = leads.collect();
        let length = leads.iter().map(|(bytes, _)| bytes.len()).min()?.min(LEAD_BYTES_MAX);
        let mut beginnings: std::collections::BTreeMap<Vec<u8>, Vec<Start>> = std::collections::BTreeMap::new();
        for (bytes, start) in leads {
            beginnings.entry(bytes[..length].to_vec()).or_default().push(start);
        }
        let beginnings: Vec<_> = beginnings.into_iter().collect();
        let search = search(&beginnings.iter().map(|(bytes, _)| bytes).collect::<Vec<_>>());
        let bytes_max = forms.iter().map(|sought| sought.form.bytes_max()).max().unwrap_or_default();
        let accounts = forms.iter().map(|sought| sought.account + 1).max().unwrap_or_default();
        Some(Self { forms, beginnings, search, bytes_max, accounts })
    }

    /// So many bytes at the end of a text may belong to a secret that goes on behind it.
    pub(super) fn held_back_bytes(&self) -> usize {
        self.bytes_max.saturating_sub(1)
    }

    /// Where they are, from the first to the last; none overlaps another. Of those that begin at one place the longest.
    pub(super) fn find<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = Found> + use<'t> {
        let tries = text.len().saturating_mul(TRIES_PER_BYTE).saturating_add(TRIES_MIN);
        let mut tries_left = vec![tries; self.accounts];
        let (mut from, mut end) = (0, 0);
        std::iter::from_fn(move || {
            loop {
                let (at, beginning) = self.next(text, from)?;
                from = at + 1;
                let starts = self.beginnings.get(beginning).map_or(&[][..], |(_, starts)| starts);
                let read = starts.iter().filter_map(|start| self.read((text, &mut tries_left), start, at));
                let read = read.filter(|found| found.range.start >= end);
                let best = read.min_by_key(|found| (found.range.start, std::cmp::Reverse(found.range.end)));
                if let Some(found) = best {
                    end = found.range.end;
                    from = from.max(end);
                    return Some(found);
                }
            }
        })
    }

    /// The next place where a lead may begin.
    fn next(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let span = Span::from(from..text.len());
        match &self.search {
            _ if from >= text.len() => None,
            Search::Packed(searcher) => {
                searcher.find_in(text, span).map(|found| (found.start(), found.pattern().as_usize()))
            }
            Search::Automaton(automaton) => {
                automaton.find(Input::new(text).span(span)).map(|found| (found.start(), found.pattern().as_usize()))
            }
            Search::Plain => (from..text.len()).find_map(|at| {
                let begins = |(bytes, _): &(Vec<u8>, Vec<Start>)| text[at..].starts_with(bytes);
                Some((at, self.beginnings.iter().position(begins)?))
            }),
        }
    }

    /// The whole form of which a letter begins at a place.
    fn read(&self, (text, tries_left): (&[u8], &mut Vec<usize>), start: &Start, at: usize) -> Option<Found> {
        let Sought { secret, account, form } = self.forms.get(start.form)?;
        let left = tries_left.get_mut(*account)?;
        let mut reading = Reading { text, tries_left: *left };
        let range = range(&mut reading, form, (start.at, at));
        *left = reading.tries_left;
        Some(Found { secret: *secret, kind: form.kind, range: range? })
    }
}

/// Where a form stands of which letter number `letter` begins at a place.
fn range(reading: &mut Reading<'_>, form: &Form, (letter, at): (usize, usize)) -> Option<Range<usize>> {
    let (before, after) = form.letters.split_at_checked(letter + 1)?;
    let mut ends = Vec::new();
    reading.ends(at, *before.last()?, &mut ends);
    let end = forward(reading, after, ends.clone(), form.kind)?;
    // From behind that letter on: what stands before the place may be a part of how the letter is written.
    Some(backward(reading, before, ends, form.kind)?..end)
}

/// The last place where these letters, which are not the first of their form, may end, if they begin at one of some places.
fn forward(reading: &mut Reading<'_>, letters: &[char], mut places: Vec<usize>, kind: Kind) -> Option<usize> {
    let mut next = Vec::new();
    for letter in letters {
        reading.tries_left = reading.tries_left.checked_sub(places.len())?;
        for place in places.drain(..) {
            reading.ends(place, *letter, &mut next);
            let line = if kind == Kind::Encoded { spelling::after_break(reading.text, place) } else { place };
            if line > place {
                reading.ends(line, *letter, &mut next);
            }
        }
        settle(&mut next)?;
        std::mem::swap(&mut places, &mut next);
    }
    places.into_iter().max()
}

/// The first place where these letters may begin, if they end at one of some places.
fn backward(reading: &mut Reading<'_>, letters: &[char], mut places: Vec<usize>, kind: Kind) -> Option<usize> {
    let mut next = Vec::new();
    for (index, letter) in letters.iter().rev().enumerate() {
        reading.tries_left = reading.tries_left.checked_sub(places.len())?;
        for place in places.drain(..) {
            reading.beginnings(place, *letter, &mut next);
            let line =
                if kind == Kind::Encoded && index > 0 { spelling::before_break(reading.text, place) } else { place };
            if line < place {
                reading.beginnings(line, *letter, &mut next);
            }
        }
        settle(&mut next)?;
        std::mem::swap(&mut places, &mut next);
    }
    places.into_iter().min()
}

fn search(beginnings: &[&Vec<u8>]) -> Search {
    if let Some(searcher) = Searcher::new(beginnings) {
        return Search::Packed(searcher);
    }
    let kind = if beginnings.len() <= TABLE_LEADS_MAX { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
    let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).kind(Some(kind)).build(beginnings);
    automaton.map_or(Search::Plain, Search::Automaton)
}

/// Each place once; none without any.
fn settle(places: &mut Vec<usize>) -> Option<()> {
    places.sort_unstable();
    places.dedup();
    (!places.is_empty()).then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::forms::{REDACT_BYTES_MIN, forms};
    use super::*;

    fn finder(values: &[&str]) -> Finder {
        let all = values.iter().enumerate();
        let all = all.flat_map(|(index, value)| {
            forms(value, REDACT_BYTES_MIN).into_iter().map(move |form| (index, false, form))
        });
        Finder::new(all).unwrap()
    }

    fn found(values: &[&str], text: &[u8]) -> Vec<(usize, Range<usize>)> {
        finder(values).find(text).map(|found| (found.secret, found.range)).collect()
    }

    #[test]
    fn the_longest_of_the_first_is_found() {
        let values = ["s3cret-value", "s3cret-value-2", "aaaa-bbbb"];
        assert_eq!(found(&values, b"s3cret-value s3cret-value-2x"), [(0, 0..12), (1, 13..27)]);
        // What almost is one stands before it.
        assert_eq!(found(&values, b"s3cret-s3cret-value"), [(0, 7..19)]);
        assert_eq!(found(&values, b"aaaaa-bbbb aaaa-aaaa-bbbb"), [(2, 1..10), (2, 16..25)]);
        assert_eq!(found(&values, b"s3cret-valu"), []);
    }

    #[test]
    fn spellings_may_be_mixed() {
        let value = "p/w d+\"\\é&'=%41<>#";
        for text in [
            "p/w d+\"\\é&'=%41<>#",
            "p%2Fw%20d%2B%22%5C%C3%A9%26%27%3D%2541%3C%3E%23",
            "p%2fw+d%2b%22%5c%c3%a9%26'%3d%2541%3c%3e%23",
            "p/w%20d+%22%5C%C3%A9&'=%2541%3C%3E%23",
            r#"p/w d+\"\\\u00E9\u0026\u0027=%41\u003C\u003E#"#,
            r#"p\/w d+\"\\\u00e9&'=%41<>#"#,
            r#"p/w d+\\\"\\\\\\u00e9&'=%41<>#"#,
            "p/w d+&quot;\\&eacute;&amp;&#39;=%41&lt;&gt;#",
            "p/w d+&#34;&#92;&#233;&#38;&apos;&#61;%41&#x3C;&#x3e;&#35;",
            "p%252Fw%2520d%252B%2522%255C%25C3%25A9%2526%2527%253D%252541%253C%253E%2523",
            "%70%2F%77%20%64%2B%22%5C%C3%A9%26%27%3D%25%34%31%3C%3E%23",
        ] {
            for text in [text.to_owned(), format!("x{text}y"), format!("{text}{text}")] {
                assert!(!found(&[value], text.as_bytes()).is_empty(), "{text}");
            }
        }
        assert_eq!(found(&["geheim-für-alle"], b"= geheim-f\xfcr-alle."), [(0, 2..17)]);
        assert_eq!(found(&["!\"$%&/()"], b"%21%22%24%25%26%2F%28%29"), [(0, 0..24)]);
    }

    #[test]
    fn base64_may_be_broken_into_lines_and_digits_be_of_either_case() {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let value = "k3y/with~all+kinds?of>letters";
        for before in 0..80 {
            let text = STANDARD.encode(format!("{}{value}{}", "x".repeat(before), "y".repeat(90)));
            for (letters, end) in [(76, "\r\n"), (64, "\n"), (76, "\\r\\n"), (60, "\n "), (500, "")] {
                let lines: Vec<_> = text.as_bytes().chunks(letters).map(String::from_utf8_lossy).collect();
                let text = lines.join(end);
                assert_eq!(found(&[value], text.as_bytes()).len(), 1, "{before} {text:?}");
                assert_eq!(
                    found(&[value], text.replace('+', "%2B").replace('/', "%2F").as_bytes()).len(),
                    1,
                    "{text:?}"
                );
            }
        }
        let digits = super::super::placeholder::to_hex(value.as_bytes());
        assert_eq!(found(&[value], digits.as_bytes()).len(), 1);
        assert_eq!(found(&[value], digits.to_uppercase().as_bytes()).len(), 1);
    }

    /// As many as the packed search does not take.
    #[test]
    fn a_thousand_secrets_are_found() {
        let values: Vec<String> = (0..1_000).map(|number| format!("{number:04}-secret")).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        assert_eq!(found(&values, b"0000-secret, 1000-secret, 0999-secret"), [(0, 0..11), (999, 26..37)]);
    }

    /// Reading is given up where a text is made to be read in vain again and again; the other secrets are found.
    #[test]
    fn what_almost_stands_everywhere_costs_a_bounded_number_of_letters() {
        let token = format!("{}b", "aaaaaaaa-".repeat(7_000));
        let text = format!("{} s3cret-value", "aaaaaaaa-".repeat(20_000));
        let all = forms(&token, 8).into_iter().map(|form| (0, true, form));
        let finder = Finder::new(all.chain(forms("s3cret-value", 8).into_iter().map(|form| (1, false, form)))).unwrap();
        let found: Vec<_> = finder.find(text.as_bytes()).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].secret, 1);
    }

    proptest! {
        /// Wherever a value stands, in text or in what is then encoded, it is found.
        #[test]
        fn whatever_stands_around_it(before in ".{0,5}", value in "[!-~]{8,40}", after in ".{0,5}") {
            use base64::Engine as _;
            use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
            let whole = format!("{before}{value}{after}");
            let json = serde_json::Value::from(whole.clone()).to_string();
            let url = super::super::escape::url(&whole);
            let form = super::super::escape::form(&whole);
            let xml = super::super::escape::xml(&whole);
            for text in [STANDARD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole), whole.clone(), json, url, form, xml] {
                prop_assert!(!found(&[&value], text.as_bytes()).is_empty(), "{text}");
            }
        }
    }
}
