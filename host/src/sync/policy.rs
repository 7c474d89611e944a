//! When to commit, and when to stage: data, decided without I/O.

use std::time::Duration;

/// When a checkpoint is committed: at the first one after so many rows, bytes, or so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitPolicy {
    /// Rows since the last commit.
    pub rows: u64,
    /// Bytes of rows since the last commit.
    pub bytes: u64,
    /// Time since the last commit.
    pub age: Duration,
}

impl Default for CommitPolicy {
    /// 50,000 rows (measured: DuckDB's cost per row is flat from here on), 32 MiB, 5 s.
    fn default() -> Self {
        Self { rows: 50_000, bytes: 32 << 20, age: Duration::from_secs(5) }
    }
}

/// How much was taken since the last commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl Load {
    pub(crate) fn add(&mut self, rows: u64, bytes: u64) {
        self.rows += rows;
        self.bytes += bytes;
    }
}

impl CommitPolicy {
    /// Whether a checkpoint that covers this load commits now. `age`: since the last commit.
    pub(crate) fn is_due(self, load: Load, age: Duration) -> bool {
        load.rows >= self.rows || load.bytes >= self.bytes || age >= self.age
    }

    /// Whether rows that no checkpoint covers must be staged, so that memory stays bounded.
    pub(crate) fn is_full(self, load: Load) -> bool {
        load.rows >= self.rows.saturating_mul(2) || load.bytes >= self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_commits_by_rows_bytes_or_age() {
        let second = Duration::from_secs(1);
        let policy = CommitPolicy { rows: 10, bytes: 1_000, age: Duration::from_secs(5) };
        for (rows, bytes, age, due, full) in [
            (0, 0, second, false, false),
            (9, 999, second, false, false),
            (10, 0, second, true, false),
            (0, 1_000, second, true, true),
            (1, 1, policy.age, true, false),
            (20, 0, second, true, true),
        ] {
            let load = Load { rows, bytes };
            assert_eq!((policy.is_due(load, age), policy.is_full(load)), (due, full), "{load:?} {age:?}");
        }
    }
}
