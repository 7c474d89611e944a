//! `host completions`: a script that completes commands and options in a shell.

use clap::Args;
use clap_complete::Shell;

use super::screen::Screen;
use model::error::Result;

/// What can be typed after `host completions`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(arguments: &Arguments, command: &mut clap::Command, screen: &Screen) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, command, "host", &mut script);
    screen.data(&String::from_utf8_lossy(&script)).map(|_closed| ())
}
