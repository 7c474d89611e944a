//! The destination that forgets: for `--dry-run` and for measuring everything before it.

use super::{Commit, Committed, Destination, Segment, SyncRecord};
use model::error::Result;
use model::schema::TableSchema;

/// Counts rows and drops them.
#[derive(Default)]
pub(super) struct Null {
    rows: Vec<u64>,
}

impl Null {
    fn count(&mut self, segments: &[Segment]) {
        for segment in segments {
            if self.rows.len() <= segment.table {
                self.rows.resize(segment.table + 1, 0);
            }
            self.rows[segment.table] += segment.rows.num_rows() as u64;
        }
    }
}

impl Destination for Null {
    fn stage(&mut self, segments: Vec<Segment>, _tables: &[TableSchema]) -> Result<()> {
        self.count(&segments);
        Ok(())
    }

    fn commit(&mut self, commit: Commit) -> Result<Committed> {
        self.count(&commit.segments);
        self.rows.resize(commit.tables.len(), 0);
        let nothing = Committed::nothing(commit.tables.len());
        Ok(nothing)
    }

    fn discard(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self, _sync: &SyncRecord) -> Result<Vec<u64>> {
        Ok(self.rows.clone())
    }

    fn memory_bytes(&mut self) -> Option<u64> {
        Some(0)
    }
}
