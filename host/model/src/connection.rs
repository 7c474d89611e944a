//! Names of connections: what they may look like, so that each is a schema of its own in every warehouse.

use crate::error::Result;
use crate::error::usage;

/// The longest name, in characters.
const CHARACTERS_MAX: usize = 63;
/// Schemas that warehouses have already.
const RESERVED: [&str; 6] = ["main", "temp", "system", "public", "information_schema", "pg_catalog"];

/// The connection's name: the one given, or else the connector's; `usage` if it is none.
pub fn connection_name(given: Option<&str>, connector: &str) -> Result<String> {
    checked(given.unwrap_or(connector))
}

/// The name itself, if it is one: 1 to 63 of `a-z 0-9 _ -`, a letter first, and no schema that warehouses have already.
/// Lower case only, because some warehouses do not tell `Shop` from `shop`.
fn checked(name: &str) -> Result<String> {
    let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
    let well_formed = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(allowed)
        && name.len() <= CHARACTERS_MAX;
    if !well_formed {
        return Err(usage(format!("use \"{name}\" as the connection's name")).hint(format!(
            "A name is 1 to {CHARACTERS_MAX} of a-z, 0-9, _ and -, and begins with a letter: --connection {}",
            suggestion(name)
        )));
    }
    if RESERVED.contains(&name) {
        return Err(usage(format!("use \"{name}\" as the connection's name: warehouses have a schema of that name"))
            .hint(format!("Choose another, for example --connection my_{name}.")));
    }
    Ok(name.to_owned())
}

/// A name that would do, close to the one typed.
fn suggestion(name: &str) -> String {
    let lower = name.to_lowercase();
    let kept: String = lower
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' })
        .collect();
    let trimmed: String =
        kept.trim_start_matches(|first: char| !first.is_ascii_lowercase()).chars().take(CHARACTERS_MAX).collect();
    let trimmed = trimmed.trim_end_matches('_');
    if trimmed.is_empty() { "my_shop".to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_a_schema_everywhere_pass() {
        for name in ["cds", "shop-eu_2", "a", &"x".repeat(63)] {
            assert_eq!(checked(name).as_deref().ok(), Some(name));
        }
    }

    #[test]
    fn others_are_refused_with_one_that_would_do() {
        for (name, instead) in [
            ("Shop", "shop"),
            ("1shop", "shop"),
            ("My Shop!", "my_shop"),
            ("", "my_shop"),
            ("_x", "x"),
            ("größe", "gr__e"),
        ] {
            let advice = checked(name).unwrap_err().advice().unwrap().to_owned();
            assert!(advice.ends_with(&format!(" --connection {instead}")), "{name}: {advice}");
            assert!(checked(instead).is_ok());
        }
        for name in ["main", "information_schema", &"x".repeat(64)] {
            assert!(checked(name).is_err(), "{name}");
        }
    }
}
