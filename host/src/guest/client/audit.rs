//! One event for every exchange with a source: method, host, status, bytes, duration. Never queries, headers, bodies.

use std::time::Instant;

use super::ErrorKind;
use super::request::Hop;
use super::stats::milliseconds;
use crate::guest::egress::Target;

/// An exchange under way; its event is written when it is dropped, when the answer has been read or given up.
pub(super) struct Audit {
    method: reqwest::Method,
    host: String,
    started: Instant,
    status: Option<u16>,
    bytes: u64,
    error: Option<ErrorKind>,
}

impl Audit {
    pub(super) fn start(hop: &Hop, target: &Target) -> Self {
        Self {
            method: hop.method.clone(),
            host: target.to_string(),
            started: Instant::now(),
            status: None,
            bytes: 0,
            error: None,
        }
    }

    pub(super) fn answered(&mut self, status: u16) {
        self.status = Some(status);
    }

    pub(super) fn count(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    pub(super) fn failed(&mut self, error: ErrorKind) {
        self.error = Some(error);
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        tracing::debug!(
            method = %self.method,
            host = %self.host,
            status = self.status,
            bytes = self.bytes,
            duration_ms = milliseconds(self.started.elapsed()),
            error = self.error.map(tracing::field::debug),
            "http exchange"
        );
    }
}
