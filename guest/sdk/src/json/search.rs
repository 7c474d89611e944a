//! Walks a JSON text by `serde_json` to a value; all of the text is checked on the way.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Path;

/// Looks for the value at `path`; where a name is given twice, the last one counts.
pub(crate) fn search<'de>(json: &'de str, path: &Path) -> serde_json::Result<Option<&'de RawValue>> {
    let mut found = None;
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Search { path: &path.0, found: &mut found }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(found)
}

/// One value of the text, and what is still to be walked from it.
struct Search<'path, 'found, 'de> {
    path: &'path [String],
    found: &'found mut Option<&'de RawValue>,
}

impl<'path, 'de> Search<'path, '_, 'de> {
    /// The search from the child called `step` on; `None` where the path does not lead there.
    fn child(&mut self, step: &str) -> Option<Search<'path, '_, 'de>> {
        let (head, rest) = self.path.split_first()?;
        if head != step {
            return None;
        }
        // Whatever an earlier child of that name held does not count.
        *self.found = None;
        Some(Search { path: rest, found: &mut *self.found })
    }
}

impl<'de> DeserializeSeed<'de> for Search<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.path.is_empty() {
            *self.found = Some(serde::Deserialize::deserialize(deserializer)?);
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
