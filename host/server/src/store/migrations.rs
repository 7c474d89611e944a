//! The store's schema, as numbered steps that only go forward.

use rusqlite::Connection;

use super::failed;
use model::error::{Code, Error, Result};

/// Step N brings a store from version N to N + 1. A step that was released is never changed.
const STEPS: &[&str] =
    &[include_str!("migrations/1.sql"), include_str!("migrations/2.sql"), include_str!("migrations/3.sql")];

/// Brings the store up to date; refuses one that a newer host has written.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        let message = format!("open the server's store: it has version {found}, this host knows {known}");
        return Err(Error::new(Code::StoreInvalid, message)
            .hint("A newer host has written it. Use that host, or bring back a copy from before the upgrade."));
    }
    for (version, step) in (1..).zip(STEPS).filter(|(version, _)| *version > found) {
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(step).map_err(failed)?;
        transaction.pragma_update(None, "user_version", version).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_made_once_and_a_newer_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = super::super::open(&folder.path().join("server.db")).unwrap();
        for _ in 0..2 {
            migrate(&mut connection).unwrap();
        }
        let newer = i64::try_from(STEPS.len()).unwrap() + 1;
        connection.pragma_update(None, "user_version", newer).unwrap();
        let error = migrate(&mut connection).unwrap_err();
        assert_eq!(error.code(), Code::StoreInvalid);
        assert!(error.to_string().contains(&format!("version {newer}")));
    }

    #[test]
    fn a_full_refresh_that_waits_is_one_in_the_next_version_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = super::super::open(&folder.path().join("server.db")).unwrap();
        connection.execute_batch(STEPS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        let rows = "INSERT INTO tenants VALUES ('a', '{}', 0);
            INSERT INTO connections VALUES ('a', 'x', '', '', '', x'', 0, NULL, 0, 0, 0, 0), \
                ('a', 'y', '', '', '', x'', 0, NULL, 0, 0, 0, 0);
            INSERT INTO syncs VALUES ('1', 'a', 'x', '', 1, 'queued', 0, NULL, NULL, 0, NULL, NULL), \
                ('2', 'a', 'y', '', 1, 'failed', 0, NULL, NULL, 0, NULL, NULL);";
        connection.execute_batch(rows).unwrap();
        migrate(&mut connection).unwrap();
        let due = |name: &str| -> bool {
            let select = "SELECT refresh_due FROM connections WHERE name = ?1";
            connection.query_row(select, [name], |row| row.get(0)).unwrap()
        };
        assert_eq!((due("x"), due("y")), (true, false));
    }
}
