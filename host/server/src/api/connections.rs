//! Connections: made, changed, shown, checked, started, paused.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::Shared;
use super::caller::{Scope, not_there};
use super::connectors::for_a_look;
use super::problem::{Problem, Problems};
use super::request::{Answer, Asked, Json, MaybeJson, Part, ok, page};
use super::tenants::Plan;
use crate::audit_log::Audit;
use crate::schedule::Schedule;
use crate::store::connections::{self, Stored};
use crate::store::{Session, connectors, syncs};
use crate::types::{
    Action, Change, Checked, Connection, ConnectionSettings, ConnectionSummary, Page, Start, Sync, TenantSettings,
};
use crate::{Server, place, private_folder, runner, scheduler, settings, time};
use model::error::{Code, Error, Result};
use model::{Configuration, LogLevel};
use sandbox::{Exchange, Grants, Listener, Meter, Secrets};

/// A tenant's connections, by name.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/connections", tag = "connections", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), Part),
    responses((status = 200, description = "A part of the list.", body = Page<ConnectionSummary>), Problems)
)]
pub(super) async fn list_connections(
    scope: Scope,
    State(server): State<Shared>,
    Asked(part): Asked<Part>,
) -> Result<Answer<Page<ConnectionSummary>>, Problem> {
    let (limit, after) = (part.look_for()?, part.after());
    let found = server.store.note(move |session| connections::list(session, &scope.tenant, &after, limit)).await?;
    Ok(ok(page(found, limit, |connection| connection.name.clone())))
}

/// A connection, without its secrets.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/connections/{connection}", tag = "connections", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), ("connection" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The connection.", body = Connection), Problems)
)]
pub(super) async fn get_connection(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, name)): Path<(String, String)>,
) -> Result<Answer<Connection>, Problem> {
    Ok(ok(server.store.note(move |session| shown(session, &scope.tenant, &name)).await?))
}

fn shown(session: &Session<'_>, tenant: &str, name: &str) -> Result<Connection> {
    let stored = connections::get(session, tenant, name)?.ok_or_else(|| not_there("the connection"))?;
    let Stored { settings, paused, due_at_us, attempts, created_at_us, updated_at_us, .. } = stored;
    let connector = connectors::find(session, tenant, &settings.connector, settings.digest.as_deref())?;
    Ok(Connection {
        name: name.to_owned(),
        tenant: tenant.to_owned(),
        settings: settings::masked(&settings, connector.as_ref()),
        paused,
        due_at: due_at_us.filter(|_| !paused).map(time::text),
        attempts,
        last_sync: syncs::latest(session, tenant, name)?,
        created_at: time::text(created_at_us),
        updated_at: time::text(updated_at_us),
    })
}

/// Makes a connection, or changes it.
#[utoipa::path(
    put, path = "/v1/tenants/{tenant}/connections/{connection}", tag = "connections",
    request_body = ConnectionSettings, security(("token" = [])),
    params(
        ("tenant" = String, Path, description = "The tenant."),
        ("connection" = String, Path, description = "Its name: 1 to 63 of a-z, 0-9, _ and -, a letter first."),
        Plan
    ),
    responses((status = 200, description = "What has changed, or would.", body = Change), Problems)
)]
pub(super) async fn put_connection(
    scope: Scope,
    State(server): State<Shared>,
    Path((tenant, name)): Path<(String, String)>,
    Asked(Plan { plan }): Asked<Plan>,
    Json(given): Json<ConnectionSettings>,
) -> Result<Answer<Change>, Problem> {
    settings::check_name(&name)?;
    settings::check_sizes(&given)?;
    let folder = server.folder_of(&tenant);
    if !plan {
        private_folder(&folder)
            .map_err(|error| Error::new(Code::StoreFailed, "make the tenant's folder").because(error))?;
    }
    let limits = scope.settings;
    let work = move |session: &Session<'_>| {
        let known = connections::get(session, &tenant, &name)?;
        let mut wanted = settings::unmasked(given, known.as_ref().map(|known| &known.settings))?;
        check(session, &tenant, &mut wanted, &limits)?;
        place::allowed(&wanted.destination, &limits.destinations, &folder)?;
        let change = change(known.as_ref(), &wanted);
        if !plan && change.action != Action::None {
            put(session, (&tenant, &name), &wanted, known.as_ref(), limits.quotas.connections)?;
        }
        Ok(change)
    };
    let change = server.store.change(work).await?;
    server.scheduler.wake();
    Ok(ok(change))
}

/// Whether the settings can be in force; pins the connector's version.
fn check(session: &Session<'_>, tenant: &str, wanted: &mut ConnectionSettings, most: &TenantSettings) -> Result<()> {
    let found = connectors::find(session, tenant, &wanted.connector, wanted.digest.as_deref())?;
    let connector = found.ok_or_else(|| {
        Error::new(Code::RequestInvalid, "find the connector: there is none of that name and digest")
            .hint("Upload it first: host connector upload FILE.")
    })?;
    let fields: Vec<model::Field> = connector
        .fields
        .iter()
        .map(|field| model::Field {
            name: field.name.clone(),
            help: field.help.clone(),
            required: field.required,
            secrecy: model::Secrecy::Plain,
            default: field.default.clone(),
            hosts: Vec::new(),
        })
        .collect();
    Configuration(wanted.configuration.clone()).prepare(&fields)?;
    wanted.digest = Some(connector.digest);
    if let Some(schedule) = &wanted.schedule {
        Schedule::parse(schedule)?;
    }
    settings::limits(wanted, most)?;
    settings::shrink_max(wanted)?;
    settings::contract(wanted).map(drop)
}

fn change(known: Option<&Stored>, wanted: &ConnectionSettings) -> Change {
    let Some(known) = known else { return Change { action: Action::Create, fields: Vec::new() } };
    let fields = settings::differences(&known.settings, wanted);
    Change { action: if fields.is_empty() { Action::None } else { Action::Change }, fields }
}

fn put(
    session: &Session<'_>,
    (tenant, name): (&str, &str),
    wanted: &ConnectionSettings,
    known: Option<&Stored>,
    most: u32,
) -> Result<()> {
    if known.is_none() && connections::number(session, tenant)? >= most {
        return Err(Error::new(Code::LimitQuota, format!("make the connection: the tenant has {most} already"))
            .hint("Delete connections, or let the operator raise the quota."));
    }
    let is_same = known.is_some_and(|known| known.settings.schedule == wanted.schedule);
    let is_active = syncs::active(session, tenant, name)?.is_some();
    let first = || -> Result<Option<i64>> {
        let schedule = wanted.schedule.as_ref().map(Schedule::parse).transpose()?;
        Ok(schedule.and_then(|schedule| schedule.first(time::now_us(), fastrand::f64())))
    };
    let due_at_us = match known {
        // The end of the sync decides.
        _ if is_active => None,
        Some(known) if is_same => known.due_at_us,
        _ => first()?,
    };
    connections::put(session, (tenant, name), wanted, due_at_us)
}

/// Removes a connection with its history. Its tables stay. One whose sync waits or runs is kept.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/connections/{connection}", tag = "connections", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), ("connection" = String, Path, description = "Its name.")),
    responses((status = 204, description = "It is gone."), Problems)
)]
pub(super) async fn delete_connection(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let work = move |session: &Session<'_>| {
        if let Some(active) = syncs::active(session, &scope.tenant, &name)? {
            return Err(Error::new(
                Code::Conflict,
                format!("delete the connection {name}: its sync {active} is active"),
            )
            .hint("Cancel the sync first."));
        }
        connections::delete(session, &scope.tenant, &name)
    };
    if server.store.change(work).await? { Ok(StatusCode::NO_CONTENT) } else { Err(not_there("the connection").into()) }
}

/// Starts a sync now. It begins when its tenant has a free slot.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/connections/{connection}/start", tag = "connections",
    request_body(content = Option<Start>), security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), ("connection" = String, Path, description = "Its name.")),
    responses((status = 202, description = "The sync.", body = Sync), Problems)
)]
pub(super) async fn start_connection(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, name)): Path<(String, String)>,
    MaybeJson(start): MaybeJson<Option<Start>>,
) -> Result<Answer<Sync>, Problem> {
    must_exist(&server, &scope, &name).await?;
    if server.scheduler.is_draining() {
        return Err(Error::new(Code::ServerBusy, "start a sync: the server is about to end").into());
    }
    let full_refresh = start.unwrap_or_default().full_refresh;
    let id = scheduler::start(&server, &scope.tenant, &name, full_refresh).await?;
    let found = server.store.note(move |session| syncs::get(session, &scope.tenant, &id)).await?;
    Ok(Answer(StatusCode::ACCEPTED, found.ok_or_else(|| not_there("the sync"))?))
}

/// Lets a connection's schedule rest. A sync that runs goes on.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/connections/{connection}/pause", tag = "connections", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), ("connection" = String, Path, description = "Its name.")),
    responses((status = 204, description = "It rests."), Problems)
)]
pub(super) async fn pause_connection(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    pause(&server, scope, name, true).await
}

/// Lets a connection's schedule go on; what was missed meanwhile is made up for once.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/connections/{connection}/resume", tag = "connections", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), ("connection" = String, Path, description = "Its name.")),
    responses((status = 204, description = "It goes on."), Problems)
)]
pub(super) async fn resume_connection(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    pause(&server, scope, name, false).await
}

async fn pause(server: &Server, scope: Scope, name: String, paused: bool) -> Result<StatusCode, Problem> {
    if !server.store.change(move |session| connections::pause(session, &scope.tenant, &name, paused)).await? {
        return Err(not_there("the connection").into());
    }
    server.scheduler.wake();
    Ok(StatusCode::NO_CONTENT)
}

async fn must_exist(server: &Server, scope: &Scope, name: &str) -> Result<()> {
    let (tenant, name) = (scope.tenant.clone(), name.to_owned());
    let exists = server.store.note(move |session| connections::exists(session, &tenant, &name)).await?;
    if exists { Ok(()) } else { Err(not_there("the connection")) }
}

/// Asks the connector whether its source can be reached with the connection's configuration.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/connections/{connection}/check", tag = "connections", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), ("connection" = String, Path, description = "Its name.")),
    responses((status = 200, description = "What was found.", body = Checked), Problems)
)]
pub(super) async fn check_connection(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, name)): Path<(String, String)>,
) -> Result<Answer<Checked>, Problem> {
    let tenant = scope.tenant.clone();
    let asked = name.clone();
    let stored = server.store.note(move |session| connections::get(session, &tenant, &asked)).await?;
    let stored = stored.ok_or_else(|| not_there("the connection"))?;
    let _own = server.checks_of_one.enter(&scope.tenant)?;
    let Ok(_turn) = server.checks.try_acquire() else {
        let busy = Error::new(Code::ServerBusy, "check the connection: too many are being checked");
        return Err(busy.hint("Try again in a moment.").into());
    };
    let found = ask_source(&server, &scope, (&name, &stored.settings)).await;
    Ok(ok(match found {
        Ok(()) => Checked { ok: true, error: None },
        Err(error) => Checked { ok: false, error: Some(runner::told(&error)) },
    }))
}

async fn ask_source(server: &Server, scope: &Scope, (name, connection): (&str, &ConnectionSettings)) -> Result<()> {
    let limits = for_a_look(&settings::limits(connection, &scope.settings)?);
    let component = server.components.get(connection.digest.as_deref().unwrap_or_default()).await?;
    let description = component.describe(&limits).await?;
    let (configuration, _) = Configuration(connection.configuration.clone()).prepare(&description.fields)?;
    let quota = scope.settings.quotas.requests_per_second;
    let pacing = server.broker.pacing(&scope.tenant, description, &configuration, quota);
    // Nothing of a check lasts, so no token is kept.
    let secrets = settings::secrets(connection, None);
    let secrets = Secrets::new(description, &configuration, &secrets, (&description.name, &limits))?;
    let (allow, meter) = (settings::allow(&scope.settings), Meter::default());
    let listener = Arc::new(Deaf(server.audit(&scope.tenant, name, None)));
    let grants = Grants { secrets, limits, allow, listener, meter, pacing, world: None };
    component.check(&grants).await
}

/// Nobody reads the log of a check, but its requests are written down like those of a sync.
struct Deaf(Option<Audit>);

impl Listener for Deaf {
    fn log(&self, _level: LogLevel, _message: &str) {}
    fn memory(&self, _bytes: u64) {}
    fn retrying(&self, _reason: &str, _wait: Duration) {}

    fn exchanged(&self, exchange: &Exchange) {
        if let Some(audit) = &self.0 {
            audit.exchange(exchange);
        }
    }
}
