//! Errors as answers: problem details (RFC 9457) with our code, and the status that goes with it.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

use crate::types::ProblemDetails;
use model::error::{Code, Error, Fault};

/// An error on its way to whoever asked.
#[derive(Debug)]
pub(super) struct Problem(pub(super) Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = status(&self.0);
        if status.is_server_error() {
            tracing::error!("{}", self.0.chain());
        }
        with_status(&self.0, status)
    }
}

/// The status of an error.
fn status(error: &Error) -> StatusCode {
    match error.code() {
        Code::RequestInvalid => StatusCode::BAD_REQUEST,
        Code::TokenInvalid => StatusCode::UNAUTHORIZED,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Conflict => StatusCode::CONFLICT,
        Code::LimitComponent => StatusCode::PAYLOAD_TOO_LARGE,
        Code::LimitQuota => StatusCode::TOO_MANY_REQUESTS,
        Code::ServerBusy => StatusCode::SERVICE_UNAVAILABLE,
        Code::StoreFailed | Code::StoreInvalid | Code::KeyInvalid => StatusCode::INTERNAL_SERVER_ERROR,
        code if code.fault() == Fault::Host => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// An error with a status of its own.
pub(super) fn with_status(error: &Error, status: StatusCode) -> Response {
    let details = ProblemDetails {
        r#type: format!("urn:elt:error:{}", error.code()),
        title: error.code().to_string(),
        status: status.as_u16(),
        detail: error.chain(),
        hint: error.advice().map(str::to_owned),
    };
    let body = serde_json::to_vec(&details).unwrap_or_default();
    let mut response = (status, body).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The errors that any request may be answered with, for the document.
pub(super) struct Problems;

impl utoipa::IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let one = |status: &str, description: &str| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemDetails"))).build();
            let response =
                ResponseBuilder::new().description(description).content("application/problem+json", content).build();
            (status.to_owned(), RefOr::T(response))
        };
        BTreeMap::from([
            one("4XX", "The request cannot be done; `title` is the code."),
            one("5XX", "The server cannot do it now."),
        ])
    }
}
