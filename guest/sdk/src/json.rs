//! Finds values in a JSON text without building them: what is found stays bytes of the text.

mod search;

use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
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

    /// The names on the way.
    pub(crate) fn steps(&self) -> &[String] {
        &self.0
    }

    /// The same as an RFC 6901 pointer.
    pub(crate) fn pointer(&self) -> String {
        self.0.iter().flat_map(|step| ["/".to_owned(), step.replace('~', "~0").replace('/', "~1")]).collect()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| write!(f, "/{step}"))
    }
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

/// A value in a type of one's own, also where a number or a truth value is written as a text, or a text is wanted of one.
pub(crate) fn lenient<T: DeserializeOwned>(value: &RawValue) -> serde_json::Result<T> {
    serde_json::from_str(value.get()).or_else(|error| {
        let content = text(value).unwrap_or_default();
        let other = if value.get().starts_with('"') { content } else { Value::from(content).to_string() };
        serde_json::from_str(&other).map_err(|_| error)
    })
}

/// The fields of an object in their order.
pub(crate) fn fields(json: &str) -> serde_json::Result<Vec<(String, &RawValue)>> {
    struct Fields;

    impl<'de> Visitor<'de> for Fields {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut fields = Vec::new();
            while let Some(field) = map.next_entry()? {
                fields.push(field);
            }
            Ok(fields)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(json);
    let fields = deserializer.deserialize_map(Fields)?;
    deserializer.end().map(|()| fields)
}

/// An object of such fields.
pub(crate) fn object<'a>(fields: impl Iterator<Item = (&'a str, &'a RawValue)>) -> String {
    let fields: Vec<String> = fields.map(|(name, value)| format!("{}:{value}", Value::from(name))).collect();
    format!("{{{}}}", fields.join(","))
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

    fn check(text: &str, at: &str, expect: Option<&str>) {
        let path = Path::new(at);
        assert_eq!(search(text, &path).unwrap().map(RawValue::get), expect, "{text} {at}");
        assert_eq!(search(text, &Path::new(&path.pointer())).unwrap().map(RawValue::get), expect, "{text} {at}");
    }

    #[test]
    fn a_value_keeps_its_bytes() {
        let text = r#" {"next": 12345678901234567890123, "data": [ {"a": 1.10} , {"b":"\u0041"}, 3 ], "x": [{}]} "#;
        check(text, "next", Some("12345678901234567890123"));
        check(text, "/data", Some(r#"[ {"a": 1.10} , {"b":"\u0041"}, 3 ]"#));
        check(text, "nothing", None);
    }

    #[test]
    fn pointers_walk_objects_and_arrays() {
        let text = r#"{"a":{"b~/c":[null,[1,2]]},"m":{"n":"x"},"a/b":[9]}"#;
        check(text, "/a/b~0~1c/1", Some("[1,2]"));
        check(text, "/a/b~0~1c/0", Some("null"));
        check(text, "/a/b~0~1c/01", None);
        check(text, "/m/n", Some("\"x\""));
        check(text, "a/b", Some("[9]"));
        check("[1,2]", "", Some("[1,2]"));
        check("7", "data", None);
    }

    #[test]
    fn of_values_with_one_name_the_last_counts() {
        check(r#"{"a":1,"b":2,"a":3}"#, "a", Some("3"));
        check(r#"{"a":{"b":1},"a":{}}"#, "/a/b", None);
        check(r#"{"a":{"b":1},"a":7}"#, "/a/b", None);
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
            assert!(search(text, &Path::new("data")).is_err(), "{text}");
        }
    }
}
