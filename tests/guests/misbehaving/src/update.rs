//! In `update`, after a checkpoint and a row that it does not cover.

#![expect(clippy::unnecessary_wraps, reason = "every mode has one signature, also those that never return an error")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what the sandbox does with it is tested")]

mod memory;
mod names;
mod pages;
mod resources;
mod rows;
mod secrets;
mod state;
mod words;
mod world;

pub(crate) use memory::*;
pub(crate) use names::*;
pub(crate) use pages::*;
pub(crate) use resources::*;
pub(crate) use rows::*;
pub(crate) use secrets::*;
pub(crate) use state::*;
pub(crate) use words::*;
pub(crate) use world::*;

use elt_sdk::bindings::Error;
use elt_sdk::bindings::elt::connector::operations::Kind;

use crate::component::{Sync, write};

pub(crate) type Done = Result<(), Error>;

pub(crate) fn upsert(table: &str, rows: impl Into<Vec<u8>>) {
    write(table, Kind::Upsert, rows);
}

pub(crate) fn well_behaved(_: &Sync) -> Done {
    Ok(())
}
