//! Characters that JSON can spell and a destination cannot hold: half a surrogate pair, and NUL in some. Pure.
//!
//! Both are only ever spelled as escapes, and backslashes stand in strings only, so that one look from backslash to backslash
//! finds them at any depth.

use std::borrow::Cow;

/// Which of them a destination holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextRules {
    /// NUL in a text.
    pub(crate) nul_fits: bool,
    /// Both within a JSON value.
    pub(crate) any_json_fits: bool,
}

/// What stands in the place of each.
const REPLACEMENT: &str = "\\ufffd";

/// An escape that spells one: where it is in the text, and what it is.
struct Found {
    at: usize,
    what: &'static str,
}

impl TextRules {
    /// What a value has that cannot be held; `raw` is its JSON text.
    pub(crate) fn unfit(self, raw: &str) -> Option<&'static str> {
        self.find(raw, 0).map(|found| found.what)
    }

    /// The JSON text with U+FFFD in the place of every character that cannot be held.
    pub(crate) fn replaced(self, raw: &str) -> Cow<'_, str> {
        let (mut text, mut from) = (String::new(), 0);
        while let Some(Found { at, .. }) = self.find(raw, from) {
            text.push_str(raw.get(from..at).unwrap_or(""));
            text.push_str(REPLACEMENT);
            from = at + REPLACEMENT.len();
        }
        if from == 0 {
            return Cow::Borrowed(raw);
        }
        text.push_str(raw.get(from..).unwrap_or(""));
        Cow::Owned(text)
    }

    fn find(self, raw: &str, from: usize) -> Option<Found> {
        let bytes = raw.as_bytes();
        let is_nested = raw.starts_with(['{', '[']);
        if is_nested && self.any_json_fits {
            return None;
        }
        let nul_fits = self.nul_fits && !is_nested;
        let mut at = from;
        while let Some(next) = memchr::memchr(b'\\', bytes.get(at..)?) {
            at += next;
            match unit(bytes, at) {
                Some(0xd800..=0xdbff) if matches!(unit(bytes, at + 6), Some(0xdc00..=0xdfff)) => at += 12,
                Some(0xd800..=0xdfff) => return Some(Found { at, what: "half a surrogate pair" }),
                Some(0) if !nul_fits => return Some(Found { at, what: "the character NUL" }),
                Some(_) => at += 6,
                // A backslash and the character that it is for.
                None => at += 2,
            }
        }
        None
    }
}

/// The number of an escape `\uXXXX` that begins at a place.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STRICT: TextRules = TextRules { nul_fits: false, any_json_fits: false };
    const LOOSE: TextRules = TextRules { nul_fits: true, any_json_fits: false };

    #[test]
    fn halves_and_nuls_are_found_at_any_depth_and_replaced() {
        for (raw, strict, loose) in [
            (r#""plain""#, None, None),
            (r#""\ud83e\udd80""#, None, None),
            (r#""\\ud800""#, None, None),
            (r#""\\\ud800""#, Some(r#""\\\ufffd""#), Some(r#""\\\ufffd""#)),
            (r#""a\uD800b""#, Some(r#""a\ufffdb""#), Some(r#""a\ufffdb""#)),
            (r#""\udc00\ud800""#, Some(r#""\ufffd\ufffd""#), Some(r#""\ufffd\ufffd""#)),
            (r#""\ud800\ud83e\udd80""#, Some(r#""\ufffd\ud83e\udd80""#), Some(r#""\ufffd\ud83e\udd80""#)),
            (r#""\u0000""#, Some(r#""\ufffd""#), None),
            (r#"{"a":["\u0000"]}"#, Some(r#"{"a":["\ufffd"]}"#), Some(r#"{"a":["\ufffd"]}"#)),
            (
                r#"{"\ud800":[{"b":"\ud800"}]}"#,
                Some(r#"{"\ufffd":[{"b":"\ufffd"}]}"#),
                Some(r#"{"\ufffd":[{"b":"\ufffd"}]}"#),
            ),
        ] {
            for (rules, expected) in [(STRICT, strict), (LOOSE, loose)] {
                assert_eq!(rules.unfit(raw).is_some(), expected.is_some(), "{raw}");
                assert_eq!(rules.replaced(raw), expected.unwrap_or(raw), "{raw}");
            }
        }
    }

    proptest! {
        /// What fits is Unicode to another reader, and what was replaced fits.
        #[test]
        fn what_fits_can_be_read(units in prop::collection::vec(prop_oneof![Just(0u16), 0xd7f0u16..0xe010, any::<u16>()], 0..8)) {
            let raw = format!("\"{}\"", units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>());
            let read = serde_json::from_str::<String>(&raw);
            prop_assert_eq!(STRICT.unfit(&raw).is_none(), read.as_ref().is_ok_and(|text| !text.contains('\0')));
            prop_assert_eq!(LOOSE.unfit(&raw).is_none(), read.is_ok());
            let replaced = STRICT.replaced(&raw).into_owned();
            prop_assert_eq!(STRICT.unfit(&replaced), None);
            prop_assert!(serde_json::from_str::<String>(&replaced).is_ok());
        }
    }
}
