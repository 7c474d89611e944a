//! `cargo xtask bench`: what a sync costs, beside the plainest script that does a part of it.
//!
//! `load`: a first load and a complete re-sync into every destination. `one-record`: the fixed cost of a sync. `stages`:
//! the parts of the path alone. `flat`: the cost of a row while a table grows. Without a word, the first three.
//!
//! Script and host read from the same source in the same minutes, in turns, because a machine's speed changes with the
//! hour; the ratio is what counts.

mod density;
mod flat;
mod load;
mod postgres;
mod runner;

use std::fs;
use std::path::PathBuf;

use crate::Result;
use crate::build;
use crate::run::output;
use crate::source::Source;
use crate::workspace::{Workspace, create_folder};

use self::load::Case;
use self::runner::Runner;

/// Rows of a load unless told otherwise.
const ROWS: u32 = 200_000;
/// Runs of a sync of one record.
const ONE_RECORD_RUNS: usize = 15;
/// Every destination there is, and those that hold tables.
const DESTINATIONS: [&str; 5] = ["duckdb", "sqlite", "postgres", "delta", "jsonl"];

/// What to measure.
struct Options {
    /// The part to measure; none: `load`, `stages` and `one-record`.
    part: Option<String>,
    rows: Option<u32>,
    rounds: usize,
    keys: Vec<Keys>,
    destinations: Vec<String>,
    /// The script to compare with.
    floor: Option<PathBuf>,
}

/// What the records' key looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// 1, 2, 3 …
    Integer,
    /// Texts in no order.
    Text,
}

impl Keys {
    fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer keys",
            Self::Text => "random text keys",
        }
    }

    /// Starts a source of records with such keys. `cache`: it holds them ready, so that it takes little of the processor.
    fn source(self, workspace: &Workspace, rows: u32, cache: bool) -> Result<Source> {
        let rows = rows.to_string();
        let mut arguments = vec!["--records", &rows, "--api-key", KEY];
        arguments.extend(cache.then_some("--cache"));
        arguments.extend((self == Self::Text).then_some("--text-keys"));
        Source::start(workspace, &arguments)
    }
}

/// The key that the source asks for: as long as real ones, so that answers are looked through for it, and of bytes that are everywhere in them.
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Where things are while the benchmark runs.
struct Bench<'a> {
    workspace: &'a Workspace,
    setup: build::Setup,
    /// Warehouses, to be removed afterwards.
    work: PathBuf,
}

pub(crate) fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if arguments == ["neighbour"] {
        return neighbour(workspace);
    }
    if arguments == ["density"] {
        return density::density(workspace);
    }
    let options = Options::parse(workspace, arguments)?;
    let setup = build::everything(workspace)?;
    let bench = Bench { workspace, setup, work: workspace.target.join("bench") };
    create_folder(&bench.work)?;
    let result = bench.measure(&options);
    // The warehouses are large and of no further use.
    let _ = fs::remove_dir_all(&bench.work);
    result
}

/// What a sync suffers from each misbehaving connector in the same process, and what starting a guest costs.
fn neighbour(workspace: &Workspace) -> Result<()> {
    let setup = build::everything(workspace)?;
    for tests in ["bench::instances", "neighbour_tests::slowdown"] {
        let mut cargo = setup.cargo(workspace, &["test"], &["--quiet", "--lib", tests, "--"]);
        cargo.args(["--ignored", "--nocapture", "--test-threads", "1"]).env("COMPONENTS", workspace.components());
        println!("{}", output(&mut cargo)?);
    }
    Ok(())
}

impl Options {
    fn parse(workspace: &Workspace, arguments: &[String]) -> Result<Self> {
        let floor = Some(workspace.root.join("xtask/bench/floor.py"));
        let mut options = Self { part: None, rows: None, rounds: 3, keys: vec![], destinations: vec![], floor };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("failed to read {word}: it needs a value"));
            match word.as_str() {
                "load" | "one-record" | "stages" | "flat" => options.part = Some(word.clone()),
                "--rows" => options.rows = Some(number(value()?)?),
                "--rounds" => options.rounds = number(value()?)?,
                "--keys" => options.keys.push(keys(value()?)?),
                "--destination" => options.destinations.push(destination(value()?)?),
                "--floor" => options.floor = Some(PathBuf::from(value()?)),
                "--no-floor" => options.floor = None,
                _ => return Err(format!("failed to understand {word}: see cargo xtask help")),
            }
        }
        Ok(options)
    }

    /// The destinations meant, with their names.
    fn destinations<'a>(&'a self, unless_told: &[&'a str]) -> Vec<&'a str> {
        if self.destinations.is_empty() {
            return unless_told.to_vec();
        }
        self.destinations.iter().map(String::as_str).collect()
    }

    fn keys(&self, unless_told: &[Keys]) -> Vec<Keys> {
        if self.keys.is_empty() { unless_told.to_vec() } else { self.keys.clone() }
    }
}

fn number<T: std::str::FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T> {
    text.parse().ok().filter(|number| *number >= T::from(1)).ok_or_else(|| format!("{text:?} is no number from 1 on"))
}

fn keys(text: &str) -> Result<Keys> {
    match text {
        "integer" => Ok(Keys::Integer),
        "text" => Ok(Keys::Text),
        _ => Err(format!("failed to understand the keys {text:?}: integer or text")),
    }
}

fn destination(text: &str) -> Result<String> {
    let known = DESTINATIONS.contains(&text) || text == "null";
    if known { Ok(text.to_owned()) } else { Err(format!("failed to find the destination {text:?}")) }
}

impl Bench<'_> {
    fn measure(&self, options: &Options) -> Result<()> {
        let means = |part: &str| options.part.as_deref().is_none_or(|meant| meant == part);
        if options.part.as_deref() == Some("flat") {
            return flat::run(self, options);
        }
        if means("load") {
            load::run(self, options)?;
        }
        if means("stages") {
            self.stages()?;
        }
        if means("one-record") {
            self.one_record(options)?;
        }
        Ok(())
    }

    /// What the parts of the path cost alone: benchmarks inside the host's own tests, since its parts are not public.
    fn stages(&self) -> Result<()> {
        println!("\n==> Measure the stages alone, 200,000 rows each (1,000,000 into the destination)");
        let source = Keys::Integer.source(self.workspace, ROWS, true)?;
        for stage in [
            "bench::decode_infer_and_fold",
            "bench::guest_and_http",
            "duckdb::bench::the_whole_destination",
            "sqlite::bench::the_whole_destination",
        ] {
            let mut cargo = self.setup.cargo(self.workspace, &["test"], &["--quiet", "--lib", stage, "--"]);
            cargo.args(["--ignored", "--nocapture", "--test-threads", "1"]);
            cargo.env("BENCH_COMPONENT", self.workspace.components().join("guest.wasm")).env("BENCH_URL", &source.url);
            for line in output(&mut cargo)?.lines().filter(|line| line.contains("rows/s")) {
                println!("    {line}");
            }
        }
        Ok(())
    }

    /// The fixed cost of a sync: everything warm, one record, a warehouse that is there.
    fn one_record(&self, options: &Options) -> Result<()> {
        println!("\n==> Measure a sync of one record, {ONE_RECORD_RUNS} times a destination");
        println!("    (median milliseconds: first row taken, its commit durable, the whole process, processor time)");
        let source = Keys::Integer.source(self.workspace, 1, false)?;
        let unless_told = ["duckdb", "sqlite", "jsonl", "null"];
        for mut runner in self.runners(&source, &options.destinations(&unless_told))? {
            let mut cases = [Case::new("first"), Case::new("next")];
            for _ in 0..ONE_RECORD_RUNS {
                cases[0].runs.push(runner.first_load()?);
                cases[1].runs.push(runner.sync(&[])?);
            }
            for case in cases {
                let figures = case.one_record();
                println!("    {:<10}{:<7}{}", runner.kind, case.name, figures.map(|ms| format!("{ms:>9.1}")).concat());
            }
        }
        Ok(())
    }

    /// Runs of the host against a source, one for each destination that this machine has.
    fn runners<'s>(&'s self, source: &'s Source, kinds: &[&str]) -> Result<Vec<Runner<'s>>> {
        let mut runners = Vec::new();
        for kind in kinds {
            if *kind == "postgres" && postgres::programs().is_none() {
                println!("    Postgres is left out: its server is not installed (apt-get install postgresql)");
                continue;
            }
            runners.push(Runner::new(self.workspace, source, (&self.work, kind))?);
        }
        Ok(runners)
    }
}
