//! What tenants have used on a day, for their quotas.

use rusqlite::{OptionalExtension as _, params};

use super::{Session, failed};
use model::error::Result;

/// What a tenant used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) cpu_us: i64,
    pub(crate) rows: i64,
}

/// How many days are remembered.
const DAYS: i64 = 35;

/// What a tenant has used on a day.
pub(crate) fn get(session: &Session<'_>, tenant: &str, day: i64) -> Result<Usage> {
    let select = "SELECT cpu_us, rows FROM usage WHERE tenant = ?1 AND day = ?2";
    let usage = |row: &rusqlite::Row<'_>| Ok(Usage { cpu_us: row.get(0)?, rows: row.get(1)? });
    let found = session.sql.query_row(select, params![tenant, day], usage).optional().map_err(failed)?;
    Ok(found.unwrap_or_default())
}

/// Adds to what a tenant has used on a day.
pub(crate) fn add(session: &Session<'_>, tenant: &str, day: i64, more: Usage) -> Result<()> {
    let insert = "INSERT INTO usage(tenant, day, cpu_us, rows) VALUES (?1, ?2, ?3, ?4) \
                  ON CONFLICT DO UPDATE SET cpu_us = cpu_us + excluded.cpu_us, rows = rows + excluded.rows";
    session.sql.execute(insert, params![tenant, day, more.cpu_us, more.rows]).map_err(failed)?;
    let forget = "DELETE FROM usage WHERE tenant = ?1 AND day < ?2";
    session.sql.execute(forget, params![tenant, day - DAYS]).map(drop).map_err(failed)
}
