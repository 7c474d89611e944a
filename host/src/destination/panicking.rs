//! Destinations that panic at a given call, as a bug of the host's own code would: for tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{Commit, Committed, Destination, DestinationUrl, Segment, SyncRecord};
use crate::error::Result;
use crate::schema::TableSchema;

/// How many calls of a SQLite file's next sync go well, by its path.
static TRAPS: Mutex<BTreeMap<PathBuf, usize>> = Mutex::new(BTreeMap::new());

/// Has the next sync into a SQLite file panic at a call of its destination: 1 is the first.
pub(crate) fn set(path: &Path, call: usize) {
    TRAPS.lock().unwrap().insert(path.to_owned(), call);
}

/// Takes back what was set; whether it was still there, so that nothing panicked.
pub(crate) fn unset(path: &Path) -> bool {
    TRAPS.lock().unwrap().remove(path).is_some()
}

/// The destination, with the panic that was set for it.
pub(super) fn trapped(url: &DestinationUrl, destination: Box<dyn Destination>) -> Box<dyn Destination> {
    match url {
        DestinationUrl::Sqlite(path) if TRAPS.lock().unwrap().contains_key(path) => {
            Box::new(Trapped { destination, path: Arc::from(path.as_path()) })
        }
        _ => destination,
    }
}

struct Trapped {
    destination: Box<dyn Destination>,
    path: Arc<Path>,
}

impl Trapped {
    fn call(&mut self) -> &mut dyn Destination {
        let is_due = {
            let mut traps = TRAPS.lock().unwrap();
            let is_due = traps.get_mut(&*self.path).is_some_and(|left| {
                *left -= 1;
                *left == 0
            });
            if is_due {
                traps.remove(&*self.path);
            }
            is_due
        };
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
