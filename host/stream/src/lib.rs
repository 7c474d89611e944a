//! One sync: drives a connector's stream of operations into a destination.
//!
//! ```text
//! guest task -> channel -> decoder thread (decode, infer, fold) -> channel -> writer thread (destination)
//! ```
//!
//! The three overlap; each channel is bounded, so the slowest sets the pace and memory stays bounded.

mod aside;
#[cfg(test)]
mod bench;
mod buffer;
mod column;
#[cfg(test)]
mod contract_tests;
mod declared;
mod decoder;
mod event;
mod fold;
#[cfg(test)]
mod history_tests;
pub mod lines;
mod marks;
#[cfg(test)]
pub(crate) mod neighbour_tests;
mod notes;
mod policy;
#[cfg(test)]
mod quarantine_tests;
mod record;
mod redacting;
mod redeclared;
mod rejected;
mod report;
mod run;
#[cfg(test)]
mod stream_tests;
mod tables;
mod unstorable;
mod writer;

pub use aside::{Retry, Settled, settle};
pub use column::ROOM_BYTES;
pub use event::{Event, Observer, Progress, TableProgress};
pub use model::LogLevel;
pub use notes::{Note, NoteKind};
pub use policy::CommitPolicy;
pub use rejected::Rejection;
pub use report::{Outcome, Report, Sample, TableReport};
pub use run::{new_id, now_us, run};

use std::sync::Arc;

use model::schema::SchemaContract;
use model::{Configuration, RecordRules, Selection};
use sandbox::{Component, EgressAllow, Limits, Pacing, SecretGrants, World};
use warehouse::{Deletes, OpenDestination, ShrinkMax};

/// What to sync, from where, to where, within which bounds.
#[derive(Clone)]
pub struct Request {
    /// The sync's name (`new_id`).
    pub id: String,
    /// The connector.
    pub component: Arc<Component>,
    /// Its configuration, defaults applied (`Configuration::prepare`).
    pub configuration: Configuration,
    /// The connection's name; the schema of its tables.
    pub connection: String,
    /// Where rows go.
    pub destination: Arc<dyn OpenDestination>,
    /// Which tables.
    pub selection: Selection,
    /// Start without a state, whatever the destination holds.
    pub full_refresh: bool,
    /// Start from this state instead of the destination's.
    pub state: Option<String>,
    /// What becomes of deleted rows.
    pub deletes: Deletes,
    /// How much of a table a truncate or a full refresh may delete.
    pub shrink_max: ShrinkMax,
    /// Which tables keep their history from now on, beyond those that do so already.
    pub history: Selection,
    /// Stop after this many rows; they are committed with the last checkpoint, so the next sync fetches them again.
    pub limit_rows: Option<u64>,
    /// Strings that look like dates and timestamps become such (`--timestamps text` switches it off).
    pub timestamps: bool,
    /// When checkpoints are committed.
    pub commits: CommitPolicy,
    /// Which changes of the source's schema the tables follow.
    pub contract: SchemaContract,
    /// What becomes of records that cannot be taken as they are.
    pub records: RecordRules,
    /// Keep the first records of every table for the report (`--dry-run`).
    pub sample_records: usize,
    /// Bounds of the sandbox.
    pub limits: Limits,
    /// Addresses the operator allows beyond the public internet.
    pub allow: EgressAllow,
    /// What its requests share with those of other syncs.
    pub pacing: Pacing,
    /// What the operator decides about secrets.
    pub secrets: SecretGrants,
    /// Who watches what crosses between the connector and the world, and may answer: a recording, made or replayed.
    pub world: Option<Arc<dyn World>>,
}

/// Why a sync should end early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// The tenant has used up a quota.
    Quota,
}
