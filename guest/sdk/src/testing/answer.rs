//! What a source answers in a test.

use std::fmt;

use crate::bindings::elt::connector::http::{Error, ErrorKind};

/// An answer, or a failed exchange, put together call by call.
#[derive(Clone)]
pub struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) failure: Option<Error>,
    /// Whether a header says how long the body is.
    pub(crate) says_length: bool,
}

impl Answer {
    /// Status 200 and this JSON text.
    pub fn json(text: impl Into<String>) -> Self {
        Self::status(200).header("content-type", "application/json").body(text.into())
    }

    /// A status, without headers and body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), failure: None, says_length: true }
    }

    /// No answer: the connection failed.
    pub fn disconnect() -> Self {
        let message = "the connection failed".to_owned();
        let failure = Some(Error { kind: ErrorKind::Connect, message, retry_after_ms: None });
        Self { failure, ..Self::status(0) }
    }

    /// No answer: the host lets no request through to there.
    pub fn denied(message: impl fmt::Display) -> Self {
        let failure = Some(Error { kind: ErrorKind::Denied, message: message.to_string(), retry_after_ms: None });
        Self { failure, ..Self::status(0) }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = bytes.into();
        self
    }

    /// No header says how long the body is: it ends where the connection does.
    #[must_use]
    pub fn without_length(mut self) -> Self {
        self.says_length = false;
        self
    }
}
