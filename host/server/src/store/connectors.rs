//! Versions of connectors. The component itself is a file in the data folder, named by its digest.

use rusqlite::{OptionalExtension as _, params};

use super::{Session, count, failed, from_json, to_json};
use crate::time;
use crate::types::{Connector, ConnectorField};
use model::error::{Code, Error, Result};

/// Who owns a connector that is there for every tenant.
pub(crate) const OPERATOR: &str = "";

/// What is kept of a connector's description.
#[derive(serde::Serialize, serde::Deserialize)]
struct Described {
    fields: Vec<ConnectorField>,
    hosts: Vec<String>,
}

const COLUMNS: &str = "name, version, digest, bytes, owner, uploaded_at_us, description, number";

fn connector(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Connector, String)> {
    let connector = Connector {
        name: row.get(0)?,
        version: row.get(1)?,
        digest: row.get(2)?,
        bytes: row.get::<_, i64>(3)?.unsigned_abs(),
        shared: row.get::<_, String>(4)? == OPERATOR,
        uploaded_at: time::text(row.get(5)?),
        fields: Vec::new(),
        hosts: Vec::new(),
    };
    Ok((connector, row.get(6)?))
}

fn complete((connector, description): (Connector, String)) -> Result<Connector> {
    let Described { fields, hosts } = from_json(&description)?;
    Ok(Connector { fields, hosts, ..connector })
}

/// Notes an uploaded version; one that is there already stays as it is, but counts as the latest.
pub(crate) fn add(session: &Session<'_>, owner: &str, connector: &Connector, max: u32) -> Result<()> {
    let delete = "DELETE FROM connectors WHERE owner = ?1 AND name = ?2 AND digest = ?3";
    session.sql.execute(delete, [owner, &connector.name, &connector.digest]).map_err(failed)?;
    let select = "SELECT count(*) FROM connectors WHERE owner = ?1";
    let count: u32 = session.sql.query_row(select, [owner], |row| row.get(0)).map_err(failed)?;
    if count >= max {
        return Err(Error::new(Code::LimitQuota, format!("keep the connector: there are {count} versions already"))
            .hint("Delete versions that no connection uses."));
    }
    let described = Described { fields: connector.fields.clone(), hosts: connector.hosts.clone() };
    let insert = "INSERT INTO connectors(owner, name, version, digest, bytes, description, uploaded_at_us) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let Connector { name, version, digest, bytes, .. } = connector;
    let bytes = i64::try_from(*bytes).unwrap_or(i64::MAX);
    let values = params![owner, name, version, digest, bytes, to_json(&described)?, time::now_us()];
    session.sql.execute(insert, values).map(drop).map_err(failed)
}

/// The version that a tenant means: its own before the operator's, of this digest, else the latest.
pub(crate) fn find(session: &Session<'_>, owner: &str, name: &str, digest: Option<&str>) -> Result<Option<Connector>> {
    let select = format!(
        "SELECT {COLUMNS} FROM connectors WHERE owner IN (?1, '') AND name = ?2 AND digest = coalesce(?3, digest) \
         ORDER BY owner DESC, number DESC LIMIT 1"
    );
    let found = session.sql.query_row(&select, params![owner, name, digest], connector).optional().map_err(failed)?;
    found.map(complete).transpose()
}

/// A place in the list of connectors: a version's name and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    name: String,
    number: i64,
}

impl Place {
    /// The place that a text means; the start, where it means none.
    pub(crate) fn parse(text: &str) -> Self {
        let parts = text.split_once(' ').and_then(|(number, name)| Some((number.parse().ok()?, name)));
        let (number, name) = parts.unwrap_or((i64::MAX, ""));
        Self { name: name.to_owned(), number }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.number, self.name)
    }
}

/// The versions that a tenant can use (the operator: those of everybody's), by name, the latest first, after a place. Absent
/// `name`: of all connectors.
pub(crate) fn list(
    session: &Session<'_>,
    (owner, name): (&str, Option<&str>),
    after: &Place,
    limit: usize,
) -> Result<Vec<(Place, Connector)>> {
    let select = format!(
        "SELECT {COLUMNS} FROM connectors WHERE owner IN (?1, '') AND name = coalesce(?2, name) \
         AND (name, -number) > (?3, -?4) ORDER BY name, number DESC LIMIT ?5"
    );
    let mut statement = session.sql.prepare_cached(&select).map_err(failed)?;
    let row = |row: &rusqlite::Row<'_>| {
        let found = connector(row)?;
        Ok((Place { name: found.0.name.clone(), number: row.get(7)? }, found))
    };
    let values = params![owner, name, after.name, after.number, count(limit)];
    let rows = statement.query_map(values, row).map_err(failed)?;
    let one = |found: rusqlite::Result<_>| {
        let (place, found) = found.map_err(failed)?;
        Ok((place, complete(found)?))
    };
    rows.map(one).collect()
}

/// Whether any connector is the component of this digest.
pub(crate) fn has_file(session: &Session<'_>, digest: &str) -> Result<bool> {
    let left = "SELECT EXISTS (SELECT 1 FROM connectors WHERE digest = ?1)";
    session.sql.query_row(left, [digest], |row| row.get(0)).map_err(failed)
}

/// The digests of an owner's versions.
pub(crate) fn digests(session: &Session<'_>, owner: &str) -> Result<Vec<String>> {
    let select = "SELECT digest FROM connectors WHERE owner = ?1";
    let mut statement = session.sql.prepare(select).map_err(failed)?;
    let rows = statement.query_map([owner], |row| row.get(0)).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Removes a version that no connection uses. False: there is no such version.
pub(crate) fn delete(session: &Session<'_>, owner: &str, name: &str, digest: &str) -> Result<bool> {
    let exists = "SELECT EXISTS (SELECT 1 FROM connectors WHERE owner = ?1 AND name = ?2 AND digest = ?3)";
    if !session.sql.query_row(exists, [owner, name, digest], |row| row.get::<_, bool>(0)).map_err(failed)? {
        return Ok(false);
    }
    let used = "SELECT EXISTS (SELECT 1 FROM connections WHERE digest = ?1 AND (?2 = '' OR tenant = ?2))";
    if session.sql.query_row(used, [digest, owner], |row| row.get::<_, bool>(0)).map_err(failed)? {
        return Err(Error::new(Code::Conflict, format!("delete the connector {name}: connections use this version"))
            .hint("Give those connections another version first."));
    }
    let delete = "DELETE FROM connectors WHERE owner = ?1 AND name = ?2 AND digest = ?3";
    session.sql.execute(delete, [owner, name, digest]).map(|count| count > 0).map_err(failed)
}
