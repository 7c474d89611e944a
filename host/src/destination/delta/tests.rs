//! The destination against real files: what only a lake can get wrong. What every warehouse must do is checked in
//! `destination::conformance`.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

use super::store::Local;
use super::DeltaLake;
use crate::destination::Access;
use crate::destination::conformance::EngineHome;
use crate::error::Result;

/// A folder.
pub(in crate::destination) struct Home(tempfile::TempDir);

impl EngineHome for Home {
    type Engine = DeltaLake;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn engine(&self, access: Access) -> Result<DeltaLake> {
        DeltaLake::over(Box::new(Local::open(self.0.path(), access)?.hasty()), access)
    }

    fn reader(&self) -> DeltaLake {
        let mut lake = self.engine(Access::Read).unwrap();
        lake.show(None).unwrap();
        lake
    }
}
