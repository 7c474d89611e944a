//! Recordings: a sync as a file, made while it runs, replayed without a network.
//!
//! ```text
//! guest <── World ── Recorder ──> spool (nameless) ── secrets taken out ──> FILE
//! guest <── World ── Replay <──── FILE
//!                       └── what the guest does now, compared with what it did then
//! ```
//!
//! The format is described in docs/formats/recording.md. A recording that cannot be made is a warning, never the end of
//! a sync.

mod difference;
mod entry;
mod file;
mod recorder;
mod replay;

pub use difference::{Changes, Differences, differences};
pub use file::Recording;
pub use recorder::Recorder;
pub use replay::Replay;
