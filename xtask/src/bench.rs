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
    name: String,
    runs: Vec<Run>,
}

/// One run: what the system counted and what the host reported.
#[derive(Clone, Copy, Debug)]
struct Run {
    used: Usage,
    /// From the start of the sync to its last commit, in microseconds.
    committed_us: Option<u64>,
    /// Memory the destination's engine held at the end.
    engine_memory_bytes: Option<u64>,
}

pub(crate) fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if arguments == ["neighbour"] {
        return neighbour(workspace);
    }
    let options = Options::parse(workspace, arguments)?;
    let setup = build::everything(workspace)?;
    let python = if options.floor.is_some() { Some(python(workspace)?) } else { None };
    let work = workspace.target.join("bench");
    let result = measure_all(workspace, &setup, &options, (python.as_deref(), &work));
    // The warehouses are large and of no further use.
    let _ = fs::remove_dir_all(&work);
    result
}

/// What a sync suffers from each misbehaving connector in the same process, and what starting a guest costs.
fn neighbour(workspace: &Workspace) -> Result<()> {
    let setup = build::everything(workspace)?;
    for tests in ["guest::bench::instances", "sync::neighbour_tests::slowdown"] {
        let mut cargo = setup.cargo(workspace, &["test"], &["--quiet", "--lib", tests, "--"]);
        cargo.args(["--ignored", "--nocapture", "--test-threads", "1"]).env("COMPONENTS", workspace.components());
        println!("{}", output(&mut cargo)?);
    }
    Ok(())
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

fn measure_all(
    workspace: &Workspace,
    setup: &build::Setup,
    options: &Options,
    (python, work): (Option<&Path>, &Path),
) -> Result<()> {
    println!("\n==> Measure {} rows, {} rounds (about 30 seconds a round)", options.rows, options.rounds);
    let source = Source::start(workspace, &["--cache", "--records", &options.rows.to_string()])?;
    let runners = ["duckdb", "sqlite", "jsonl"].map(|kind| Runner::new(workspace, &source, (work, kind)));
    let runners = runners.into_iter().collect::<Result<Vec<_>>>()?;
    let mut cases = vec![Case::new("the script, first load".to_owned())];
    for runner in &runners {
        // Fills the compile cache and the caches of the system.
        runner.first_load()?;
        cases.push(Case::new(format!("{}, first load", runner.kind)));
        cases.push(Case::new(format!("{}, complete re-sync", runner.kind)));
    }
    for round in 1..=options.rounds {
        println!("    round {round} of {}", options.rounds);
        if let (Some(python), Some(script)) = (python, &options.floor) {
            let (used, _) = measure(workspace, script_run(python, script, &source.url))?;
            cases[0].runs.push(Run { used, committed_us: None, engine_memory_bytes: None });
        }
        for (runner, cases) in runners.iter().zip(cases[1..].chunks_mut(2)) {
            cases[0].runs.push(runner.first_load()?);
            cases[1].runs.push(runner.sync(&["--full-refresh"])?);
            runner.expect_rows(options.rows)?;
        }
    }
    print_table(options.rows, &cases);
    stages(workspace, setup, &source)?;
    drop(source);
    one_record(workspace, work)
}

/// What the parts of the path cost alone: benchmarks inside the host's own tests, since its parts are not public.
fn stages(workspace: &Workspace, setup: &build::Setup, source: &Source) -> Result<()> {
    println!("\n==> Measure the stages alone, 200,000 rows each (1,000,000 into the destination)");
    for stage in ["sync::bench::", "duckdb::bench::the_whole_destination", "sqlite::bench::the_whole_destination"] {
        let mut cargo = setup.cargo(workspace, &["test"], &["--quiet", "--lib", stage, "--"]);
        cargo.args(["--ignored", "--nocapture", "--test-threads", "1"]);
        cargo.env("BENCH_COMPONENT", workspace.components().join("guest.wasm")).env("BENCH_URL", &source.url);
        for line in output(&mut cargo)?.lines().filter(|line| line.contains("rows/s")) {
            println!("    {line}");
        }
    }
    Ok(())
}

/// The fixed cost of a sync: everything warm, one record, a warehouse that is there.
fn one_record(workspace: &Workspace, work: &Path) -> Result<()> {
    println!("\n==> Measure a sync of one record, {ONE_RECORD_RUNS} times a destination");
    let source = Source::start(workspace, &["--records", "1"])?;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    for kind in ["duckdb", "sqlite", "jsonl", "null"] {
        let runner = Runner::new(workspace, &source, (work, kind))?;
        let mut cases = [("first", Case::new(kind.to_owned())), ("next", Case::new(kind.to_owned()))];
        for _ in 0..ONE_RECORD_RUNS {
            cases[0].1.runs.push(runner.first_load()?);
            cases[1].1.runs.push(runner.sync(&[])?);
        }
        for (which, case) in cases {
            let committed = Duration::from_micros(case.median(|run| run.committed_us.unwrap_or_default()));
            println!(
                "    {kind:<8}{which:<6} committed after {:>5.1} ms, whole process {:>5.1} ms, {:>5.1} ms of processor time",
                milliseconds(committed),
                milliseconds(case.median(|run| run.used.wall)),
                milliseconds(case.median(|run| run.used.cpu)),
            );
        }
    }
    Ok(())
}

/// Runs the host against one source, into a destination of its own.
struct Runner<'a> {
    workspace: &'a Workspace,
    address: &'a str,
    kind: &'static str,
    configuration: PathBuf,
    folder: PathBuf,
}

impl<'a> Runner<'a> {
    fn new(workspace: &'a Workspace, source: &'a Source, (work, kind): (&Path, &'static str)) -> Result<Self> {
        create_folder(work)?;
        let configuration = work.join("configuration.json");
        let text = format!(r#"{{"base_url": "{}", "api_key": "123", "page_size": "1000"}}"#, source.url);
        write(&configuration, &text)?;
        Ok(Self { workspace, address: source.address(), kind, configuration, folder: work.join(kind) })
    }

    fn first_load(&self) -> Result<Run> {
        // The first time there is nothing to remove.
        let _ = fs::remove_dir_all(&self.folder);
        create_folder(&self.folder)?;
        self.sync(&[])
    }

    fn host(&self, arguments: &[&str]) -> Command {
        let mut command = self.workspace.command(self.workspace.program("host"), arguments);
        command.args(["--destination", &self.destination()]).current_dir(&self.folder);
        command
    }

    fn sync(&self, options: &[&str]) -> Result<Run> {
        let component = self.workspace.components().join("guest.wasm");
        let mut command = self.host(&["run", &component.display().to_string()]);
        command.arg("--config").arg(&self.configuration).args(["--allow-private", self.address]);
        command.args(["--connection", "bench", "--json"]).args(options);
        let (used, output) = measure(self.workspace, command)?;
        let report = output.lines().rfind(|line| line.contains("\"duration_ms\":")).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration is small and positive")]
        let committed_us = field(report, "duration_ms").map(|milliseconds| (milliseconds * 1000.0) as u64);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are whole and positive")]
        let engine_memory_bytes = field(report, "destination_memory_bytes").map(|bytes| bytes as u64);
        Ok(Run { used, committed_us, engine_memory_bytes })
    }

    /// A benchmark that loses rows measures nothing.
    fn expect_rows(&self, expected: u32) -> Result<()> {
        let table = match self.kind {
            "duckdb" => "bench.cds_records",
            "sqlite" => "bench__cds_records",
            _ => return Ok(()),
        };
        let query = format!("SELECT count(*) FROM {table} WHERE NOT _deleted");
        let answer = output(&mut self.host(&["query", &query, "--format", "csv"]))?;
        match answer.lines().last().map(str::trim) {
            Some(rows) if rows == expected.to_string() => Ok(()),
            rows => Err(format!("failed to find {expected} rows in the warehouse: the answer was {rows:?}")),
        }
    }

    fn destination(&self) -> String {
        match self.kind {
            "duckdb" | "sqlite" => format!("{}:warehouse.db", self.kind),
            kind => format!("{kind}:"),
        }
    }
}

/// A number in the host's report; its names occur once, so this needs no JSON parser.
fn field(report: &str, name: &str) -> Option<f64> {
    let (_, rest) = report.split_once(&format!("\"{name}\":"))?;
    rest.split([',', '}']).next()?.parse().ok()
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
    fn new(name: String) -> Self {
        Self { name, runs: Vec::new() }
    }

    fn median<T: Ord + Copy + Default>(&self, figure: impl Fn(&Run) -> T) -> T {
        let mut figures: Vec<_> = self.runs.iter().map(figure).collect();
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    }

    fn rows_per_cpu_second(&self, rows: u32) -> f64 {
        f64::from(rows) / self.median(|run| run.used.cpu).as_secs_f64()
    }
}

fn print_table(rows: u32, cases: &[Case]) {
    let titles = ["rows/s", "rows/CPU s", "peak MB", "less engine", "ratio"].map(|title| format!("{title:>13}"));
    println!("\n{:<28}{}", "median", titles.concat());
    let floor = cases[0].rows_per_cpu_second(rows);
    for case in cases.iter().filter(|case| !case.runs.is_empty()) {
        let megabytes = |bytes: u64| format!("{}", bytes / 1_000_000);
        let engine = |run: &Run| run.used.peak_memory_bytes.saturating_sub(run.engine_memory_bytes.unwrap_or_default());
        let reported = case.runs.iter().any(|run| run.engine_memory_bytes.is_some());
        let per_cpu_second = case.rows_per_cpu_second(rows);
        let figures = [
            format!("{:.0}", f64::from(rows) / case.median(|run| run.used.wall).as_secs_f64()),
            format!("{per_cpu_second:.0}"),
            megabytes(case.median(|run| run.used.peak_memory_bytes)),
            if reported { megabytes(case.median(engine)) } else { "-".into() },
            if cases[0].runs.is_empty() { "-".into() } else { format!("{:.2}", per_cpu_second / floor) },
        ];
        println!("{:<28}{}", case.name, figures.map(|figure| format!("{figure:>13}")).concat());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_in_a_report() {
        let report = r#"{"type":"report","duration_ms":41.250,"destination_memory_bytes":null,"requests":3}"#;
        assert_eq!(field(report, "duration_ms"), Some(41.25));
        assert_eq!(field(report, "requests"), Some(3.0));
        assert_eq!((field(report, "destination_memory_bytes"), field(report, "none")), (None, None));
    }
}
