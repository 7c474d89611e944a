//! Finds values in a JSON text in one pass, without building it: what is found stays bytes of the text.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

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

/// What [`search`] found.
#[derive(Debug, Default)]
pub(crate) struct Found<'de> {
    /// Where the elements of the array lie in the text; `None` where there is no array (null counts as an empty one).
    pub(crate) elements: Option<Vec<Range<usize>>>,
    /// The single value.
    pub(crate) value: Option<&'de RawValue>,
}

/// Looks for the elements of the array at `array` and for the value at `value`, in one pass over `text`.
pub(crate) fn search<'de>(
    text: &'de str,
    array: Option<&Path>,
    value: Option<&Path>,
) -> serde_json::Result<Found<'de>> {
    let mut found = Found::default();
    let start = text.as_ptr().addr();
    let [array, value] = [array, value].map(|path| path.map(|path| path.0.as_slice()));
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Search { start, array, value, found: &mut found }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(found)
}

/// A value as text: a string's content, another value as JSON, nothing for null.
pub(crate) fn text(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first() {
        Some(b'n') | None => None,
        Some(b'"') => serde_json::from_str(value.get()).ok(),
        Some(_) => Some(value.get().to_owned()),
    }
}

/// One value of the text, and what is still to be walked from it to the two goals (`None`: not below this value).
struct Search<'path, 'found, 'de> {
    start: usize,
    array: Option<&'path [String]>,
    value: Option<&'path [String]>,
    found: &'found mut Found<'de>,
}

impl<'path, 'de> Search<'path, '_, 'de> {
    /// The search from the child called `step` on; `None` where neither goal lies below it.
    fn child(&mut self, step: &str) -> Option<Search<'path, '_, 'de>> {
        let below = |path: Option<&'path [String]>| {
            path.and_then(|path| path.split_first()).and_then(|(head, rest)| (head == step).then_some(rest))
        };
        let (array, value) = (below(self.array), below(self.value));
        let found = &mut *self.found;
        (array.is_some() || value.is_some()).then_some(Search { start: self.start, array, value, found })
    }

    fn is_array(&self) -> bool {
        self.array.is_some_and(<[String]>::is_empty)
    }
}

impl<'de> DeserializeSeed<'de> for Search<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.value.is_some_and(<[String]>::is_empty) {
            self.found.value = Some(serde::Deserialize::deserialize(deserializer)?);
            return Ok(());
        }
        deserializer.deserialize_any(self)
    }
}

/// The scalars on the way are of no interest.
macro_rules! ignore {
    ($($name:ident($type:ty))*) => {$(
        fn $name<E>(self, _: $type) -> Result<(), E> {
            Ok(())
        }
    )*};
}

impl<'de> Visitor<'de> for Search<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    ignore! { visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_f64(f64) visit_str(&str) }

    fn visit_unit<E>(self) -> Result<(), E> {
        if self.is_array() {
            self.found.elements = Some(Vec::new());
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(child) = map.next_key_seed(Step(&mut self))? {
            match child {
                Some(child) => map.next_value_seed(child)?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        if self.is_array() {
            let mut elements = Vec::new();
            while let Some(element) = seq.next_element::<&'de RawValue>()? {
                let at = element.get().as_ptr().addr() - self.start;
                elements.push(at..at + element.get().len());
            }
            self.found.elements = Some(elements);
            return Ok(());
        }
        for index in 0_usize.. {
            let more = match self.child(&index.to_string()) {
                Some(child) => seq.next_element_seed(child)?.is_some(),
                None => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }
}

/// A key of an object, turned into the search below it without a copy of the key.
struct Step<'search, 'path, 'found, 'de>(&'search mut Search<'path, 'found, 'de>);

impl<'search, 'path, 'de> DeserializeSeed<'de> for Step<'search, 'path, '_, 'de> {
    type Value = Option<Search<'path, 'search, 'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'search, 'path, 'de> Visitor<'de> for Step<'search, 'path, '_, 'de> {
    type Value = Option<Search<'path, 'search, 'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.child(key))
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
    fn a_cut_or_doubled_text_is_an_error() {
        for text in ["", "{", r#"{"data":[1,"#, "{} {}", "<html>"] {
            assert!(search(text, Some(&Path::new("data")), None).is_err(), "{text}");
        }
    }
}
