//! What one sync has used of its limits, and what it holds at the moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::Limit;
use super::{Failure, Limits};
use model::error::{Code, Error};

/// The account of one sync.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    requests: AtomicU64,
    received: AtomicU64,
    held: AtomicU64,
    streams: AtomicU64,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let zero = AtomicU64::default;
        Arc::new(Self { limits, requests: zero(), received: zero(), held: zero(), streams: zero() })
    }

    /// Counts a request that is about to be sent.
    pub(super) fn request(&self, label: &str) -> Result<(), Failure> {
        let max = self.limits.requests_max;
        if self.requests.fetch_add(1, Ordering::Relaxed) >= max {
            let failed_to = format!("send {label}: the sync has made {max} requests");
            return Err(Failure::limit(Limit::Requests, failed_to));
        }
        Ok(())
    }

    /// Counts decompressed bytes of an answer that has `total` of them by now.
    pub(super) fn receive(&self, label: &str, bytes: u64, total: u64) -> Result<(), Failure> {
        let max = self.limits.response_bytes_max;
        if total > max {
            let failed_to = format!("read the answer to {label}: it has more than {max} bytes, decompressed");
            return Err(Failure::limit(Limit::Response, failed_to));
        }
        let max = self.limits.responses_bytes_max;
        if self.received.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > max {
            let failed_to = format!("read the answer to {label}: the sync has received {max} bytes, decompressed");
            return Err(Failure::limit(Limit::Responses, failed_to));
        }
        Ok(())
    }

    /// An empty hold.
    pub(super) fn hold(self: &Arc<Self>) -> Held {
        Held { budget: Arc::clone(self), bytes: 0 }
    }

    /// Counts a body that is on its way.
    pub(super) fn stream(self: &Arc<Self>, label: &str) -> Result<OpenStream, Failure> {
        let open = self.streams.fetch_add(1, Ordering::Relaxed);
        let stream = OpenStream(Arc::clone(self));
        let max = u64::from(self.limits.streams_open_max);
        if open >= max {
            // Their number cannot be raised: each holds a connection.
            let failed_to = format!("read the answer to {label}: {max} others are still unread");
            let hint = "The connector's author reads answers or drops them before asking for more.";
            return Err(Failure::Sync(Error::new(Code::LimitHandles, failed_to).hint(hint)));
        }
        Ok(stream)
    }
}

/// Bytes kept for the guest; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Held {
    /// Holds more.
    pub(super) fn grow(&mut self, label: &str, bytes: u64) -> Result<(), Failure> {
        let held = self.budget.held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        let max = self.budget.limits.held_bytes_max;
        if held > max {
            let failed_to =
                format!("keep the bodies of {label} and other requests: together they have more than {max} bytes");
            return Err(Failure::limit(Limit::Response, failed_to));
        }
        Ok(())
    }

    /// Gives everything back.
    pub(super) fn release(&mut self) {
        self.budget.held.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

/// A body on its way.
#[derive(Debug)]
pub(super) struct OpenStream(Arc<Budget>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
