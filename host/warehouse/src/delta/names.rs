//! Names of connections and tables as names of folders: one to one, safe on every file system, no way out of the folder.
//!
//! Pure.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::SYNCS;

/// The longest name of a folder, in bytes; file systems hold 255.
const BYTES_MAX: usize = 200;
/// What is kept of a longer name in front of its hash.
const BYTES_KEPT: usize = 120;

/// What stands before the two digits of a byte. Not `%`: readers that take paths for URLs would undo it.
const ESCAPE: char = '@';

/// The folder of a name. Letters, digits, `-`, `_` and points stay; every other byte is `@` and two hexadecimal digits, and so
/// is a point or a `_` in front (readers pass over such folders, and `_delta_log` means something to them). A long name is
/// cut, and its hash follows `@@`, which no other folder has.
pub(super) fn folder(name: &str) -> String {
    if name == SYNCS {
        return name.to_owned();
    }
    let mut folder = String::with_capacity(name.len());
    for (index, byte) in name.bytes().enumerate() {
        match byte {
            b'.' | b'_' if index == 0 => escape(&mut folder, byte),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => folder.push(char::from(byte)),
            _ => escape(&mut folder, byte),
        }
    }
    if folder.len() > BYTES_MAX {
        folder.truncate(BYTES_KEPT);
        folder.extend([ESCAPE, ESCAPE]);
        for byte in &Sha256::digest(name.as_bytes())[..16] {
            // Writing to a text cannot fail.
            let _ = write!(folder, "{byte:02x}");
        }
    }
    folder
}

fn escape(folder: &mut String, byte: u8) {
    let _ = write!(folder, "{ESCAPE}{byte:02X}");
}

/// The name of a folder, unless it was cut.
pub(super) fn name(folder: &str) -> Option<String> {
    let mut parts = folder.split(ESCAPE);
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_become_folders() {
        for (of, expected) in [
            ("orders", "orders"),
            ("My-shop_2.eu", "My-shop_2.eu"),
            ("..", "@2E."),
            (".", "@2E"),
            ("../../etc", "@2E.@2F..@2Fetc"),
            ("_delta_log", "@5Fdelta_log"),
            ("_syncs", "_syncs"),
            ("_elt", "@5Felt"),
            ("a b%", "a@20b@25"),
            ("Größe", "Gr@C3@B6@C3@9Fe"),
            ("a@b=c", "a@40b@3Dc"),
            ("\\\n:", "@5C@0A@3A"),
        ] {
            assert_eq!(folder(of), expected);
            assert_eq!(name(expected).as_deref(), Some(of));
        }
    }

    #[test]
    fn long_names_are_told_apart() {
        let [one, other] = ["1", "2"].map(|end| folder(&("ü".repeat(300) + end)));
        assert_ne!(one, other);
        assert!(one.len() < 255 && other.len() < 255);
        assert_eq!(name(&one), None);
    }

    proptest! {
        #[test]
        fn any_name_becomes_a_safe_folder_and_comes_back(text in "\\PC{1,40}|.{1,40}") {
            let made = folder(&text);
            prop_assert!(made.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"@-_.".contains(&byte)));
            prop_assert!(!made.starts_with('.') && !made.is_empty());
            if !made.contains("@@") {
                prop_assert_eq!(name(&made), Some(text));
            }
        }
    }
}
