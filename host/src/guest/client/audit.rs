//! Tells of every exchange with a source: method, place, status, bytes, duration. Never queries, headers, bodies.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use url::Url;

use super::request::Hop;
use super::stats::milliseconds;
use super::{ErrorKind, Watch};

/// One request that left, or was refused, and what came of it. Redirects and retries are exchanges of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// When it began.
    pub at: SystemTime,
    /// The method, in capitals.
    pub method: String,
    /// `https://api.example.com:443`; never a path or a query.
    pub place: String,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// Bytes of the answer's body, decompressed.
    pub bytes: u64,
    /// From its beginning until the body was read or given up.
    pub duration: Duration,
    /// What went wrong: `denied`, `connect`, `timeout` and the like, or `cancelled`.
    pub error: Option<&'static str>,
}

/// An exchange under way; it is told when this is dropped, when the answer has been read or given up.
pub(super) struct Audit {
    watch: Arc<dyn Watch>,
    started: Instant,
    exchange: Exchange,
}

impl Audit {
    pub(super) fn start(hop: &Hop, watch: &Arc<dyn Watch>) -> Self {
        let exchange = Exchange {
            at: SystemTime::now(),
            method: hop.method.to_string(),
            place: place(&hop.url),
            status: None,
            bytes: 0,
            duration: Duration::ZERO,
            error: None,
        };
        Self { watch: Arc::clone(watch), started: Instant::now(), exchange }
    }

    pub(super) fn answered(&mut self, status: u16) {
        self.exchange.status = Some(status);
    }

    pub(super) fn count(&mut self, bytes: u64) {
        self.exchange.bytes += bytes;
    }

    pub(super) fn failed(&mut self, error: ErrorKind) {
        self.exchange.error = Some(error.as_str());
    }
}

/// Scheme, host and port of a URL.
fn place(url: &Url) -> String {
    let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.exchange.duration = self.started.elapsed();
        if self.exchange.status.is_none() && self.exchange.error.is_none() {
            self.exchange.error = Some("cancelled");
        }
        let Exchange { method, place, status, bytes, duration, error, .. } = &self.exchange;
        tracing::debug!(
            method = %method,
            host = %place,
            status,
            bytes,
            duration_ms = milliseconds(*duration),
            error,
            "http exchange"
        );
        self.watch.exchanged(&self.exchange);
    }
}
