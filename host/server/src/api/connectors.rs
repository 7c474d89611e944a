//! Connectors: components that were uploaded, the operator's for everybody and a tenant's own.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;

use super::Shared;
use super::caller::{Caller, Operator, Scope, not_there};
use super::problem::{Problem, Problems};
use super::request::{Answer, Asked, Part, ok, page, read};
use crate::store::Session;
use crate::store::connectors::{self, OPERATOR};
use crate::types::{Connector, ConnectorField, Page};
use crate::{Server, components};
use model::Secrecy;
use model::error::{Code, Error, Result};
use sandbox::{Component, Limits};

/// Versions of the operator's own.
const SHARED_MAX: u32 = 10_000;

/// The connectors that are there for every tenant, by name, the latest version first.
#[utoipa::path(
    get, path = "/v1/connectors", tag = "connectors", params(Part), security(("token" = [])),
    responses((status = 200, description = "A part of the list.", body = Page<Connector>), Problems)
)]
pub(super) async fn list_shared_connectors(
    _: Caller,
    State(server): State<Shared>,
    Asked(part): Asked<Part>,
) -> Result<Answer<Page<Connector>>, Problem> {
    Ok(ok(list(&server, OPERATOR.to_owned(), None, &part).await?))
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
    params(("tenant" = String, Path, description = "The tenant."), Part),
    responses((status = 200, description = "A part of the list.", body = Page<Connector>), Problems)
)]
pub(super) async fn list_connectors(
    scope: Scope,
    State(server): State<Shared>,
    Asked(part): Asked<Part>,
) -> Result<Answer<Page<Connector>>, Problem> {
    Ok(ok(list(&server, scope.tenant, None, &part).await?))
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
    params(
        ("tenant" = String, Path, description = "The tenant."),
        ("connector" = String, Path, description = "Its name."),
        Part,
    ),
    responses((status = 200, description = "A part of the list; of the first one, at least one version.", body = Page<Connector>), Problems)
)]
pub(super) async fn get_connector(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, name)): Path<(String, String)>,
    Asked(part): Asked<Part>,
) -> Result<Answer<Page<Connector>>, Problem> {
    let versions = list(&server, scope.tenant, Some(name), &part).await?;
    if versions.items.is_empty() && part.after().is_empty() {
        return Err(not_there("the connector").into());
    }
    Ok(ok(versions))
}

async fn list(server: &Server, owner: String, name: Option<String>, part: &Part) -> Result<Page<Connector>> {
    let (limit, after) = (part.look_for()?, connectors::Place::parse(&part.after()));
    let work = move |session: &Session<'_>| connectors::list(session, (&owner, name.as_deref()), &after, limit);
    let Page { items, next } = page(server.store.note(work).await?, limit, |(place, _)| place.to_string());
    Ok(Page { items: items.into_iter().map(|(_, connector)| connector).collect(), next })
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

async fn upload(server: &Shared, owner: &str, most: u32, request: Request) -> Result<Answer<Connector>> {
    // An operator is trusted with as many as there can be.
    let _own = if owner == OPERATOR { None } else { Some(server.uploads_of_one.enter(owner)?) };
    let busy = |_| Error::new(Code::ServerBusy, "take the component: the server is about to end");
    let _turn = server.uploads.acquire().await.map_err(busy)?;
    let limits = for_a_look(&Limits::default());
    let bytes = read(request, usize::try_from(limits.component_bytes_max).unwrap_or(usize::MAX)).await?;
    let size = bytes.len() as u64;
    let upload = server.components.take_in(bytes).await?;
    let connector = described(&upload.component, &limits, size, owner).await?;
    let (server, owner, noted) = (Arc::clone(server), owner.to_owned(), connector.clone());
    let store = server.store.clone();
    let work = move |session: &Session<'_>| {
        connectors::add(session, &owner, &noted, most)?;
        server.components.keep(&upload)
    };
    store.change(work).await?;
    Ok(Answer(StatusCode::CREATED, connector))
}

/// How long a connector may take to say what it is, or whether its source can be reached: somebody waits for it.
const LOOK_MAX: Duration = Duration::from_mins(1);

/// The limits of a sync, for a short look at its connector.
pub(super) fn for_a_look(limits: &Limits) -> Limits {
    Limits { wall_max: limits.wall_max.min(LOOK_MAX), ..limits.clone() }
}

async fn described(component: &Component, limits: &Limits, bytes: u64, owner: &str) -> Result<Connector> {
    let description = component.describe(limits).await?;
    let field = |field: &model::Field| ConnectorField {
        name: field.name.clone(),
        help: field.help.clone(),
        required: field.required,
        secret: field.secrecy != Secrecy::Plain,
        default: field.default.clone(),
        hosts: field.hosts.clone(),
    };
    Ok(Connector {
        name: description.name.clone(),
        version: description.version.clone(),
        digest: component.digest().to_owned(),
        bytes,
        shared: owner == OPERATOR,
        uploaded_at: crate::time::text(crate::time::now_us()),
        fields: description.fields.iter().map(field).collect(),
        hosts: description.hosts.clone(),
    })
}

async fn delete(server: &Shared, owner: String, name: String, digest: String) -> Result<StatusCode> {
    let gone = digest.clone();
    if !server.store.change(move |session| connectors::delete(session, &owner, &name, &digest)).await? {
        return Err(not_there("the connector"));
    }
    components::forget(server, vec![gone]).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_short_whatever_a_sync_may_take() {
        let wall = |wall_max: Duration| for_a_look(&Limits { wall_max, ..Limits::default() }).wall_max;
        assert_eq!(wall(Duration::from_hours(6)), LOOK_MAX);
        assert_eq!(wall(Duration::from_secs(5)), Duration::from_secs(5));
    }
}
