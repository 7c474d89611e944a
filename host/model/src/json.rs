//! JSON for programs: objects whose fields stand in the order in which they were put.

use serde::Serialize;

use crate::error::Error;

/// An object being written.
#[derive(Debug, Default)]
pub struct Object {
    text: String,
}

impl Object {
    /// An object without fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    #[must_use]
    pub fn put(self, name: &str, value: &(impl Serialize + ?Sized)) -> Self {
        let text = text(value);
        self.raw(name, &text)
    }

    /// Adds a field whose value is JSON already.
    #[must_use]
    pub fn raw(mut self, name: &str, json: &str) -> Self {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        self.text.push_str(&text(name));
        self.text.push(':');
        self.text.push_str(json);
        self
    }

    /// Adds JSON of others, such as a state, as it stands; text that is none becomes a string, none becomes null.
    #[must_use]
    pub fn foreign(self, name: &str, json: Option<&str>) -> Self {
        let is_json = |text: &&str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        match json {
            None => self.raw(name, "null"),
            // A line end would break the line in two.
            Some(json) if is_json(&json) => self.raw(name, &json.replace(['\n', '\r'], " ")),
            Some(other) => self.put(name, other),
        }
    }

    /// The object's text.
    pub fn finish(mut self) -> String {
        self.text.push_str(if self.text.is_empty() { "{}" } else { "}" });
        self.text
    }
}

/// A list of values that are JSON already.
pub fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

/// An error for programs.
pub fn error(error: &Error) -> String {
    Object::new()
        .put("code", error.code().as_str())
        .put("fault", &error.fault().to_string())
        .put("message", &error.chain())
        .put("hint", &error.advice())
        .finish()
}

/// JSON of a value that always has one: our own strings, numbers and lists.
pub fn text(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_else(|_impossible| "null".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_order_and_states_as_they_are() {
        let object =
            Object::new().put("b", "x\"y").put("a", &1).foreign("s", Some("{\"z\":1,\n\"a\":2}")).foreign("n", None);
        assert_eq!(object.finish(), r#"{"b":"x\"y","a":1,"s":{"z":1, "a":2},"n":null}"#);
        assert_eq!(Object::new().foreign("s", Some("{")).finish(), r#"{"s":"{"}"#);
        assert_eq!(Object::new().finish(), "{}");
        assert_eq!(list(["1".to_owned(), "2".to_owned()]), "[1,2]");
    }
}
