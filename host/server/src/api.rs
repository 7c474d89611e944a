//! The API: routes, who may use them, and the document that describes them, all from the same handlers.

mod caller;
mod connections;
mod connectors;
mod health;
mod listen;
mod problem;
mod request;
mod stream;
mod syncs;
mod tenants;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::problem::Problem;
use super::Server;
use model::error::{Code, Error};

type Shared = Arc<Server>;

/// How long a request may take to be answered, and its body to come; streams begin within it.
const ANSWER_MAX: Duration = Duration::from_mins(5);

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "elt host", description = "Syncs the connections of many tenants. Errors are problem details (RFC 9457)."),
    tags(
        (name = "tenants", description = "For operators: who there is, and what each may use."),
        (name = "tokens", description = "What requests are made with."),
        (name = "connectors", description = "Components that were uploaded."),
        (name = "connections", description = "A connector with its configuration, destination and schedule."),
        (name = "syncs", description = "Runs of connections."),
        (name = "server", description = "About the server.")
    ),
    components(schemas(super::types::ProblemDetails))
)]
struct Document;

fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(health::identity))
        .routes(routes!(tenants::list_tenants))
        .routes(routes!(tenants::get_tenant, tenants::put_tenant, tenants::delete_tenant))
        .routes(routes!(tenants::list_tokens, tenants::create_token))
        .routes(routes!(tenants::delete_token))
        .routes(routes!(connectors::list_shared_connectors, connectors::upload_shared_connector))
        .routes(routes!(connectors::delete_shared_connector))
        .routes(routes!(connectors::list_connectors, connectors::upload_connector))
        .routes(routes!(connectors::get_connector))
        .routes(routes!(connectors::delete_connector))
        .routes(routes!(connections::list_connections))
        .routes(routes!(connections::get_connection, connections::put_connection, connections::delete_connection))
        .routes(routes!(connections::start_connection))
        .routes(routes!(connections::pause_connection))
        .routes(routes!(connections::resume_connection))
        .routes(routes!(connections::check_connection))
        .routes(routes!(syncs::list_syncs))
        .routes(routes!(syncs::get_sync))
        .routes(routes!(syncs::cancel_sync))
        .routes(routes!(syncs::get_report))
        .routes(routes!(syncs::get_log))
        .routes(routes!(stream::follow_sync))
}

/// The document that describes the API (OpenAPI 3.1), as JSON.
pub fn openapi() -> String {
    let (_, mut document) = routes().split_for_parts();
    complete(&mut document);
    document.to_pretty_json().unwrap_or_default() + "\n"
}

fn complete(document: &mut OpenApi) {
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    document.components.get_or_insert_default().add_security_scheme("token", bearer);
}

/// Answers requests until the task is aborted.
pub(super) async fn answer(server: Shared, listener: TcpListener) {
    let (router, _) = routes().split_for_parts();
    let router: Router = router
        .fallback(nothing_there)
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&server), watch))
        .with_state(server);
    listen::listen(listener, router, listen::Bounds::default()).await;
}

/// Counts answers, and does not wait for what takes too long. Each request is a task of its own, which ends what it began
/// also when its client has gone: nothing is left between a change of the store and what has to follow it.
async fn watch(State(server): State<Shared>, request: Request, next: Next) -> Response {
    let method = method_name(request.method());
    let slot = request.extensions().get::<listen::Slot>().cloned();
    let answering = tokio::spawn(async move {
        let response = next.run(request).await;
        drop(slot);
        response
    });
    let response = match tokio::time::timeout(ANSWER_MAX, answering).await {
        Ok(Ok(response)) => response,
        Ok(Err(panicked)) => {
            Problem(Error::new(Code::HostBug, "answer: it panicked").because(panicked)).into_response()
        }
        Err(_) => Problem(Error::new(Code::ServerBusy, format!("answer within {ANSWER_MAX:?}"))).into_response(),
    };
    server.metrics.answered(method, response.status().as_u16());
    response
}

/// A method's name for the metrics: whatever is made up counts as one.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

async fn nothing_there() -> Problem {
    Problem(Error::new(Code::NotFound, "find this address").hint("docs/reference/openapi.json lists what there is."))
}

async fn not_allowed() -> Response {
    let error = Error::new(Code::RequestInvalid, "use this method here");
    problem::with_status(&error, axum::http::StatusCode::METHOD_NOT_ALLOWED)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_in_the_repository_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json");
        let current = super::openapi();
        if std::fs::read_to_string(path).ok().as_deref() != Some(current.as_str()) {
            let written = std::env::temp_dir().join("openapi.json");
            std::fs::write(&written, current).unwrap();
            panic!("docs/reference/openapi.json is not what the handlers say; copy it from {}", written.display());
        }
    }
}
