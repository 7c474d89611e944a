//! Why a connector could not do what it was asked, sorted by whose fault it is.

mod problem;

use std::char::{CharTryFromError, ParseCharError};
use std::convert::Infallible;
use std::fmt;
use std::num::{ParseFloatError, ParseIntError, TryFromIntError};
use std::str::{ParseBoolError, Utf8Error};
use std::string::FromUtf8Error;
use std::time::Duration;

pub use problem::Problem;
use problem::Told;

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
///
/// One that an answer stands for knows of it, so that a connector can branch:
///
/// ```
/// # use elt_sdk::testing::{self, Answer};
/// use elt_sdk::prelude::*;
///
/// # testing::serve(|_| Answer::status(404).body(r#"{"error": {"code": "GONE", "message": "no such shop"}}"#));
/// # let http = Client::new("https://api.example.com");
/// match http.get("shops/7/orders").page("orders") {
///     Err(error) if error.status() == Some(404) && error.code() == Some("GONE") => info!("shop 7 has left"),
///     orders => info!("{} orders", orders?.len()),
/// }
/// # Ok::<(), Error>(())
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
    Authentication(Problem),
    /// The source asks to be left alone for a while (HTTP 429).
    RateLimited {
        /// What the source said.
        message: Problem,
        /// How long it asked for.
        retry_after: Option<Duration>,
    },
    /// The source could not be reached, or answered with an error that may pass (HTTP 408, 5xx, a cut connection).
    Transient(Problem),
    /// The source answered with something that will not pass by itself (another 4xx, HTML instead of JSON).
    Source(Problem),
    /// The connector's own fault.
    Internal(Problem),
}

impl Error {
    /// The configuration's `field` is wrong.
    pub fn configuration(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self::Configuration { field: Some(field.into()), message: message.to_string() }
    }

    /// The source refused the credentials, also by an answer of status 200.
    pub fn authentication(message: impl fmt::Display) -> Self {
        Self::Authentication(message.to_string().into())
    }

    /// The source asks to be left alone, for `retry_after` if it said for how long.
    pub fn rate_limited(message: impl fmt::Display, retry_after: Option<Duration>) -> Self {
        Self::RateLimited { message: message.to_string().into(), retry_after }
    }

    /// The source failed in a way that may pass.
    pub fn transient(message: impl fmt::Display) -> Self {
        Self::Transient(message.to_string().into())
    }

    /// The source's answer is wrong and will stay so.
    pub fn source(message: impl fmt::Display) -> Self {
        Self::Source(message.to_string().into())
    }

    /// The connector is at fault.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::Internal(message.to_string().into())
    }

    /// The same case, its message led by `what`: "what: message".
    #[must_use]
    pub fn context(self, what: impl fmt::Display) -> Self {
        self.reworded(|message| format!("{what}: {message}"))
    }

    /// The same case with another message.
    pub(crate) fn reworded(mut self, word: impl FnOnce(&str) -> String) -> Self {
        let message = word(self.message());
        match &mut self {
            Self::Configuration { message: own, .. } => *own = message,
            other => {
                if let Some(problem) = other.problem_mut() {
                    problem.message = message;
                }
            }
        }
        self
    }

    /// The same error, which knows the answer that it stands for.
    pub(crate) fn answered(mut self, status: u16, headers: Vec<(String, String)>, body: String) -> Self {
        if let Some(problem) = self.problem_mut() {
            problem.answer = Some(Box::new(Told::new(status, headers, body)));
        }
        self
    }

    /// The message without the case.
    pub fn message(&self) -> &str {
        match self {
            Self::Configuration { message, .. } => message,
            other => other.problem().map_or("", |problem| &problem.message),
        }
    }

    /// The status of the answer that the error stands for; `None` where no answer came, or the status is not the reason.
    pub fn status(&self) -> Option<u16> {
        self.told().map(|told| told.status)
    }

    /// The source's own code for what went wrong, where its answer has one in a usual place: `code`, `error`, `error.code`,
    /// `errors[0].code`, `type` and the like in JSON, `Code` in XML.
    pub fn code(&self) -> Option<&str> {
        self.told()?.code.as_deref()
    }

    /// A header of the answer, its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = &self.told()?.headers;
        headers.iter().find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value.as_str()))
    }

    /// The beginning of the answer's body, a kilobyte at most.
    pub fn body(&self) -> Option<&str> {
        self.told().map(|told| told.body.as_str())
    }

    fn told(&self) -> Option<&Told> {
        self.problem()?.answer.as_deref()
    }

    fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Configuration { .. } => None,
            Self::RateLimited { message: problem, .. }
            | Self::Authentication(problem)
            | Self::Transient(problem)
            | Self::Source(problem)
            | Self::Internal(problem) => Some(problem),
        }
    }

    fn problem_mut(&mut self) -> Option<&mut Problem> {
        match self {
            Self::Configuration { .. } => None,
            Self::RateLimited { message: problem, .. }
            | Self::Authentication(problem)
            | Self::Transient(problem)
            | Self::Source(problem)
            | Self::Internal(problem) => Some(problem),
        }
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

/// Texts that do not parse came from the source: what the user filled in is read by
/// [`Configuration::parse`](crate::configuration::Configuration::parse), which names the field.
macro_rules! of_the_source {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::source(error)
            }
        }
    )*};
}

of_the_source! {
    serde_json::Error, ParseIntError, ParseFloatError, ParseBoolError, ParseCharError, CharTryFromError, TryFromIntError,
    Utf8Error, FromUtf8Error,
}

impl From<fmt::Error> for Error {
    fn from(error: fmt::Error) -> Self {
        Self::internal(error)
    }
}

/// What cannot fail does not.
impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
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
            Error::Authentication(problem) => Self::Authentication(problem.message),
            Error::RateLimited { message, retry_after } => Self::RateLimited(types::RateLimitedError {
                message: message.message,
                retry_after_ms: retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            }),
            Error::Transient(problem) => Self::Transient(problem.message),
            Error::Source(problem) => Self::Source(problem.message),
            Error::Internal(problem) => Self::Internal(problem.message),
        }
    }
}
