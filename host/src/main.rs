//! The command line program: parse what was typed, run it, exit with the status that tells whose fault a failure is.
//!
//! ```text
//! cli       one file a command; the only printers
//! options   what was typed, and what is in force; the only reader of the environment
//! dumps     no core dumps
//! scaffold  the files of a new connector (pure)
//! ```

mod cli;
mod dumps;
mod options;
mod scaffold;

use std::process::ExitCode;

fn main() -> ExitCode {
    let command_line = cli::parse();
    let status = cli::run(command_line);
    ExitCode::from(status)
}
