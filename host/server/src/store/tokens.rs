//! Tokens: whom a request speaks for. Of a token only its SHA-256 is kept, so the store gives none away.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::{OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::{Session, count, failed};
use crate::time;
use crate::types::Token;
use model::error::{Code, Error, Result};
use sandbox::seal;

/// What every token begins with, so that leaked ones can be searched for.
const PREFIX: &str = "elt_";
/// Tokens of one tenant.
const TOKENS_MAX: u32 = 100;

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// Makes a token for a tenant, or an operator's.
pub(crate) fn create(session: &Session<'_>, tenant: Option<&str>, note: &str) -> Result<Token> {
    let select = "SELECT count(*) FROM tokens WHERE tenant IS ?1";
    let count: u32 = session.sql.query_row(select, [tenant], |row| row.get(0)).map_err(failed)?;
    if count >= TOKENS_MAX {
        return Err(Error::new(Code::LimitQuota, format!("make a token: there are {count} already"))
            .hint("Take back those that nobody uses."));
    }
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(seal::random::<32>()?));
    let now = time::now_us();
    let id = format!("{now}-{:08x}", u32::from_be_bytes(seal::random()?));
    let insert = "INSERT INTO tokens(id, tenant, hash, note, created_at_us) VALUES (?1, ?2, ?3, ?4, ?5)";
    session.sql.execute(insert, params![id, tenant, hash(&token), note, now]).map_err(failed)?;
    Ok(Token { id, note: note.to_owned(), created_at: time::text(now), token: Some(token) })
}

/// Whom a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Operator,
    Tenant(String),
}

/// Whom a token speaks for. Nothing: nobody.
pub(crate) fn owner(session: &Session<'_>, token: &str) -> Result<Option<Owner>> {
    let find = "SELECT tenant FROM tokens WHERE hash = ?1";
    let owner = |row: &rusqlite::Row<'_>| Ok(row.get::<_, Option<String>>(0)?.map_or(Owner::Operator, Owner::Tenant));
    session.sql.query_row(find, [hash(token)], owner).optional().map_err(failed)
}

/// A tenant's tokens, without the tokens themselves, the oldest first, after an id.
pub(crate) fn list(session: &Session<'_>, tenant: &str, after: &str, limit: usize) -> Result<Vec<Token>> {
    let select = "SELECT id, note, created_at_us FROM tokens WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    let mut statement = session.sql.prepare_cached(select).map_err(failed)?;
    let token = |row: &rusqlite::Row<'_>| {
        Ok(Token { id: row.get(0)?, note: row.get(1)?, created_at: time::text(row.get(2)?), token: None })
    };
    statement
        .query_map(params![tenant, after, count(limit)], token)
        .map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)
}

/// Takes a tenant's token back. False: there is none of that name.
pub(crate) fn delete(session: &Session<'_>, tenant: &str, id: &str) -> Result<bool> {
    let delete = "DELETE FROM tokens WHERE tenant = ?1 AND id = ?2";
    session.sql.execute(delete, [tenant, id]).map(|count| count > 0).map_err(failed)
}
