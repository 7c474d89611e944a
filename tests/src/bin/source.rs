//! The demo source: serves generated records on the loopback address until it is told to stop.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the address is for people and for scripts")]

use std::io::{Read, Write, stdin, stdout};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use tests::source::{Options, Source};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

fn main() -> ExitCode {
    match serve(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("source: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: Options) -> Result<()> {
    let until_stdin_closes = options.until_stdin_closes;
    let source = Source::start(options)?;
    println!("listening on {}", source.url());
    stdout().flush()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(stop_wanted(until_stdin_closes))
}

/// Returns at SIGTERM, SIGINT or, if asked for, at the end of standard input.
async fn stop_wanted(until_stdin_closes: bool) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let (closed, stdin_closed) = oneshot::channel();
    let never_closed = if until_stdin_closes {
        // A thread, because reading standard input cannot be cancelled; the end of the process ends it.
        std::thread::spawn(move || {
            // Whatever comes is thrown away; an error ends the reading like an end does.
            let _ = std::io::copy(&mut stdin().lock().by_ref(), &mut std::io::sink());
            let _ = closed.send(());
        });
        None
    } else {
        Some(closed)
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = stdin_closed => {}
    }
    drop(never_closed);
    Ok(())
}
