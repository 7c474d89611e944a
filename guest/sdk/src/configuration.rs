//! What the user filled in: a flat list of strings, read by key, never by guess.

use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::description::Field;
use crate::error::{Error, Result};

/// The user's configuration, defaults included. An empty value counts as missing.
///
/// ```
/// use elt_sdk::prelude::*;
///
/// let configuration = Configuration::from([("api_key", "123"), ("page_size", "50")]);
/// assert_eq!(configuration.required("api_key")?, "123");
/// assert_eq!(configuration.get("region"), None);
/// assert_eq!(configuration.get_or("region", "eu"), "eu");
/// assert_eq!(configuration.parse::<u32>("page_size")?, 50);
/// assert_eq!(configuration.parse_or("days", 7)?, 7);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Configuration(BTreeMap<String, String>);

impl Configuration {
    /// The value, or `None` where it is missing or empty.
    pub fn get(&self, key: impl AsRef<str>) -> Option<&str> {
        self.0.get(key.as_ref()).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value, or `default` where it is missing or empty.
    pub fn get_or<'a>(&'a self, key: impl AsRef<str>, default: &'a str) -> &'a str {
        self.get(key).unwrap_or(default)
    }

    /// The value, or a configuration error that names the key.
    pub fn required(&self, key: impl AsRef<str>) -> Result<&str> {
        let key = key.as_ref();
        self.get(key).ok_or_else(|| Error::configuration(key, "is required and missing"))
    }

    /// The value as a number, `bool` or whatever else parses, or a configuration error that names the key.
    pub fn parse<T: FromStr<Err: fmt::Display>>(&self, key: impl AsRef<str>) -> Result<T> {
        let key = key.as_ref();
        let value = self.required(key)?;
        // The value stays out of the message: it may be a secret.
        let complain = |error| Error::configuration(key, format_args!("must be a {}: {error}", type_name::<T>()));
        value.trim().parse().map_err(complain)
    }

    /// As [`parse`](Self::parse), `default` where the value is missing or empty.
    pub fn parse_or<T: FromStr<Err: fmt::Display>>(&self, key: impl AsRef<str>, default: T) -> Result<T> {
        let key = key.as_ref();
        if self.get(key).is_some() { self.parse(key) } else { Ok(default) }
    }

    /// Fills in the defaults of `fields`, then refuses what is required and still missing.
    pub(crate) fn complete(mut self, fields: &[Field]) -> Result<Self> {
        for field in fields {
            if let (None, Some(default)) = (self.get(field.name), field.default) {
                self.0.insert(field.name.to_owned(), default.to_owned());
            }
            if field.required && self.get(field.name).is_none() {
                let message = format_args!("is required and missing; it is: {}", field.help);
                return Err(Error::configuration(field.name, message));
            }
        }
        Ok(self)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Configuration {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Configuration {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

/// Keys only: values may be secrets.
impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_does_not_parse_names_its_key_and_hides_its_value() {
        let error = Configuration::from([("page_size", "s3cret")]).parse::<u32>("page_size").unwrap_err();
        assert_eq!(error, Error::configuration("page_size", "must be a u32: invalid digit found in string"));
    }

    #[test]
    fn an_empty_value_is_missing_and_takes_the_default() {
        let fields = [Field::optional("page_size", "Records a page.").default("100")];
        let configuration = Configuration::from([("page_size", "")]).complete(&fields).unwrap();
        assert_eq!(configuration.parse::<u32>("page_size").unwrap(), 100);
    }

    #[test]
    fn a_missing_required_field_is_named_with_its_help() {
        let error = Configuration::default().complete(&[Field::required("api_key", "The key.")]).unwrap_err();
        assert_eq!(error.to_string(), "configuration field `api_key`: is required and missing; it is: The key.");
    }
}
