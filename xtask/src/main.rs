//! `cargo xtask`: set-up, demo, tests, benchmark and checks of this repository, each with one command.
//!
//! It uses the standard library only, so that it is built within seconds; everything else it starts as a program and
//! prints, so that each step can be repeated by hand.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a tool for a person at a terminal")]

mod api;
mod bench;
mod build;
mod check;
mod crash;
mod demo;
mod duckdb;
mod measure;
mod run;
mod source;
mod test;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

/// A step that failed, as a sentence for people.
type Result<T, E = String> = std::result::Result<T, E>;

const HELP: &str = "\
cargo xtask COMMAND

  demo                  builds everything, syncs 100,000 records from a local source into files/warehouse.db, shows them
  test [FILTER]         builds everything and runs all tests, or those whose name contains FILTER
  bench [PART] [OPTIONS]  measures load (a first load and a complete re-sync into every destination, against a plain
                        Python script), stages, one-record, or flat (what a row costs while a table grows); without
                        a part, the first three (--rows N, --rounds N, --keys integer|text, --destination NAME,
                        --floor FILE, --no-floor)
  bench neighbour       measures a sync beside each misbehaving connector in the same process, and starts of guests
  bench density         measures a server for many tenants: idle and running connections, syncs a second, neighbours
  crash [OPTIONS]       kills syncs at random moments and compares the destination with the source, row by row
                        (--kills N, --destination duckdb|sqlite|postgres|jsonl)
  api                   holds a server against docs/reference/openapi.json, with requests that schemathesis makes up
  check                 formatting, lints and documentation, with warnings as errors
  guests                builds the connectors as WASI components
  build                 builds the connectors, the host and the source
  setup                 prepares the machine: the wasm32-wasip2 target and a DuckDB library

DuckDB comes from DUCKDB_LIB_DIR, else prebuilt from npm, else it is compiled (ELT_DUCKDB=bundled asks for that).
Downloads are kept in ELT_CACHE_DIR, by default ~/.cache/elt-connectors; builds go to CARGO_TARGET_DIR, by default target.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nxtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: &[String]) -> Result<()> {
    let (name, rest) = arguments.split_first().map_or(("help", arguments), |(name, rest)| (name.as_str(), rest));
    let workspace = Workspace::find()?;
    match (name, rest) {
        ("api", []) => api::api(&workspace),
        ("demo", []) => demo::demo(&workspace),
        ("test", rest) => test::test(&workspace, rest),
        ("bench", rest) => bench::bench(&workspace, rest),
        ("check", []) => check::check(&workspace),
        ("crash", rest) => crash::crash(&workspace, rest),
        ("guests", []) => build::guests(&workspace),
        ("build", []) => build::everything(&workspace).map(drop),
        ("setup", []) => build::set_up(&workspace).map(drop),
        ("help" | "--help" | "-h", _) => {
            println!("{HELP}");
            Ok(())
        }
        _ => Err(format!("there is no command {:?}\n\n{HELP}", arguments.join(" "))),
    }
}
