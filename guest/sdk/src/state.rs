//! The connector's memory between two syncs: a JSON object, saved by a checkpoint, given back by the next sync.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::error::{Error, Result};
use crate::json;

/// The state the last checkpoint saved, empty on the first sync. Values are kept as the JSON they were, so that a
/// number of any length survives.
///
/// ```
/// use elt_sdk::prelude::*;
///
/// let mut state = State::default();
/// assert_eq!(state.get("cursor"), None);
/// assert_eq!(state.get_or("since", "2000-01-01T00:00:00Z"), "2000-01-01T00:00:00Z");
/// state.set("cursor", "abc")?;
/// state.set("offset", 300)?;
/// assert_eq!(state.get("cursor").as_deref(), Some("abc"));
/// assert_eq!(state.parse_or("offset", 0)?, 300);
/// assert_eq!(state.to_string(), r#"{"cursor":"abc","offset":300}"#);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Default)]
pub struct State(BTreeMap<String, Box<RawValue>>);

impl State {
    /// Reads a state; `None` or an empty text is the empty state. Anything but a JSON object is an internal error.
    pub fn from_json(text: Option<&str>) -> Result<Self> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            return Ok(Self::default());
        };
        let not_an_object = |error| Error::internal(format_args!("the state is no JSON object: {error}"));
        serde_json::from_str(text).map(Self).map_err(not_an_object)
    }

    /// The value as text: a string's content, any other value as JSON. `None` where it is absent or null.
    pub fn get(&self, key: impl AsRef<str>) -> Option<String> {
        self.0.get(key.as_ref()).and_then(|value| json::text(value))
    }

    /// The value as text, or `default` where it is absent or null.
    pub fn get_or(&self, key: impl AsRef<str>, default: impl Into<String>) -> String {
        self.get(key).unwrap_or_else(|| default.into())
    }

    /// The value in a type of one's own, also where a number was set as text, `None` where it is absent or null; an
    /// internal error that names the key where it has another shape.
    pub fn parse<T: DeserializeOwned>(&self, key: impl AsRef<str>) -> Result<Option<T>> {
        let key = key.as_ref();
        let Some(value) = self.0.get(key) else {
            return Ok(None);
        };
        json::lenient(value)
            .map_err(|error| Error::internal(format_args!("the state's `{key}` is unreadable: {error}")))
    }

    /// As [`parse`](Self::parse), `default` where the value is absent or null.
    pub fn parse_or<T: DeserializeOwned>(&self, key: impl AsRef<str>, default: T) -> Result<T> {
        Ok(self.parse(key)?.unwrap_or(default))
    }

    /// A state within the state, one for each of several parts that advance on their own: an account, a region, a month.
    /// Empty where there is none yet; [`set`](Self::set) puts it back.
    ///
    /// ```
    /// use elt_sdk::prelude::*;
    ///
    /// let mut state = State::default();
    /// let mut europe = state.slice("eu")?;
    /// europe.set("cursor", "abc")?;
    /// state.set("eu", &europe)?;
    /// assert_eq!(state.slice("eu")?.get("cursor").as_deref(), Some("abc"));
    /// assert_eq!(state.to_string(), r#"{"eu":{"cursor":"abc"}}"#);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn slice(&self, key: impl AsRef<str>) -> Result<Self> {
        self.parse::<BTreeMap<String, Box<RawValue>>>(key).map(|slice| Self(slice.unwrap_or_default()))
    }

    /// Sets a value; null and `None` forget it, as [`remove`](Self::remove) does. An error only where it has no JSON form.
    pub fn set(&mut self, key: impl AsRef<str>, value: impl Serialize) -> Result<()> {
        let key = key.as_ref();
        let complain = |error| Error::internal(format_args!("the state's `{key}` has no JSON form: {error}"));
        let value = to_raw_value(&value).map_err(complain)?;
        if value.get() == "null" {
            self.0.remove(key);
        } else {
            self.0.insert(key.to_owned(), value);
        }
        Ok(())
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Forgets a value.
    pub fn remove(&mut self, key: impl AsRef<str>) {
        self.0.remove(key.as_ref());
    }

    /// Whether nothing is remembered, as on the first sync.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The state as JSON, keys in order.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_set_to_none_is_forgotten() {
        let mut state = State::from_json(Some(r#"{"cursor":"x"}"#)).unwrap();
        state.set("cursor", None::<String>).unwrap();
        assert_eq!(state.to_string(), "{}");
    }

    #[test]
    fn numbers_of_any_length_survive() {
        let text = r#"{"big":123456789012345678901234567890,"price":1.10}"#;
        assert_eq!(State::from_json(Some(text)).unwrap().to_string(), text);
    }

    #[test]
    fn no_state_reads_as_an_empty_one_and_a_list_is_refused() {
        assert!(State::from_json(None).unwrap().is_empty());
        assert!(State::from_json(Some(" ")).unwrap().is_empty());
        let error = State::from_json(Some("[1]")).unwrap_err();
        assert!(error.message().starts_with("the state is no JSON object"), "{error}");
    }

    #[test]
    fn what_was_set_as_text_is_read_as_a_number_and_the_other_way() {
        let record = crate::record::Record::from(r#"{"id": 7, "flag": true}"#);
        let mut state = State::default();
        state.set("id", record.required("id").unwrap()).unwrap();
        state.set("flag", record.get("flag")).unwrap();
        state.set("number", 8).unwrap();
        assert_eq!(state.parse::<u64>("id").unwrap(), Some(7));
        assert!(state.parse_or("flag", false).unwrap());
        assert_eq!(state.parse::<String>("number").unwrap().as_deref(), Some("8"));
        assert_eq!(state.parse_or(String::from("none"), 3).unwrap(), 3);
    }

    #[test]
    fn a_value_of_another_shape_is_an_error_that_names_its_key() {
        let state = State::from_json(Some(r#"{"offset":"x","gone":null}"#)).unwrap();
        assert!(state.parse::<u64>("offset").unwrap_err().message().contains("`offset`"));
        assert_eq!(state.parse::<u64>("gone").unwrap(), None);
        assert_eq!(state.get("gone"), None);
    }
}
