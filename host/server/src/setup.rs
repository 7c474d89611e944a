//! Before a server runs: its data folder, its key, the operator's token; and changing the key.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::FlockOperation;

use super::private_folder;
use super::store::{self, Store, tokens};
use model::error::{Code, Error, Result};
use sandbox::seal::{self, Keys};

/// Makes the data folder, the key file and the store where they are not there yet. Of what is there nothing is changed, but that
/// the folder is closed to others. Returns whether the store is new.
pub fn init(data: &Path, key_file: &Path) -> Result<bool> {
    let failed = |error| Error::new(Code::StoreFailed, format!("make the folder {}", data.display())).because(error);
    private_folder(data).map_err(failed)?;
    close(data)?;
    let has_store = data.join(store::FILE).exists();
    if !key_file.exists() {
        if has_store {
            return Err(Error::new(Code::KeyInvalid, format!("find the key file {}", key_file.display()))
                .hint("The store is sealed with a key; a new one could not open it. Bring the key file back."));
        }
        seal::write_keys(key_file, &seal::new_key()?)?;
    }
    let _lock = lock(data)?;
    Store::open(data, keys(key_file)?)?;
    Ok(!has_store)
}

/// Makes one more operator's token. Whoever can read the data folder and the key is an operator.
pub async fn new_operator_token(data: &Path, key_file: &Path, note: &str) -> Result<String> {
    let _lock = lock(data)?;
    let store = Store::open(data, keys(key_file)?)?;
    let note = note.to_owned();
    let token = store.change(move |session| tokens::create(session, None, &note)).await?;
    token.token.ok_or_else(|| Error::new(Code::HostBug, "make a token"))
}

/// Seals everything with a new key. Killed at any moment, it can be run again: until the end both keys are in the file.
/// Returns how many texts there are.
pub fn rotate_key(data: &Path, key_file: &Path) -> Result<u64> {
    let _lock = lock(data)?;
    let old = seal::read_keys(key_file)?;
    Keys::parse(&old)?;
    let new = seal::new_key()?;
    let both = format!("{new}{old}");
    seal::write_keys(key_file, &both)?;
    let count = store::reseal(data, &Keys::parse(&both)?)?;
    seal::write_keys(key_file, &new)?;
    Ok(count)
}

/// Closes the data folder to everybody but its owner: warehouses and names in it are not for others.
pub(super) fn close(data: &Path) -> Result<()> {
    let failed = |error| {
        Error::new(Code::StoreFailed, format!("close the folder {} to others", data.display()))
            .hint("Others than its owner can read it: chmod 700.")
            .because(error)
    };
    let mut mode = std::fs::metadata(data).map_err(failed)?.permissions();
    if mode.mode() & 0o077 != 0 {
        mode.set_mode(0o700);
        std::fs::set_permissions(data, mode).map_err(failed)?;
    }
    Ok(())
}

/// The keys of a file.
pub(super) fn keys(key_file: &Path) -> Result<Keys> {
    let missing = |error: Error| error.hint("`host serve --init` makes the data folder and the key file.");
    Keys::parse(
        &seal::read_keys(key_file).map_err(|error| if error.advice().is_none() { missing(error) } else { error })?,
    )
}

/// Takes the data folder for one process; given back when the file is dropped.
pub(super) fn lock(data: &Path) -> Result<File> {
    let subject = || format!("take the data folder {}", data.display());
    let path = data.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| {
        Error::new(Code::StoreFailed, subject())
            .hint("`host serve --init` makes the data folder and the key file.")
            .because(error)
    })?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
        Error::new(Code::Conflict, format!("{}: another process has it", subject()))
            .hint("One server runs on a data folder; stop it first.")
            .because(error)
    })?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{connections, failed};
    use crate::types::{ConnectionSettings, TenantSettings};

    #[tokio::test]
    async fn a_key_is_changed_and_the_old_one_opens_nothing_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let (data, key) = (folder.path().join("data"), folder.path().join("key"));
        init(&data, &key).unwrap();
        let settings: ConnectionSettings =
            serde_json::from_str(r#"{"connector":"x","configuration":{"key":"s3cret"},"destination":"null:"}"#)
                .unwrap();
        let given = settings.clone();
        let store = Store::open(&data, keys(&key).unwrap()).unwrap();
        let put = store.change(move |session| {
            crate::store::tenants::put(session, "a", &TenantSettings::default())?;
            connections::put(session, ("a", "c"), &given, None)
        });
        put.await.unwrap();
        drop(store);
        let old = seal::read_keys(&key).unwrap();
        assert_eq!(rotate_key(&data, &key).unwrap(), 1);
        let new = seal::read_keys(&key).unwrap();
        assert!(new.lines().count() == 1 && new != old);
        let open = |keys: &str| Store::open(&data, Keys::parse(keys).unwrap());
        let found = open(&new).unwrap().note(|session| connections::get(session, "a", "c")).await;
        assert_eq!(found.unwrap().unwrap().settings, settings);
        assert_eq!(open(&old).err().map(|error| error.code()), Some(Code::KeyInvalid));
        let file = std::fs::read(data.join(store::FILE)).unwrap();
        assert!(!file.windows(6).any(|window| window == b"s3cret"));
    }

    #[tokio::test]
    async fn one_process_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (data, key) = (folder.path().join("data"), folder.path().join("key"));
        assert!(init(&data, &key).unwrap());
        assert!(!init(&data, &key).unwrap());
        let held = lock(&data).unwrap();
        assert_eq!(rotate_key(&data, &key).unwrap_err().code(), Code::Conflict);
        drop(held);
        let token = new_operator_token(&data, &key, "").await.unwrap();
        let store = Store::open(&data, keys(&key).unwrap()).unwrap();
        let given = token.clone();
        let owner = store.note(move |session| tokens::owner(session, &given)).await.unwrap();
        assert_eq!(owner, Some(tokens::Owner::Operator));
        let count = |session: &store::Session<'_>| {
            session.sql.query_row("SELECT count(*) FROM tokens", [], |row| row.get::<_, i64>(0)).map_err(failed)
        };
        assert_eq!(store.note(count).await.unwrap(), 1);
        drop(store);
        let bytes = std::fs::read(data.join(store::FILE)).unwrap();
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
    }

    #[test]
    fn a_folder_that_others_can_read_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let (data, key) = (folder.path().join("data"), folder.path().join("key"));
        let mode = || std::fs::metadata(&data).unwrap().permissions().mode() & 0o777;
        let set = |mode| std::fs::set_permissions(&data, std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::create_dir(&data).unwrap();
        set(0o755);
        assert!(init(&data, &key).unwrap());
        assert_eq!(mode(), 0o700);
        set(0o711);
        close(&data).unwrap();
        assert_eq!(mode(), 0o700);
        assert_eq!(close(&folder.path().join("none")).unwrap_err().code(), Code::StoreFailed);
    }

    #[test]
    fn a_store_without_its_key_is_not_given_another() {
        let folder = tempfile::tempdir().unwrap();
        let (data, key) = (folder.path().join("data"), folder.path().join("key"));
        init(&data, &key).unwrap();
        std::fs::remove_file(&key).unwrap();
        assert_eq!(init(&data, &key).unwrap_err().code(), Code::KeyInvalid);
    }
}
