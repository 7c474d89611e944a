//! What is sealed in the store, and in which context: a sealed text belongs to one row and cannot be opened as another's.

use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::{Session, failed, from_json, to_json};
use model::error::Result;

/// What of a connection is sealed: both can hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Secrets {
    pub(crate) configuration: std::collections::BTreeMap<String, String>,
    pub(crate) destination: String,
    /// What seals the tokens in the connection's states, as hexadecimal digits. It never changes, whatever key the store has.
    pub(crate) token_key: String,
}

/// What of a sync is sealed: states and log lines hold what the source said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Detail {
    /// The report (docs/formats/events.md), as JSON; none where the sync could not begin.
    pub(crate) report: Option<String>,
    /// The last events, one JSON object each.
    pub(crate) log: Vec<String>,
    /// The error.
    pub(crate) error: Option<crate::types::SyncError>,
}

impl Session<'_> {
    pub(super) fn seal_secrets(&self, tenant: &str, connection: &str, secrets: &Secrets) -> Result<Vec<u8>> {
        self.keys.seal(&of_connection(tenant, connection), to_json(secrets)?.as_bytes())
    }

    pub(super) fn open_secrets(&self, tenant: &str, connection: &str, sealed: &[u8]) -> Result<Secrets> {
        self.unseal(&of_connection(tenant, connection), sealed)
    }

    pub(super) fn seal_detail(&self, sync: &str, detail: &Detail) -> Result<Vec<u8>> {
        self.keys.seal(&of_sync(sync), to_json(detail)?.as_bytes())
    }

    pub(super) fn open_detail(&self, sync: &str, sealed: &[u8]) -> Result<Detail> {
        self.unseal(&of_sync(sync), sealed)
    }

    fn unseal<T: serde::de::DeserializeOwned>(&self, context: &str, sealed: &[u8]) -> Result<T> {
        let plain = self.keys.open(context, sealed)?;
        from_json(&String::from_utf8_lossy(&plain))
    }
}

fn of_connection(tenant: &str, connection: &str) -> String {
    format!("connection {tenant}/{connection}")
}

fn of_sync(id: &str) -> String {
    format!("sync {id}")
}

/// The text by which a key is known.
const MARK: &str = "the store's key";

/// Whether the store was sealed with these keys; a store without a mark gets one.
pub(super) fn check_key(session: &Session<'_>) -> Result<()> {
    let select = "SELECT sealed FROM marks WHERE name = ?1";
    let found: Option<Vec<u8>> = session.sql.query_row(select, [MARK], |row| row.get(0)).optional().map_err(failed)?;
    match found {
        Some(sealed) => session.keys.open(MARK, &sealed).map(drop),
        None => put_mark(session),
    }
}

fn put_mark(session: &Session<'_>) -> Result<()> {
    let insert = "INSERT INTO marks(name, sealed) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET sealed = excluded.sealed";
    let sealed = session.keys.seal(MARK, MARK.as_bytes())?;
    session.sql.execute(insert, params![MARK, sealed]).map(drop).map_err(failed)
}

/// Seals every text again, with the first key. Returns how many there are.
pub(super) fn reseal(session: &Session<'_>) -> Result<u64> {
    put_mark(session)?;
    let sql = &session.sql;
    let mut count = 0;
    let mut again = |context: &str, sealed: &[u8]| -> Result<Vec<u8>> {
        count += 1;
        session.keys.seal(context, &session.keys.open(context, sealed)?)
    };
    let mut connections = sql.prepare("SELECT tenant, name, sealed FROM connections").map_err(failed)?;
    let mut rows = connections.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let read = || Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Vec<u8>>(2)?));
        let (tenant, name, sealed) = read().map_err(failed)?;
        let sealed = again(&of_connection(&tenant, &name), &sealed)?;
        let update = "UPDATE connections SET sealed = ?3 WHERE tenant = ?1 AND name = ?2";
        sql.execute(update, params![tenant, name, sealed]).map_err(failed)?;
    }
    let mut syncs = sql.prepare("SELECT id, detail FROM syncs WHERE detail IS NOT NULL").map_err(failed)?;
    let mut rows = syncs.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let read = || Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?));
        let (id, detail) = read().map_err(failed)?;
        let sealed = again(&of_sync(&id), &detail)?;
        sql.execute("UPDATE syncs SET detail = ?2 WHERE id = ?1", params![id, sealed]).map_err(failed)?;
    }
    Ok(count)
}
