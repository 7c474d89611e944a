//! Walks a JSON text by `serde_json` to the array at a path; all of the text is checked on the way.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What is looked for.
#[derive(Clone, Copy)]
pub(super) struct Goal<'a> {
    /// The names and numbers that lead to the array.
    pub(super) path: &'a [String],
    /// How many elements it may have.
    pub(super) elements_max: usize,
    /// Whether to end at the first array that begins with an object.
    pub(super) to_first: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Where the elements of the array lie in the text; `None` where there is no array (null counts as an empty one).
    /// Where a name on the path is given twice, the last one counts.
    pub(super) elements: Option<Vec<Range<usize>>>,
    /// Where the search ended early: the start of the array's first element, an object.
    pub(super) first: Option<usize>,
    /// The array has too many elements; the search ended with an error.
    pub(super) too_many: bool,
}

/// Looks for the elements of an array. With an error of the text or an early end, what was found until then.
pub(super) fn search(json: &str, goal: Goal<'_>) -> (Found, serde_json::Result<()>) {
    let mut found = Found::default();
    let start = json.as_ptr().addr();
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let searched = Search { start, goal, found: &mut found }.deserialize(&mut deserializer);
    let searched = searched.and_then(|()| deserializer.end());
    (found, searched)
}

/// One value of the text, and what is still to be walked from it.
struct Search<'a, 'found> {
    /// Where the text begins in memory.
    start: usize,
    goal: Goal<'a>,
    found: &'found mut Found,
}

impl<'a> Search<'a, '_> {
    /// The search from the child called `step` on, where the path leads there.
    fn child(&mut self, step: impl FnOnce(&str) -> bool) -> Option<Search<'a, '_>> {
        let (head, rest) = self.goal.path.split_first()?;
        if !step(head) {
            return None;
        }
        // Whatever an earlier child of that name held does not count.
        self.found.elements = None;
        let goal = Goal { path: rest, ..self.goal };
        Some(Search { start: self.start, goal, found: &mut *self.found })
    }

    fn is_array(&self) -> bool {
        self.goal.path.is_empty()
    }
}

impl<'de> DeserializeSeed<'de> for Search<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A scalar is no array.
macro_rules! ignore {
    ($($name:ident($type:ty))*) => {$(
        fn $name<E>(self, _: $type) -> Result<(), E> {
            Ok(())
        }
    )*};
}

impl<'de> Visitor<'de> for Search<'_, '_> {
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
            self.found.elements = Some(self.elements(seq)?);
            return Ok(());
        }
        for index in 0_usize.. {
            // A number without a sign or zeros in front, as RFC 6901 has it.
            let more = match self.child(|step| step.parse() == Ok(index) && step == index.to_string()) {
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

impl Search<'_, '_> {
    fn elements<'de, A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<Vec<Range<usize>>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element::<&'de RawValue>()? {
            let at = element.get().as_ptr().addr() - self.start;
            if self.goal.to_first && elements.is_empty() && element.get().starts_with('{') {
                self.found.first = Some(at);
                return Err(A::Error::custom("the search ends here"));
            }
            if elements.len() == self.goal.elements_max {
                self.found.too_many = true;
                return Err(A::Error::custom("there are too many"));
            }
            elements.push(at..at + element.get().len());
        }
        Ok(elements)
    }
}

/// A key of an object, turned into the search below it without a copy of the key.
struct Step<'search, 'a, 'found>(&'search mut Search<'a, 'found>);

impl<'search, 'a, 'de> DeserializeSeed<'de> for Step<'search, 'a, '_> {
    type Value = Option<Search<'a, 'search>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'search, 'a> Visitor<'_> for Step<'search, 'a, '_> {
    type Value = Option<Search<'a, 'search>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.child(|step| step == key))
    }
}
