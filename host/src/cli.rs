//! The command line: one file per command, and who prints what.
//!
//! ```text
//! new build dev                                      make a connector
//! run describe check schema verify                   on a connector: load, recording
//! query tables state rejected reset   on a warehouse
//! serve                        many tenants in one process
//! remote                       tenant, connector, connection, sync, apply: on a server
//! progress report json_lines log_file                what a sync tells, for people and for programs
//! text json screen                                   how it is written, and where
//! ```
//!
//! stdout is data (`--json`, tables of a query, samples of a trial run), stderr is for people. The exit status says whose
//! fault a failure is (`Fault::exit_status`).

mod allocator;
mod build;
mod check;
mod compile;
mod completions;
mod describe;
mod dev;
mod json_lines;
mod load;
mod log_file;
mod new;
mod progress;
mod query;
mod recording;
mod rejected;
mod remote;
mod report;
mod reset;
mod run;
mod schema;
mod screen;
mod serve;
mod state;
mod tables;
mod text;
mod verify;

use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::{CommandFactory as _, Parser, Subcommand};

use model::error::{Code, Error, Fault, Result};
use model::json;
use sandbox::COMPILE_COMMAND;
use screen::Screen;

/// Runs connectors in a sandbox and loads what they emit into a warehouse.
#[derive(Debug, Parser)]
#[command(name = "host", version, max_term_width = 110, after_help = AFTER_HELP)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  host run guest.wasm --config configuration.json    one sync into files/warehouse.db
  host run guest.wasm --dry-run                      first records and types, nothing written
  host tables                                        what is in the warehouse
  host query 'SELECT count(*) FROM cds.cds_records'  any SQL that reads

Exit status: 0 done, 1 bug of the host, 2 usage or configuration, 3 connector or source,
4 destination, 5 limit, 130 and 143 stopped by Ctrl-C and SIGTERM. Every error has a code
and a page in docs/errors.

Environment: NO_COLOR (no colours), ELT_TOKEN (the token for a server), ELT_CACHE_DIR (its folder
components keeps compiled connectors; by default ~/.cache/elt-connectors), ELT_SECRET_KEY (seals the
tokens in states; by default a key in ~/.config/elt-connectors, made when it is needed).";

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a new connector: code, configuration, a test, and the SDK beside it
    New(new::Arguments),
    /// Builds a connector's component, says what it imports and how large it is
    Build(build::Arguments),
    /// Builds and runs a connector, again whenever one of its files is saved
    Dev(dev::Arguments),
    /// Syncs once: runs a connector and loads what it emits into the destination
    Run(Box<run::Arguments>),
    /// Shows what a connector says about itself: configuration fields, hosts, rate limits
    Describe(describe::Arguments),
    /// Asks a connector whether its source can be reached with this configuration
    Check(load::Look),
    /// Lists the tables a connector fills
    Schema(load::Look),
    /// Tries a connector against the rules: keys, checkpoints, faults of its source (docs/guides/verify.md)
    Verify(verify::Arguments),
    /// Compares two recordings of a connector: requests, operations, how it ended
    DiffRecording(recording::Arguments),
    /// Runs SQL that reads on the warehouse
    Query(query::Arguments),
    /// Lists the tables in the warehouse
    Tables(tables::Arguments),
    /// Shows, lists or changes the state of a connection
    State(state::Arguments),
    /// Lists, takes again or deletes the records of a connection that were set aside (docs/guides/bad-records.md)
    Rejected(rejected::Arguments),
    /// Deletes a connection's tables and state from the warehouse
    Reset(reset::Arguments),
    /// Runs as a server for many tenants: syncs their connections when they are due
    Serve(Box<serve::Arguments>),
    /// Tenants of a server: what each may use, their tokens
    Tenant(remote::tenant::Arguments),
    /// Connectors on a server
    Connector(remote::connector::Arguments),
    /// Connections on a server
    Connection(remote::connection::Arguments),
    /// Syncs on a server
    Sync(remote::sync::Arguments),
    /// Makes a server what a file says: tenants, connectors, connections
    Apply(remote::apply::Arguments),
    /// Prints completions for a shell
    Completions(completions::Arguments),
    /// Compiles the component on stdin: the host starts itself so
    #[command(name = COMPILE_COMMAND, hide = true)]
    Compile(compile::Arguments),
}

/// Understands what was typed. Help, version and what cannot be understood end the process here (status 0 or 2).
pub(crate) fn parse() -> CommandLine {
    CommandLine::try_parse().unwrap_or_else(|error| {
        let status = screen::usage(&error);
        std::process::exit(i32::from(status))
    })
}

/// Does it; returns the exit status.
pub(crate) fn run(command_line: CommandLine) -> u8 {
    allocator::give_back_large_blocks();
    let screen = Screen::detect();
    let done = catch_unwind(AssertUnwindSafe(|| dispatch(command_line.command, &screen)));
    let result = done.unwrap_or_else(|_panic| {
        Err(Error::new(Code::HostBug, "go on: the host panicked (the message is above)")
            .hint("Please report it with that message and the command you ran."))
    });
    match result {
        Ok(status) => status,
        Err(error) => {
            screen.people(&report::failure(&error, screen.paint));
            error.fault().exit_status()
        }
    }
}

/// Every command either does it all (status 0), has said itself what failed, or returns the error to be shown.
fn dispatch(command: Command, screen: &Screen) -> Result<u8> {
    match command {
        Command::New(arguments) => new::run(&arguments, screen)?,
        Command::Build(arguments) => build::run(&arguments, screen)?,
        Command::Dev(arguments) => dev::run(&arguments, screen)?,
        Command::Run(arguments) => return Ok(run::run(&arguments, screen)),
        Command::Compile(arguments) => return Ok(compile::run(&arguments, screen)),
        Command::Describe(arguments) => describe::run(&arguments, screen)?,
        Command::Check(arguments) => return check::run(&arguments, screen),
        Command::Schema(arguments) => schema::run(&arguments, screen)?,
        Command::Verify(arguments) => return verify::run(&arguments, screen),
        Command::DiffRecording(arguments) => return recording::compare(&arguments, screen),
        Command::Query(arguments) => query::run(&arguments, screen)?,
        Command::Tables(arguments) => tables::run(&arguments, screen)?,
        Command::State(arguments) => state::run(&arguments, screen)?,
        Command::Rejected(arguments) => rejected::run(&arguments, screen)?,
        Command::Reset(arguments) => reset::run(&arguments, screen)?,
        Command::Serve(arguments) => serve::run(&arguments, screen)?,
        Command::Tenant(arguments) => remote::tenant::run(&arguments, screen)?,
        Command::Connector(arguments) => remote::connector::run(&arguments, screen)?,
        Command::Connection(arguments) => remote::connection::run(&arguments, screen)?,
        Command::Sync(arguments) => remote::sync::run(&arguments, screen)?,
        Command::Apply(arguments) => remote::apply::run(&arguments, screen)?,
        Command::Completions(arguments) => completions::run(&arguments, &mut CommandLine::command(), screen)?,
    }
    Ok(0)
}

/// The exit status of a usage error.
fn usage_status() -> u8 {
    Fault::Configuration.exit_status()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_error_code_has_a_page_and_every_page_a_code() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors");
        let mut pages: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| {
                entry.unwrap().file_name().to_str().and_then(|name| name.strip_suffix(".md")).map(Into::into)
            })
            .filter(|name| name != "README")
            .collect();
        let mut codes: Vec<String> = Code::ALL.iter().map(|code| code.as_str().to_owned()).collect();
        pages.sort();
        codes.sort();
        assert_eq!(pages, codes);
        let index = std::fs::read_to_string(format!("{folder}/README.md")).unwrap();
        for code in Code::ALL {
            let page = std::fs::read_to_string(format!("{folder}/{code}.md")).unwrap();
            let first = format!("# {code}\n\nFault: {}. Exit status: {}.\n", code.fault(), code.fault().exit_status());
            assert!(page.starts_with(&first), "docs/errors/{code}.md should begin with\n{first}");
            assert!(index.contains(&format!("[{code}]({code}.md)")), "docs/errors/README.md should list {code}");
        }
    }
}
