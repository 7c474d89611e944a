//! `host run --record` and `--replay`, and `host diff-recording`: what is told about recordings.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::json::Object;
use super::report;
use super::screen::Screen;
use super::text;
use model::error::{Code, Error, Result};
use proof::recording::{Changes, Differences, Recorder, Recording, Replay, differences};
use sandbox::World;

/// What can be typed about recordings of a sync.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Writes all that crosses between connector and world into FILE, without secrets, to be replayed
    #[arg(long, value_name = "FILE", help_heading = "Recording")]
    record: Option<PathBuf>,
    /// Answers the connector from the recording FILE instead of the network, with the configuration, state, clock and
    /// random numbers of then, and compares what it does now (connection: the connector's name and _replay)
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Recording",
        conflicts_with_all = ["record", "config", "state", "full_refresh", "tables"]
    )]
    replay: Option<PathBuf>,
}

/// What a sync is connected to besides the network.
pub(super) enum Tape {
    /// Nothing.
    None,
    /// It is recorded.
    Record(Arc<Recorder>),
    /// It is answered from a recording.
    Replay(Arc<Replay>),
}

impl Options {
    /// Opens what was asked for. A recording that cannot be made is a warning, one that cannot be read an error.
    pub(super) fn open(&self, screen: Screen) -> Result<Tape> {
        if let Some(path) = &self.replay {
            return Ok(Tape::Replay(Arc::new(Replay::new(Recording::read(path)?)?)));
        }
        let Some(path) = &self.record else { return Ok(Tape::None) };
        match Recorder::create(path) {
            Ok(recorder) => Ok(Tape::Record(Arc::new(recorder))),
            Err(error) => {
                warn(screen, &error);
                Ok(Tape::None)
            }
        }
    }
}

impl Tape {
    /// What the connector meets.
    pub(super) fn world(&self) -> Option<Arc<dyn World>> {
        match self {
            Self::None => None,
            Self::Record(recorder) => Some(Arc::<Recorder>::clone(recorder)),
            Self::Replay(replay) => Some(Arc::<Replay>::clone(replay)),
        }
    }

    /// The recording that answers, if one does.
    pub(super) fn replay(&self) -> Option<&Replay> {
        match self {
            Self::Replay(replay) => Some(replay),
            Self::None | Self::Record(_) => None,
        }
    }

    /// Writes the recording, or says how the sync differed from it; returns the exit status.
    pub(super) fn conclude(&self, status: u8, screen: Screen) -> u8 {
        match self {
            Self::None => status,
            Self::Record(recorder) => {
                match recorder.finish() {
                    Ok(bytes) => screen.people(&format!("The recording has {}.", text::bytes(bytes))),
                    Err(error) => warn(screen, &error),
                }
                status
            }
            Self::Replay(replay) => {
                let found = replay.differences();
                screen.people(&told(&found));
                if status == 0 && !found.none() { differ().fault().exit_status() } else { status }
            }
        }
    }
}

fn warn(screen: Screen, error: &Error) {
    screen.people(&screen.paint.yellow(&format!("warning: {}", error.chain())));
}

fn differ() -> Error {
    Error::new(Code::RecordingDiffers, "find the same in both recordings")
        .hint("The differences are listed above: - is gone, + is new.")
}

/// What can be typed after `host diff-recording`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The earlier recording
    before: PathBuf,
    /// The later one
    after: PathBuf,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// Compares two recordings; returns the exit status, which says whether they differ.
pub(super) fn compare(arguments: &Arguments, screen: &Screen) -> Result<u8> {
    let found = differences(&Recording::read(&arguments.before)?, &Recording::read(&arguments.after)?);
    let page = if arguments.json { for_programs(&found) } else { told(&found) };
    let _closed = screen.data(&(page + "\n"))?;
    if found.none() {
        return Ok(0);
    }
    let error = differ();
    screen.people(&report::failure(&error, screen.paint));
    Ok(error.fault().exit_status())
}

/// The differences as people read them.
fn told(found: &Differences) -> String {
    let mut lines = vec![];
    for (what, changes) in [("requests", &found.requests), ("operations", &found.operations)] {
        let Changes { before, after, gone, new, reordered, shown } = changes;
        lines.push(match (gone + new, reordered) {
            (0, false) => format!("{what}: the same {before}"),
            (0, true) => format!("{what}: the same {before}, in another order"),
            _ => format!("{what}: {before} before, {after} now; {gone} gone, {new} new"),
        });
        lines.extend(shown.iter().map(|text| format!("  {}", text::printable(&text::cut(text, 300)))));
    }
    if let Some((before, after)) = &found.endings {
        lines.push(format!("ending: {before} before, {after} now"));
    }
    let (before, after) = &found.digests;
    if before == after {
        lines.push(format!("operations, byte for byte: sha256 {before}"));
    }
    lines.join("\n")
}

fn for_programs(found: &Differences) -> String {
    let changes = |changes: &Changes| {
        Object::new()
            .put("before", &changes.before)
            .put("after", &changes.after)
            .put("gone", &changes.gone)
            .put("new", &changes.new)
            .put("reordered", &changes.reordered)
            .put("shown", &changes.shown)
            .finish()
    };
    let endings = found.endings.as_ref();
    Object::new()
        .put("same", &found.none())
        .raw("requests", &changes(&found.requests))
        .raw("operations", &changes(&found.operations))
        .put("endings", &endings)
        .put("operations_sha256", &found.digests)
        .finish()
}
