//! What went wrong with an exchange, as an error that says whose fault it is.

use std::time::{Duration, SystemTime};

use super::url;
use crate::bindings::elt::connector::http::{self as wit, ErrorKind, Method};
use crate::error::Error;
use crate::imports;
use crate::time;

/// An exchange that brought no answer. Messages are the host's and name method and URL.
pub(super) fn from_exchange(error: wit::Error) -> Error {
    let wit::Error { kind, message, retry_after_ms } = error;
    match kind {
        ErrorKind::Denied => Error::Configuration { field: None, message },
        ErrorKind::InvalidRequest => Error::internal(message),
        ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Protocol => Error::transient(message),
        ErrorKind::Redirect => Error::source(message),
        ErrorKind::RateLimited => Error::rate_limited(message, retry_after_ms.map(Duration::from_millis)),
    }
}

/// An answer with an error status.
pub(super) fn from_status(status: u16, message: String, retry_after: impl FnOnce() -> Option<Duration>) -> Error {
    match status {
        401 | 403 => Error::authentication(message),
        429 => Error::rate_limited(message, retry_after()),
        408 | 500..=599 => Error::transient(message),
        _ => Error::source(message),
    }
}

/// `GET https://api.example.com/people: status 404`; the query may hold secrets and stays out.
pub(crate) fn name(method: Method, url: &str, status: u16) -> String {
    format!("{} {}: status {status}", method_name(method), url::without_query(url))
}

/// RFC 9110: seconds, or a date; a date in the past is no wait.
pub(super) fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = time::parse_http_date(value)?;
    let now = imports::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Some(Duration::from_secs(u64::try_from(until).ok()?).saturating_sub(now))
}

pub(crate) fn method_name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
        Method::Options => "OPTIONS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(" 120 "), Some(Duration::from_mins(2)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert!(retry_after("Fri, 31 Dec 9999 23:59:59 GMT").is_some_and(|wait| wait.as_secs() > 1_000_000));
        assert_eq!(retry_after("soon"), None);
        assert_eq!(retry_after("-1"), None);
    }

    #[test]
    fn an_error_status_says_whose_fault_it_is() {
        let error = |status| from_status(status, "m".to_owned(), || None);
        assert_eq!(error(401), Error::authentication("m"));
        assert_eq!(error(403), Error::authentication("m"));
        assert_eq!(error(429), Error::rate_limited("m", None));
        assert_eq!(error(408), Error::transient("m"));
        assert_eq!(error(503), Error::transient("m"));
        assert_eq!(error(404), Error::source("m"));
        assert_eq!(error(422), Error::source("m"));
    }
}
