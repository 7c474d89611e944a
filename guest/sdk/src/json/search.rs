//! Walks a JSON text by `serde_json` to an array and to a value; all of the text is checked on the way.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Path;

/// What [`search`] found.
#[derive(Debug, Default)]
pub(crate) struct Found<'de> {
    /// Where the elements of the array lie in the text; `None` where there is no array (null counts as an empty one).
    pub(crate) elements: Option<Vec<Range<usize>>>,
    /// The single value.
    pub(crate) value: Option<&'de RawValue>,
    /// Where the search ended early: the start of the array's first element, an object.
    first: Option<usize>,
}

/// Looks for the elements of the array at `array` and for the value at `value`, in one pass over `json`.
pub(crate) fn search<'de>(
    json: &'de str,
    array: Option<&Path>,
    value: Option<&Path>,
) -> serde_json::Result<Found<'de>> {
    let mut found = Found::default();
    walk(json, array, value, false, &mut found)?;
    Ok(found)
}

/// Ends where an array at `array` begins with an object, and gives the object's start; without such an array, what
/// [`search`] gives.
pub(super) fn first_object<'de>(
    json: &'de str,
    array: &Path,
    value: Option<&Path>,
) -> (Option<usize>, serde_json::Result<Found<'de>>) {
    let mut found = Found::default();
    let result = walk(json, Some(array), value, true, &mut found);
    (found.first, result.map(|()| found))
}

fn walk<'de>(
    json: &'de str,
    array: Option<&Path>,
    value: Option<&Path>,
    to_first: bool,
    found: &mut Found<'de>,
) -> serde_json::Result<()> {
    let start = json.as_ptr().addr();
    let [array, value] = [array, value].map(|path| path.map(|path| path.0.as_slice()));
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Search { start, array, value, to_first, found }.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// One value of the text, and what is still to be walked from it to the two goals (`None`: not below this value).
struct Search<'path, 'found, 'de> {
    start: usize,
    array: Option<&'path [String]>,
    value: Option<&'path [String]>,
    /// Whether to end at the array's first element if that is an object.
    to_first: bool,
    found: &'found mut Found<'de>,
}

impl<'path, 'de> Search<'path, '_, 'de> {
    /// The search from the child called `step` on; `None` where neither goal lies below it.
    fn child(&mut self, step: &str) -> Option<Search<'path, '_, 'de>> {
        let below = |path: Option<&'path [String]>| {
            path.and_then(|path| path.split_first()).and_then(|(head, rest)| (head == step).then_some(rest))
        };
        let (array, value) = (below(self.array), below(self.value));
        let (start, to_first, found) = (self.start, self.to_first, &mut *self.found);
        (array.is_some() || value.is_some()).then_some(Search { start, array, value, to_first, found })
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
                if self.to_first && elements.is_empty() && element.get().starts_with('{') {
                    self.found.first = Some(at);
                    return Err(A::Error::custom("the search ends here"));
                }
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
