//! Tokens that have replaced others at their source. They are sealed already, with a key of the connection's own.

use rusqlite::params;

use super::{Session, failed};
use crate::time;
use model::error::Result;

/// Lines of tokens that are kept of a connection; more begin only where its operator signs it in as often.
const LINES_MAX: u32 = 100;

/// The latest token of each line of a connection: its owner, its line, the token.
pub(crate) fn list(session: &Session<'_>, tenant: &str, connection: &str) -> Result<Vec<(String, String, String)>> {
    let select = "SELECT owner, line, sealed FROM renewed_tokens WHERE tenant = ?1 AND connection = ?2";
    let mut statement = session.sql.prepare_cached(select).map_err(failed)?;
    let rows = statement.query_map([tenant, connection], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}

/// Puts a token into the place of what its line had before.
pub(crate) fn put(
    session: &Session<'_>,
    (tenant, connection, owner): (&str, &str, &str),
    line: &str,
    sealed: &str,
) -> Result<()> {
    let insert = "INSERT INTO renewed_tokens(tenant, connection, owner, line, sealed, renewed_at_us) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET sealed = excluded.sealed, \
                  renewed_at_us = excluded.renewed_at_us";
    let values = params![tenant, connection, owner, line, sealed, time::now_us()];
    session.sql.execute(insert, values).map_err(failed)?;
    let delete = "DELETE FROM renewed_tokens WHERE tenant = ?1 AND connection = ?2 AND (owner, line) NOT IN (SELECT owner, line \
                  FROM renewed_tokens WHERE tenant = ?1 AND connection = ?2 ORDER BY renewed_at_us DESC, line LIMIT ?3)";
    session.sql.execute(delete, params![tenant, connection, LINES_MAX]).map(drop).map_err(failed)
}
