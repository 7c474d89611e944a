//! What was said of an error, and the answer behind it.

use std::fmt;
use std::ops::Deref;

use crate::json::{self, Path};
use crate::record::start_of;

/// A message; two are equal where their words are. [`Error`](super::Error) has what else is known.
#[derive(Clone, Default)]
pub struct Problem {
    pub(super) message: String,
    pub(super) answer: Option<Box<Told>>,
}

/// The part of an answer that tells what went wrong.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) code: Option<String>,
}

/// Where sources put a code, the most telling first.
const CODES: [&str; 16] = [
    "/error/code",
    "/error/type",
    "/error/status",
    "/errors/0/code",
    "/errors/0/extensions/code",
    "/errors/0/errorCode",
    "/0/errorCode",
    "code",
    "errorCode",
    "error_code",
    "errcode",
    "/fault/code",
    "error",
    "/errors/0/type",
    "type",
    "status",
];

impl Told {
    pub(super) fn new(status: u16, headers: Vec<(String, String)>, body: String) -> Self {
        let code = code_in_json(&body).or_else(|| code_in_xml(&body));
        Self { status, headers, body, code }
    }
}

/// A word or a number; whole sentences are no codes.
fn code_in_json(body: &str) -> Option<String> {
    let text = |place: &str| json::text(json::search(body, &Path::new(place)).ok()??);
    let is_code = |text: &String| !text.is_empty() && text.len() <= 100 && !text.starts_with(['{', '[']);
    CODES.iter().find_map(|place| text(place).filter(is_code))
}

/// `<Error><Code>NoSuchKey</Code>…`
fn code_in_xml(body: &str) -> Option<String> {
    let lower = body.to_ascii_lowercase();
    let start = lower.find("<code>")? + "<code>".len();
    let length = lower[start..].find("</code>")?;
    Some(start_of(body[start..start + length].trim()).to_owned())
}

impl Deref for Problem {
    type Target = str;

    fn deref(&self) -> &str {
        &self.message
    }
}

impl From<String> for Problem {
    fn from(message: String) -> Self {
        Self { message, answer: None }
    }
}

impl From<&str> for Problem {
    fn from(message: &str) -> Self {
        Self::from(message.to_owned())
    }
}

impl PartialEq for Problem {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message
    }
}

impl Eq for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The message, as a text's.
impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.message, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_where_sources_put_it() {
        let check = |body: &str, code: Option<&str>| {
            assert_eq!(Told::new(400, Vec::new(), body.into()).code.as_deref(), code, "{body}");
        };
        check(r#"{"error":"invalid_grant","error_description":"x"}"#, Some("invalid_grant"));
        check(r#"{"error":{"code":190,"type":"OAuthException"}}"#, Some("190"));
        check(r#"{"errors":[{"code":"NOT_FOUND"}]}"#, Some("NOT_FOUND"));
        check(r#"{"errors":[{"message":"m","extensions":{"code":"THROTTLED"}}]}"#, Some("THROTTLED"));
        check(r#"[{"errorCode":"INVALID_SESSION_ID","message":"m"}]"#, Some("INVALID_SESSION_ID"));
        check(r#"{"type":"https://example.com/out-of-credit","title":"t"}"#, Some("https://example.com/out-of-credit"));
        check("<Error><Code>NoSuchKey</Code></Error>", Some("NoSuchKey"));
        check("Not found", None);
        check("", None);
    }
}
