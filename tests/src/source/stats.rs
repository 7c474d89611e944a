//! Counters of what the source has served.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;

use super::faults::Kind;

/// What has been served since the start. Requests to `/_stats` do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests received, failed ones included.
    pub requests: u64,
    /// Records in answers that were not disturbed.
    pub served_records: u64,
    /// Bytes of bodies in answers that were not disturbed, before compression.
    pub bytes: u64,
    /// Requests received by path.
    pub paths: BTreeMap<String, u64>,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<String, u64>,
}

impl Stats {
    pub(super) fn to_json(&self) -> String {
        json!({
            "requests": self.requests,
            "served_records": self.served_records,
            "bytes": self.bytes,
            "paths": self.paths,
            "faults": self.faults,
        })
        .to_string()
    }
}

/// The counters behind the statistics.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<Stats>);

impl Counters {
    /// Counts a request and returns its number, from 1.
    pub(super) fn request(&self, path: &str) -> u64 {
        let mut stats = self.lock();
        stats.requests += 1;
        match stats.paths.get_mut(path) {
            Some(count) => *count += 1,
            None => _ = stats.paths.insert(path.to_owned(), 1),
        }
        stats.requests
    }

    pub(super) fn served(&self, records: u64, bytes: usize) {
        let mut stats = self.lock();
        stats.served_records += records;
        stats.bytes += bytes as u64;
    }

    pub(super) fn fault(&self, kind: Kind) {
        *self.lock().faults.entry(kind.to_string()).or_default() += 1;
    }

    pub(super) fn read(&self) -> Stats {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Stats> {
        // Counters cannot be left half changed, so a panic elsewhere does them no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
