//! Tells of every exchange with a source: method, place, status, bytes, duration. Never queries, headers, bodies.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use url::Url;

use super::request::Hop;
use super::stats::milliseconds;
use super::{Failure, Shared, Stats, Watch};

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
    /// What went wrong: `denied`, `connect`, `timeout` and the like, the code of the limit that ended it, or `cancelled`.
    pub error: Option<&'static str>,
}

/// An exchange under way; it is told when this is dropped, when the answer has been read or given up.
pub(super) struct Audit {
    watch: Arc<dyn Watch>,
    stats: Arc<Stats>,
    started: Instant,
    exchange: Exchange,
    is_complete: bool,
}

impl Audit {
    pub(super) fn start(hop: &Hop, shared: &Shared) -> Self {
        let exchange = Exchange {
            at: SystemTime::now(),
            method: hop.method.to_string(),
            place: place(&hop.url),
            status: None,
            bytes: 0,
            duration: Duration::ZERO,
            error: None,
        };
        let (watch, stats) = (Arc::clone(&shared.watch), Arc::clone(&shared.stats));
        Self { watch, stats, started: Instant::now(), exchange, is_complete: false }
    }

    pub(super) fn answered(&mut self, status: u16) {
        self.exchange.status = Some(status);
    }

    pub(super) fn count(&mut self, bytes: u64) {
        self.exchange.bytes += bytes;
    }

    /// The body was read to its end.
    pub(super) fn completed(&mut self) {
        self.is_complete = true;
    }

    pub(super) fn failed(&mut self, failure: &Failure) {
        self.exchange.error = Some(match failure {
            Failure::Exchange(error) => error.kind.as_str(),
            Failure::Sync(error) => error.code().as_str(),
        });
    }

    /// What cut it off, where nothing of its own went wrong. An answer that the guest left unread is none.
    fn cut_off_by(&self) -> Option<&'static str> {
        let limit = self.stats.ended_by().filter(|_| !self.is_complete);
        limit.or_else(|| self.exchange.status.is_none().then_some("cancelled"))
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
        self.exchange.error = self.exchange.error.or_else(|| self.cut_off_by());
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
