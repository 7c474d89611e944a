//! The memory of a guest: one sum over all its memories and tables and what the host keeps for it, with its peak.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::ResourceLimiter;

/// Bytes that one element of a table takes in the host.
const TABLE_ELEMENT_BYTES: usize = 16;

/// Refuses growth past the limit, and remembers that it did.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    max_bytes: usize,
    used_bytes: Arc<AtomicUsize>,
    pub(super) peak_bytes: usize,
    pub(super) refused: bool,
}

impl MemoryLimiter {
    pub(super) fn new(max_bytes: u64) -> Self {
        let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        Self { max_bytes, used_bytes: Arc::default(), peak_bytes: 0, refused: false }
    }

    /// How much more there is.
    pub(super) fn left_bytes(&self) -> usize {
        self.max_bytes.saturating_sub(self.used_bytes.load(Ordering::Relaxed))
    }

    /// Counts bytes that the host keeps for the guest, if there is room for them.
    pub(super) fn hold(&mut self, bytes: usize) -> Option<Hold> {
        self.grow(0, bytes).then(|| Hold { used_bytes: Arc::clone(&self.used_bytes), bytes })
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let used = self.used_bytes.load(Ordering::Relaxed).saturating_add(desired.saturating_sub(current));
        if used > self.max_bytes {
            self.refused = true;
            return false;
        }
        // A guest that lived on after a refusal did not die of it.
        self.refused = false;
        self.used_bytes.store(used, Ordering::Relaxed);
        self.peak_bytes = self.peak_bytes.max(used);
        true
    }
}

/// Bytes that the host keeps for the guest; given back when dropped.
#[derive(Debug)]
pub(super) struct Hold {
    used_bytes: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current.saturating_mul(TABLE_ELEMENT_BYTES), desired.saturating_mul(TABLE_ELEMENT_BYTES)))
    }

    // `StoreLimits` would count each of these apart; the sum above bounds their content, these bound their number.
    fn instances(&self) -> usize {
        1_000
    }

    fn tables(&self) -> usize {
        1_000
    }

    fn memories(&self) -> usize {
        1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_share_one_sum() {
        let mut limiter = MemoryLimiter::new(1_000);
        assert!(limiter.memory_growing(0, 400, None).unwrap());
        assert!(limiter.memory_growing(0, 500, None).unwrap());
        assert!(!limiter.table_growing(0, 10, None).unwrap());
        assert!(limiter.refused);
        assert_eq!(limiter.peak_bytes, 900);
        assert!(limiter.memory_growing(0, 50, None).unwrap());
        assert!(!limiter.refused);
    }

    #[test]
    fn what_the_host_keeps_is_counted_while_it_does() {
        let mut limiter = MemoryLimiter::new(1_000);
        let held = limiter.hold(600).unwrap();
        assert!(!limiter.memory_growing(0, 500, None).unwrap());
        assert!(limiter.hold(500).is_none());
        assert_eq!(limiter.left_bytes(), 400);
        drop(held);
        assert_eq!((limiter.left_bytes(), limiter.peak_bytes), (1_000, 600));
        assert!(limiter.memory_growing(0, 500, None).unwrap());
    }
}
