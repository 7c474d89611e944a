//! Why a connector could not do what it was asked, sorted by whose fault it is.

use std::fmt;
use std::time::Duration;

use crate::bindings::elt::connector::types;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The case decides what the host does: whether it tries again, what it tells the operator, how it exits. Messages
/// complete "failed to …" and never hold a secret.
///
/// ```
/// use elt_sdk::Error;
///
/// let error = "12x".parse::<u32>().map_err(Error::source).unwrap_err();
/// assert_eq!(error, Error::Source("invalid digit found in string".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The user's configuration is wrong: nothing will change until it does.
    Configuration {
        /// The field at fault, where there is one.
        field: Option<String>,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The source refused the credentials (HTTP 401, 403).
    Authentication(String),
    /// The source asks to be left alone for a while (HTTP 429).
    RateLimited {
        /// What the source said.
        message: String,
        /// How long it asked for.
        retry_after: Option<Duration>,
    },
    /// The source could not be reached, or answered with an error that may pass (HTTP 408, 5xx, a cut connection).
    Transient(String),
    /// The source answered with something that will not pass by itself (another 4xx, HTML instead of JSON).
    Source(String),
    /// The connector's own fault.
    Internal(String),
}

impl Error {
    /// The configuration's `field` is wrong.
    pub fn configuration(field: &str, message: impl fmt::Display) -> Self {
        Self::Configuration { field: Some(field.to_owned()), message: message.to_string() }
    }

    /// The source refused the credentials.
    pub fn authentication(message: impl fmt::Display) -> Self {
        Self::Authentication(message.to_string())
    }

    /// The source asks to be left alone, for `retry_after` if it said for how long.
    pub fn rate_limited(message: impl fmt::Display, retry_after: Option<Duration>) -> Self {
        Self::RateLimited { message: message.to_string(), retry_after }
    }

    /// The source failed in a way that may pass.
    pub fn transient(message: impl fmt::Display) -> Self {
        Self::Transient(message.to_string())
    }

    /// The source's answer is wrong and will stay so.
    pub fn source(message: impl fmt::Display) -> Self {
        Self::Source(message.to_string())
    }

    /// The connector is at fault.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::Internal(message.to_string())
    }

    /// The same case, its message led by `what`: "what: message".
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        let (Self::Configuration { message, .. }
        | Self::RateLimited { message, .. }
        | Self::Authentication(message)
        | Self::Transient(message)
        | Self::Source(message)
        | Self::Internal(message)) = &mut self;
        *message = format!("{what}: {message}");
        self
    }

    /// The message without the case.
    pub fn message(&self) -> &str {
        let (Self::Configuration { message, .. }
        | Self::RateLimited { message, .. }
        | Self::Authentication(message)
        | Self::Transient(message)
        | Self::Source(message)
        | Self::Internal(message)) = self;
        message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration { field: Some(field), message } => {
                write!(f, "configuration field `{field}`: {message}")
            }
            other => f.write_str(other.message()),
        }
    }
}

impl std::error::Error for Error {}

/// A text that does not parse, or parses into another shape, came from the source.
impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::source(error)
    }
}

/// Reading a [`Response`](crate::http::Response) through [`std::io::Read`] gives back the error it wrapped.
impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(other) => Self::transient(other),
        }
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Configuration { field, message } => {
                Self::Configuration(types::ConfigurationError { field, message })
            }
            Error::Authentication(message) => Self::Authentication(message),
            Error::RateLimited { message, retry_after } => Self::RateLimited(types::RateLimitedError {
                message,
                retry_after_ms: retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            }),
            Error::Transient(message) => Self::Transient(message),
            Error::Source(message) => Self::Source(message),
            Error::Internal(message) => Self::Internal(message),
        }
    }
}
