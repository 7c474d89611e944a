//! Starts the demo source and stops it again.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::Result;
use crate::run::plain;
use crate::workspace::Workspace;

/// A running source. It ends when this is dropped, and also when this process dies: its standard input closes then.
pub(crate) struct Source {
    process: Child,
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
}

impl Source {
    pub(crate) fn start(workspace: &Workspace, arguments: &[&str]) -> Result<Self> {
        let mut command = workspace.command(workspace.program("source"), arguments);
        println!("    $ {} &", plain(&command));
        command.arg("--until-stdin-closes").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| format!("failed to start the source: {error}"))?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            // An error leaves the line empty, which says the same.
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        let Some(url) = line.trim().strip_prefix("listening on ").map(str::to_owned) else {
            let _ = process.wait();
            return Err("failed to start the source; its own message is above".into());
        };
        Ok(Self { process, url })
    }

    /// `127.0.0.1:PORT`, as `--allow-private` wants it.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap_or(&self.url)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It has nothing to finish; should it not end by itself, it is ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
