//! Tenants and their tokens.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::caller::{Operator, Scope, not_there};
use super::problem::{Problem, Problems};
use super::request::{Answer, Asked, Json, MaybeJson, Part, ok, page};
use crate::store::{connectors, tenants, tokens};
use crate::types::{Action, Change, NewToken, Page, Tenant, TenantSettings, Token};
use crate::{components, settings};
use model::error::{Code, Error};

/// Whether a put is only planned.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    /// Only say what would change.
    #[serde(default)]
    pub(super) plan: bool,
}

/// Characters of a token's note.
const NOTE_LENGTH_MAX: usize = 200;

/// The tenants, by name. For operators.
#[utoipa::path(
    get, path = "/v1/tenants", tag = "tenants", params(Part), security(("token" = [])),
    responses((status = 200, description = "A part of the list.", body = Page<Tenant>), Problems)
)]
pub(super) async fn list_tenants(
    _: Operator,
    State(server): State<Shared>,
    Asked(part): Asked<Part>,
) -> Result<Answer<Page<Tenant>>, Problem> {
    let (limit, after) = (part.look_for()?, part.after());
    let found = server.store.note(move |session| tenants::list(session, &after, limit)).await?;
    Ok(ok(page(found, limit, |tenant| tenant.name.clone())))
}

/// A tenant.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}", tag = "tenants", security(("token" = [])),
    params(("tenant" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The tenant.", body = Tenant), Problems)
)]
pub(super) async fn get_tenant(scope: Scope, State(server): State<Shared>) -> Result<Answer<Tenant>, Problem> {
    let found = server.store.note(move |session| tenants::get(session, &scope.tenant)).await?;
    found.map(ok).ok_or_else(|| not_there("the tenant").into())
}

/// Makes a tenant, or changes it. For operators.
#[utoipa::path(
    put, path = "/v1/tenants/{tenant}", tag = "tenants", request_body = TenantSettings, security(("token" = [])),
    params(("tenant" = String, Path, description = "Its name: 1 to 63 of a-z, 0-9, _ and -, a letter first."), Plan),
    responses((status = 200, description = "What has changed, or would.", body = Change), Problems)
)]
pub(super) async fn put_tenant(
    _: Operator,
    State(server): State<Shared>,
    Path(name): Path<String>,
    Asked(Plan { plan }): Asked<Plan>,
    Json(given): Json<TenantSettings>,
) -> Result<Answer<Change>, Problem> {
    settings::check_name(&name)?;
    settings::check_tenant(&given)?;
    let room = given.quotas.syncs_at_once;
    let tenant = name.clone();
    let work = move |session: &crate::store::Session<'_>| {
        let action = match tenants::settings(session, &name)? {
            None => Action::Create,
            Some(known) if known == given => Action::None,
            Some(_) => Action::Change,
        };
        if !plan && action != Action::None {
            tenants::put(session, &name, &given)?;
        }
        Ok(Change { action, fields: Vec::new() })
    };
    let change = server.store.change(work).await?;
    if !plan {
        server.scheduler.set_room(&tenant, room);
    }
    Ok(ok(change))
}

/// Removes a tenant that has no connections, with its connectors. Its warehouses stay in its folder: whoever is made under the
/// same name later finds them. For operators.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}", tag = "tenants", security(("token" = [])),
    params(("tenant" = String, Path, description = "Its name.")),
    responses((status = 204, description = "It is gone."), Problems)
)]
pub(super) async fn delete_tenant(
    _: Operator,
    State(server): State<Shared>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let tenant = name.clone();
    let work = move |session: &crate::store::Session<'_>| {
        let digests = connectors::digests(session, &name)?;
        Ok(tenants::delete(session, &name)?.then_some(digests))
    };
    let digests = server.store.change(work).await?.ok_or_else(|| not_there("the tenant"))?;
    components::forget(&server, digests).await?;
    server.metrics.forget(&tenant);
    Ok(StatusCode::NO_CONTENT)
}

/// A tenant's tokens, without the tokens themselves, the oldest first.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/tokens", tag = "tokens", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), Part),
    responses((status = 200, description = "A part of the list.", body = Page<Token>), Problems)
)]
pub(super) async fn list_tokens(
    scope: Scope,
    State(server): State<Shared>,
    Asked(part): Asked<Part>,
) -> Result<Answer<Page<Token>>, Problem> {
    let (limit, after) = (part.look_for()?, part.after());
    let found = server.store.note(move |session| tokens::list(session, &scope.tenant, &after, limit)).await?;
    Ok(ok(page(found, limit, |token| token.id.clone())))
}

/// Makes a token that speaks for a tenant. It is shown in this answer only.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/tokens", tag = "tokens", request_body(content = Option<NewToken>), security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant.")),
    responses((status = 201, description = "The token.", body = Token), Problems)
)]
pub(super) async fn create_token(
    scope: Scope,
    State(server): State<Shared>,
    MaybeJson(asked): MaybeJson<Option<NewToken>>,
) -> Result<Answer<Token>, Problem> {
    let NewToken { note } = asked.unwrap_or_default();
    if note.chars().count() > NOTE_LENGTH_MAX {
        return Err(
            Error::new(Code::RequestInvalid, format!("keep a note of more than {NOTE_LENGTH_MAX} letters")).into()
        );
    }
    let made = server.store.change(move |session| tokens::create(session, Some(&scope.tenant), &note)).await?;
    Ok(Answer(StatusCode::CREATED, made))
}

/// Takes a token back.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/tokens/{token}", tag = "tokens", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), ("token" = String, Path, description = "The token's id.")),
    responses((status = 204, description = "It is not valid any more."), Problems)
)]
pub(super) async fn delete_token(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    if server.store.change(move |session| tokens::delete(session, &scope.tenant, &id)).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(not_there("the token").into())
    }
}
