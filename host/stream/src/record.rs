//! Splits a record into fields, without copying: names and the JSON text of values. Pure.
//!
//! What leaves here as JSON is compact and can be read by every warehouse: strings in any depth are Unicode, and fields say
//! whether one has a NUL, which not every warehouse can read.
//!
//! Guests are not trusted, so every byte is held against the grammar of RFC 8259. The scanner is our own because rows
//! are the hot path: it gives raw values three times as fast as a general parser (`cargo xtask bench`), uses no `unsafe`
//! and no recursion, and is tested against `serde_json` on arbitrary text.

mod row_id;

use std::borrow::Cow;

pub(crate) use row_id::row_id;
use sandbox::JSON_DEPTH_MAX;

/// Containers whose kinds a word holds.
const WORD_BITS: usize = u64::BITS as usize;

/// Why a text is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRecord {
    /// Not JSON, or not an object.
    #[error("expected {expected} at byte {at}")]
    Grammar {
        /// What the grammar has there.
        expected: &'static str,
        /// Offset from the start of the record.
        at: usize,
    },
    /// An escape for one half of a surrogate pair: such a string is no Unicode, and no warehouse can read it.
    #[error(
        "the string that ends before byte {at} has half of a surrogate pair (\\uD800 to \\uDFFF), which is no character"
    )]
    HalfSurrogate {
        /// Offset of the end of the escape from the start of the record.
        at: usize,
    },
    /// Nested past the limit.
    #[error("it is nested more than {0} levels deep (limit json-depth)")]
    TooDeep(u64),
}

/// One field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) name: Cow<'a, str>,
    /// The value as it was written, but for blanks between its tokens.
    pub(crate) raw: Cow<'a, str>,
    /// A string in the value has the escape of a NUL.
    pub(crate) has_nul: bool,
}

/// Calls `field` with each field of a JSON object, in order. `field` may refuse: then its error comes back in `Err(Ok(..))`;
/// text that is no JSON object comes back as `Err(Err(..))`.
pub(crate) fn for_each_field<'a, E>(
    text: &'a str,
    depth_max: u64,
    mut field: impl FnMut(Field<'a>) -> Result<(), E>,
) -> Result<(), Result<E, BadRecord>> {
    let depth_max = depth_max.min(JSON_DEPTH_MAX.into());
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, depth_max, has_nul: false, has_blanks: false };
    scanner.white_space();
    scanner.expect(b'{', "an object").map_err(Err)?;
    scanner.white_space();
    if !scanner.take(b'}') {
        loop {
            let name = scanner.name().map_err(Err)?;
            let (raw, has_nul) = scanner.value().map_err(Err)?;
            field(Field { name, raw, has_nul }).map_err(Ok)?;
            scanner.white_space();
            if !scanner.take(b',') {
                break;
            }
            scanner.white_space();
        }
        scanner.expect(b'}', "',' or '}'").map_err(Err)?;
    }
    scanner.white_space();
    if scanner.at < scanner.bytes.len() { Err(Err(scanner.bad("the end"))) } else { Ok(()) }
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth_max: u64,
    /// The value under way has the escape of a NUL.
    has_nul: bool,
    /// The value under way has blanks between its tokens.
    has_blanks: bool,
}

/// The containers around a value: a bit each, 1 for an object, 0 for an array; the outermost in the lowest bit of the first
/// word.
struct Nesting {
    kinds: [u64; (JSON_DEPTH_MAX as usize).div_ceil(WORD_BITS)],
    depth: usize,
}

impl Nesting {
    const fn new() -> Self {
        Self { kinds: [0; (JSON_DEPTH_MAX as usize).div_ceil(WORD_BITS)], depth: 0 }
    }

    /// False if it is as deep as can be.
    fn push(&mut self, object: bool) -> bool {
        let Some(word) = self.kinds.get_mut(self.depth / WORD_BITS) else { return false };
        let bit = 1 << (self.depth % WORD_BITS);
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        true
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn in_object(&self) -> bool {
        let innermost = self.depth.saturating_sub(1);
        self.kinds.get(innermost / WORD_BITS).is_some_and(|word| word >> (innermost % WORD_BITS) & 1 == 1)
    }
}

/// Every byte of a word the same.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The high bit of each byte of `word` that is a quote, a backslash or a control character: the bytes that end a run of
/// plain characters in a string. May mark bytes above the first hit falsely, never below it.
fn special(word: u64) -> u64 {
    let zero_bytes = |word: u64| word.wrapping_sub(each(1)) & !word & each(0x80);
    let control = word.wrapping_sub(each(0x20)) & !word & each(0x80);
    zero_bytes(word ^ each(b'"')) | zero_bytes(word ^ each(b'\\')) | control
}

impl<'a> Scanner<'a> {
    fn bad(&self, expected: &'static str) -> BadRecord {
        BadRecord::Grammar { expected, at: self.at }
    }

    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn white_space(&mut self) {
        let begin = self.at;
        while matches!(self.peek(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
        self.has_blanks |= self.at > begin;
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), BadRecord> {
        if self.take(byte) { Ok(()) } else { Err(self.bad(what)) }
    }

    /// A name, the colon after it and white space.
    fn name(&mut self) -> Result<Cow<'a, str>, BadRecord> {
        let begin = self.at;
        let escaped = self.string("a name in quotes")?;
        let raw = self.slice(begin);
        self.white_space();
        self.expect(b':', "':'")?;
        self.white_space();
        if !escaped {
            return Ok(Cow::Borrowed(&raw[1..raw.len() - 1]));
        }
        let bad = BadRecord::Grammar { expected: "a name in Unicode", at: begin };
        serde_json::from_str::<String>(raw).map(Cow::Owned).map_err(|_| bad)
    }

    /// The text since `begin`. The grammar's tokens begin and end with ASCII, so it is cut between characters.
    fn slice(&self, begin: usize) -> &'a str {
        self.text.get(begin..self.at).unwrap_or("")
    }

    /// A string with its quotes; returns whether it has escapes.
    fn string(&mut self, what: &'static str) -> Result<bool, BadRecord> {
        self.expect(b'"', what)?;
        let mut escaped = false;
        loop {
            self.plain_characters();
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    return Ok(escaped);
                }
                b'\\' => {
                    self.escape()?;
                    escaped = true;
                }
                _ => return Err(self.bad("the end of a string")),
            }
        }
    }

    /// Moves to the next quote, backslash or control character, or to the end.
    fn plain_characters(&mut self) {
        while let Some(chunk) = self.bytes.get(self.at..self.at + 8) {
            let Ok(word) = <[u8; 8]>::try_from(chunk) else { return };
            let found = special(u64::from_le_bytes(word));
            if found != 0 {
                self.at += found.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while self.bytes.get(self.at).is_some_and(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\') {
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Result<(), BadRecord> {
        self.at += 1;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => self.code_point()?,
            _ => return Err(self.bad("an escape")),
        }
        Ok(())
    }

    /// `u` and four hexadecimal digits; for the first half of a surrogate pair, the escape of the second half too.
    fn code_point(&mut self) -> Result<(), BadRecord> {
        let unit = self.code_unit()?;
        self.has_nul |= unit == 0;
        if (0xd800..0xdc00).contains(&unit) && self.take(b'\\') && self.peek() == b'u' {
            let low = self.code_unit()?;
            return if (0xdc00..0xe000).contains(&low) {
                Ok(())
            } else {
                Err(BadRecord::HalfSurrogate { at: self.at })
            };
        }
        if (0xd800..0xe000).contains(&unit) { Err(BadRecord::HalfSurrogate { at: self.at }) } else { Ok(()) }
    }

    /// `u` and four hexadecimal digits.
    fn code_unit(&mut self) -> Result<u32, BadRecord> {
        self.at += 1;
        let digits = self.bytes.get(self.at..self.at + 4);
        let unit = digits.and_then(|digits| {
            digits.iter().try_fold(0, |unit, digit| char::from(*digit).to_digit(16).map(|digit| unit << 4 | digit))
        });
        let unit = unit.ok_or_else(|| self.bad("four hexadecimal digits"))?;
        self.at += 4;
        Ok(unit)
    }

    /// Any value; returns its text and whether it has a NUL.
    fn value(&mut self) -> Result<(Cow<'a, str>, bool), BadRecord> {
        (self.has_nul, self.has_blanks) = (false, false);
        let begin = self.at;
        if !matches!(self.peek(), b'{' | b'[') {
            self.scalar()?;
            return Ok((Cow::Borrowed(self.slice(begin)), self.has_nul));
        }
        self.container()?;
        let raw = self.slice(begin);
        let compact = if self.has_blanks { Cow::Owned(compacted(raw)) } else { Cow::Borrowed(raw) };
        Ok((compact, self.has_nul))
    }

    fn scalar(&mut self) -> Result<(), BadRecord> {
        match self.peek() {
            b'"' => drop(self.string("a string")?),
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => self.number()?,
        }
        Ok(())
    }

    /// An object or array with everything in it.
    fn container(&mut self) -> Result<(), BadRecord> {
        let mut nesting = Nesting::new();
        loop {
            let opened = match self.peek() {
                b'{' => self.open(&mut nesting, true)?,
                b'[' => self.open(&mut nesting, false)?,
                _ => self.scalar().map(|()| false)?,
            };
            if !opened && !self.close(&mut nesting)? {
                return Ok(());
            }
        }
    }

    /// Enters a container; returns false if it is empty and so already left.
    fn open(&mut self, nesting: &mut Nesting, object: bool) -> Result<bool, BadRecord> {
        self.at += 1;
        if nesting.depth as u64 >= self.depth_max {
            return Err(BadRecord::TooDeep(self.depth_max));
        }
        self.white_space();
        if self.take(if object { b'}' } else { b']' }) {
            return Ok(false);
        }
        if !nesting.push(object) {
            return Err(BadRecord::TooDeep(self.depth_max));
        }
        if object {
            self.skip_name()?;
        }
        Ok(true)
    }

    /// After a value: leaves the containers that end here and goes to the next value; returns false if there is none.
    fn close(&mut self, nesting: &mut Nesting) -> Result<bool, BadRecord> {
        while nesting.depth > 0 {
            self.white_space();
            let object = nesting.in_object();
            if self.take(b',') {
                self.white_space();
                if object {
                    self.skip_name()?;
                }
                return Ok(true);
            }
            let (end, what) = if object { (b'}', "',' or '}'") } else { (b']', "',' or ']'") };
            self.expect(end, what)?;
            nesting.pop();
        }
        Ok(false)
    }

    fn skip_name(&mut self) -> Result<(), BadRecord> {
        self.string("a name in quotes")?;
        self.white_space();
        self.expect(b':', "':'")?;
        self.white_space();
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Result<(), BadRecord> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.bad("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), BadRecord> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits("a value")?;
        }
        if self.take(b'.') {
            self.digits("a digit")?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits("a digit")?;
        }
        Ok(())
    }

    fn digits(&mut self, what: &'static str) -> Result<(), BadRecord> {
        let begin = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == begin { Err(self.bad(what)) } else { Ok(()) }
    }
}

/// Valid JSON without the blanks between its tokens.
fn compacted(raw: &str) -> String {
    let mut compact = String::with_capacity(raw.len());
    let (mut in_string, mut is_escaped, mut kept) = (false, false, 0);
    for (at, byte) in raw.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            b' ' | b'\t' | b'\r' | b'\n' if !in_string => {
                compact.extend(raw.get(kept..at));
                kept = at + 1;
            }
            _ => {}
        }
    }
    compact.extend(raw.get(kept..));
    compact
}

#[cfg(test)]
mod tests;
