//! A connection's tokens that have replaced others, kept in the server's store the moment they come.

use std::fmt;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::store::{Store, renewed};
use model::error::Result;
use sandbox::TokenStore;

/// The tokens of one connection, for one sync or check of it.
pub(super) struct RenewedTokens {
    store: Store,
    tenant: String,
    connection: String,
    /// As they were at its beginning: owner, line, token.
    known: Vec<(String, String, String)>,
}

impl RenewedTokens {
    /// Reads what there is.
    pub(super) async fn of(store: &Store, tenant: &str, connection: &str) -> Result<Arc<dyn TokenStore>> {
        let (tenant, connection) = (tenant.to_owned(), connection.to_owned());
        let names = (tenant.clone(), connection.clone());
        let known = store.note(move |session| renewed::list(session, &names.0, &names.1)).await?;
        Ok(Arc::new(Self { store: store.clone(), tenant, connection, known }))
    }
}

/// Whose they are, and no more.
impl fmt::Debug for RenewedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RenewedTokens").field(&self.tenant).field(&self.connection).finish()
    }
}

impl TokenStore for RenewedTokens {
    fn latest(&self, owner: &str) -> Result<Vec<(String, String)>> {
        let own = self.known.iter().filter(|(whose, _, _)| whose == owner);
        Ok(own.map(|(_, line, sealed)| (line.clone(), sealed.clone())).collect())
    }

    fn replace(&self, owner: &str, line: &str, sealed: &str) -> Result<()> {
        let (tenant, connection, owner) = (self.tenant.clone(), self.connection.clone(), owner.to_owned());
        let (line, sealed) = (line.to_owned(), sealed.to_owned());
        // Called from a thread that may wait; the answer comes when the transaction is durable.
        Handle::current().block_on(
            self.store.change(move |session| renewed::put(session, (&tenant, &connection, &owner), &line, &sealed)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::connections;
    use crate::store::tests::store;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_latest_token_is_there_after_a_crash_and_goes_with_its_connection() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let settings = serde_json::from_str(r#"{"connector":"shop","destination":"null:"}"#).unwrap();
        let insert = "INSERT INTO tenants VALUES ('a', '{}', 0)";
        let work = move |session: &crate::store::Session<'_>| {
            session.sql.execute(insert, []).map_err(crate::store::failed)?;
            connections::put(session, ("a", "x"), &settings, None)
        };
        store.change(work).await.unwrap();
        let tokens = RenewedTokens::of(&store, "a", "x").await.unwrap();
        assert_eq!(tokens.latest("x\0shop").unwrap(), []);
        let replacing = tokio::task::spawn_blocking(move || {
            ["1", "2"].iter().try_for_each(|sealed| tokens.replace("x\0shop", "line", sealed))
        });
        replacing.await.unwrap().unwrap();
        // What another process finds in the file: nothing was closed.
        let other = rusqlite::Connection::open(folder.path().join("server.db")).unwrap();
        let sealed: Vec<String> = {
            let mut select = other.prepare("SELECT sealed FROM renewed_tokens").unwrap();
            select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
        };
        assert_eq!(sealed, ["2"]);
        let tokens = RenewedTokens::of(&store, "a", "x").await.unwrap();
        assert_eq!(tokens.latest("x\0shop").unwrap(), [("line".to_owned(), "2".to_owned())]);
        assert_eq!(tokens.latest("x\0other").unwrap(), []);
        assert!(store.change(|session| connections::delete(session, "a", "x")).await.unwrap());
        assert_eq!(RenewedTokens::of(&store, "a", "x").await.unwrap().latest("x\0shop").unwrap(), []);
    }
}
