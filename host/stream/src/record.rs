//! Splits a record into fields, without copying: names and the JSON text of values. Pure.
//!
//! Guests are not trusted, so every byte is held against the grammar of RFC 8259. The scanner is our own because rows
//! are the hot path: it gives raw values three times as fast as a general parser (`cargo xtask bench`), uses no `unsafe`
//! and no recursion, and is tested against `serde_json` on arbitrary text.

use std::borrow::Cow;
use sha2::{Digest, Sha256};

use super::canonical::canonical;

/// The deepest nesting that can be scanned, whatever the limit: one bit a level.
const DEPTH_MAX: u64 = 128;

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
    /// Nested past the limit.
    #[error("it is nested more than {0} levels deep (limit json-depth)")]
    TooDeep(u64),
}

/// Calls `field` with the name and the raw value of each field of a JSON object, in order. `field` may refuse: then its
/// error comes back in `Err(Ok(..))`; text that is no JSON object comes back as `Err(Err(..))`.
pub(crate) fn for_each_field<'a, E>(
    text: &'a str,
    depth_max: u64,
    mut field: impl FnMut(Cow<'a, str>, &'a str) -> Result<(), E>,
) -> Result<(), Result<E, BadRecord>> {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, depth_max: depth_max.min(DEPTH_MAX) };
    scanner.white_space();
    scanner.expect(b'{', "an object").map_err(Err)?;
    scanner.white_space();
    if !scanner.take(b'}') {
        loop {
            let name = scanner.name().map_err(Err)?;
            let raw = scanner.value().map_err(Err)?;
            field(name, raw).map_err(Ok)?;
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
}

/// The containers around a value, innermost in the lowest bit: 1 for an object, 0 for an array.
#[derive(Default)]
struct Nesting {
    kinds: u128,
    depth: u64,
}

impl Nesting {
    fn push(&mut self, object: bool) {
        self.kinds = self.kinds << 1 | u128::from(object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.kinds >>= 1;
        self.depth -= 1;
    }

    fn in_object(&self) -> bool {
        self.kinds & 1 == 1
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
        while matches!(self.peek(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
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
            b'u' => {
                let digits = self.bytes.get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.bad("four hexadecimal digits"));
                }
                self.at += 5;
            }
            _ => return Err(self.bad("an escape")),
        }
        Ok(())
    }

    /// Any value; returns its text.
    fn value(&mut self) -> Result<&'a str, BadRecord> {
        let begin = self.at;
        let mut nesting = Nesting::default();
        loop {
            let opened = match self.peek() {
                b'"' => self.string("a string").map(|_| false)?,
                b'{' => self.open(&mut nesting, true)?,
                b'[' => self.open(&mut nesting, false)?,
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                _ => self.number()?,
            };
            if !opened && !self.close(&mut nesting)? {
                return Ok(self.slice(begin));
            }
        }
    }

    /// Enters a container; returns false if it is empty and so already left.
    fn open(&mut self, nesting: &mut Nesting, object: bool) -> Result<bool, BadRecord> {
        self.at += 1;
        if nesting.depth >= self.depth_max {
            return Err(BadRecord::TooDeep(self.depth_max));
        }
        self.white_space();
        if self.take(if object { b'}' } else { b']' }) {
            return Ok(false);
        }
        nesting.push(object);
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

    /// Returns false: nothing was opened.
    fn word(&mut self, word: &'static str) -> Result<bool, BadRecord> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.bad("a value"));
        }
        self.at += word.len();
        Ok(false)
    }

    /// Returns false: nothing was opened.
    fn number(&mut self) -> Result<bool, BadRecord> {
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
        Ok(false)
    }

    fn digits(&mut self, what: &'static str) -> Result<(), BadRecord> {
        let begin = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == begin { Err(self.bad(what)) } else { Ok(()) }
    }
}

/// The identity of a record without a primary key: SHA-256, in hex, of the record as JSON with sorted names and without
/// white space; numbers and strings as they were written.
pub(crate) fn row_id(text: &str) -> Result<String, serde_json::Error> {
    let canonical = canonical(text)?;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(canonical.as_bytes()) {
        use std::fmt::Write as _;
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    fn fields(text: &str) -> Option<Vec<(String, String)>> {
        let mut found = Vec::new();
        for_each_field::<()>(text, 128, |name, raw| {
            found.push((name.into_owned(), raw.to_owned()));
            Ok(())
        })
        .ok()
        .map(|()| found)
    }

    /// What `serde_json` makes of the same text.
    fn expected(text: &str) -> Option<Vec<(String, String)>> {
        struct Pairs;
        impl<'de> serde::de::Visitor<'de> for Pairs {
            type Value = Vec<(String, String)>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
                    pairs.push((name, raw.get().to_owned()));
                }
                Ok(pairs)
            }
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let pairs = serde::Deserializer::deserialize_map(&mut reader, Pairs).ok()?;
        reader.end().ok().map(|()| pairs)
    }

    #[test]
    fn fields_come_in_order_with_their_text_untouched() {
        let found = fields(" {\"b\": 1.50 ,\"a\\u0041\":{\"x\" : [1, 2]},\"b\":null} ").unwrap();
        let expected = [("b", "1.50"), ("aA", "{\"x\" : [1, 2]}"), ("b", "null")];
        assert_eq!(found.iter().map(|(name, raw)| (name.as_str(), raw.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [
            "",
            "[]",
            "1",
            "{",
            "{\"a\":}",
            "{\"a\":1}x",
            "{\"a\":01}",
            "{'a':1}",
            "{\"a\":\"\u{1}\"}",
            "nul",
            "{\"a\":1,}",
            "{\"a\":[1,]}",
            "{\"a\":[1}}",
            "{\"a\":{\"b\"}}",
            "{\"a\":\"x",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":-}",
            "{\"a\":1.}",
            "{\"a\":1e}",
            "{\"a\":tru}",
            "{\"a\" 1}",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
            "{\"\\ud800\":1}",
        ] {
            assert_eq!(fields(text), None, "{text}");
            assert_eq!(expected(text), None, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        let scan = |text: &str, max| for_each_field::<()>(text, max, |_, _| Ok(()));
        assert_eq!(scan(&nested(128), 128), Ok(()));
        assert_eq!(scan(&nested(129), 1_000), Err(Err(BadRecord::TooDeep(128))));
        assert_eq!(scan(&nested(3), 2), Err(Err(BadRecord::TooDeep(2))));
        assert_eq!(scan(&nested(1_000_000), 128), Err(Err(BadRecord::TooDeep(128))));
    }

    proptest! {
        /// The scanner accepts what `serde_json` accepts, and sees the same fields.
        #[test]
        fn the_scanner_agrees_with_serde_json(text in arbitrary_object()) {
            prop_assert_eq!(fields(&text), expected(&text));
        }

        /// … on text that is nearly JSON too: a byte dropped, doubled or replaced anywhere.
        #[test]
        fn the_scanner_agrees_with_serde_json_on_damaged_text(
            text in arbitrary_object(), at in any::<prop::sample::Index>(), damage in "(|[\\[\\]{}\",:0-9eE.+\\-\\\\tfnu \n\u{1}é])",
        ) {
            let mut letters: Vec<String> = text.chars().map(String::from).collect();
            let at = at.index(letters.len());
            letters[at] = damage;
            let text = letters.concat();
            prop_assert_eq!(fields(&text), expected(&text), "{}", text);
        }
    }

    fn arbitrary_object() -> impl Strategy<Value = String> {
        let string = "\"([ -!#-\\[\\]-~éß漢😀]|\\\\[\"\\\\/bfnrt]|\\\\u00[0-9a-fA-F]{2}){0,20}\"";
        let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,10})?([eE][+-]?[0-9]{1,3})?";
        let leaf =
            prop_oneof![string, number, Just("true".to_owned()), Just("false".to_owned()), Just("null".to_owned())];
        let space = "[ \t\r\n]{0,2}";
        let value = leaf.prop_recursive(4, 30, 6, move |inner| {
            let items = prop::collection::vec((space, inner.clone(), space), 0..6);
            let array = items.prop_map(|items| {
                let items: Vec<String> =
                    items.into_iter().map(|(before, item, after)| before + &item + &after).collect();
                format!("[{}]", items.join(","))
            });
            prop_oneof![array, object_of(inner.boxed())]
        });
        object_of(value.boxed())
    }

    fn object_of(value: BoxedStrategy<String>) -> impl Strategy<Value = String> {
        let space = "[ \t\r\n]{0,2}";
        let name = "\"([a-zA-Z0-9 _é]|\\\\[\"\\\\/bfnrt]){0,12}\"";
        prop::collection::vec((space, name, space, value, space), 0..6).prop_map(|fields| {
            let fields: Vec<String> =
                fields.into_iter().map(|(a, name, b, value, c)| format!("{a}{name}{b}:{b}{value}{c}")).collect();
            format!("{{{}}}", fields.join(","))
        })
    }

    #[test]
    fn a_row_id_depends_on_content_not_on_order_or_white_space() {
        let id = row_id(r#"{"a":1,"b":{"y":[1, 2],"x":"ä"}}"#).unwrap();
        assert_eq!(id, row_id(r#"{ "b": {"x":"ä", "y":[1,2]}, "a": 1 }"#).unwrap());
        assert_ne!(id, row_id(r#"{"a":1.0,"b":{"y":[1,2],"x":"ä"}}"#).unwrap());
        assert_eq!(id.len(), 64);
    }
}
