//! Tenants and what the operator decided for them.

use rusqlite::{OptionalExtension as _, params};

use super::{Session, failed, from_json, to_json, usage};
use crate::time;
use crate::types::{Tenant, TenantSettings, Used};
use model::error::{Code, Error, Result};

/// A tenant's settings; nothing: there is none of that name.
pub(crate) fn settings(session: &Session<'_>, name: &str) -> Result<Option<TenantSettings>> {
    let select = "SELECT settings FROM tenants WHERE name = ?1";
    let found: Option<String> = session.sql.query_row(select, [name], |row| row.get(0)).optional().map_err(failed)?;
    found.map(|text| from_json(&text)).transpose()
}

/// A tenant; nothing: there is none of that name.
pub(crate) fn get(session: &Session<'_>, name: &str) -> Result<Option<Tenant>> {
    let select = "SELECT name, settings, created_at_us FROM tenants WHERE name = ?1";
    let found = session.sql.query_row(select, [name], row).optional().map_err(failed)?;
    found.map(|row| tenant(session, row)).transpose()
}

/// Tenants in the order of their names, after a name.
pub(crate) fn list(session: &Session<'_>, after: &str, limit: usize) -> Result<Vec<Tenant>> {
    let select = "SELECT name, settings, created_at_us FROM tenants WHERE name > ?1 ORDER BY name LIMIT ?2";
    let mut statement = session.sql.prepare_cached(select).map_err(failed)?;
    let rows = statement.query_map(params![after, super::count(limit)], row).map_err(failed)?;
    rows.map(|found| tenant(session, found.map_err(failed)?)).collect()
}

type Row = (String, String, i64);

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn tenant(session: &Session<'_>, (name, settings, created_at_us): Row) -> Result<Tenant> {
    let used = usage::get(session, &name, time::day(time::now_us()))?;
    let used_today = Used { cpu_ms: used.cpu_us.unsigned_abs() / 1_000, rows: used.rows.unsigned_abs() };
    Ok(Tenant { name, created_at: time::text(created_at_us), settings: from_json(&settings)?, used_today })
}

/// Makes a tenant, or changes it.
pub(crate) fn put(session: &Session<'_>, name: &str, settings: &TenantSettings) -> Result<()> {
    let insert = "INSERT INTO tenants(name, settings, created_at_us) VALUES (?1, ?2, ?3) \
                  ON CONFLICT DO UPDATE SET settings = excluded.settings";
    session.sql.execute(insert, params![name, to_json(settings)?, time::now_us()]).map(drop).map_err(failed)
}

/// Removes a tenant with its tokens and connectors; one that has connections is kept. False: there is none of that name.
pub(crate) fn delete(session: &Session<'_>, name: &str) -> Result<bool> {
    let busy = "SELECT EXISTS (SELECT 1 FROM connections WHERE tenant = ?1)";
    if session.sql.query_row(busy, [name], |row| row.get::<_, bool>(0)).map_err(failed)? {
        return Err(Error::new(Code::Conflict, format!("delete the tenant {name}: it has connections"))
            .hint("Delete its connections first."));
    }
    for delete in ["DELETE FROM connectors WHERE owner = ?1", "DELETE FROM usage WHERE tenant = ?1"] {
        session.sql.execute(delete, [name]).map_err(failed)?;
    }
    session.sql.execute("DELETE FROM tenants WHERE name = ?1", [name]).map(|count| count > 0).map_err(failed)
}
