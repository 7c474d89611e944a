//! A record as the source sent it: a slice of the answer's bytes, passed on untouched.

use std::borrow::Cow;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::json::{self, Path};

/// How `serde_json` is told that a text is JSON already, as it tells itself of its own `RawValue`. That type is of no use
/// here: it checks the text at each use, and a row must not be parsed to be passed on.
const RAW: &str = "$serde_json::private::RawValue";

/// A record's JSON. Cheap to pass on: [`Operations::upsert`](crate::operations::Operations::upsert) copies its bytes
/// once, nothing is parsed.
///
/// A field is meant by its name, or by a JSON pointer into nested values:
///
/// ```
/// use elt_sdk::prelude::*;
///
/// let record = Record::from(r#"{"id":7,"owner":{"name":"Ada"},"tags":["a"],"lines":[{"n":1},{"n":2}]}"#);
/// assert_eq!(record.get("id").as_deref(), Some("7"));
/// assert_eq!(record.required("/owner/name")?, "Ada");
/// assert_eq!(record.get("/tags/0").as_deref(), Some("a"));
/// assert_eq!(record.field::<u64>("id")?, Some(7));
/// for line in record.list("lines")? {
///     fine!("{}", line.with("order_id", record.value("id"))?);
/// }
/// assert_eq!(record.without("lines")?.without("tags")?.json(), r#"{"id":7,"owner":{"name":"Ada"}}"#);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Record<'a>(Cow<'a, str>);

impl Record<'_> {
    /// The record's JSON text.
    pub fn json(&self) -> &str {
        &self.0
    }

    /// A field as text: a string's content, any other value as JSON. `None` where it is absent or null.
    /// Each call walks the record once; for several fields [`parse`](Self::parse) is cheaper.
    pub fn get(&self, field: impl AsRef<str>) -> Option<String> {
        self.value(field).and_then(json::text)
    }

    /// A field as the JSON it is; `None` where it is absent.
    pub fn value(&self, field: impl AsRef<str>) -> Option<&RawValue> {
        let field = field.as_ref();
        let own = json::search(&self.0, &Path::field(field)).ok()?;
        // A field that is called so counts before what the pointer leads to.
        own.or_else(|| json::search(&self.0, &Path::new(field)).ok()?)
    }

    /// As [`get`](Self::get); a source error that names the field where it is absent or null.
    pub fn required(&self, field: impl AsRef<str>) -> Result<String> {
        let field = field.as_ref();
        self.get(field).ok_or_else(|| self.lacks(field))
    }

    /// A field in a type of one's own (`u64`, `bool`, `Timestamp`, `Vec<String>`, `Value`), also where a number or a truth
    /// value is written as text; `None` where it is absent or null.
    pub fn field<T: DeserializeOwned>(&self, field: impl AsRef<str>) -> Result<Option<T>> {
        let field = field.as_ref();
        let Some(value) = self.value(field) else { return Ok(None) };
        json::lenient(value).map_err(|error| {
            Error::source(format_args!("a record's `{field}` is unreadable ({error}): {}", start_of(&self.0)))
        })
    }

    /// An object within the record, as a record of its own; a source error where there is none.
    pub fn object(&self, field: impl AsRef<str>) -> Result<Record<'_>> {
        let field = field.as_ref();
        let value = self.value(field).filter(|value| value.get().starts_with('{'));
        value.map(Record::from).ok_or_else(|| self.lacks(format_args!("{field}` as an object, `{{…}}")))
    }

    /// The objects of an array within the record, as records of their own; none where null stands there. A source error
    /// where it is absent: see [`list_or_empty`](Self::list_or_empty).
    pub fn list(&self, field: impl AsRef<str>) -> Result<Vec<Record<'_>>> {
        let field = field.as_ref();
        let value = self.value(field).ok_or_else(|| self.lacks(field))?;
        let elements: Option<Vec<&RawValue>> =
            serde_json::from_str(value.get()).map_err(|_| self.lacks(format_args!("{field}` as an array, `[…]")))?;
        Ok(elements.unwrap_or_default().into_iter().map(Record::from).collect())
    }

    /// As [`list`](Self::list), none also where the array is absent: for sources that leave empty ones out.
    pub fn list_or_empty(&self, field: impl AsRef<str>) -> Result<Vec<Record<'_>>> {
        let field = field.as_ref();
        if self.value(field).is_none() { Ok(Vec::new()) } else { self.list(field) }
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
    pub fn with(self, field: impl AsRef<str>, value: impl Serialize) -> Result<Self> {
        let field = field.as_ref();
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

    /// The record without a field of its own: one that is no data, or that [`with`](Self::with) is to set anew.
    pub fn without(self, field: impl AsRef<str>) -> Result<Self> {
        let field = field.as_ref();
        let fields = self.fields()?;
        let kept = fields.iter().filter(|(name, _)| name != field);
        Ok(Self(Cow::Owned(json::object(kept.map(|(name, value)| (name.as_str(), *value))))))
    }

    /// The record with the fields of a nested object in that object's place, for envelopes such as
    /// `{"id": 7, "attributes": {…}}`. A name that the record has already is led by the object's: `attributes_id`.
    pub fn lift(self, field: impl AsRef<str>) -> Result<Self> {
        let field = field.as_ref();
        let inner = self.object(field)?;
        let (outer, inner) = (self.fields()?, inner.fields()?);
        let is_taken = |name: &str| outer.iter().any(|(own, _)| own == name && own != field);
        let led = |name: &String| if is_taken(name) { format!("{field}_{name}") } else { name.clone() };
        let inner: Vec<(String, &RawValue)> = inner.iter().map(|(name, value)| (led(name), *value)).collect();
        let at = outer.iter().position(|(name, _)| name == field).unwrap_or(outer.len());
        let after = outer.iter().skip(at + 1);
        let all = outer[..at].iter().chain(&inner).chain(after);
        Ok(Self(Cow::Owned(json::object(all.map(|(name, value)| (name.as_str(), *value))))))
    }

    /// The fields in their order.
    fn fields(&self) -> Result<Vec<(String, &RawValue)>> {
        json::fields(&self.0)
            .map_err(|error| Error::source(format_args!("a record is no JSON object ({error}): {}", start_of(&self.0))))
    }

    fn lacks(&self, field: impl fmt::Display) -> Error {
        Error::source(format_args!("a record has no `{field}`: {}", start_of(&self.0)))
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

impl From<Value> for Record<'_> {
    fn from(value: Value) -> Self {
        Self::from(value.to_string())
    }
}

/// The JSON it is, also as a part of something else: `json!({"shop": 1, "order": record})`.
impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut raw = serializer.serialize_struct(RAW, 1)?;
        raw.serialize_field(RAW, self.json())?;
        raw.end()
    }
}

/// The record's JSON.
impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
    fn a_record_is_written_as_the_json_it_is_wherever_it_stands() {
        let text = r#"{"n": 1.10,  "big":123456789012345678901234567890}"#;
        let record = Record::from(text);
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
        assert_eq!(serde_json::to_string(&(1, &record)).unwrap(), format!("[1,{text}]"));
        assert_eq!(serde_json::json!({"r": record})["r"]["n"].to_string(), "1.1");
        let mut out = Vec::new();
        (&record).write_to(&mut out).unwrap();
        assert_eq!((String::from_utf8(out).unwrap().as_str(), record.to_string().as_str()), (text, text));
    }

    #[test]
    fn nested_values_are_found_and_read() {
        let record = Record::from(r#"{"a":{"b":[{"c":"7"},{"c":null}],"t":"true"},"e":[],"n":null}"#);
        assert_eq!(record.required("/a/b/0/c").unwrap(), "7");
        assert_eq!(record.field::<u32>("/a/b/0/c").unwrap(), Some(7));
        assert_eq!(record.field::<bool>("/a/t").unwrap(), Some(true));
        assert_eq!(record.field::<u32>("/a/b/1/c").unwrap(), None);
        assert!(record.field::<u32>("/a/t").unwrap_err().message().starts_with("a record's `/a/t` is unreadable"));
        assert_eq!(record.object("a").unwrap().list("b").unwrap().len(), 2);
        assert!(record.list("e").unwrap().is_empty() && record.list("n").unwrap().is_empty());
        assert!(record.list("x").unwrap_err().message().starts_with("a record has no `x`"));
        assert!(record.list("a").is_err() && record.object("e").is_err() && record.list_or_empty("a").is_err());
        assert!(record.list_or_empty("x").unwrap().is_empty());
    }

    #[test]
    fn fields_are_dropped_replaced_and_lifted_without_a_loss() {
        let record = || Record::from(r#"{"id": 1, "attributes": {"id":"a", "n":1.0}, "z":[]}"#);
        let check = |after: Result<Record<'_>>, expect: &str| assert_eq!(after.unwrap().json(), expect);
        check(record().without("attributes"), r#"{"id":1,"z":[]}"#);
        check(
            record().without("z").and_then(|it| it.with("z", 2)),
            r#"{"id":1,"attributes":{"id":"a", "n":1.0},"z":2}"#,
        );
        check(record().lift("attributes"), r#"{"id":1,"attributes_id":"a","n":1.0,"z":[]}"#);
        check(Record::from(r#"{"doc":{"doc":1}}"#).lift("doc"), r#"{"doc":1}"#);
        assert!(record().lift("z").is_err() && Record::from("[]").without("a").is_err());
    }

    #[test]
    fn a_field_may_look_like_a_pointer() {
        assert_eq!(Record::from(r#"{"/a":1,"":2}"#).get("/a").as_deref(), Some("1"));
        assert_eq!(Record::from(r#"{"/a":1,"":2}"#).get("").as_deref(), Some("2"));
    }
}
