//! Names of tables and columns in the warehouse: as the source gives them, with a numbered suffix where one is taken.

/// A name that no warehouse can hold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Longer than `NAME_BYTES_MAX`.
    #[error("a name of {0} bytes is longer than {NAME_BYTES_MAX}")]
    TooLong(usize),
}

/// The longest name, in bytes of UTF-8: a limit of ours, so that hostile names cannot fill the catalog.
pub(super) const NAME_BYTES_MAX: usize = 1_000;

/// `wanted`, or `wanted_2`, `wanted_3` …, such that no name in `taken` equals it without regard to case (warehouses
/// compare identifiers so). An empty name becomes `_`, a NUL becomes U+FFFD: no engine can hold either.
pub fn unique_name<'a>(wanted: &str, taken: &(impl Iterator<Item = &'a str> + Clone)) -> Result<String, NameError> {
    if wanted.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong(wanted.len()));
    }
    let base = if wanted.is_empty() { "_".to_owned() } else { wanted.replace('\0', "\u{fffd}") };
    let is_taken = |name: &str| {
        let folded = name.to_lowercase();
        taken.clone().any(|other| other.to_lowercase() == folded)
    };
    if !is_taken(&base) {
        return Ok(base);
    }
    let mut number = 2u32;
    loop {
        let numbered = format!("{base}_{number}");
        if !is_taken(&numbered) {
            return Ok(numbered);
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::unique_name;

    #[test]
    fn a_free_name_stays_as_it_is() {
        assert_eq!(unique_name("Größe \"x\"", &["id"].into_iter()).as_deref(), Ok("Größe \"x\""));
    }

    #[test]
    fn names_that_differ_only_in_case_get_a_number() {
        assert_eq!(unique_name("Id", &["id", "ID_2"].into_iter()).as_deref(), Ok("Id_3"));
    }

    #[test]
    fn names_no_engine_holds_are_replaced() {
        assert_eq!(unique_name("", &[].into_iter()).as_deref(), Ok("_"));
        assert_eq!(unique_name("a\0b", &[].into_iter()).as_deref(), Ok("a\u{fffd}b"));
    }

    #[test]
    fn a_hostile_name_is_refused() {
        assert!(unique_name(&"x".repeat(10_000), &[].into_iter()).is_err());
    }
}
