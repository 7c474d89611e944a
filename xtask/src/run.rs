//! Runs programs and says so: what for, the plain command, how long it has taken.

use std::io::{IsTerminal, stderr};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// How often a step that takes long says that it is still there.
const HEARTBEAT: Duration = Duration::from_mins(1);

/// Runs a step to its end; it fails if the program does.
pub(crate) fn step(title: &str, command: Command) -> Result<()> {
    println!("\n==> {title}");
    shown(title, command)
}

/// The same without a headline, where one step needs several programs.
pub(crate) fn shown(title: &str, mut command: Command) -> Result<()> {
    println!("    $ {}", plain(&command));
    let started = Instant::now();
    let status = with_heartbeat(title, || command.status()).map_err(|error| cannot_start(&command, &error))?;
    if !status.success() {
        return Err(format!("failed to {}: the command above ended with {status}", lower(title)));
    }
    println!("    done after {}", elapsed(started));
    Ok(())
}

/// Runs a program without a word and returns what it wrote to standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| cannot_start(command, &error))?;
    if !output.status.success() {
        return Err(format!("failed to run {}: it ended with {}", plain(command), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program is there and runs, silently.
pub(crate) fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The command as one would type it at the top of the repository.
pub(crate) fn plain(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    // The target folder is in the reader's environment already.
    let set = set.filter(|(name, _)| *name != "CARGO_TARGET_DIR");
    let set = set.map(|(name, value)| format!("{}={}", name.display(), quoted(&value.to_string_lossy())));
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let mut program = true;
    let words = words.map(|word| {
        let word = word.to_string_lossy();
        // `target/release/host` reads better than the absolute path, where it is the same.
        let short = command.get_current_dir().and_then(|root| word.strip_prefix(&format!("{}/", root.display())));
        let word = quoted(short.unwrap_or(&word));
        if std::mem::take(&mut program) && short.is_some() && !word.contains('/') { format!("./{word}") } else { word }
    });
    set.chain(words).collect::<Vec<_>>().join(" ")
}

/// A duration for people: `48 s`, `3 min 20 s`.
pub(crate) fn elapsed(since: Instant) -> String {
    let time = since.elapsed();
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// Does the work; on a terminal cargo shows how far it is, elsewhere a line a minute says that it goes on.
fn with_heartbeat<T>(title: &str, work: impl FnOnce() -> T) -> T {
    if stderr().is_terminal() {
        return work();
    }
    let (finished, waiting) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let started = Instant::now();
            while waiting.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
                println!("    ... {} goes on, {} so far", lower(title), elapsed(started));
            }
        });
        let result = work();
        drop(finished);
        result
    })
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("failed to start {}: {error}", command.get_program().to_string_lossy())
}

/// The title as the middle of a sentence, without what is in brackets.
fn lower(title: &str) -> String {
    let title = title.split(" (").next().unwrap_or(title);
    let mut letters = title.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn quoted(word: &str) -> String {
    let harmless = |letter: char| letter.is_alphanumeric() || "-_./:=,@+%".contains(letter);
    if !word.is_empty() && word.chars().all(harmless) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_typed_as_printed() {
        let mut command = Command::new("/top/target/release/host");
        command.current_dir("/top").args(["query", "SELECT 'a'", "/elsewhere/x"]).env("DUCKDB_LIB_DIR", "/a b");
        assert_eq!(plain(&command), r"DUCKDB_LIB_DIR='/a b' target/release/host query 'SELECT '\''a'\''' /elsewhere/x");
    }

    #[test]
    fn titles_fit_into_sentences() {
        assert_eq!(lower("Build the host (about 6 minutes)"), "build the host");
    }
}
