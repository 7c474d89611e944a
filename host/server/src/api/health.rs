//! About the server: whether it lives, whether it takes work, its numbers, and whom a token speaks for.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::caller::{Caller, Operator};
use super::problem::{Problem, Problems};
use super::request::{Answer, ok};
use crate::types::Identity;
use model::error::{Code, Error};

/// The server lives.
#[utoipa::path(get, path = "/healthz", tag = "server", responses((status = 200, description = "It does.")))]
pub(super) async fn alive() -> StatusCode {
    StatusCode::OK
}

/// The server takes work: its store answers, and it does not drain.
#[utoipa::path(get, path = "/readyz", tag = "server", responses((status = 200, description = "It does."), Problems))]
pub(super) async fn ready(State(server): State<Shared>) -> Result<StatusCode, Problem> {
    if server.scheduler.is_draining() {
        return Err(Error::new(Code::ServerBusy, "take more work: the server is about to end").into());
    }
    server.store.note(|_| Ok(())).await?;
    Ok(StatusCode::OK)
}

/// The server's numbers, for Prometheus. For operators.
#[utoipa::path(
    get, path = "/metrics", tag = "server", security(("token" = [])),
    responses((status = 200, description = "The numbers.", body = String, content_type = "text/plain"), Problems)
)]
pub(super) async fn metrics(_: Operator, State(server): State<Shared>) -> Response {
    let text = server.metrics.text(&server.scheduler.now());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Whom the token speaks for.
#[utoipa::path(
    get, path = "/v1/identity", tag = "server", security(("token" = [])),
    responses((status = 200, description = "Who it is.", body = Identity), Problems)
)]
pub(super) async fn identity(caller: Caller) -> Answer<Identity> {
    ok(Identity { tenant: caller.tenant, version: env!("CARGO_PKG_VERSION").to_owned() })
}
