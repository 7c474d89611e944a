//! Connections: what each is, when it is due.

use std::fmt::Write as _;

use rusqlite::{OptionalExtension as _, params};

use super::sealed::Secrets;
use super::{Session, count, failed, from_json, syncs, to_json};
use crate::time;
use crate::types::{ConnectionSettings, ConnectionSummary, Reason};
use model::error::Result;

/// A connection as it stands in the store, its secrets open.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// Complete: configuration and destination are in their places.
    pub(crate) settings: ConnectionSettings,
    /// What seals the tokens in its states, as hexadecimal digits.
    pub(crate) token_key: String,
    pub(crate) paused: bool,
    pub(crate) due_at_us: Option<i64>,
    pub(crate) attempts: u32,
    pub(crate) created_at_us: i64,
    pub(crate) updated_at_us: i64,
}

/// A connection that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) tenant: String,
    pub(crate) connection: String,
    pub(crate) reason: Reason,
    pub(crate) since_us: i64,
}

/// A connection; nothing: there is none of that name.
pub(crate) fn get(session: &Session<'_>, tenant: &str, name: &str) -> Result<Option<Stored>> {
    let select = "SELECT settings, sealed, paused, due_at_us, attempts, created_at_us, updated_at_us FROM connections \
                  WHERE tenant = ?1 AND name = ?2";
    let mut statement = session.sql.prepare_cached(select).map_err(failed)?;
    let row = |row: &rusqlite::Row<'_>| {
        let stored = (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?);
        Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?, stored))
    };
    let found = statement.query_row([tenant, name], row).optional().map_err(failed)?;
    let Some((settings, sealed, (paused, due_at_us, attempts, created_at_us, updated_at_us))) = found else {
        return Ok(None);
    };
    let Secrets { configuration, destination, token_key } = session.open_secrets(tenant, name, &sealed)?;
    let settings = ConnectionSettings { configuration, destination, ..from_json(&settings)? };
    Ok(Some(Stored { settings, token_key, paused, due_at_us, attempts, created_at_us, updated_at_us }))
}

/// Whether there is a connection of that name.
pub(crate) fn exists(session: &Session<'_>, tenant: &str, name: &str) -> Result<bool> {
    let select = "SELECT EXISTS (SELECT 1 FROM connections WHERE tenant = ?1 AND name = ?2)";
    session.sql.query_row(select, [tenant, name], |row| row.get(0)).map_err(failed)
}

/// How many connections a tenant has.
pub(crate) fn number(session: &Session<'_>, tenant: &str) -> Result<u32> {
    let select = "SELECT count(*) FROM connections WHERE tenant = ?1";
    session.sql.query_row(select, [tenant], |row| row.get(0)).map_err(failed)
}

/// A tenant's connections in the order of their names, after a name.
pub(crate) fn list(session: &Session<'_>, tenant: &str, after: &str, limit: usize) -> Result<Vec<ConnectionSummary>> {
    let select = "SELECT name, connector, paused, due_at_us FROM connections WHERE tenant = ?1 AND name > ?2 \
                  ORDER BY name LIMIT ?3";
    let mut statement = session.sql.prepare_cached(select).map_err(failed)?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok(ConnectionSummary {
            name: row.get(0)?,
            connector: row.get(1)?,
            paused: row.get(2)?,
            due_at: row.get::<_, Option<i64>>(3)?.map(time::text),
            last_sync: None,
        })
    };
    let rows = statement.query_map(params![tenant, after, count(limit)], row).map_err(failed)?;
    let complete = |summary: rusqlite::Result<ConnectionSummary>| {
        let summary = summary.map_err(failed)?;
        let last_sync = syncs::latest(session, tenant, &summary.name)?;
        Ok(ConnectionSummary { last_sync, ..summary })
    };
    rows.map(complete).collect()
}

/// Makes a connection, or changes it. `due_at_us`: when it is due from now on.
pub(crate) fn put(
    session: &Session<'_>,
    (tenant, name): (&str, &str),
    settings: &ConnectionSettings,
    due_at_us: Option<i64>,
) -> Result<()> {
    let token_key = match get(session, tenant, name)? {
        Some(known) => known.token_key,
        None => new_token_key()?,
    };
    let mut open = settings.clone();
    let secrets = Secrets {
        configuration: std::mem::take(&mut open.configuration),
        destination: std::mem::take(&mut open.destination),
        token_key,
    };
    let sealed = session.seal_secrets(tenant, name, &secrets)?;
    let insert = "INSERT INTO connections(tenant, name, connector, digest, settings, sealed, paused, due_at_us, attempts, \
                  cost_ms, created_at_us, updated_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, 0, ?8, ?9, ?9) \
                  ON CONFLICT DO UPDATE SET connector = excluded.connector, digest = excluded.digest, \
                  settings = excluded.settings, sealed = excluded.sealed, due_at_us = excluded.due_at_us, attempts = 0, \
                  updated_at_us = excluded.updated_at_us";
    let digest = settings.digest.as_deref().unwrap_or_default();
    let values =
        params![tenant, name, settings.connector, digest, to_json(&open)?, sealed, due_at_us, COST_MS, time::now_us()];
    session.sql.execute(insert, values).map(drop).map_err(failed)
}

fn new_token_key() -> Result<String> {
    Ok(sandbox::seal::random::<32>()?.iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _infallible = write!(hex, "{byte:02x}");
        hex
    }))
}

/// What a sync is expected to take before there was one, in milliseconds.
const COST_MS: i64 = 1_000;

/// Pauses a connection's schedule, or lets it go on.
pub(crate) fn pause(session: &Session<'_>, tenant: &str, name: &str, paused: bool) -> Result<bool> {
    let update = "UPDATE connections SET paused = ?3 WHERE tenant = ?1 AND name = ?2";
    session.sql.execute(update, params![tenant, name, paused]).map(|count| count > 0).map_err(failed)
}

/// Removes a connection with its history; its tables stay. False: there is none of that name.
pub(crate) fn delete(session: &Session<'_>, tenant: &str, name: &str) -> Result<bool> {
    let delete = "DELETE FROM connections WHERE tenant = ?1 AND name = ?2";
    session.sql.execute(delete, [tenant, name]).map(|count| count > 0).map_err(failed)
}

/// Connections that are due, the longest due first.
pub(crate) fn due(session: &Session<'_>, now_us: i64, limit: usize) -> Result<Vec<Due>> {
    let select = "SELECT tenant, name, attempts, due_at_us FROM connections \
                  WHERE due_at_us <= ?1 AND due_at_us IS NOT NULL AND paused = 0 ORDER BY due_at_us LIMIT ?2";
    let mut statement = session.sql.prepare_cached(select).map_err(failed)?;
    let row = |row: &rusqlite::Row<'_>| {
        let reason = if row.get::<_, u32>(2)? > 0 { Reason::Retry } else { Reason::Schedule };
        Ok(Due { tenant: row.get(0)?, connection: row.get(1)?, reason, since_us: row.get(3)? })
    };
    statement.query_map(params![now_us, count(limit)], row).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}

/// When the next connection is due.
pub(crate) fn next_due(session: &Session<'_>) -> Result<Option<i64>> {
    let select = "SELECT min(due_at_us) FROM connections WHERE due_at_us IS NOT NULL AND paused = 0";
    session.sql.query_row(select, [], |row| row.get(0)).map_err(failed)
}

/// What is put into the queue is not due any more.
pub(crate) fn clear_due(session: &Session<'_>, tenant: &str, name: &str) -> Result<()> {
    let update = "UPDATE connections SET due_at_us = NULL WHERE tenant = ?1 AND name = ?2";
    session.sql.execute(update, [tenant, name]).map(drop).map_err(failed)
}

/// A sync of a connection is put into the queue: it is not due any more, and a full refresh that was asked for stays asked for
/// until something of it is committed. Returns whether this sync is one.
pub(crate) fn take_up(session: &Session<'_>, tenant: &str, name: &str, full_refresh: bool) -> Result<bool> {
    let update = "UPDATE connections SET due_at_us = NULL, refresh_due = refresh_due OR ?3 \
                  WHERE tenant = ?1 AND name = ?2 RETURNING refresh_due";
    let mut statement = session.sql.prepare_cached(update).map_err(failed)?;
    statement.query_row(params![tenant, name, full_refresh], |row| row.get(0)).map_err(failed)
}

/// The full refresh that was asked for is under way in the destination, which goes on with it by itself; or nobody wants it
/// any more.
pub(crate) fn refreshed(session: &Session<'_>, tenant: &str, name: &str) -> Result<()> {
    let update = "UPDATE connections SET refresh_due = 0 WHERE tenant = ?1 AND name = ?2";
    session.sql.execute(update, [tenant, name]).map(drop).map_err(failed)
}

/// Notes when a connection is due after a sync, and what that sync cost.
pub(crate) fn set_next(
    session: &Session<'_>,
    (tenant, name): (&str, &str),
    next: crate::schedule::Next,
    cost_ms: Option<u64>,
) -> Result<()> {
    let update = "UPDATE connections SET due_at_us = ?3, attempts = ?4, cost_ms = coalesce(?5, cost_ms) \
                  WHERE tenant = ?1 AND name = ?2";
    let cost_ms = cost_ms.map(|cost| i64::try_from(cost).unwrap_or(i64::MAX));
    let values = params![tenant, name, next.due_at_us, next.attempts, cost_ms];
    session.sql.execute(update, values).map(drop).map_err(failed)
}
