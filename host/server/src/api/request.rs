//! What a request brings, read within bounds: JSON bodies, bytes, queries, parts of a list.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::problem::Problem;
use super::{ANSWER_MAX, Shared};
use crate::types::Page;
use model::error::{Code, Error, Result};

/// Bytes of a JSON body.
const JSON_BYTES_MAX: usize = 1 << 20;
/// Items of a part of a list, unless asked otherwise and at most.
const PART: usize = 100;
const PART_MAX: usize = 1_000;

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, Problem> {
        let bytes = read(request, JSON_BYTES_MAX).await?;
        parse(&bytes).map(Self)
    }
}

/// A JSON body that may be left out: then the default.
pub(super) struct MaybeJson<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<Shared> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, Problem> {
        let bytes = read(request, JSON_BYTES_MAX).await?;
        if bytes.is_empty() { Ok(Self(T::default())) } else { parse(&bytes).map(Self) }
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let invalid = |error: serde_json::Error| {
        Problem(
            Error::new(Code::RequestInvalid, "understand the body of the request")
                .hint("docs/reference/openapi.json says what it looks like.")
                .because(error),
        )
    };
    serde_json::from_slice(bytes).map_err(invalid)
}

/// The whole body, if it is no longer than `most` and comes in time.
pub(super) async fn read(request: Request, most: usize) -> Result<Bytes> {
    let whole = tokio::time::timeout(ANSWER_MAX, axum::body::to_bytes(request.into_body(), most)).await;
    let late = |_| Error::new(Code::RequestInvalid, format!("read the body within {ANSWER_MAX:?}"));
    whole.map_err(late)?.map_err(|_| {
        Error::new(Code::LimitComponent, format!("read the body: it broke off, or has more than {most} bytes"))
            .hint("Send less at once; components have their limit, too (component-bytes).")
    })
}

/// What stands behind the `?` of an address.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        let Query(asked) = Query::try_from_uri(&parts.uri).map_err(|error| {
            Problem(Error::new(Code::RequestInvalid, "understand the query of the address").because(error))
        })?;
        Ok(Self(asked))
    }
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// How many items; by default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the part before.
    after: Option<String>,
}

impl Part {
    /// How many items to look for: one more than are shown, so that it is known whether there are more.
    pub(super) fn look_for(&self) -> Result<usize> {
        look_for(self.limit)
    }

    pub(super) fn after(&self) -> String {
        self.after.clone().unwrap_or_default()
    }
}

/// The same for a bare limit.
pub(super) fn look_for(limit: Option<usize>) -> Result<usize> {
    match limit.unwrap_or(PART) {
        limit @ 1..=PART_MAX => Ok(limit + 1),
        _ => Err(Error::new(Code::RequestInvalid, format!("list so many at once: 1 to {PART_MAX} are possible"))),
    }
}

/// A part of a list out of what was found, looking for one more.
pub(super) fn page<T>(mut found: Vec<T>, looked_for: usize, key: impl Fn(&T) -> String) -> Page<T> {
    let more = found.len() >= looked_for;
    if more {
        found.pop();
    }
    let next = found.last().filter(|_| more).map(key);
    Page { items: found, next }
}

/// An answer in JSON.
pub(super) struct Answer<T>(pub(super) StatusCode, pub(super) T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.1) {
            Ok(body) => (self.0, [("content-type", "application/json")], body).into_response(),
            Err(error) => Problem(Error::new(Code::HostBug, "write an answer").because(error)).into_response(),
        }
    }
}

/// What most answers are.
pub(super) fn ok<T>(value: T) -> Answer<T> {
    Answer(StatusCode::OK, value)
}
