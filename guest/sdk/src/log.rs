//! Lines for people, at four levels: [`fine!`](crate::fine), [`info!`](crate::info), [`warning!`](crate::warning) and
//! [`severe!`](crate::severe), written like `format!`.

use std::fmt;

use crate::bindings::elt::connector::log as wit;
use crate::imports;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Detail for the author; shown with `-v`.
    Fine,
    /// What happens, in a line or two a page.
    Info,
    /// Something is odd, the sync goes on.
    Warning,
    /// Something is wrong.
    Severe,
}

/// Writes a line. The host cuts it at 8 KiB, and drops and counts what goes beyond 100 lines a second.
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    let level = match level {
        Level::Fine => wit::Level::Fine,
        Level::Info => wit::Level::Info,
        Level::Warning => wit::Level::Warning,
        Level::Severe => wit::Level::Severe,
    };
    match message.as_str() {
        Some(text) => imports::log(level, text),
        None => imports::log(level, &message.to_string()),
    }
}

/// Logs detail for the connector's author: `fine!("cursor {cursor}")`.
#[macro_export]
macro_rules! fine {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Fine, ::core::format_args!($($message)+)) };
}

/// Logs what happens, a line or two a page: `info!("{count} records")`.
#[macro_export]
macro_rules! info {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Info, ::core::format_args!($($message)+)) };
}

/// Logs that something is odd while the sync goes on.
#[macro_export]
macro_rules! warning {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Warning, ::core::format_args!($($message)+)) };
}

/// Logs that something is wrong. Return an [`Error`](crate::Error) as well if the sync cannot go on.
#[macro_export]
macro_rules! severe {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Severe, ::core::format_args!($($message)+)) };
}
