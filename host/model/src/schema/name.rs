//! Names of tables and columns in the warehouse: as the source gives them, with a numbered suffix where one is taken.

use std::collections::HashSet;

/// A name that no warehouse can hold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Longer than `NAME_BYTES_MAX`.
    #[error("a name of {0} bytes is longer than {NAME_BYTES_MAX}")]
    TooLong(usize),
}

impl NameError {
    /// Refuses a name that is too long for any warehouse.
    pub fn check(name: &str) -> Result<(), Self> {
        if name.len() > NAME_BYTES_MAX { Err(Self::TooLong(name.len())) } else { Ok(()) }
    }
}

/// The longest name, in bytes of UTF-8: a limit of ours, so that hostile names cannot fill the catalog.
pub(super) const NAME_BYTES_MAX: usize = 1_000;

/// The names of a schema that are given away, without regard to case: warehouses compare identifiers so.
#[derive(Clone, Debug)]
pub struct TakenNames {
    lowered: HashSet<String>,
    bytes_max: usize,
}

impl TakenNames {
    /// With these names taken, in a warehouse whose names have up to `bytes_max` bytes.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>, bytes_max: usize) -> Self {
        Self { lowered: names.map(str::to_lowercase).collect(), bytes_max }
    }

    /// Takes `wanted`, or `wanted_2`, `wanted_3` …: the first that is free. An empty name becomes `_`, a NUL becomes
    /// U+FFFD: no engine can hold either. A name too long for the warehouse is cut, and numbered where that makes it equal
    /// to another.
    pub fn unique(&mut self, wanted: &str) -> Result<String, NameError> {
        NameError::check(wanted)?;
        let base = if wanted.is_empty() { "_".to_owned() } else { wanted.replace('\0', "\u{fffd}") };
        let mut name = cut(&base, self.bytes_max).to_owned();
        let mut number = 1u32;
        while !self.lowered.insert(name.to_lowercase()) {
            number += 1;
            let suffix = format!("_{number}");
            name = format!("{}{suffix}", cut(&base, self.bytes_max.saturating_sub(suffix.len())));
        }
        Ok(name)
    }
}

fn cut(name: &str, bytes_max: usize) -> &str {
    &name[..name.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::{NameError, TakenNames};

    fn unique_name(wanted: &str, taken: &[&str]) -> Result<String, NameError> {
        TakenNames::new(taken.iter().copied(), 1_000).unique(wanted)
    }

    #[test]
    fn a_name_given_is_taken() {
        let mut taken = TakenNames::new([].into_iter(), 1_000);
        let given: Vec<String> = ["a", "A", "a"].into_iter().map(|name| taken.unique(name).unwrap()).collect();
        assert_eq!(given, ["a", "A_2", "a_3"]);
    }

    #[test]
    fn a_name_too_long_for_the_warehouse_is_cut() {
        let mut taken = TakenNames::new([].into_iter(), 5);
        let given: Vec<String> =
            ["abcdefg", "abcdeX", "äöü", "äö"].into_iter().map(|name| taken.unique(name).unwrap()).collect();
        assert_eq!(given, ["abcde", "abc_2", "äö", "ä_2"]);
    }

    #[test]
    fn a_free_name_stays_as_it_is() {
        assert_eq!(unique_name("Größe \"x\"", &["id"]).as_deref(), Ok("Größe \"x\""));
    }

    #[test]
    fn names_that_differ_only_in_case_get_a_number() {
        assert_eq!(unique_name("Id", &["id", "ID_2"]).as_deref(), Ok("Id_3"));
    }

    #[test]
    fn names_no_engine_holds_are_replaced() {
        assert_eq!(unique_name("", &[]).as_deref(), Ok("_"));
        assert_eq!(unique_name("a\0b", &[]).as_deref(), Ok("a\u{fffd}b"));
    }

    #[test]
    fn a_hostile_name_is_refused() {
        assert!(unique_name(&"x".repeat(10_000), &[]).is_err());
    }
}
