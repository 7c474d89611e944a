//! `cargo xtask bench load`: a first load and a complete re-sync into every destination, beside the script.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::measure;
use crate::run::{shown, works};
use crate::source::Source;

use super::runner::{Run, Runner};
use super::{Bench, DESTINATIONS, KEY, Keys, Options, ROWS};

/// A case of the benchmark with its runs.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) runs: Vec<Run>,
}

pub(super) fn run(bench: &Bench<'_>, options: &Options) -> Result<()> {
    let rows = options.rows.unwrap_or(ROWS);
    let script = options.floor.as_deref().map(|script| Ok::<_, String>((python(bench)?, script))).transpose()?;
    for keys in options.keys(&[Keys::Integer, Keys::Text]) {
        println!("\n==> Measure {rows} rows with {}, {} rounds", keys.name(), options.rounds);
        let source = keys.source(bench.workspace, rows, true)?;
        let runners = bench.runners(&source, &options.destinations(&DESTINATIONS))?;
        let script = script.as_ref().map(|(python, script)| (python.as_path(), *script));
        let cases = rounds(bench, (&source, script), runners, (rows, options.rounds))?;
        print_table(rows, keys, &cases);
    }
    Ok(())
}

/// Every case in turns, as often as there are rounds. The first case is the script.
fn rounds(
    bench: &Bench<'_>,
    (source, script): (&Source, Option<(&Path, &Path)>),
    mut runners: Vec<Runner<'_>>,
    (rows, rounds): (u32, usize),
) -> Result<Vec<Case>> {
    let mut cases = vec![Case::new("the script, first load")];
    for runner in &runners {
        cases.push(Case::new(&format!("{}, first load", runner.kind)));
        cases.push(Case::new(&format!("{}, complete re-sync", runner.kind)));
    }
    for round in 1..=rounds {
        println!("    round {round} of {rounds}");
        if let Some((python, script)) = script {
            let (host, _) = measure::measure(bench.workspace, script_run(python, script, &source.url))?;
            cases[0].runs.push(Run { host, ..Run::default() });
        }
        for (runner, cases) in runners.iter_mut().zip(cases[1..].chunks_mut(2)) {
            cases[0].runs.push(runner.first_load()?);
            cases[1].runs.push(runner.sync(&["--full-refresh"])?);
            runner.expect_rows(rows)?;
            runner.empty()?;
        }
    }
    Ok(cases)
}

fn script_run(python: &Path, script: &Path, url: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(script).args([url, KEY, "1000"]);
    command
}

/// A Python with what the script needs, in an environment of its own.
fn python(bench: &Bench<'_>) -> Result<PathBuf> {
    let folder = bench.workspace.cache.join("bench-python");
    let python = folder.join("bin/python");
    if works(&python.display().to_string(), &["-c", "import duckdb, requests"]) {
        return Ok(python);
    }
    println!("\n==> Prepare a Python with duckdb and requests (under a minute; --no-floor does without)");
    let workspace = bench.workspace;
    shown("create the environment", workspace.command("python3", &["-m", "venv", &folder.display().to_string()]))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "duckdb==1.5.*", "requests==2.*"];
    shown("install the packages", workspace.command(&python, &install))?;
    Ok(python)
}

impl Run {
    /// Processor time of the host, and of the destination's server.
    fn cpu(&self) -> Duration {
        self.host.cpu + self.server.map_or(Duration::ZERO, |server| server.cpu)
    }

    fn written_bytes(&self) -> u64 {
        self.host.written_bytes + self.server.map_or(0, |server| server.written_bytes)
    }
}

impl Case {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), runs: Vec::new() }
    }

    fn median<T: Ord + Copy + Default>(&self, figure: impl Fn(&Run) -> T) -> T {
        let mut figures: Vec<_> = self.runs.iter().map(figure).collect();
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    }

    /// Milliseconds to the first row, to the commit, to the end of the process, and of processor time.
    pub(super) fn one_record(&self) -> [f64; 4] {
        let time = |figure: &dyn Fn(&Run) -> Duration| self.median(figure).as_secs_f64() * 1000.0;
        [
            time(&|run| Duration::from_micros(run.first_row_us)),
            time(&|run| Duration::from_micros(run.committed_us)),
            time(&|run| run.host.wall),
            time(&|run| run.host.cpu),
        ]
    }

    /// A line of the table. `floor`: rows that the script manages in a second of processor time.
    fn line(&self, rows: u32, floor: Option<f64>) -> String {
        let megabytes = |bytes: u64| format!("{}", bytes / 1_000_000);
        let per_second = |time: Duration| f64::from(rows) / time.as_secs_f64();
        let less_engine = |run: &Run| run.host.peak_memory_bytes.saturating_sub(run.engine_memory_bytes.unwrap_or(0));
        let has = |figure: bool, text: String| if figure { text } else { "-".to_owned() };
        let any = |figure: &dyn Fn(&Run) -> bool| self.runs.iter().any(figure);
        let in_all = per_second(self.median(Run::cpu));
        let figures = [
            format!("{:.0}", per_second(self.median(|run| run.host.wall))),
            format!("{:.0}", per_second(self.median(|run| run.host.cpu))),
            has(any(&|run| run.server.is_some()), format!("{in_all:.0}")),
            megabytes(self.median(|run| run.host.peak_memory_bytes)),
            has(any(&|run| run.engine_memory_bytes.is_some()), megabytes(self.median(less_engine))),
            megabytes(self.median(Run::written_bytes)),
            floor.map_or_else(|| "-".to_owned(), |floor| format!("{:.2}", in_all / floor)),
        ];
        format!("{:<26}{}", self.name, figures.map(|figure| format!("{figure:>12}")).concat())
    }
}

fn print_table(rows: u32, keys: Keys, cases: &[Case]) {
    let titles = ["rows/s", "rows/CPU s", "+ server", "peak MB", "less engine", "written MB", "ratio"];
    println!("\n{:<26}{}", format!("{rows} rows"), titles.map(|title| format!("{title:>12}")).concat());
    println!("{}, median", keys.name());
    let script = &cases[0];
    let floor = (!script.runs.is_empty()).then(|| f64::from(rows) / script.median(Run::cpu).as_secs_f64());
    for case in cases.iter().filter(|case| !case.runs.is_empty()) {
        println!("{}", case.line(rows, floor));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Usage;

    #[test]
    fn the_server_counts_towards_the_ratio() {
        let usage =
            |seconds, bytes| Usage { cpu: Duration::from_secs(seconds), written_bytes: bytes, ..Usage::default() };
        let host = Usage { wall: Duration::from_secs(4), peak_memory_bytes: 90_000_000, ..usage(2, 1_000_000) };
        let run = Run { host, server: Some(usage(6, 40_000_000)), ..Run::default() };
        let case = Case { name: "a case".to_owned(), runs: vec![run; 3] };
        let words: Vec<String> = case.line(800, Some(50.0)).split_whitespace().map(str::to_owned).collect();
        assert_eq!(words, ["a", "case", "200", "400", "100", "90", "-", "41", "2.00"]);
    }
}
