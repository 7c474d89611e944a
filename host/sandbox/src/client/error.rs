//! What can go wrong with a request, for the guest (an answer to branch on) or for the sync (it ends).

use std::error::Error as StdError;

use crate::egress::Denied;
use model::error::{Code, Error};

/// What kept an answer from coming, as the contract names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ErrorKind {
    /// The policy does not let the connector reach that address.
    Denied,
    /// The request cannot be sent as given.
    InvalidRequest,
    /// No connection: name not found, refused, TLS failed.
    Connect,
    /// No answer in time.
    Timeout,
    /// The answer broke off or was no HTTP.
    Protocol,
    /// Too many redirects, one in a circle, or one that cannot be followed.
    Redirect,
    /// The source asked to wait longer than the host waits.
    RateLimited,
}

impl ErrorKind {
    /// As programs read it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::InvalidRequest => "invalid-request",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Redirect => "redirect",
            Self::RateLimited => "rate-limited",
        }
    }
}

/// A failed exchange, to be handed to the guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct HttpError {
    /// The kind, to branch on.
    pub(crate) kind: ErrorKind,
    /// For people: the method, the URL without its query, and what happened.
    pub(crate) message: String,
    /// For [`ErrorKind::RateLimited`]: how long the source asked to wait.
    pub(crate) retry_after_ms: Option<u64>,
}

/// A bound on what a sync may ask and be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Requests,
    RequestBody,
    RequestHeaders,
    RequestHeaderBytes,
    Response,
    Responses,
}

impl Limit {
    /// Its error code, and the name under which it can be changed.
    fn named(self) -> (Code, &'static str) {
        match self {
            Self::Requests => (Code::LimitRequests, "requests"),
            Self::RequestBody => (Code::LimitRequestSize, "request-body-bytes"),
            Self::RequestHeaders => (Code::LimitRequestSize, "request-headers"),
            Self::RequestHeaderBytes => (Code::LimitRequestSize, "request-header-bytes"),
            Self::Response => (Code::LimitResponseSize, "response-bytes"),
            Self::Responses => (Code::LimitResponseSize, "responses-bytes"),
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The guest is told and may go on.
    Exchange(HttpError),
    /// The sync ends: a limit was passed, or the host itself failed (`host-bug`).
    Sync(Error),
}

impl Failure {
    /// A failed exchange; `label` is the method and the URL, `what` what happened to it.
    pub(super) fn new(kind: ErrorKind, label: &str, what: impl AsRef<str>) -> Self {
        let message = format!("{label}: {}", what.as_ref());
        Self::Exchange(HttpError { kind, message, retry_after_ms: None })
    }

    pub(super) fn denied(label: &str, denied: &Denied) -> Self {
        Self::new(ErrorKind::Denied, label, denied.to_string())
    }

    pub(super) fn invalid(label: &str, what: impl AsRef<str>) -> Self {
        Self::new(ErrorKind::InvalidRequest, label, what)
    }

    /// A limit was passed; `failed_to` completes "failed to …" and says by what.
    pub(super) fn limit(limit: Limit, failed_to: impl Into<String>) -> Self {
        let (code, name) = limit.named();
        let message = format!("{} (limit {name})", failed_to.into());
        let hint = format!("Raise it with --limit {name}=… if this connector is to be trusted with more.");
        Self::Sync(Error::new(code, message).hint(hint))
    }

    pub(super) fn bug(failed_to: impl Into<String>) -> Self {
        Self::Sync(Error::new(Code::HostBug, failed_to))
    }

    /// What the HTTP library reports, sorted into our kinds. The library's own words name only the layer it failed in,
    /// so the message is the root cause's.
    pub(super) fn from_library(label: &str, error: &reqwest::Error) -> Self {
        if let Some(denied) = causes(error).find_map(|cause| cause.downcast_ref::<Denied>()) {
            return Self::denied(label, denied);
        }
        let (kind, what) = if error.is_connect() {
            (ErrorKind::Connect, "could not connect")
        } else if error.is_timeout() {
            (ErrorKind::Timeout, "no answer in time")
        } else {
            (ErrorKind::Protocol, "the answer broke off or is no HTTP")
        };
        let root = causes(error).last().map(ToString::to_string);
        match root {
            Some(root) => Self::new(kind, label, format!("{what}: {root}")),
            None => Self::new(kind, label, what),
        }
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}
