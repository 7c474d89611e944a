//! Reads the answer to a login: a token, perhaps its lifetime and another refresh token.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::http::{Response, protect};
use crate::json::{self, Path};
use crate::record::start_of;

/// Where the answer holds what.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) token: Path,
    pub(super) lifetime: Option<Path>,
    pub(super) refresh: Option<Path>,
}

/// What the source gave out; tokens are the host's placeholders already.
pub(super) struct Granted {
    pub(super) access: String,
    pub(super) lifetime: Option<Duration>,
    pub(super) refresh: Option<String>,
}

impl Granted {
    /// Reads an answer. Its body stays out of every message: it holds tokens.
    pub(super) fn read(answer: Response, fields: &Fields) -> Result<Self> {
        let answer = accepted(answer)?;
        let place = answer.name();
        let body = answer.text()?;
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&body) {
            let line = error.line();
            return Err(Error::source(format_args!("{place}: the answer to the login is no JSON (line {line})")));
        }
        let get = |path: &Path| {
            let value = json::search(&body, path).ok()??;
            json::text(value).filter(|text| !text.is_empty())
        };
        let access = get(&fields.token).ok_or_else(|| no_token(&place, &body, &fields.token))?;
        let seconds = fields.lifetime.as_ref().and_then(get).and_then(|text| text.parse().ok());
        Ok(Self {
            access: protect(&access, &[]),
            // A lifetime of a century is none.
            lifetime: seconds.filter(|seconds| (0.0..3e9).contains(seconds)).map(Duration::from_secs_f64),
            refresh: fields.refresh.as_ref().and_then(get).map(|token| protect(&token, &[])),
        })
    }
}

/// The answer of a source that took the login; what it says in its own words where it refused.
fn accepted(answer: Response) -> Result<Response> {
    if !matches!(answer.status(), 400 | 401 | 403 | 422) {
        return answer.error_for_status();
    }
    let (place, status, headers) = (answer.name(), answer.status(), answer.headers());
    let body = answer.text().unwrap_or_default();
    let reason = reason(&body).unwrap_or_else(|| "without a reason".to_owned());
    let error = Error::authentication(format_args!("{place}: the login was refused, {reason}"));
    Err(error.answered(status, headers, start_of(&body).to_owned()))
}

/// What a server says in its own words: OAuth2's (RFC 6749, 5.2), `invalid_grant: The token was revoked` for instance, or
/// those of others.
fn reason(body: &str) -> Option<String> {
    const WORDS: [&str; 8] =
        ["/error/message", "error", "message", "detail", "/errors/0/message", "/errors/0", "reason", "title"];
    let get = |place| json::text(json::search(body, &Path::new(place)).ok()??);
    let is_said = |text: &String| !text.is_empty() && !text.starts_with(['{', '[']);
    let mut reason = WORDS.into_iter().find_map(|place| get(place).filter(is_said))?;
    if let Some(description) = get("error_description") {
        reason = format!("{reason}: {description}");
    }
    Some(start_of(&reason).to_owned())
}

impl Granted {
    /// Reads the cookies that an answer sets, as they are to be sent.
    pub(super) fn cookies(answer: Response) -> Result<Self> {
        let answer = accepted(answer)?;
        let set = answer.headers().into_iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value);
        let pairs: Vec<String> =
            set.map(|value| value.split(';').next().unwrap_or_default().trim().to_owned()).collect();
        if pairs.is_empty() {
            let place = answer.name();
            let reason = reason(&answer.text().unwrap_or_default()).unwrap_or_else(|| "it set no cookie".to_owned());
            return Err(Error::authentication(format_args!("{place}: the login was refused, {reason}")));
        }
        Ok(Self { access: protect(&pairs.join("; "), &[]), lifetime: None, refresh: None })
    }
}

/// Some servers refuse a login with status 200.
fn no_token(place: &str, body: &str, token: &Path) -> Error {
    match reason(body) {
        Some(reason) => Error::authentication(format_args!("{place}: the login was refused, {reason}")),
        None => Error::source(format_args!("{place}: the answer to the login has no token at `{token}`")),
    }
}
