//! An answer of the source before it becomes an HTTP response: status and body in parts.

use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::json;

/// What the source answers.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Header fields; without a content type it is JSON.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The body; its parts follow each other.
    pub(super) parts: Vec<Bytes>,
    /// How many records are in it.
    pub(super) records: u64,
}

impl Answer {
    pub(super) fn ok(parts: Vec<Bytes>, records: u64) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), parts, records }
    }

    pub(super) fn json(body: impl Into<serde_json::Value>) -> Self {
        Self::ok(vec![body.into().to_string().into()], 0)
    }

    pub(super) fn text(body: impl Into<String>, content_type: &str) -> Self {
        Self::ok(vec![body.into().into()], 0).with_header("content-type", content_type)
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// An error as JSON, with a code for programs and a sentence for people.
    pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        Self::json(json!({"error": {"code": code, "message": message}})).with_status(status)
    }

    pub(super) fn bad_request(message: &str) -> Self {
        Self::error(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// The body in one piece.
    pub(super) fn whole(&self) -> Vec<u8> {
        self.parts.concat()
    }
}

/// The parameters of a query.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A number within bounds, or the default where the parameter is absent.
    pub(super) fn number(&self, name: &str, default: u64, least: u64, most: u64) -> Result<u64, Answer> {
        let Some(text) = self.get(name) else { return Ok(default) };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => Err(Answer::bad_request(&format!("{name} must be a number from {least} to {most}, not {text:?}"))),
        }
    }
}
