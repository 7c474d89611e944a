//! What can go wrong between a sync and its lake.

use model::error::{Code, Error};

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The engine that merges rows refused a statement.
    #[error(transparent)]
    Engine(#[from] duckdb::Error),
    /// Files or logs: an error that says everything already.
    #[error(transparent)]
    Lake(#[from] Error),
    /// Another sync of the connection has written its journal.
    #[error("another sync has taken over")]
    Overtaken,
}

/// The error of a sync that was overtaken; `what` completes "failed to …".
pub(super) fn overtaken(what: &str) -> Error {
    Error::new(Code::FencedOff, format!("{what}: another sync of the connection has taken over"))
        .hint("Run only one sync of a connection at a time. Nothing of this commit counts; the other sync goes on.")
}

/// A log or a journal that cannot be what it should be.
pub(super) fn damaged(place: &str, why: impl std::fmt::Display) -> Error {
    Error::new(Code::WarehouseCorrupted, format!("read {place}: {why}")).hint(
        "Was it changed by hand? Restore the folder from a backup, or reset the connection and sync everything again.",
    )
}
