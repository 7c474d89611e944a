//! Counters of a client, to be read at any time by whoever shows progress.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use model::error::{Error, Fault};

/// What happened so far.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    requests: AtomicU64,
    retries: AtomicU64,
    redirects: AtomicU64,
    bytes: AtomicU64,
    wire_bytes: AtomicU64,
    in_flight: AtomicU64,
    last_status: AtomicU16,
    waited_ms: AtomicU64,
    backed_off_ms: AtomicU64,
    denials: AtomicU64,
    last_denial: Mutex<Option<String>>,
    ended_by: OnceLock<&'static str>,
}

impl Stats {
    /// Requests sent, retries and redirects included.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Attempts after the first.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Redirects followed.
    pub(crate) fn redirects(&self) -> u64 {
        self.redirects.load(Ordering::Relaxed)
    }

    /// Bytes of bodies, decompressed.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes of bodies as they came over the wire, compressed.
    pub(crate) fn wire_bytes(&self) -> u64 {
        self.wire_bytes.load(Ordering::Relaxed)
    }

    /// Requests under way, waits before a retry included.
    #[cfg_attr(not(test), allow(dead_code, reason = "for whoever shows progress"))]
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The status of the last answer.
    pub(crate) fn last_status(&self) -> Option<u16> {
        Some(self.last_status.load(Ordering::Relaxed)).filter(|status| *status > 0)
    }

    /// Time between the start of requests and their answers, summed over requests.
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_millis(self.waited_ms.load(Ordering::Relaxed))
    }

    /// The part of it spent waiting before retries and for rate limits.
    pub(crate) fn backed_off(&self) -> Duration {
        Duration::from_millis(self.backed_off_ms.load(Ordering::Relaxed))
    }

    /// Requests refused by the egress policy.
    pub(crate) fn denials(&self) -> u64 {
        self.denials.load(Ordering::Relaxed)
    }

    /// The last refusal: `host:port` and the reason.
    pub(crate) fn last_denial(&self) -> Option<String> {
        self.last_denial.lock().ok()?.clone()
    }

    /// Hears what ends the sync, before its requests are cancelled.
    pub(crate) fn end(&self, error: &Error) {
        if error.code().fault() == Fault::Limit {
            // The first one ended it.
            let _ = self.ended_by.set(error.code().as_str());
        }
    }

    /// The code of the limit that ended the sync.
    pub(super) fn ended_by(&self) -> Option<&'static str> {
        self.ended_by.get().copied()
    }

    /// Writes the counters to the log, if anything was asked for.
    pub(super) fn summarise(&self) {
        if self.requests() + self.denials() == 0 {
            return;
        }
        tracing::debug!(
            requests = self.requests(),
            retries = self.retries(),
            redirects = self.redirects(),
            denials = self.denials(),
            bytes = self.bytes(),
            wire_bytes = self.wire_bytes(),
            waited_ms = milliseconds(self.waited()),
            backed_off_ms = milliseconds(self.backed_off()),
            last_status = self.last_status(),
            "http total"
        );
    }

    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_retry(&self, wait: Duration) {
        self.retries.fetch_add(1, Ordering::Relaxed);
        self.count_back_off(wait);
    }

    pub(super) fn count_back_off(&self, wait: Duration) {
        self.backed_off_ms.fetch_add(milliseconds(wait), Ordering::Relaxed);
    }

    pub(super) fn count_redirect(&self) {
        self.redirects.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn count_wire_bytes(&self, bytes: u64) {
        self.wire_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn note_status(&self, status: u16) {
        self.last_status.store(status, Ordering::Relaxed);
    }

    pub(super) fn count_wait(&self, wait: Duration) {
        self.waited_ms.fetch_add(milliseconds(wait), Ordering::Relaxed);
    }

    pub(super) fn count_denial(&self, message: &str) {
        self.denials.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut last) = self.last_denial.lock() {
            *last = Some(message.to_owned());
        }
    }

    /// Counts a request as under way until the guard is dropped, however it ends.
    pub(super) fn flight(self: &Arc<Self>) -> Flight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Flight(Arc::clone(self))
    }
}

/// A request under way.
pub(super) struct Flight(Arc<Stats>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
