//! The memory that the host keeps for one sync: one sum with a bound, to which everything kept for it is charged.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Code, Error, Result};

/// A sum of bytes with a bound. Copies are the same account.
#[derive(Clone, Debug)]
pub struct Account(Arc<Sum>);

#[derive(Debug)]
struct Sum {
    bytes: AtomicUsize,
    peak: AtomicUsize,
    max: usize,
}

/// A share of an account, given back when dropped.
#[derive(Debug)]
pub struct Hold {
    account: Account,
    bytes: usize,
}

impl Account {
    /// An account of so many bytes.
    pub fn new(bytes_max: u64) -> Self {
        // More than can be addressed is no bound.
        let max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        Self(Arc::new(Sum { bytes: AtomicUsize::new(0), peak: AtomicUsize::new(0), max }))
    }

    /// Charges bytes to the account. `what` completes "keep …".
    pub fn hold(&self, bytes: usize, what: &str) -> Result<Hold> {
        let mut hold = Hold { account: self.clone(), bytes: 0 };
        hold.set(bytes, what)?;
        Ok(hold)
    }

    /// Most bytes that were held at one time.
    pub fn peak_bytes(&self) -> usize {
        self.0.peak.load(Ordering::Relaxed)
    }

    fn change(&self, before: usize, after: usize) -> Option<()> {
        let change = |bytes: usize| (bytes - before).checked_add(after).filter(|bytes| after <= before || *bytes <= self.0.max);
        let had = self.0.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).ok()?;
        self.0.peak.fetch_max(had - before + after, Ordering::Relaxed);
        Some(())
    }
}

impl Hold {
    /// Holds so many bytes from now on; as many as before where there are not enough.
    pub fn set(&mut self, bytes: usize, what: &str) -> Result<()> {
        self.account.change(self.bytes, bytes).ok_or_else(|| {
            let message = format!(
                "keep {what}: the host would hold more than {} bytes for this sync (limit sync-memory-bytes)",
                self.account.0.max
            );
            Error::new(Code::LimitMemory, message).hint(
                "The connector should write smaller batches and save checkpoints more often. Or raise the limit with \
                 --limit sync-memory-bytes=….",
            )
        })?;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.account.0.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_never_passes_the_bound_and_comes_back() {
        let account = Account::new(100);
        let mut first = account.hold(60, "a").unwrap();
        assert_eq!(account.clone().hold(41, "b").unwrap_err().code(), Code::LimitMemory);
        first.set(10, "a").unwrap();
        let second = account.hold(90, "b").unwrap();
        assert!(first.set(11, "a").is_err());
        drop(second);
        first.set(100, "a").unwrap();
        drop(first);
        assert_eq!((account.0.bytes.load(Ordering::Relaxed), account.peak_bytes()), (0, 100));
        assert!(account.hold(usize::MAX, "c").is_err());
    }
}
