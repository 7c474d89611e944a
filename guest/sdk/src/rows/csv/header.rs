//! The names of a CSV's columns.

use std::collections::BTreeSet;

use super::string;
use crate::record::start_of;

/// The names in their order, each as the beginning of a JSON field; a column without a name has none.
pub(super) struct Header(Vec<Option<String>>);

impl Header {
    /// Names are different from each other, or made so; the error completes "line 1 …".
    pub(super) fn new(names: &[String], number_repeated: bool) -> Result<Self, String> {
        let mut seen = BTreeSet::new();
        let mut fields = Vec::new();
        for given in names {
            let mut name = given.clone();
            let mut number = 1;
            while !given.is_empty() && !seen.insert(name.clone()) {
                if !number_repeated {
                    return Err(format!(
                        "has the name `{}` twice; `number_repeated` tells them apart",
                        start_of(given)
                    ));
                }
                number += 1;
                name = format!("{given}_{number}");
                // Not the name of another column either.
                while names.contains(&name) {
                    name.push('_');
                }
            }
            let mut field = String::new();
            string(&mut field, &name);
            fields.push((!name.is_empty()).then(|| field + ":"));
        }
        if fields.iter().all(Option::is_none) {
            return Err("has no name".to_owned());
        }
        Ok(Self(fields))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.0.iter().map(Option::as_deref)
    }
}
