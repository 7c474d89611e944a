//! What is looked for of a secret: the value itself, in whatever spelling, and the texts that encodings make of it. Pure.
//!
//! Whatever reads JSON, a form or XML has the value again; base64 and hexadecimal digits are handed on as they are.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

use super::spelling;

/// Shorter values are not looked for in answers: they could as well be a part of ordinary data, which must not change.
pub(super) const MASK_BYTES_MIN: usize = 8;
/// Shorter values are not looked for in logs and errors, which would become unreadable.
pub(super) const REDACT_BYTES_MIN: usize = 4;
/// Letters of a piece that leads to a form. Eight do not turn up by chance.
const PIECE_LETTERS: usize = 8;
/// Fewer letters lead to too much else.
const PIECE_LETTERS_MIN: usize = 2;
/// The more spellings a long text is looked for in, the longer is the end of a body held back.
const SPELLED_LETTERS_MAX: usize = 1_024;
/// Base64 is broken into lines of no fewer letters.
const LINE_LETTERS_MIN: usize = 60;

/// How a reader comes by the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// By reading the text as what it is: JSON, a form, a URL.
    Written,
    /// By decoding a text that programs hand on as it is.
    Encoded,
}

/// A text to be found in whatever spelling.
pub(super) struct Form {
    pub(super) kind: Kind,
    pub(super) letters: Vec<char>,
}

/// Bytes that lead to a form: letters of it, as they may stand in a text.
pub(super) struct Lead {
    /// The place of the first of these letters in the form.
    pub(super) at: usize,
    pub(super) bytes: Vec<u8>,
}

/// The forms of a value of at least so many bytes.
pub(super) fn forms(value: &str, bytes_min: usize) -> Vec<Form> {
    // Servers trim what they read, and the part is in the whole.
    let value = value.trim();
    if value.len() < bytes_min {
        return Vec::new();
    }
    let form = |kind: Kind, text: &str| Form { kind, letters: text.chars().collect() };
    let mut encoded = encoded(value);
    encoded.dedup();
    std::iter::once(form(Kind::Written, value)).chain(encoded.iter().map(|text| form(Kind::Encoded, text))).collect()
}

/// What a base64 text that holds the value somewhere must contain: one form for each place within three bytes, without
/// the letters that depend on what stands around it; and the value's hexadecimal digits. None of a short value, which
/// would be found in too much.
fn encoded(value: &str) -> Vec<String> {
    if value.len() < MASK_BYTES_MIN {
        return Vec::new();
    }
    let engines = [&alphabet::STANDARD, &alphabet::URL_SAFE].map(|alphabet| GeneralPurpose::new(alphabet, NO_PAD));
    let base64 = [(0, 0), (1, 2), (2, 3)].into_iter().flat_map(|(before, letters)| {
        engines.iter().map(move |engine| {
            let bytes = [&[0; 2][..before], value.as_bytes()].concat();
            let whole = bytes.len() * 8 / 6;
            engine.encode(bytes)[letters..whole].to_owned()
        })
    });
    let digits = super::placeholder::to_hex(value.as_bytes());
    let upper = digits.to_ascii_uppercase();
    base64.collect::<Vec<_>>().into_iter().chain([digits, upper]).collect()
}

impl Form {
    /// The most bytes that it takes in a text.
    pub(super) fn bytes_max(&self) -> usize {
        let long = self.letters.len() > SPELLED_LETTERS_MAX;
        let bytes = |letter: &char| match letter {
            letter if letter.is_ascii_alphanumeric() && long => 1,
            letter => spelling::bytes_max(*letter),
        };
        let breaks =
            if self.kind == Kind::Encoded { self.letters.len() / LINE_LETTERS_MIN * spelling::BYTES_MAX } else { 0 };
        self.letters.iter().map(bytes).sum::<usize>() + breaks
    }

    /// Whatever spelling it has, one of these is in it.
    pub(super) fn leads(&self) -> Vec<Lead> {
        let mut leads = match self.kind {
            // No program escapes letters and digits unless it escapes all.
            Kind::Written => {
                let mut pieces: Vec<_> = self.pieces(PIECE_LETTERS);
                pieces.sort_by_key(|lead| std::cmp::Reverse(lead.bytes.len()));
                pieces.truncate(1);
                pieces
            }
            // A line end may stand in one of two pieces that are near to each other, but not in both.
            Kind::Encoded => {
                let mut pieces = self.pieces((self.letters.len() / 2).clamp(PIECE_LETTERS_MIN, PIECE_LETTERS));
                pieces.retain(|lead| lead.at + lead.bytes.len() < LINE_LETTERS_MIN);
                pieces.sort_by_key(|lead| std::cmp::Reverse(lead.bytes.len()));
                pieces.truncate(2);
                pieces
            }
        };
        let more = match self.kind {
            _ if leads.is_empty() => self.first(),
            Kind::Written => self.escaped().collect(),
            Kind::Encoded => Vec::new(),
        };
        leads.extend(more.into_iter().map(|bytes| Lead { at: 0, bytes }));
        leads
    }

    /// Runs of letters and digits, of at most so many.
    fn pieces(&self, letters_max: usize) -> Vec<Lead> {
        let (mut at, mut pieces) = (0, Vec::new());
        for run in self.letters.chunk_by(|one, other| one.is_ascii_alphanumeric() && other.is_ascii_alphanumeric()) {
            for piece in run.chunks(letters_max).filter(|_| run[0].is_ascii_alphanumeric()) {
                if piece.len() >= PIECE_LETTERS_MIN {
                    pieces.push(Lead { at, bytes: piece.iter().collect::<String>().into_bytes() });
                }
                at += piece.len();
            }
            at += if run[0].is_ascii_alphanumeric() { 0 } else { run.len() };
        }
        pieces
    }

    /// The first two letters, both escaped in the same way: as programs write that escape everything.
    fn escaped(&self) -> impl Iterator<Item = Vec<u8>> {
        let ways = self.letters.iter().take(2).map(|letter| spelling::escapes(*letter));
        let joined = ways.reduce(|one, other| std::array::from_fn(|way| one[way].clone() + &other[way]));
        joined.into_iter().flatten().map(String::into_bytes)
    }

    /// The first letter in every spelling.
    fn first(&self) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for letter in self.letters.iter().take(1) {
            all.push(letter.to_string().into_bytes());
            all.extend(
                spelling::ways(*letter)
                    .iter()
                    .flat_map(|way| [way.to_ascii_uppercase(), way.clone()])
                    .map(String::into_bytes),
            );
            all.extend(spelling::latin_1(*letter).map(|byte| vec![byte]));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_have_no_forms() {
        assert!(forms("1234567", MASK_BYTES_MIN).is_empty());
        assert!(forms(" 1234567 \n", MASK_BYTES_MIN).is_empty());
        let short = forms("1234567", REDACT_BYTES_MIN);
        assert_eq!(short.len(), 1);
        assert_eq!(short[0].letters.iter().collect::<String>(), "1234567");
        assert!(forms("", REDACT_BYTES_MIN).is_empty());
    }

    #[test]
    fn something_leads_to_every_form() {
        for value in ["s3cret-value", "!\"§$%&/()=?", "é/é/é/é/é", "ab", "🦀🦀🦀🦀", "%%%%%%%%"] {
            for form in forms(value, 1) {
                let leads = form.leads();
                assert!(!leads.is_empty() && leads.iter().all(|lead| !lead.bytes.is_empty()), "{value}");
            }
        }
    }
}
