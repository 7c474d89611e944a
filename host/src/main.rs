//! The command line program: parse what was typed, run it, exit with the status that tells whose fault a failure is.

use std::process::ExitCode;

fn main() -> ExitCode {
    let command_line = host::cli::parse();
    let status = host::cli::run(command_line);
    ExitCode::from(status)
}
