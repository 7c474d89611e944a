//! DuckDB as a destination.

use std::path::Path;

use super::{Commit, Committed, Destination, OpenRequest, Opened, Segment, SyncRecord};
use crate::error::Result;
use crate::schema::TableSchema;

/// A DuckDB file, open for one sync.
pub struct DuckDb {}
impl DuckDb {
    /// Opens.
    pub fn open(_path: &Path, _request: OpenRequest) -> Result<(Self, Opened)> {
        Ok((Self {}, Opened::default()))
    }
}
impl Destination for DuckDb {
    fn stage(&mut self, _segments: Vec<Segment>, _tables: &[TableSchema]) -> Result<()> {
        Ok(())
    }
    fn commit(&mut self, _commit: Commit) -> Result<Committed> {
        Ok(Committed::default())
    }
    fn discard(&mut self) -> Result<()> {
        Ok(())
    }
    fn finish(&mut self, _sync: &SyncRecord) -> Result<Vec<u64>> {
        Ok(vec![])
    }
    fn memory_bytes(&self) -> Option<u64> {
        None
    }
}
