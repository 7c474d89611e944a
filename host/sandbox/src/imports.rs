//! The four imports of the contract, one file each: what the guest calls, turned into what the host does.
//!
//! A broken rule or a passed limit ends the sync: the import returns a trap that carries the host's own error.

mod checkpoint;
mod http;
mod log;
mod operations;
mod records;

pub(super) use log::Gate;
#[expect(unreachable_pub, reason = "the generated bindings re-export them, which needs `pub`")]
pub use {
    http::{OpenResponse, PendingResponse},
    records::KeptRecords,
};

use super::bindings::elt::connector::types;
use super::channel::NotTaken;
use super::instance::Guest;
use model::error::{Code, Error};

// An interface of types has no functions of its own.
impl types::Host for Guest {}

/// Ends the sync with an error of the host.
fn end(error: Error) -> wasmtime::Error {
    wasmtime::Error::new(error)
}

/// The sync has ended for another reason, which is reported; this only stops the guest.
fn ended() -> wasmtime::Error {
    end(Error::new(Code::Interrupted, "go on: the sync has ended"))
}

/// An operation was not taken.
fn not_taken(why: NotTaken) -> wasmtime::Error {
    match why {
        NotTaken::Ended => ended(),
        NotTaken::Memory(error) => end(error),
    }
}

/// An import that this export is not given.
fn not_here(import: &str) -> wasmtime::Error {
    let message = format!("call {import} outside of `update`");
    end(Error::new(Code::OperationInvalid, message).hint("Only `update` writes operations and saves checkpoints."))
}
