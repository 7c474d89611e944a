//! What is particular to GraphQL: the form of a question, and errors that come with status 200.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::response::Response;
use crate::error::{Error, Result};
use crate::json::{self, Path};
use crate::record::{Record, start_of};
use crate::warning;

/// A question.
#[derive(Serialize)]
pub(super) struct Body<'a, V: ?Sized> {
    pub(super) query: &'a str,
    pub(super) variables: &'a V,
}

/// One of the errors in an answer.
#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    message: String,
    /// GitHub says here what others say in `extensions.code`.
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    extensions: Option<Extensions>,
}

#[derive(Deserialize)]
struct Extensions {
    #[serde(default)]
    code: Option<String>,
}

/// Says of an error beside data whether the data is good all the same.
pub(super) type Tolerated = fn(&Record) -> bool;

/// Makes an error of the `errors` in an answer, whatever its status. Half an answer is none, its rows would be missing,
/// unless the author knows better.
pub(super) fn judge(answer: &Response, body: &str, tolerated: Tolerated) -> Result<()> {
    let errors = json::search(body, &Path::field("errors")).ok().flatten();
    let Some(errors) = errors.and_then(|errors| serde_json::from_str::<Vec<&RawValue>>(errors.get()).ok()) else {
        return Ok(());
    };
    let data = json::search(body, &Path::field("data")).ok().flatten().is_some_and(|data| data.get() != "null");
    let fatal = errors.iter().find(|&&error| !(data && tolerated(&Record::from(error))));
    if let Some(fatal) = fatal {
        return Err(serde_json::from_str::<Problem>(fatal.get()).unwrap_or_default().error(answer));
    }
    for error in errors {
        warning!("{}: the data comes with an error: {}", answer.name(), start_of(error.get()));
    }
    Ok(())
}

impl Problem {
    /// The error it stands for. There is no list of codes that all servers share; these words are in those they have.
    fn error(&self, answer: &Response) -> Error {
        let code = self.extensions.as_ref().and_then(|extensions| extensions.code.as_deref());
        let code = code.or(self.kind.as_deref()).unwrap_or_default();
        let has = |words: &[&str]| words.iter().any(|word| code.to_ascii_uppercase().contains(word));
        let name = answer.name();
        let message = if code.is_empty() {
            format!("{name}: {}", self.message)
        } else {
            format!("{name}: {code}: {}", self.message)
        };
        if has(&["RATE", "THROTTLE", "MAX_COST"]) {
            Error::rate_limited(message, answer.retry_after())
        } else if has(&["UNAUTH", "AUTHENTICATION", "FORBIDDEN", "ACCESS_DENIED"]) {
            Error::authentication(message)
        } else if has(&["INTERNAL", "TIMEOUT", "TIMED_OUT", "UNAVAILABLE"]) {
            Error::transient(message)
        } else {
            Error::source(message)
        }
    }
}
