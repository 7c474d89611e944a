//! A destination that panics at a given call, as a bug of the host's own code would.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::error::Result;
use model::schema::TableSchema;
use warehouse::{Commit, Committed, Destination, OpenDestination, OpenRequest, Opened, Segment, SyncRecord};

/// Stands in for a destination: the next sync into it panics at a call that was set, once.
#[derive(Clone)]
pub struct Panicking {
    destination: Arc<dyn OpenDestination>,
    /// How many calls go well, and the one that does not; 0: all do.
    left: Arc<AtomicUsize>,
}

impl Panicking {
    /// The destination, with no panic set.
    pub fn new(destination: Arc<dyn OpenDestination>) -> Self {
        Self { destination, left: Arc::default() }
    }

    /// The same destination with the panic of another: they share it.
    #[must_use]
    pub fn with(&self, destination: Arc<dyn OpenDestination>) -> Self {
        Self { destination, left: Arc::clone(&self.left) }
    }

    /// Has the next sync panic at a call of its destination: 1 is the first.
    pub fn set(&self, call: usize) {
        self.left.store(call, Ordering::SeqCst);
    }

    /// Takes back what was set; whether it was still there, so that nothing panicked.
    pub fn unset(&self) -> bool {
        self.left.swap(0, Ordering::SeqCst) > 0
    }
}

impl fmt::Display for Panicking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.destination.fmt(f)
    }
}

impl OpenDestination for Panicking {
    fn open(&self, request: OpenRequest) -> Result<(Box<dyn Destination>, Opened)> {
        let (destination, opened) = self.destination.open(request)?;
        Ok((Box::new(Trapped { destination, left: Arc::clone(&self.left) }), opened))
    }
}

struct Trapped {
    destination: Box<dyn Destination>,
    left: Arc<AtomicUsize>,
}

impl Trapped {
    fn call(&mut self) -> &mut dyn Destination {
        let less = |left: usize| left.checked_sub(1);
        let is_due = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) == Ok(1);
        assert!(!is_due, "a panic that a test asked for");
        &mut *self.destination
    }
}

impl Destination for Trapped {
    fn stage(&mut self, segments: Vec<Segment>, tables: &[TableSchema]) -> Result<()> {
        self.call().stage(segments, tables)
    }

    fn commit(&mut self, commit: Commit) -> Result<Committed> {
        self.call().commit(commit)
    }

    fn discard(&mut self) -> Result<()> {
        self.call().discard()
    }

    fn finish(&mut self, sync: &SyncRecord) -> Result<Vec<u64>> {
        self.call().finish(sync)
    }

    fn memory_bytes(&mut self) -> Option<u64> {
        self.call().memory_bytes()
    }
}
