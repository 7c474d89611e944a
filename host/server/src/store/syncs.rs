//! Syncs: what waits, what runs, how it ended. At most one of a connection is active, which an index vouches for.

use rusqlite::{OptionalExtension as _, params};

use super::connections::{self, Due, Stored};
use super::sealed::Detail;
use super::usage::{self, Usage};
use super::{Session, count, failed, tenants};
use crate::schedule::Next;
use crate::time;
use crate::types::{Reason, Sync, SyncOutcome, TenantSettings};
use model::error::{Code, Error, Result};

/// Syncs remembered of a connection.
const HISTORY: i64 = 100;

const COLUMNS: &str = "id, connection, reason, outcome, full_refresh, queued_at_us, started_at_us, ended_at_us, rows, error_code, rejected";

/// A sync that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) id: String,
    pub(crate) tenant: String,
    pub(crate) connection: String,
    pub(crate) queued_at_us: i64,
    /// What it is expected to take, in milliseconds.
    pub(crate) cost_ms: u64,
    /// Its digest and destination decide what it has to wait for.
    pub(crate) destination: String,
}

/// A sync that begins.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) connection: Stored,
    pub(crate) tenant: TenantSettings,
    pub(crate) full_refresh: bool,
    /// What the tenant has used today.
    pub(crate) used: Usage,
}

/// How a sync ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) outcome: SyncOutcome,
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
    pub(crate) cpu_us: u64,
    pub(crate) error_code: Option<String>,
    pub(crate) detail: Detail,
    pub(crate) next: Next,
    /// The full refresh that it was is not to be begun anew.
    pub(crate) is_refreshed: bool,
    /// How long it ran, in milliseconds.
    pub(crate) took_ms: u64,
}

fn reason(text: &str) -> Reason {
    match text {
        "manual" => Reason::Manual,
        "retry" => Reason::Retry,
        _ => Reason::Schedule,
    }
}

fn reason_text(reason: Reason) -> &'static str {
    match reason {
        Reason::Manual => "manual",
        Reason::Retry => "retry",
        Reason::Schedule => "schedule",
    }
}

fn outcome(text: &str) -> SyncOutcome {
    match text {
        "queued" => SyncOutcome::Queued,
        "running" => SyncOutcome::Running,
        "succeeded" => SyncOutcome::Succeeded,
        "cancelled" => SyncOutcome::Cancelled,
        "interrupted" => SyncOutcome::Interrupted,
        _ => SyncOutcome::Failed,
    }
}

/// An outcome as it stands in the store, and in metrics.
pub(crate) fn outcome_text(outcome: SyncOutcome) -> &'static str {
    match outcome {
        SyncOutcome::Queued => "queued",
        SyncOutcome::Running => "running",
        SyncOutcome::Succeeded => "succeeded",
        SyncOutcome::Failed => "failed",
        SyncOutcome::Cancelled => "cancelled",
        SyncOutcome::Interrupted => "interrupted",
    }
}

fn sync(row: &rusqlite::Row<'_>) -> rusqlite::Result<Sync> {
    Ok(Sync {
        id: row.get(0)?,
        connection: row.get(1)?,
        reason: reason(&row.get::<_, String>(2)?),
        outcome: outcome(&row.get::<_, String>(3)?),
        full_refresh: row.get(4)?,
        queued_at: time::text(row.get(5)?),
        started_at: row.get::<_, Option<i64>>(6)?.map(time::text),
        ended_at: row.get::<_, Option<i64>>(7)?.map(time::text),
        rows: row.get::<_, i64>(8)?.unsigned_abs(),
        error_code: row.get(9)?,
        rejected: row.get::<_, i64>(10)?.unsigned_abs(),
        error: None,
    })
}

/// Puts a sync of a connection into the queue, as a full refresh if one is asked for, now or before; a `conflict` if one waits
/// or runs already.
pub(crate) fn queue(session: &Session<'_>, due: &Due, full_refresh: bool) -> Result<Waiting> {
    let Due { tenant, connection, .. } = due;
    if let Some(active) = active(session, tenant, connection)? {
        return Err(Error::new(
            Code::Conflict,
            format!("start a sync of {connection}: {active} waits or runs already"),
        )
        .hint("Wait for its end, or cancel it."));
    }
    let full_refresh = connections::take_up(session, tenant, connection, full_refresh)?;
    let id = stream::new_id();
    let insert = "INSERT INTO syncs(id, tenant, connection, reason, full_refresh, outcome, queued_at_us, rows) \
                  VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, 0)";
    let values = params![id, tenant, connection, reason_text(due.reason), full_refresh, due.since_us];
    session.sql.prepare_cached(insert).and_then(|mut insert| insert.execute(values)).map_err(failed)?;
    let forget = "DELETE FROM syncs WHERE tenant = ?1 AND connection = ?2 AND id <= (SELECT id FROM syncs \
                  WHERE tenant = ?1 AND connection = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)";
    let values = params![tenant, connection, HISTORY];
    session.sql.prepare_cached(forget).and_then(|mut forget| forget.execute(values)).map_err(failed)?;
    waiting(session, &id)?.ok_or_else(|| Error::new(Code::HostBug, "find the sync that was just queued"))
}

/// The active sync of a connection, if there is one.
pub(crate) fn active(session: &Session<'_>, tenant: &str, connection: &str) -> Result<Option<String>> {
    let select = "SELECT id FROM syncs WHERE tenant = ?1 AND connection = ?2 AND outcome IN ('queued', 'running')";
    session.sql.query_row(select, [tenant, connection], |row| row.get(0)).optional().map_err(failed)
}

fn waiting(session: &Session<'_>, id: &str) -> Result<Option<Waiting>> {
    let select = "SELECT s.tenant, s.connection, s.queued_at_us, c.cost_ms FROM syncs s JOIN connections c \
                  ON c.tenant = s.tenant AND c.name = s.connection WHERE s.id = ?1 AND s.outcome = 'queued'";
    let row = |row: &rusqlite::Row<'_>| {
        let cost_ms = row.get::<_, i64>(3)?.unsigned_abs();
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?, cost_ms))
    };
    let found = session.sql.prepare_cached(select).and_then(|mut select| select.query_row([id], row).optional());
    let Some((tenant, connection, queued_at_us, cost_ms)) = found.map_err(failed)? else { return Ok(None) };
    let Some(stored) = connections::get(session, &tenant, &connection)? else { return Ok(None) };
    let destination = stored.settings.destination;
    Ok(Some(Waiting { id: id.to_owned(), tenant, connection, queued_at_us, cost_ms, destination }))
}

/// After a start of the server: what ran was interrupted and is due again; returns what waited.
pub(crate) fn recover(session: &Session<'_>, now_us: i64) -> Result<Vec<Waiting>> {
    let due = "UPDATE connections SET due_at_us = ?1 WHERE EXISTS (SELECT 1 FROM syncs s WHERE s.outcome = 'running' \
               AND s.tenant = connections.tenant AND s.connection = connections.name)";
    session.sql.execute(due, [now_us]).map_err(failed)?;
    let ended = "UPDATE syncs SET outcome = 'interrupted', ended_at_us = ?1 WHERE outcome = 'running'";
    session.sql.execute(ended, [now_us]).map_err(failed)?;
    let mut statement =
        session.sql.prepare("SELECT id FROM syncs WHERE outcome = 'queued' ORDER BY id").map_err(failed)?;
    let ids = statement.query_map([], |row| row.get::<_, String>(0)).map_err(failed)?;
    let all = ids.map(|id| waiting(session, &id.map_err(failed)?));
    all.filter_map(Result::transpose).collect()
}

/// A sync begins; nothing: it does not wait any more.
pub(crate) fn begin(session: &Session<'_>, id: &str, now_us: i64) -> Result<Option<Begun>> {
    let update = "UPDATE syncs SET outcome = 'running', started_at_us = ?2 WHERE id = ?1 AND outcome = 'queued' \
                  RETURNING tenant, connection, full_refresh";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?));
    let found = session.sql.prepare_cached(update).and_then(|mut u| u.query_row(params![id, now_us], row).optional());
    let Some((tenant, connection, full_refresh)) = found.map_err(failed)? else { return Ok(None) };
    let (Some(connection), Some(settings)) =
        (connections::get(session, &tenant, &connection)?, tenants::settings(session, &tenant)?)
    else {
        return Ok(None);
    };
    let used = usage::get(session, &tenant, time::day(now_us))?;
    Ok(Some(Begun { connection, tenant: settings, full_refresh, used }))
}

/// A sync has ended.
pub(crate) fn end(
    session: &Session<'_>,
    (id, tenant, connection): (&str, &str, &str),
    end: &End,
    now_us: i64,
) -> Result<()> {
    let update = "UPDATE syncs SET outcome = ?2, ended_at_us = ?3, rows = ?4, error_code = ?5, detail = ?6, rejected = ?7 WHERE id = ?1";
    let detail = session.seal_detail(id, &end.detail)?;
    let rows = i64::try_from(end.rows).unwrap_or(i64::MAX);
    let rejected = i64::try_from(end.rejected).unwrap_or(i64::MAX);
    let values = params![id, outcome_text(end.outcome), now_us, rows, end.error_code, detail, rejected];
    session.sql.prepare_cached(update).and_then(|mut update| update.execute(values)).map_err(failed)?;
    connections::set_next(session, (tenant, connection), end.next, Some(end.took_ms))?;
    if end.is_refreshed {
        connections::refreshed(session, tenant, connection)?;
    }
    let used = Usage { cpu_us: i64::try_from(end.cpu_us).unwrap_or(i64::MAX), rows };
    usage::add(session, tenant, time::day(now_us), used)
}

/// A sync that waited is cancelled. False: it does not wait.
pub(crate) fn cancel(session: &Session<'_>, id: &str, next: Next, now_us: i64) -> Result<bool> {
    let update = "UPDATE syncs SET outcome = 'cancelled', ended_at_us = ?2 WHERE id = ?1 AND outcome = 'queued' \
                  RETURNING tenant, connection";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let found = session.sql.query_row(update, params![id, now_us], row).optional().map_err(failed)?;
    let Some((tenant, connection)) = found else { return Ok(false) };
    connections::set_next(session, (&tenant, &connection), next, None)?;
    connections::refreshed(session, &tenant, &connection)?;
    Ok(true)
}

/// A tenant's sync; nothing: it has none of that name.
pub(crate) fn get(session: &Session<'_>, tenant: &str, id: &str) -> Result<Option<Sync>> {
    let select = format!("SELECT {COLUMNS} FROM syncs WHERE tenant = ?1 AND id = ?2");
    session.sql.query_row(&select, [tenant, id], sync).optional().map_err(failed)
}

/// A connection's latest sync.
pub(crate) fn latest(session: &Session<'_>, tenant: &str, connection: &str) -> Result<Option<Sync>> {
    let select = format!("SELECT {COLUMNS} FROM syncs WHERE tenant = ?1 AND connection = ?2 ORDER BY id DESC LIMIT 1");
    let mut statement = session.sql.prepare_cached(&select).map_err(failed)?;
    statement.query_row([tenant, connection], sync).optional().map_err(failed)
}

/// A tenant's syncs, or one connection's, the latest first, before a sync.
pub(crate) fn list(
    session: &Session<'_>,
    (tenant, connection): (&str, Option<&str>),
    before: Option<&str>,
    limit: usize,
) -> Result<Vec<Sync>> {
    let select = format!(
        "SELECT {COLUMNS} FROM syncs WHERE tenant = ?1 AND connection = coalesce(?2, connection) \
         AND id < coalesce(?3, '~') ORDER BY id DESC LIMIT ?4"
    );
    let mut statement = session.sql.prepare_cached(&select).map_err(failed)?;
    let rows = statement.query_map(params![tenant, connection, before, count(limit)], sync).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// What was kept of a sync's end; nothing: it has not ended, or its host died.
pub(crate) fn detail(session: &Session<'_>, tenant: &str, id: &str) -> Result<Option<Detail>> {
    let select = "SELECT detail FROM syncs WHERE tenant = ?1 AND id = ?2";
    let found = session.sql.query_row(select, [tenant, id], |row| row.get::<_, Option<Vec<u8>>>(0)).optional();
    let sealed = found.map_err(failed)?.flatten();
    sealed.map(|sealed| session.open_detail(id, &sealed)).transpose()
}
