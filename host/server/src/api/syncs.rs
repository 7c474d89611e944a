//! Syncs: their history, their reports and logs, and their end before its time.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::caller::{Scope, not_there};
use super::problem::{Problem, Problems};
use super::request::{Answer, Asked, look_for, ok, page};
use crate::Server;
use crate::schedule::{self, Ended, Schedule};
use crate::store::{Session, connections, syncs};
use crate::time;
use crate::types::{Page, Sync};
use model::error::{Code, Error, Result};
use stream::Stop;

/// Which syncs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Those of this connection only.
    connection: Option<String>,
    /// How many; by default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the part before.
    after: Option<String>,
}

/// A tenant's syncs, the latest first. Of every connection the last 100 are kept.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/syncs", tag = "syncs", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), Which),
    responses((status = 200, description = "A part of the list.", body = Page<Sync>), Problems)
)]
pub(super) async fn list_syncs(
    scope: Scope,
    State(server): State<Shared>,
    Asked(which): Asked<Which>,
) -> Result<Answer<Page<Sync>>, Problem> {
    let limit = look_for(which.limit)?;
    let work = move |session: &Session<'_>| {
        let of = (scope.tenant.as_str(), which.connection.as_deref());
        syncs::list(session, of, which.after.as_deref(), limit)
    };
    Ok(ok(page(server.store.note(work).await?, limit, |sync| sync.id.clone())))
}

/// A sync; while it runs, with the rows that are durable by now.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/syncs/{sync}", tag = "syncs", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), ("sync" = String, Path, description = "Its id.")),
    responses((status = 200, description = "The sync.", body = Sync), Problems)
)]
pub(super) async fn get_sync(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Answer<Sync>, Problem> {
    Ok(ok(find(&server, &scope.tenant, &id).await?))
}

/// A sync of a tenant's.
pub(super) async fn find(server: &Server, tenant: &str, id: &str) -> Result<Sync> {
    let (owner, name) = (tenant.to_owned(), id.to_owned());
    let work = move |session: &Session<'_>| {
        let Some(sync) = syncs::get(session, &owner, &name)? else { return Ok(None) };
        let error = syncs::detail(session, &owner, &name)?.and_then(|detail| detail.error);
        Ok(Some(Sync { error, ..sync }))
    };
    let mut sync = server.store.note(work).await?.ok_or_else(|| not_there("the sync"))?;
    if let Some(running) = server.scheduler.running(tenant, id) {
        sync.rows = running.live.progress.rows_committed.load(Ordering::Relaxed);
    }
    Ok(sync)
}

/// Ends a sync. One that waits is taken out of the queue; one that runs commits what is complete.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/syncs/{sync}/cancel", tag = "syncs", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), ("sync" = String, Path, description = "Its id.")),
    responses((status = 202, description = "It ends.", body = Sync), Problems)
)]
pub(super) async fn cancel_sync(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Answer<Sync>, Problem> {
    let sync = find(&server, &scope.tenant, &id).await?;
    server.scheduler.remove(&scope.tenant, &id);
    if !cancel_waiting(&server, &scope.tenant, sync).await? {
        let Some(running) = server.scheduler.running(&scope.tenant, &id) else {
            let ended = Error::new(Code::Conflict, "cancel the sync: it has ended");
            return Err(ended.into());
        };
        running.is_cancelled.store(true, Ordering::Relaxed);
        running.stop.send_if_modified(|stop| stop.replace(Stop::Interrupt).is_none());
    }
    Ok(Answer(StatusCode::ACCEPTED, find(&server, &scope.tenant, &id).await?))
}

async fn cancel_waiting(server: &Server, tenant: &str, sync: Sync) -> Result<bool> {
    let tenant = tenant.to_owned();
    let work = move |session: &Session<'_>| {
        let now_us = time::now_us();
        let stored = connections::get(session, &tenant, &sync.connection)?;
        let schedule = stored.and_then(|stored| stored.settings.schedule);
        let schedule = schedule.as_ref().map(Schedule::parse).transpose()?;
        let next = schedule::after(schedule.as_ref(), Ended::Settled, 0, (now_us, fastrand::f64()));
        syncs::cancel(session, &sync.id, next, now_us)
    };
    let cancelled = server.store.change(work).await?;
    server.scheduler.wake();
    Ok(cancelled)
}

/// The report of a sync that has ended, as docs/formats/events.md describes it.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/syncs/{sync}/report", tag = "syncs", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), ("sync" = String, Path, description = "Its id.")),
    responses((status = 200, description = "The report.", body = Object, content_type = "application/json"), Problems)
)]
pub(super) async fn get_report(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    find(&server, &scope.tenant, &id).await?;
    let detail = server.store.note(move |session| syncs::detail(session, &scope.tenant, &id)).await?;
    let report = detail.and_then(|detail| detail.report).ok_or_else(|| {
        Error::new(Code::NotFound, "find the report: the sync has not ended, could not begin, or its host died")
    })?;
    Ok(([(header::CONTENT_TYPE, "application/json")], report).into_response())
}

/// The last lines of a sync's events (docs/formats/events.md), one JSON object each: up to 1,000 and 256 KiB.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/syncs/{sync}/log", tag = "syncs", security(("token" = [])),
    params(("tenant" = String, Path, description = "The tenant."), ("sync" = String, Path, description = "Its id.")),
    responses((status = 200, description = "The lines.", body = String, content_type = "application/x-ndjson"), Problems)
)]
pub(super) async fn get_log(
    scope: Scope,
    State(server): State<Shared>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    find(&server, &scope.tenant, &id).await?;
    let mut text = lines(&server, &scope.tenant, &id).await?.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from(text)).into_response())
}

/// The lines that were kept of a sync.
pub(super) async fn lines(server: &Server, tenant: &str, id: &str) -> Result<Vec<String>> {
    if let Some(running) = server.scheduler.running(tenant, id) {
        return Ok(running.live.kept());
    }
    let (tenant, id) = (tenant.to_owned(), id.to_owned());
    let detail = server.store.note(move |session| syncs::detail(session, &tenant, &id)).await?;
    Ok(detail.map(|detail| detail.log).unwrap_or_default())
}
