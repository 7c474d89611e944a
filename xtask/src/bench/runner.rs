//! Runs the host against one source, into a destination of its own, and says what that took.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::measure::{Usage, measure};
use crate::run::output;
use crate::source::Source;
use crate::workspace::{Workspace, create_folder, write};

use super::KEY;
use super::postgres::Server;

/// One run: what the system counted and what the host reported.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    pub(super) host: Usage,
    /// What the server of the destination used, where it has one.
    pub(super) server: Option<Usage>,
    /// From the start of the sync to its first row, in microseconds.
    pub(super) first_row_us: u64,
    /// From the start of the sync to the end of its last commit, in microseconds.
    pub(super) committed_us: u64,
    /// Memory the destination's engine held at most.
    pub(super) engine_memory_bytes: Option<u64>,
}

/// Runs the host, again and again, into one destination.
pub(super) struct Runner<'a> {
    workspace: &'a Workspace,
    address: &'a str,
    pub(super) kind: String,
    configuration: PathBuf,
    folder: PathBuf,
    server: Option<Server>,
}

impl<'a> Runner<'a> {
    pub(super) fn new(workspace: &'a Workspace, source: &'a Source, (work, kind): (&Path, &str)) -> Result<Self> {
        let folder = work.join(kind);
        create_folder(&folder)?;
        let configuration = folder.with_extension("json");
        let text = format!(r#"{{"base_url": "{}", "api_key": "{KEY}", "page_size": "1000"}}"#, source.url);
        write(&configuration, &text)?;
        let server = if kind == "postgres" { Some(Server::new()?) } else { None };
        Ok(Self { workspace, address: source.address(), kind: kind.to_owned(), configuration, folder, server })
    }

    /// A sync into a new warehouse.
    pub(super) fn first_load(&mut self) -> Result<Run> {
        self.empty()?;
        self.sync(&[])
    }

    /// Leaves nothing of earlier runs.
    pub(super) fn empty(&mut self) -> Result<()> {
        // The first time there is nothing to remove.
        let _ = fs::remove_dir_all(&self.folder);
        create_folder(&self.folder)?;
        self.server.as_mut().map_or(Ok(()), Server::empty)
    }

    fn host(&self, arguments: &[&str]) -> Command {
        let mut command = self.workspace.command(self.workspace.program("host"), arguments);
        command.args(["--destination", &self.destination()]).current_dir(&self.folder);
        command
    }

    /// The command of a sync.
    pub(super) fn command(&self, options: &[&str]) -> Command {
        let component = self.workspace.components().join("guest.wasm");
        let mut command = self.host(&["run", &component.display().to_string()]);
        command.arg("--config").arg(&self.configuration).args(["--allow-private", self.address]);
        command.args(["--connection", "bench", "--json"]).args(options);
        command
    }

    /// A sync into the warehouse as it is.
    pub(super) fn sync(&mut self, options: &[&str]) -> Result<Run> {
        let command = self.command(options);
        self.serve()?;
        let measured = measure(self.workspace, command);
        let server = self.server.as_mut().map(Server::stop).transpose()?;
        let (host, lines) = measured?;
        let report = lines.lines().rfind(|line| line.contains("\"committed_after_ms\":")).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration is small and positive")]
        let us = |name: &str| field(report, name).map_or(0, |milliseconds| (milliseconds * 1000.0) as u64);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are whole and positive")]
        let engine_memory_bytes = field(report, "destination_memory_bytes").map(|bytes| bytes as u64);
        let (first_row_us, committed_us) = (us("first_row_after_ms"), us("committed_after_ms"));
        Ok(Run { host, server, first_row_us, committed_us, engine_memory_bytes })
    }

    /// A benchmark that loses rows measures nothing.
    pub(super) fn expect_rows(&mut self, expected: u32) -> Result<()> {
        let table = match self.kind.as_str() {
            "duckdb" | "postgres" | "delta" => "bench.cds_records",
            "sqlite" => "bench__cds_records",
            _ => return Ok(()),
        };
        let query = format!("SELECT count(*) FROM {table} WHERE NOT _deleted");
        self.serve()?;
        let answer = output(&mut self.host(&["query", &query, "--format", "csv"]));
        self.rest()?;
        match answer?.lines().last().map(str::trim) {
            Some(rows) if rows == expected.to_string() => Ok(()),
            rows => Err(format!("failed to find {expected} rows in the warehouse: the answer was {rows:?}")),
        }
    }

    /// Starts the destination's server, where it has one, for a run that is not measured as a whole.
    pub(super) fn serve(&mut self) -> Result<()> {
        self.server.as_mut().map_or(Ok(()), Server::start)
    }

    /// Stops it again.
    pub(super) fn rest(&mut self) -> Result<()> {
        self.server.as_mut().map(Server::stop).transpose().map(drop)
    }

    fn destination(&self) -> String {
        match (&self.server, self.kind.as_str()) {
            (Some(server), _) => server.url(),
            (None, "duckdb" | "sqlite") => format!("{}:warehouse.db", self.kind),
            (None, "delta") => "delta:lake".to_owned(),
            (None, kind) => format!("{kind}:"),
        }
    }
}

/// A number in the host's report; its names occur once, so this needs no JSON parser.
pub(super) fn field(report: &str, name: &str) -> Option<f64> {
    let (_, rest) = report.split_once(&format!("\"{name}\":"))?;
    rest.split([',', '}']).next()?.parse().ok()
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
