//! Connectors that misbehave: each way to do so ends in an error of its own, and never in a crash or a lost row.
//!
//! The connector `misbehaving` does what its list of modes says; every mode has a test of the same name here.

mod check;
mod components;
mod describe;
#[path = "../../guests/misbehaving/src/modes.rs"]
mod modes;
mod schema;
mod start;
mod update;

use std::fs;

use anyhow::{Context, Result, ensure};
use tests::host::{Host, Output, component};

/// Keeps this file from compiling while a mode has no test.
macro_rules! every_mode_has_a_test {
    ($($export:ident { $($mode:ident)* })*) => {
        const _: &[fn() -> Result<()>] = &[$($($export::$mode,)*)*];
    };
}
modes::modes!(every_mode_has_a_test);

/// What the connector's file says in front of the mode for its start and for `describe`.
const LABEL: &[u8] = b"misbehaving mode:";

/// A host whose connector misbehaves.
struct Misbehaving {
    host: Host,
}

impl Misbehaving {
    /// A connector that is told by its configuration what to do.
    fn new(mode: &str) -> Result<Self> {
        let host = Host::new()?;
        host.write("configuration.json", format!(r#"{{"mode": "{mode}"}}"#))?;
        host.write("connector.wasm", fs::read(component("misbehaving")?)?)?;
        Ok(Self { host })
    }

    /// A connector that is told by its own file what to do: there is no configuration yet when it does.
    fn by_file(mode: &str) -> Result<Self> {
        let misbehaving = Self::new("update.well_behaved")?;
        let mut file = fs::read(component("misbehaving")?)?;
        let found: Vec<usize> = places(&file, LABEL);
        ensure!(found.len() == 1, "the label is to be in the file once, and is at {found:?}");
        let begin = found[0] + LABEL.len();
        file[begin..begin + mode.len()].copy_from_slice(mode.as_bytes());
        misbehaving.host.write("connector.wasm", file)?;
        Ok(misbehaving)
    }

    /// `host COMMAND connector.wasm` with further arguments.
    fn command(&self, command: &[&str], options: &[&str]) -> Result<Output> {
        let output = self.host.run(&[command, &["--config", "configuration.json"], options].concat())?;
        check_words(&output)?;
        Ok(output)
    }

    fn sync(&self, options: &[&str]) -> Result<Output> {
        let run = ["run", "connector.wasm", "--connection", "misbehaving", "--allow-private", "127.0.0.1:9"];
        self.command(&run, options)
    }

    /// A sync of the same connection that does nothing wrong: rows 1 to 4.
    fn sync_well(&self) -> Result<()> {
        let good = component("misbehaving")?;
        let good = good.to_string_lossy();
        self.host.write("good.json", r#"{"mode": "update.well_behaved"}"#)?;
        let run = ["run", &*good, "--config", "good.json", "--connection", "misbehaving"];
        self.host.run(&run)?.succeeded().map(drop)
    }

    /// The rows of the table that every sync begins with, without what was deleted, and the state.
    fn durable(&self) -> Result<(String, String)> {
        let ids = "SELECT string_agg(id, ' ' ORDER BY id) FROM misbehaving.things WHERE NOT _deleted";
        let state =
            "SELECT state_after FROM misbehaving._syncs WHERE state_after IS NOT NULL ORDER BY ended_at DESC LIMIT 1";
        Ok((self.host.query(ids)?, self.host.query(state)?))
    }

    /// The answers that the connector wrote down, `what=answer` in the order of `what`.
    fn facts(&self) -> Result<String> {
        self.host.query("SELECT string_agg(concat(what, '=', answer), '; ' ORDER BY what) FROM misbehaving.facts")
    }
}

/// Whatever happens, the host does not call it a bug of its own, does not panic, and lets no control character through.
fn check_words(output: &Output) -> Result<()> {
    let words = &output.stderr;
    ensure!(!words.contains("host-bug") && !words.contains("panicked at host/"), "a bug of the host: {words}");
    let control = |text: &str| text.chars().any(|letter| letter.is_control() && letter != '\n');
    ensure!(!control(words) && !control(&output.stdout), "control characters: {words:?} {:?}", output.stdout);
    Ok(())
}

fn places(bytes: &[u8], part: &[u8]) -> Vec<usize> {
    bytes.windows(part.len()).enumerate().filter(|(_, window)| *window == part).map(|(at, _)| at).collect()
}

/// How a command is to fail.
struct Failure<'a> {
    status: i32,
    code: &'a str,
    /// What the error has to name: the limit, the table, the record.
    words: &'a [&'a str],
}

impl Failure<'_> {
    fn check(&self, output: Output) -> Result<()> {
        let output = output.failed(self.status, self.code)?;
        let error = output.stderr.rsplit_once(&format!("error[{}]", self.code)).map(|(_, error)| error);
        let error = error.context("there is no error")?;
        for word in self.words {
            ensure!(error.contains(word), "the error does not name {word:?}:{error}");
        }
        // A person reads this: no backtraces, no walls of text.
        ensure!(!error.contains("wasm backtrace") && error.len() < 8_000, "the error is too long:{error}");
        Ok(())
    }
}

/// The connector's code is at fault.
const fn broken<'a>(code: &'a str, words: &'a [&'a str]) -> Failure<'a> {
    Failure { status: 3, code, words }
}

/// A limit is reached.
const fn limited<'a>(code: &'a str, words: &'a [&'a str]) -> Failure<'a> {
    Failure { status: 5, code, words }
}

/// The name of a mode, from its test.
macro_rules! mode {
    ($export:ident, $mode:ident) => {
        concat!(stringify!($export), ".", stringify!($mode))
    };
}
use mode;

/// A sync that fails in `update`: rows and state up to its checkpoint stay, the row after it does not.
fn fails(mode: &str, options: &[&str], failure: &Failure) -> Result<()> {
    let misbehaving = Misbehaving::new(mode)?;
    failure.check(misbehaving.sync(options)?)?;
    assert_eq!(misbehaving.durable()?, ("1 2 3".to_owned(), state(3)));
    Ok(())
}

/// A sync that fails before `update`: what the sync before it left stays as it is.
fn refused(misbehaving: &Misbehaving, options: &[&str], failure: &Failure) -> Result<()> {
    misbehaving.sync_well()?;
    failure.check(misbehaving.sync(options)?)?;
    assert_eq!(misbehaving.durable()?, ("1 2 3 4".to_owned(), state(3)));
    Ok(())
}

/// A sync that is odd, but no failure: every row arrives.
fn succeeds(mode: &str, options: &[&str]) -> Result<(Misbehaving, Output)> {
    let misbehaving = Misbehaving::new(mode)?;
    let output = misbehaving.sync(options)?.succeeded()?;
    let (ids, _) = misbehaving.durable()?;
    ensure!(ids.starts_with("1 2 3 4"), "rows are missing, there are only {ids}");
    Ok((misbehaving, output))
}

/// The connector's state, as a query prints it.
fn state(at: u64) -> String {
    format!("\"{{\"\"at\"\": {at}}}\"")
}
