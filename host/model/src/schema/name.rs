//! Names of tables and columns in the warehouse: as the source gives them, with a numbered suffix where one is taken.

use std::collections::HashSet;

/// A name that no warehouse can hold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Longer than `NAME_BYTES_MAX`.
    #[error("a name of {0} bytes is longer than {NAME_BYTES_MAX}")]
    TooLong(usize),
    /// With the character NUL in it.
    #[error("it contains the character NUL, which no warehouse holds in a name")]
    Nul,
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

    /// Takes `wanted`, or `wanted_2`, `wanted_3` …: the first that is free. An empty name becomes `_`, which
    /// no engine can hold. A name too long for the warehouse is cut, and numbered where that makes it equal
    /// to another.
    pub fn unique(&mut self, wanted: &str) -> Result<String, NameError> {
        if wanted.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong(wanted.len()));
        }
        if wanted.contains('\0') {
            return Err(NameError::Nul);
        }
        let base = if wanted.is_empty() { "_" } else { wanted };
        let mut name = cut(base, self.bytes_max).to_owned();
        let mut number = 1u32;
        while !self.lowered.insert(name.to_lowercase()) {
            number += 1;
            let suffix = format!("_{number}");
            name = format!("{}{suffix}", cut(base, self.bytes_max.saturating_sub(suffix.len())));
        }
        Ok(name)
    }
}

impl TakenNames {
    /// Gives a name back that is not used after all.
    pub fn give_back(&mut self, name: &str) {
        self.lowered.remove(&name.to_lowercase());
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
    fn names_no_engine_holds_are_replaced_or_refused() {
        assert_eq!(unique_name("", &[]).as_deref(), Ok("_"));
        assert_eq!(unique_name("a\0b", &[]), Err(NameError::Nul));
    }

    #[test]
    fn a_hostile_name_is_refused() {
        assert!(unique_name(&"x".repeat(10_000), &[]).is_err());
    }
}
