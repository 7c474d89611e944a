//! Connectors that misbehave in `update`, after a checkpoint and a row that it does not cover.

mod contract;
mod memory;
mod pages;
mod resources;
mod rows;
mod secrets;

pub(super) use contract::*;
pub(super) use memory::*;
pub(super) use pages::*;
pub(super) use resources::*;
pub(super) use rows::*;
pub(super) use secrets::*;

use anyhow::Result;

use super::{mode, succeeds};

#[test]
pub(super) fn well_behaved() -> Result<()> {
    // What follows the last checkpoint is a matter of two threads: once is not enough to see it.
    for _ in 0..5 {
        let (misbehaving, _) = succeeds(mode!(update, well_behaved), &[])?;
        assert_eq!(misbehaving.durable()?, ("1 2 3 4".to_owned(), super::state(3)));
    }
    Ok(())
}
