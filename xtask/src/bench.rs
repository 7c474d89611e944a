//! `cargo xtask bench`: a first load and a complete re-sync, beside the plainest script that does the first of them.
//!
//! Both read from the same source in the same minutes, in turns, because a machine's speed changes with the hour; the
//! ratio is what counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::build;
use crate::measure::{Usage, measure};
use crate::run::{output, shown, works};
use crate::source::Source;
use crate::workspace::{Workspace, create_folder, write};

const ONE_RECORD_RUNS: usize = 7;

/// What to measure.
struct Options {
    rows: u32,
    rounds: usize,
    /// The script to compare with.
    floor: Option<PathBuf>,
}

/// A case of the benchmark with its runs.
struct Case {
    name: &'static str,
    runs: Vec<Usage>,
}

pub(crate) fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let options = Options::parse(workspace, arguments)?;
    build::everything(workspace)?;
    let python = if options.floor.is_some() { Some(python(workspace)?) } else { None };
    let work = workspace.target.join("bench");
    let result = measure_all(workspace, &options, python.as_deref(), &work);
    // The warehouses are large and of no further use.
    let _ = fs::remove_dir_all(&work);
    result
}

impl Options {
    fn parse(workspace: &Workspace, arguments: &[String]) -> Result<Self> {
        let floor = Some(workspace.root.join("xtask/bench/floor.py"));
        let mut options = Self { rows: 200_000, rounds: 3, floor };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("failed to read {word}: it needs a value"));
            match word.as_str() {
                "--rows" => options.rows = number(value()?)?,
                "--rounds" => options.rounds = number(value()?)?,
                "--floor" => options.floor = Some(PathBuf::from(value()?)),
                "--no-floor" => options.floor = None,
                _ => return Err(format!("failed to understand {word}: see cargo xtask help")),
            }
        }
        Ok(options)
    }
}

fn number<T: std::str::FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T> {
    text.parse().ok().filter(|number| *number >= T::from(1)).ok_or_else(|| format!("{text:?} is no number from 1 on"))
}

fn measure_all(workspace: &Workspace, options: &Options, python: Option<&Path>, work: &Path) -> Result<()> {
    println!("\n==> Measure {} rows, {} rounds (about 15 seconds a round)", options.rows, options.rounds);
    let source = Source::start(workspace, &["--cache", "--records", &options.rows.to_string()])?;
    let runner = Runner::new(workspace, &source, work)?;
    // Fills the compile cache and the caches of the system.
    runner.first_load()?;
    let [mut floor, mut first, mut again] =
        ["the script, first load", "host run, first load", "host run, complete re-sync"].map(Case::new);
    for round in 1..=options.rounds {
        println!("    round {round} of {}", options.rounds);
        if let (Some(python), Some(script)) = (python, &options.floor) {
            floor.runs.push(measure(workspace, script_run(python, script, &source.url))?);
        }
        first.runs.push(runner.first_load()?);
        again.runs.push(runner.sync(&["--full-refresh"])?);
        runner.expect_rows(options.rows)?;
    }
    drop(source);
    print_table(options.rows, &[floor, first, again]);
    one_record(workspace, work)
}

/// The fixed cost of a sync: everything warm, one record.
fn one_record(workspace: &Workspace, work: &Path) -> Result<()> {
    println!("\n==> Measure a sync of one record, {ONE_RECORD_RUNS} times");
    let source = Source::start(workspace, &["--records", "1"])?;
    let runner = Runner::new(workspace, &source, work)?;
    let mut case = Case::new("one record");
    for _ in 0..ONE_RECORD_RUNS {
        case.runs.push(runner.first_load()?);
    }
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "    whole process, median: {:.0} ms, of which {:.0} ms processor time",
        milliseconds(case.median(|run| run.wall)),
        milliseconds(case.median(|run| run.cpu))
    );
    Ok(())
}

/// Runs the host against one source.
struct Runner<'a> {
    workspace: &'a Workspace,
    address: &'a str,
    configuration: PathBuf,
    warehouse: PathBuf,
}

impl<'a> Runner<'a> {
    fn new(workspace: &'a Workspace, source: &'a Source, work: &Path) -> Result<Self> {
        create_folder(work)?;
        let configuration = work.join("configuration.json");
        let text = format!(r#"{{"base_url": "{}", "api_key": "123", "page_size": "1000"}}"#, source.url);
        write(&configuration, &text)?;
        Ok(Self { workspace, address: source.address(), configuration, warehouse: work.join("warehouse.db") })
    }

    fn first_load(&self) -> Result<Usage> {
        for file in ["db", "db.wal"] {
            // The first time there is nothing to remove.
            let _ = fs::remove_file(self.warehouse.with_extension(file));
        }
        self.sync(&[])
    }

    fn sync(&self, options: &[&str]) -> Result<Usage> {
        let mut command = self.workspace.command(self.workspace.program("host"), &["run", "guest.wasm", "--config"]);
        command.arg(&self.configuration).args(["--allow-private", self.address]);
        command.args(["--destination", &self.destination()]).args(options);
        measure(self.workspace, command)
    }

    /// A benchmark that loses rows measures nothing.
    fn expect_rows(&self, expected: u32) -> Result<()> {
        let query = "SELECT count(*) FROM cds.cds_records WHERE NOT _deleted";
        let arguments = ["query", query, "--format", "csv", "--destination", &self.destination()];
        let answer = output(&mut self.workspace.command(self.workspace.program("host"), &arguments))?;
        match answer.lines().last().map(str::trim) {
            Some(rows) if rows == expected.to_string() => Ok(()),
            rows => Err(format!("failed to find {expected} rows in the warehouse: the answer was {rows:?}")),
        }
    }

    fn destination(&self) -> String {
        format!("duckdb:{}", self.warehouse.display())
    }
}

fn script_run(python: &Path, script: &Path, url: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(script).args([url, "123", "1000"]);
    command
}

/// A Python with what the script needs, in an environment of its own.
fn python(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.cache.join("bench-python");
    let python = folder.join("bin/python");
    if works(&python.display().to_string(), &["-c", "import duckdb, requests"]) {
        return Ok(python);
    }
    println!("\n==> Prepare a Python with duckdb and requests (under a minute; --no-floor does without)");
    shown("create the environment", workspace.command("python3", &["-m", "venv", &folder.display().to_string()]))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "duckdb==1.5.*", "requests==2.*"];
    shown("install the packages", workspace.command(&python, &install))?;
    Ok(python)
}

impl Case {
    fn new(name: &'static str) -> Self {
        Self { name, runs: Vec::new() }
    }

    fn median<T: Ord + Copy + Default>(&self, figure: impl Fn(&Usage) -> T) -> T {
        let mut figures: Vec<_> = self.runs.iter().map(figure).collect();
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    }

    fn rows_per_cpu_second(&self, rows: u32) -> f64 {
        f64::from(rows) / self.median(|run| run.cpu).as_secs_f64()
    }
}

fn print_table(rows: u32, cases: &[Case; 3]) {
    println!("\n{:<28}{:>12}{:>16}{:>12}{:>10}", "median", "rows/s", "rows/CPU s", "peak MB", "ratio");
    let floor = cases[0].rows_per_cpu_second(rows);
    for case in cases.iter().filter(|case| !case.runs.is_empty()) {
        let per_cpu_second = case.rows_per_cpu_second(rows);
        let ratio = if cases[0].runs.is_empty() { "-".into() } else { format!("{:.2}", per_cpu_second / floor) };
        println!(
            "{:<28}{:>12.0}{per_cpu_second:>16.0}{:>12}{ratio:>10}",
            case.name,
            f64::from(rows) / case.median(|run| run.wall).as_secs_f64(),
            case.median(|run| run.peak_memory_bytes) / 1_000_000,
        );
    }
}
