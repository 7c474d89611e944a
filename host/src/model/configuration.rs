//! The user's configuration for a connector: flat, strings only.

use std::collections::BTreeMap;

/// Field name to value, after defaults were applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration(pub BTreeMap<String, String>);

impl Configuration {
    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}
