//! Says too much, or words that mean harm.

use std::io::Write as _;

use elt_sdk::bindings::Error;
use elt_sdk::bindings::elt::connector::log;

use super::Done;
use crate::component::Sync;

/// Clears the terminal, hides what follows, forges a line of the host.
const HOSTILE: &str = "before\u{1b}[2J\u{1b}[8m\r\nerror[forged]: after\u{7}\u{0}\u{9b}31m\u{202e}";

pub(crate) fn log_control_characters(_: &Sync) -> Done {
    log::write(log::Level::Warning, HOSTILE);
    println!("{HOSTILE}");
    eprintln!("{HOSTILE}");
    Ok(())
}

pub(crate) fn log_flood(_: &Sync) -> Done {
    for line in 0..100_000 {
        log::write(log::Level::Warning, &format!("line {line}"));
    }
    Ok(())
}

pub(crate) fn log_line_too_long(_: &Sync) -> Done {
    log::write(log::Level::Warning, &format!("begin {} end", "é".repeat(1 << 20)));
    print!("print {} end", "é".repeat(1 << 20));
    std::io::stdout().flush().map_err(|error| Error::Internal(error.to_string()))
}

#[expect(invalid_from_utf8_unchecked, reason = "that is the point")]
pub(crate) fn log_text_not_utf8(_: &Sync) -> Done {
    // SAFETY: none; the guest lies about its own memory, and the host has to see it.
    log::write(log::Level::Warning, unsafe { std::str::from_utf8_unchecked(b"\xff\xfe\xc0") });
    Ok(())
}

pub(crate) fn prints(_: &Sync) -> Done {
    println!("printed to stdout");
    eprintln!("printed to stderr");
    print!("printed without an end of line");
    // Nobody else does: a component has no end of its process.
    std::io::stdout().flush().map_err(|error| Error::Internal(error.to_string()))
}

pub(crate) fn error_of_hostile_words(_: &Sync) -> Done {
    Err(Error::Source(HOSTILE.to_owned()))
}

pub(crate) fn error_too_long(_: &Sync) -> Done {
    Err(Error::Source("é".repeat(1 << 20)))
}
