//! Bounds, times and names of one sync's HTTP client, with their defaults.

use std::time::Duration;

use super::{Pacing, retry};
use crate::{Limits as GuestLimits, Secrets};
use model::{Description, RateLimit};

/// Everything about a client that is decided before its first request.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The `User-Agent` of requests that bring none.
    pub(crate) user_agent: String,
    /// Bounds on number and size.
    pub(crate) limits: Limits,
    /// Bounds on time.
    pub(crate) timing: Timing,
    /// When and how often a request is tried again.
    pub(crate) retry: retry::Options,
    /// How often the source may be asked.
    pub(crate) rate_limits: Vec<RateLimit>,
    /// What is shared with other syncs.
    pub(crate) pacing: Pacing,
    /// What is put into requests and hidden in answers.
    pub(crate) secrets: Secrets,
}

impl Settings {
    /// The defaults for a connector, within the limits of its sandbox.
    pub(crate) fn new(connector: &Description, limits: &GuestLimits, secrets: Secrets) -> Self {
        let user_agent = format!("elt-host/{} {}/{}", env!("CARGO_PKG_VERSION"), connector.name, connector.version);
        Self {
            user_agent,
            limits: limits.into(),
            timing: limits.into(),
            retry: retry::Options::default(),
            rate_limits: connector.rate_limits.clone(),
            pacing: Pacing::default(),
            secrets,
        }
    }
}

/// Bounds on number and size. Passing one ends the sync, but for `in_flight_max` (more wait) and `redirects_max` (an
/// error that the guest is told).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "each is a bound and says so, as everywhere in this crate")]
pub(crate) struct Limits {
    /// Requests of a sync, retries and redirects included.
    pub(crate) requests_max: u64,
    /// Requests under way at one time.
    pub(crate) in_flight_max: u32,
    /// Header fields of a request.
    pub(crate) request_headers_max: usize,
    /// Bytes of a request's URL, query and header fields together.
    pub(crate) request_header_bytes_max: usize,
    /// Bytes of a request's body.
    pub(crate) request_body_bytes_max: u64,
    /// Bytes of one answer, decompressed.
    pub(crate) response_bytes_max: u64,
    /// Bytes of all answers of a sync, decompressed.
    pub(crate) responses_bytes_max: u64,
    /// Bytes of bodies that the host keeps for the guest at one time: requests that wait, answers read ahead.
    pub(crate) held_bytes_max: u64,
    /// Answers whose bodies are still on their way, at one time: each holds a connection.
    pub(crate) streams_open_max: u32,
    /// Redirects followed for one request.
    pub(crate) redirects_max: usize,
}

impl From<&GuestLimits> for Limits {
    fn from(limits: &GuestLimits) -> Self {
        Self {
            requests_max: limits.requests_max,
            in_flight_max: limits.requests_in_flight_max.max(1),
            request_headers_max: limits.request_headers_max as usize,
            request_header_bytes_max: usize::try_from(limits.request_header_bytes_max).unwrap_or(usize::MAX),
            request_body_bytes_max: limits.request_body_bytes_max,
            response_bytes_max: limits.response_bytes_max,
            responses_bytes_max: limits.responses_bytes_max,
            // One answer of the largest size, and what is read ahead of the others.
            held_bytes_max: limits.response_bytes_max.saturating_add(32 * 1024 * 1024),
            streams_open_max: 256,
            redirects_max: 10,
        }
    }
}

/// Bounds on time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    /// One attempt, from its start to the first byte of the answer, unless the request says otherwise.
    pub(crate) answer: Duration,
    /// Resolving, connecting and the TLS handshake.
    pub(crate) connect: Duration,
    /// The longest silence within a body.
    pub(crate) silence: Duration,
    /// How much of waiting for a body is looked at together, to find sources that trickle.
    pub(crate) trickle_window: Duration,
    /// The fewest bytes within such a window.
    pub(crate) trickle_bytes_min: u64,
    /// How long a connection is kept without a request.
    pub(crate) idle: Duration,
}

impl From<&GuestLimits> for Timing {
    fn from(limits: &GuestLimits) -> Self {
        Self {
            answer: limits.silence_max,
            connect: limits.silence_max.min(Duration::from_secs(15)),
            silence: limits.silence_max,
            trickle_window: Duration::from_mins(1),
            trickle_bytes_min: limits.bytes_per_minute_min,
            idle: Duration::from_mins(1),
        }
    }
}
