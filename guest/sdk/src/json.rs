//! Finds values in a JSON text without building them: what is found stays bytes of the text.

mod block;
mod search;
mod split;

use std::fmt;
use std::ops::Range;
use std::slice;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub(crate) use search::search;

/// Where a value lies in a JSON text: the name of a field of the root, an RFC 6901 pointer (`/data/items`), or nothing
/// for the root itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Path(Vec<String>);

impl Path {
    /// A field of the root, whatever its name looks like.
    pub(crate) fn field(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    pub(crate) fn new(text: &str) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        let Some(pointer) = text.strip_prefix('/') else {
            return Self::field(text);
        };
        Self(pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| write!(f, "/{step}"))
    }
}

/// The elements of an array of records, and the one value beside them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Records {
    /// Where the elements lie in the text; `None` where there is no array (null counts as an empty one).
    pub(crate) elements: Option<Vec<Range<usize>>>,
    /// The value as [`text`].
    pub(crate) value: Option<String>,
}

/// As [`search`], but objects in the array are told apart without a look at what is in them: that they are valid JSON
/// is checked where they are read. All around them is checked here.
pub(crate) fn records(json: &str, array: &Path, value: Option<&Path>) -> serde_json::Result<Records> {
    let (first, found) = search::first_object(json, array, value);
    let found = match first.and_then(|first| split(json, first, array, value)) {
        Some(records) => return Ok(records),
        // The boundaries were not to be found, and a thorough reader says why.
        None if first.is_some() => search(json, Some(array), value),
        None => found,
    }?;
    Ok(Records { elements: found.elements, value: found.value.and_then(text) })
}

/// The records from `first` on, if they can be told apart; the text around them is read with one number in their place.
fn split(json: &str, first: usize, array: &Path, value: Option<&Path>) -> Option<Records> {
    let elements = split::objects(json.as_bytes(), first)?;
    let rest = format!("{}0{}", &json[..first], &json[elements.last()?.end..]);
    let found = search(&rest, Some(array), value).ok()?;
    // Where a name is given twice the last one counts, which may be another array than the one that was split.
    let same = found.elements? == slice::from_ref(&(first..first + 1));
    same.then(|| Records { elements: Some(elements), value: found.value.and_then(text) })
}

/// The text with one value set, at a field's name or an RFC 6901 pointer; objects on the way are made where they are
/// missing. Names come out sorted, numbers as `serde_json` writes them.
pub(crate) fn set(json: &[u8], at: &str, value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut root: Value = serde_json::from_slice(json)?;
    let mut place = &mut root;
    for step in Path::new(at).0 {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(fields) = place else {
            return Err(serde::ser::Error::custom("what is there is no object"));
        };
        place = fields.entry(step).or_insert(Value::Null);
    }
    *place = serde_json::to_value(value)?;
    serde_json::to_vec(&root)
}

/// A value as text: a string's content, another value as JSON, nothing for null.
pub(crate) fn text(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first() {
        Some(b'n') | None => None,
        Some(b'"') => serde_json::from_str(value.get()).ok(),
        Some(_) => Some(value.get().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, array: &str, value: &str, expect: (Option<&[&str]>, Option<&str>)) {
        let found = search(text, Some(&Path::new(array)), Some(&Path::new(value))).unwrap();
        let elements: Option<Vec<&str>> = found.elements.map(|all| all.into_iter().map(|range| &text[range]).collect());
        assert_eq!((elements.as_deref(), found.value.map(RawValue::get)), expect, "{text} {array} {value}");
    }

    #[test]
    fn elements_and_the_value_keep_their_bytes() {
        let text = r#" {"next": 12345678901234567890123, "data": [ {"a": 1.10} , {"b":"\u0041"}, 3 ], "x": [{}]} "#;
        let records: &[&str] = &[r#"{"a": 1.10}"#, r#"{"b":"\u0041"}"#, "3"];
        check(text, "data", "next", (Some(records), Some("12345678901234567890123")));
        check(text, "/data", "nothing", (Some(records), None));
        check(text, "nothing", "next", (None, Some("12345678901234567890123")));
        check(text, "next", "data", (None, Some(r#"[ {"a": 1.10} , {"b":"\u0041"}, 3 ]"#)));
    }

    #[test]
    fn pointers_walk_objects_and_arrays() {
        let text = r#"{"a":{"b~/c":[null,[1,2]]},"m":{"n":"x"},"a/b":[9]}"#;
        check(text, "/a/b~0~1c/1", "/m/n", (Some(&["1", "2"]), Some("\"x\"")));
        check(text, "a/b", "/a/b~0~1c/0", (Some(&["9"]), Some("null")));
        check("[1,2]", "", "next", (Some(&["1", "2"]), None));
    }

    #[test]
    fn a_null_array_is_empty_and_another_value_is_none() {
        check(r#"{"data":null}"#, "data", "x", (Some(&[]), None));
        check(r#"{"data":{}}"#, "data", "x", (None, None));
        check("7", "data", "x", (None, None));
    }

    #[test]
    fn a_value_is_set_where_it_was_or_where_nothing_was() {
        let check = |before: &str, at: &str, after: &str| {
            assert_eq!(String::from_utf8(set(before.as_bytes(), at, &"x").unwrap()).unwrap(), after);
        };
        check(r#"{"a":1}"#, "after", r#"{"a":1,"after":"x"}"#);
        check(r#"{"after":"w"}"#, "after", r#"{"after":"x"}"#);
        check(r#"{"query":"q"}"#, "/variables/after", r#"{"query":"q","variables":{"after":"x"}}"#);
        check(r#"{"variables":null}"#, "/variables/after", r#"{"variables":{"after":"x"}}"#);
        assert!(set(b"[]", "after", &1).is_err() && set(b"{", "after", &1).is_err());
    }

    #[test]
    fn a_cut_or_doubled_text_is_an_error() {
        for text in ["", "{", r#"{"data":[1,"#, "{} {}", "<html>"] {
            assert!(search(text, Some(&Path::new("data")), None).is_err(), "{text}");
        }
    }
}
