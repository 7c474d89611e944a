//! When to commit, and when to stage: data, decided without I/O.

use std::time::Duration;

use sandbox::Load;

/// How often checkpoints are committed, as what is read from one durable commit to the next at most: so much is fetched
/// again after a crash. A transaction is full with five sixths of it, so that the connector can go on for the last sixth
/// while that is written. It ends at its first checkpoint then, or at the first one after so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitPolicy {
    /// Rows.
    pub rows: u64,
    /// Bytes of rows.
    pub bytes: u64,
    /// Time since the last commit.
    pub age: Duration,
}

impl Default for CommitPolicy {
    /// Transactions of 50,000 rows (measured: DuckDB's cost per row is flat from here on), 32 MiB, 5 s.
    fn default() -> Self {
        Self { rows: 60_000, bytes: (32 << 20) / 5 * 6, age: Duration::from_secs(5) }
    }
}

impl CommitPolicy {
    /// What may be read while a full transaction is written.
    pub(crate) fn ahead(self) -> Load {
        Load { rows: self.rows / 6, bytes: self.bytes / 6 }
    }

    /// What fills a transaction.
    pub(crate) fn full(self) -> Load {
        let ahead = self.ahead();
        Load { rows: self.rows.saturating_sub(ahead.rows), bytes: self.bytes.saturating_sub(ahead.bytes) }
    }

    /// Whether a checkpoint that covers this load commits now. `age`: since the last commit.
    pub(crate) fn is_due(self, load: Load, age: Duration) -> bool {
        load.reaches(self.full()) || age >= self.age
    }

    /// Whether rows that no checkpoint covers must be staged, so that memory stays bounded.
    pub(crate) fn must_stage(self, load: Load) -> bool {
        load.reaches(Load { rows: self.rows.saturating_mul(2), bytes: self.full().bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_commits_by_rows_bytes_or_age() {
        let second = Duration::from_secs(1);
        let policy = CommitPolicy { rows: 12, bytes: 1_200, age: Duration::from_secs(5) };
        for (rows, bytes, age, due, stage) in [
            (0, 0, second, false, false),
            (9, 999, second, false, false),
            (10, 0, second, true, false),
            (0, 1_000, second, true, true),
            (1, 1, policy.age, true, false),
            (24, 0, second, true, true),
        ] {
            let load = Load { rows, bytes };
            assert_eq!((policy.is_due(load, age), policy.must_stage(load)), (due, stage), "{load:?} {age:?}");
        }
    }

    #[test]
    fn a_transaction_and_what_is_ahead_of_it_make_an_interval() {
        for rows in [0, 1, 5, 6, 1_000, 60_000, u64::MAX] {
            let policy = CommitPolicy { rows, ..CommitPolicy::default() };
            let mut all = policy.full();
            all.add(policy.ahead());
            assert_eq!((all.rows, all.bytes), (rows, policy.bytes));
            assert!(rows == 0 || policy.full().rows > policy.ahead().rows);
        }
        assert_eq!(CommitPolicy::default().full().rows, 50_000);
    }
}
