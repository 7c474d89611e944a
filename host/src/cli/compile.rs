//! The hidden command by which the host compiles a component in a process of its own: nobody types it.

use clap::Args;

use super::screen::Screen;
use sandbox::{COMPILE_REFUSED, compile_in_child};

/// What the host passes to itself.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The most memory, in bytes
    memory_bytes_max: u64,
}

/// Compiles stdin to stdout; returns the exit status.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> u8 {
    match compile_in_child(arguments.memory_bytes_max, std::io::stdin().lock()) {
        Ok(code) => screen.bytes(&code).map_or(COMPILE_REFUSED, |_closed| 0),
        Err(words) => {
            screen.people(&words);
            COMPILE_REFUSED
        }
    }
}
