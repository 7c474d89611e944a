//! Splits a batch into records and a record into fields, without copying: names and the JSON text of values. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Calls `field` with the name and the raw value of each field of a JSON object, in order. `field` may refuse: then its
/// error comes back in `Err(Ok(..))`; text that is no JSON object comes back as `Err(Err(..))`.
pub(crate) fn for_each_field<'a, E>(
    text: &'a str,
    field: impl FnMut(Cow<'a, str>, &'a str) -> Result<(), E>,
) -> Result<(), Result<E, serde_json::Error>> {
    let mut refused = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Fields { field, refused: &mut refused }.deserialize(&mut reader).and_then(|()| reader.end());
    match (refused, read) {
        (Some(error), _) => Err(Ok(error)),
        (None, Err(error)) => Err(Err(error)),
        (None, Ok(())) => Ok(()),
    }
}

struct Fields<'e, F, E> {
    field: F,
    refused: &'e mut Option<E>,
}

impl<'de, F: FnMut(Cow<'de, str>, &'de str) -> Result<(), E>, E> DeserializeSeed<'de> for Fields<'_, F, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Cow<'de, str>, &'de str) -> Result<(), E>, E> Visitor<'de> for Fields<'_, F, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            let value: &'de RawValue = map.next_value()?;
            if let Err(error) = (self.field)(name, value.get()) {
                *self.refused = Some(error);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// Reads a name, borrowed where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// How deeply a value is nested: 0 for a scalar, 1 for `[]`, 2 for `[{}]`. The text is valid JSON.
pub(crate) fn depth(raw: &str) -> u64 {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0u64, 0u64, false, false);
    for byte in raw.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The identity of a record without a primary key: SHA-256, in hex, of the record as JSON with sorted names and without
/// white space; numbers and strings as they were written.
pub(crate) fn row_id(text: &str) -> Result<String, serde_json::Error> {
    let mut canonical = String::with_capacity(text.len());
    canonicalize(text, &mut canonical)?;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(canonical.as_bytes()) {
        use std::fmt::Write as _;
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

/// Recursion is bounded: records nested past the limit were refused before (`Limits::json_depth_max`).
fn canonicalize(raw: &str, out: &mut String) -> Result<(), serde_json::Error> {
    match raw.trim_start().as_bytes().first() {
        Some(b'{') => {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(raw)?;
            for (index, (name, value)) in fields.iter().enumerate() {
                out.push(if index == 0 { '{' } else { ',' });
                out.push_str(&serde_json::to_string(name)?);
                out.push(':');
                canonicalize(value.get(), out)?;
            }
            out.push_str(if fields.is_empty() { "{}" } else { "}" });
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw)?;
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                canonicalize(item.get(), out)?;
            }
            out.push(']');
        }
        _ => out.push_str(raw.trim()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Option<Vec<(String, String)>> {
        let mut found = Vec::new();
        for_each_field::<()>(text, |name, raw| {
            found.push((name.into_owned(), raw.to_owned()));
            Ok(())
        })
        .ok()
        .map(|()| found)
    }

    #[test]
    fn fields_come_in_order_with_their_text_untouched() {
        let found = fields(r#" {"b": 1.50 ,"a\u0041":{"x" : [1, 2]},"b":null} "#).unwrap();
        let expected = [("b", "1.50"), ("aA", r#"{"x" : [1, 2]}"#), ("b", "null")];
        assert_eq!(found.iter().map(|(name, raw)| (name.as_str(), raw.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "[]", "1", "{", "{\"a\":}", "{\"a\":1}x", "{\"a\":01}", "{'a':1}", "{\"a\":\"\u{1}\"}", "nul"]
        {
            assert_eq!(fields(text), None, "{text}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        for (raw, expected) in [("1", 0), ("[]", 1), (r#"[{"a":"[[[\"["}]"#, 2), ("[[[]],[]]", 3)] {
            assert_eq!(depth(raw), expected, "{raw}");
        }
    }

    #[test]
    fn a_row_id_depends_on_content_not_on_order_or_white_space() {
        let id = row_id(r#"{"a":1,"b":{"y":[1, 2],"x":"ä"}}"#).unwrap();
        assert_eq!(id, row_id(r#"{ "b": {"x":"ä", "y":[1,2]}, "a": 1 }"#).unwrap());
        assert_ne!(id, row_id(r#"{"a":1.0,"b":{"y":[1,2],"x":"ä"}}"#).unwrap());
        assert_eq!(id.len(), 64);
    }
}
