//! A record as the source sent it: a slice of the answer's bytes, passed on untouched.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::json::{self, Path};

/// A record's JSON. Cheap to pass on: [`Operations::upsert`](crate::operations::Operations::upsert) copies its bytes
/// once, nothing is parsed.
///
/// ```
/// use elt_sdk::prelude::*;
///
/// let record = Record::from(r#"{"id":7,"name":"Ada"}"#);
/// assert_eq!(record.get("id").as_deref(), Some("7"));
/// assert_eq!(record.with("team", "core")?.json(), r#"{"id":7,"name":"Ada","team":"core"}"#);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Record<'a>(Cow<'a, str>);

impl Record<'_> {
    /// The record's JSON text.
    pub fn json(&self) -> &str {
        &self.0
    }

    /// A top-level field as text: a string's content, any other value as JSON. `None` where it is absent or null.
    /// Each call walks the record once; for several fields [`parse`](Self::parse) is cheaper.
    pub fn get(&self, field: &str) -> Option<String> {
        self.value(field).and_then(json::text)
    }

    /// A top-level field as the JSON it is; `None` where it is absent.
    pub fn value(&self, field: &str) -> Option<&RawValue> {
        json::search(&self.0, &Path::field(field)).ok()?
    }

    /// As [`get`](Self::get); a source error that names the field where it is absent or null.
    pub fn required(&self, field: &str) -> Result<String> {
        self.get(field).ok_or_else(|| Error::source(format_args!("a record has no `{field}`: {}", start_of(&self.0))))
    }

    /// The record in a type of one's own; a source error where it has another shape.
    pub fn parse<'b, T: Deserialize<'b>>(&'b self) -> Result<T> {
        let complain = |error| Error::source(format_args!("a record is unreadable ({error}): {}", start_of(&self.0)));
        serde_json::from_str(&self.0).map_err(complain)
    }

    /// The record as a raw value, to be a part of something that is serialised.
    pub fn raw(&self) -> Result<&RawValue> {
        self.parse()
    }

    /// The record with a field added at its end, or as it is where it has that field already, even as null.
    pub fn with(self, field: &str, value: impl Serialize) -> Result<Self> {
        let found = json::search(&self.0, &Path::field(field))?;
        if found.is_some() {
            return Ok(self);
        }
        let no_object = || Error::source(format_args!("a record is no JSON object: {}", start_of(&self.0)));
        let open = self.0.trim_end().strip_suffix('}').ok_or_else(no_object)?.trim_end();
        let comma = if open.ends_with('{') { "" } else { "," };
        let name = serde_json::to_string(field).map_err(Error::internal)?;
        let value = serde_json::to_string(&value).map_err(Error::internal)?;
        Ok(Self(Cow::Owned(format!("{open}{comma}{name}:{value}}}"))))
    }
}

impl<'a> From<&'a str> for Record<'a> {
    fn from(json: &'a str) -> Self {
        Self(Cow::Borrowed(json))
    }
}

impl From<String> for Record<'_> {
    fn from(json: String) -> Self {
        Self(Cow::Owned(json))
    }
}

impl<'a> From<&'a RawValue> for Record<'a> {
    fn from(value: &'a RawValue) -> Self {
        Self::from(value.get())
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an operation takes: a [`Record`] or anything that serialises to a JSON object, by value or by reference.
pub trait Row: Sized {
    /// Appends the row's JSON; may leave a part of it behind on error.
    #[doc(hidden)]
    fn write_to(self, out: &mut Vec<u8>) -> serde_json::Result<()>;
}

impl<T: Serialize> Row for T {
    fn write_to(self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(out, &self)
    }
}

impl Row for Record<'_> {
    fn write_to(self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        (&self).write_to(out)
    }
}

impl Row for &Record<'_> {
    fn write_to(self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(())
    }
}

/// The first 200 characters, for a message.
pub(crate) fn start_of(text: &str) -> &str {
    text.char_indices().nth(200).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_added_at_the_end_unless_it_is_there() {
        let check = |before: &str, after: &str| {
            assert_eq!(Record::from(before).with("of", 7).unwrap().json(), after);
        };
        check("{}", r#"{"of":7}"#);
        check("{ }\n", r#"{"of":7}"#);
        check(r#"{"a":1.0 }"#, r#"{"a":1.0,"of":7}"#);
        check(r#"{"of":null}"#, r#"{"of":null}"#);
        check(r#"{"a":{"of":1}}"#, r#"{"a":{"of":1},"of":7}"#);
        assert!(Record::from("[1]").with("of", 7).is_err());
    }

    #[test]
    fn a_missing_field_is_named_with_the_record() {
        let error = Record::from(r#"{"a":1}"#).required("id").unwrap_err();
        assert_eq!(error, Error::Source(r#"a record has no `id`: {"a":1}"#.into()));
    }

    #[test]
    fn a_field_may_look_like_a_pointer() {
        assert_eq!(Record::from(r#"{"/a":1,"":2}"#).get("/a").as_deref(), Some("1"));
        assert_eq!(Record::from(r#"{"/a":1,"":2}"#).get("").as_deref(), Some("2"));
    }
}
