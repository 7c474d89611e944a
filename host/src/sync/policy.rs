//! When to commit, and when to stage: data, decided without I/O.

use std::time::Duration;

/// Rows after which the next checkpoint commits. Measured: DuckDB's cost per row is flat from here on.
pub(crate) const COMMIT_ROWS: u64 = 50_000;
/// Bytes of rows after which the next checkpoint commits.
pub(crate) const COMMIT_BYTES: u64 = 32 << 20;
/// How long a checkpoint waits for company.
pub(crate) const COMMIT_AGE: Duration = Duration::from_secs(5);

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

    /// Whether a checkpoint that covers this load commits now. `age`: since the last commit.
    pub(crate) fn is_due(self, age: Duration) -> bool {
        self.rows >= COMMIT_ROWS || self.bytes >= COMMIT_BYTES || age >= COMMIT_AGE
    }

    /// Whether rows that no checkpoint covers must be staged, so that memory stays bounded.
    pub(crate) fn is_full(self) -> bool {
        self.rows >= 2 * COMMIT_ROWS || self.bytes >= COMMIT_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_commits_by_rows_bytes_or_age() {
        let second = Duration::from_secs(1);
        for (rows, bytes, age, due, full) in [
            (0, 0, second, false, false),
            (COMMIT_ROWS - 1, COMMIT_BYTES - 1, second, false, false),
            (COMMIT_ROWS, 0, second, true, false),
            (0, COMMIT_BYTES, second, true, true),
            (1, 1, COMMIT_AGE, true, false),
            (2 * COMMIT_ROWS, 0, second, true, true),
        ] {
            let load = Load { rows, bytes };
            assert_eq!((load.is_due(age), load.is_full()), (due, full), "{load:?} {age:?}");
        }
    }
}
