//! The user's configuration for a connector: flat, strings only.

use std::collections::BTreeMap;

use super::Field;
use crate::error::{Code, Error, Result};

/// Field name to value, after defaults were applied.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Configuration(pub BTreeMap<String, String>);

/// Names only: values may be secrets.
impl std::fmt::Debug for Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Configuration {
    /// Reads configuration.json: a JSON object whose values are strings. Anything else is refused with what to write
    /// instead.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |what: String| Error::new(Code::ConfigurationInvalid, what);
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
            invalid("read the configuration as JSON".into())
                .hint("Write one flat object of strings, such as {\"api_key\": \"123\"}.")
                .because(error)
        })?;
        let serde_json::Value::Object(object) = value else {
            return Err(invalid("read the configuration: it is not a JSON object".into())
                .hint("Write one flat object of strings, such as {\"api_key\": \"123\"}."));
        };
        let mut fields = BTreeMap::new();
        for (name, value) in object {
            match value {
                serde_json::Value::String(text) => {
                    fields.insert(name, text);
                }
                serde_json::Value::Object(_) | serde_json::Value::Array(_) => {
                    return Err(invalid(format!("read the configuration: \"{name}\" is nested"))
                        .hint("Configuration is flat: give each inner value a field of its own, as a string."));
                }
                serde_json::Value::Null => {
                    return Err(invalid(format!("read the configuration: \"{name}\" is null"))
                        .hint(format!("Leave \"{name}\" out, or give it a string.")));
                }
                other => {
                    return Err(invalid(format!("read the configuration: \"{name}\" is not a string"))
                        .hint(format!("Put quotes around it: \"{name}\": \"{other}\".")));
                }
            }
        }
        Ok(Self(fields))
    }

    /// Applies the defaults of the connector's fields and checks that required ones are there. Also returns the names of
    /// fields that the connector does not know.
    pub fn prepare(mut self, fields: &[Field]) -> Result<(Self, Vec<String>)> {
        let unknown = self.0.keys().filter(|name| fields.iter().all(|field| &field.name != *name)).cloned().collect();
        for field in fields {
            if let (None, Some(default)) = (self.0.get(&field.name), &field.default) {
                self.0.insert(field.name.clone(), default.clone());
            }
            if field.required && self.get(&field.name).is_none_or(|value| value.trim().is_empty()) {
                return Err(Error::new(
                    Code::ConfigurationFieldMissing,
                    format!("start: the required configuration field \"{}\" is missing or empty", field.name),
                )
                .hint(format!("Add \"{}\" to the configuration: {}", field.name, field.help)));
            }
        }
        Ok((self, unknown))
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secrecy;

    fn code(text: &str) -> Code {
        Configuration::parse(text).unwrap_err().code()
    }

    fn field(name: &str, required: bool, default: Option<&str>) -> Field {
        Field {
            name: name.into(),
            help: "What it is.".into(),
            required,
            secrecy: Secrecy::Plain,
            default: default.map(Into::into),
            hosts: vec![],
        }
    }

    #[test]
    fn what_is_no_flat_object_of_strings_is_refused() {
        for text in
            ["", "{", "[]", "\"x\"", "{\"a\":1}", "{\"a\":null}", "{\"a\":{}}", "{\"a\":[\"b\"]}", "{\"a\":true}"]
        {
            assert_eq!(code(text), Code::ConfigurationInvalid, "{text}");
        }
    }

    #[test]
    fn a_number_gets_the_advice_to_quote_it() {
        let error = Configuration::parse("{\"page_size\": 100}").unwrap_err();
        assert_eq!(error.advice(), Some("Put quotes around it: \"page_size\": \"100\"."));
    }

    #[test]
    fn defaults_apply_and_unknown_fields_are_named() {
        let given = Configuration::parse("{\"a\":\"1\",\"x\":\"2\"}").unwrap();
        let (ready, unknown) = given.prepare(&[field("a", true, None), field("b", false, Some("7"))]).unwrap();
        assert_eq!((ready.get("a"), ready.get("b"), unknown), (Some("1"), Some("7"), vec!["x".to_owned()]));
    }

    #[test]
    fn a_required_field_that_is_missing_or_empty_is_named() {
        for text in ["{}", "{\"api_key\":\" \"}"] {
            let error = Configuration::parse(text).unwrap().prepare(&[field("api_key", true, None)]).unwrap_err();
            assert_eq!(error.code(), Code::ConfigurationFieldMissing);
            assert!(error.to_string().contains("api_key"));
        }
    }
}
