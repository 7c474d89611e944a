//! Connectors: components that were uploaded, the operator's for everybody and a tenant's own.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;

use super::Shared;
use super::caller::{Caller, Operator, Scope, not_there};
use super::problem::{Problem, Problems};
use super::request::{Answer, ok, read};
use crate::error::{Code, Error, Result};
use crate::guest::{Component, Limits};
use crate::model::Secrecy;
use crate::server::Server;
use crate::server::store::connectors::{self, OPERATOR};
use crate::server::types::{Connector, ConnectorField, Page};

/// Versions of the operator's own.
const SHARED_MAX: u32 = 10_000;

/// The connectors that are there for every tenant, by name, the latest version first.
#[utoipa::path(
    get, path = "/v1/connectors", tag = "connectors", security(("token" = [])),
    responses((status = 200, description = "Up to 1,000 versions.", body = Page<Connector>), Problems)
)]
pub(super) async fn list_shared_connectors(
    _: Caller,
    State(server): State<Shared>,
) -> Result<Answer<Page<Connector>>, Problem> {
    let items = server.store.note(|session| connectors::list(session, OPERATOR, None)).await?;
    Ok(ok(Page { items, next: None }))
}

/// Uploads a connector for every tenant. For operators.
#[utoipa::path(
    post, path = "/v1/connectors", tag = "connectors", security(("token" = [])),
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "The component."),
    responses((status = 201, description = "What it says about itself.", body = Connector), Problems)
)]
pub(super) async fn upload_shared_connector(
    _: Operator,
    State(server): State<Shared>,
    request: Request,
) -> Result<Answer<Connector>, Problem> {
    Ok(upload(&server, OPERATOR, SHARED_MAX, request).await?)
}

/// Removes a version of a shared connector that no connection uses. For operators.
#[utoipa::path(
    delete, path = "/v1/connectors/{connector}/{digest}", tag = "connectors", security(("token" = [])),
    params(("connector" = String, Path, description = "Its name."), ("digest" = String, Path, description = "Its digest.")),
    responses((status = 204, description = "It is gone."), Problems)
)]
pub(super) async fn delete_shared_connector(
    _: Operator,
    State(server): State<Shared>,
    Path((name, digest)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    Ok(delete(&server, OPERATOR.to_owned(), name, digest).await?)
}

/// The connectors that a tenant can use, its own and those for everybody, by name, the latest version first.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/connectors", tag = "connectors", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant.")),
    responses((status = 200, description = "Up to 1,000 versions.", body = Page<Connector>), Problems)
)]
pub(super) async fn list_connectors(
    scope: Scope,
    State(server): State<Shared>,
) -> Result<Answer<Page<Connector>>, Problem> {
    let items = server.store.note(move |session| connectors::list(session, &scope.tenant, None)).await?;
    Ok(ok(Page { items, next: None }))
}

/// Uploads a connector of a tenant's own.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/connectors", tag = "connectors", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant.")),
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "The component."),
    responses((status = 201, description = "What it says about itself.", body = Connector), Problems)
)]
pub(super) async fn upload_connector(
    scope: Scope,
    State(server): State<Shared>,
    request: Request,
) -> Result<Answer<Connector>, Problem> {
    Ok(upload(&server, &scope.tenant, scope.settings.quotas.connectors, request).await?)
}

/// A connector's versions that a tenant can use, the latest first.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/connectors/{connector}", tag = "connectors", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), ("connector" = String, Path, description = "Its name.")),
    responses((status = 200, description = "At least one.", body = Page<Connector>), Problems)
)]
pub(super) async fn get_connector(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, name)): Path<(String, String)>,
) -> Result<Answer<Page<Connector>>, Problem> {
    let items = server.store.note(move |session| connectors::list(session, &scope.tenant, Some(&name))).await?;
    if items.is_empty() {
        return Err(not_there("the connector").into());
    }
    Ok(ok(Page { items, next: None }))
}

/// Removes a version of a tenant's own connector that no connection uses.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/connectors/{connector}/{digest}", tag = "connectors", security(("token" = [])),
    params(
        ("tenant" = String, Path, description = "The tenant."),
        ("connector" = String, Path, description = "Its name."),
        ("digest" = String, Path, description = "Its digest."),
    ),
    responses((status = 204, description = "It is gone."), Problems)
)]
pub(super) async fn delete_connector(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, name, digest)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    Ok(delete(&server, scope.tenant, name, digest).await?)
}

async fn upload(server: &Server, owner: &str, most: u32, request: Request) -> Result<Answer<Connector>> {
    let busy = |_| Error::new(Code::ServerBusy, "take the component: the server is about to end");
    let _turn = server.uploads.acquire().await.map_err(busy)?;
    let limits = Limits::default();
    let bytes = read(request, usize::try_from(limits.component_bytes_max).unwrap_or(usize::MAX)).await?;
    let size = bytes.len() as u64;
    let component = server.components.add(bytes).await?;
    let connector = described(&component, &limits, size, owner).await?;
    let (owner, noted) = (owner.to_owned(), connector.clone());
    server.store.change(move |session| connectors::add(session, &owner, &noted, most)).await?;
    Ok(Answer(StatusCode::CREATED, connector))
}

async fn described(component: &Component, limits: &Limits, bytes: u64, owner: &str) -> Result<Connector> {
    let description = component.describe(limits).await?;
    let field = |field: &crate::model::Field| ConnectorField {
        name: field.name.clone(),
        help: field.help.clone(),
        required: field.required,
        secret: field.secrecy != Secrecy::Plain,
        default: field.default.clone(),
    };
    Ok(Connector {
        name: description.name.clone(),
        version: description.version.clone(),
        digest: component.digest().to_owned(),
        bytes,
        shared: owner == OPERATOR,
        uploaded_at: crate::server::time::text(crate::server::time::now_us()),
        fields: description.fields.iter().map(field).collect(),
        hosts: description.hosts.clone(),
    })
}

async fn delete(server: &Server, owner: String, name: String, digest: String) -> Result<StatusCode> {
    let gone = digest.clone();
    let deleted = server.store.change(move |session| connectors::delete(session, &owner, &name, &digest)).await?;
    match deleted {
        None => Err(not_there("the connector")),
        Some(is_unused) => {
            if is_unused {
                server.components.remove(&gone);
            }
            Ok(StatusCode::NO_CONTENT)
        }
    }
}
