//! Where tokens are kept that have replaced others: a place of their own, which no checkpoint delays.
//!
//! A source that gives out a new refresh token takes the old one back at once. Whatever becomes of the sync then, the next one
//! must have the new one. What is kept is sealed already; a line is the name of all tokens that replaced one another, and of
//! each line the latest is kept.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::placeholder::to_hex;
use model::error::{Code, Error, Result};

/// Lines that are kept of a connection; more begin only where its operator signs it in as often.
const LINES_MAX: usize = 100;
/// The version of the files.
const VERSION: u32 = 1;

/// A place for tokens that have replaced others.
pub trait TokenStore: Debug + Send + Sync {
    /// The latest token of each line of a connection, sealed. `owner` is the connection's name, a NUL and the connector's.
    fn latest(&self, owner: &str) -> Result<Vec<(String, String)>>;

    /// Puts a token into the place of what its line had before, in one step. It is durable when this returns.
    fn replace(&self, owner: &str, line: &str, sealed: &str) -> Result<()>;
}

/// A folder with a file for each connection.
#[derive(Debug)]
pub struct TokenFolder(PathBuf);

/// What such a file holds (docs/formats/tokens.md).
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    connection: String,
    connector: String,
    /// The line and its latest token; what was replaced last stands last.
    tokens: Vec<(String, String)>,
}

impl TokenFolder {
    /// A folder, which is made when there is something to be kept.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    fn file(&self, owner: &str) -> PathBuf {
        let digest = Sha256::digest(owner.as_bytes());
        self.0.join(format!("{}.json", to_hex(&digest[..16])))
    }
}

impl TokenStore for TokenFolder {
    fn latest(&self, owner: &str) -> Result<Vec<(String, String)>> {
        Ok(read(&self.file(owner))?.map(|kept| kept.tokens).unwrap_or_default())
    }

    fn replace(&self, owner: &str, line: &str, sealed: &str) -> Result<()> {
        let path = self.file(owner);
        let failed = |error| failure("keep a new refresh token in", &path).because(error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(failed)?;
        // Another host may run the same connection.
        let lock =
            File::options().create(true).truncate(false).write(true).mode(0o600).open(path.with_extension("lock"));
        let lock = lock.map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        let mut kept = read(&path)?.unwrap_or_else(|| {
            let (connection, connector) = owner.split_once('\0').unwrap_or((owner, ""));
            Kept {
                version: VERSION,
                connection: connection.to_owned(),
                connector: connector.to_owned(),
                tokens: Vec::new(),
            }
        });
        kept.tokens.retain(|(known, _)| known != line);
        kept.tokens.push((line.to_owned(), sealed.to_owned()));
        let forgotten = kept.tokens.len().saturating_sub(LINES_MAX);
        kept.tokens.drain(..forgotten);
        let text = serde_json::to_vec_pretty(&kept).map_err(|error| failed(error.into()))?;
        write(&path, &text).map_err(failed)
    }
}

/// None: there is no such file.
fn read(path: &Path) -> Result<Option<Kept>> {
    let failed = || failure("read the refresh tokens in", path);
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed().because(error)),
    };
    let hint =
        "It was written by a newer host, or by hand. Bring back a copy of it, or delete it: connectors sign in again.";
    let kept: Kept = serde_json::from_slice(&text).map_err(|error| failed().because(error).hint(hint))?;
    if kept.version == VERSION { Ok(Some(kept)) } else { Err(failed().hint(hint)) }
}

/// Replaces a file in one step: whoever reads it, after whatever crash, has all of the old one or all of the new one.
fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let partial = path.with_extension("new");
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&partial)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn failure(what: &str, path: &Path) -> Error {
    Error::new(Code::TokensUnkept, format!("{what} {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    const SHOP: &str = "shop\0connector";

    #[test]
    fn the_latest_token_of_each_line_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/tokens");
        let tokens = TokenFolder::new(path.clone());
        assert_eq!(tokens.latest(SHOP).unwrap(), []);
        for (line, sealed) in [("a", "1"), ("b", "2"), ("a", "3")] {
            tokens.replace(SHOP, line, sealed).unwrap();
        }
        let pair = |line: &str, sealed: &str| (line.to_owned(), sealed.to_owned());
        assert_eq!(TokenFolder::new(path.clone()).latest(SHOP).unwrap(), [pair("b", "2"), pair("a", "3")]);
        assert_eq!(tokens.latest("other\0connector").unwrap(), []);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(tokens.file(SHOP)).unwrap().mode() & 0o777, 0o600);
        for number in 0..LINES_MAX {
            tokens.replace(SHOP, &number.to_string(), "x").unwrap();
        }
        assert_eq!(tokens.latest(SHOP).unwrap().len(), LINES_MAX);
    }

    /// What a host leaves that dies before the rename disturbs nobody.
    #[test]
    fn half_a_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = TokenFolder::new(folder.path().to_path_buf());
        tokens.replace(SHOP, "a", "1").unwrap();
        fs::write(tokens.file(SHOP).with_extension("new"), "{\"version\":1,").unwrap();
        assert_eq!(tokens.latest(SHOP).unwrap()[0].1, "1");
        tokens.replace(SHOP, "a", "2").unwrap();
        assert_eq!(tokens.latest(SHOP).unwrap()[0].1, "2");
    }

    #[test]
    fn of_many_writers_none_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let tokens = TokenFolder::new(folder.path().to_path_buf());
                scope.spawn(move || tokens.replace(SHOP, &number.to_string(), "x").unwrap());
            }
        });
        assert_eq!(TokenFolder::new(folder.path().to_path_buf()).latest(SHOP).unwrap().len(), 8);
    }

    /// Written by the first version: it must be read as long as there are such files.
    #[test]
    fn the_file_is_the_described_one() {
        const FILE: &str =
            r#"{"version":1,"connection":"shop","connector":"connector","tokens":[["a","elt_token_01_"]]}"#;
        let folder = tempfile::tempdir().unwrap();
        let tokens = TokenFolder::new(folder.path().to_path_buf());
        fs::write(tokens.file(SHOP), FILE).unwrap();
        assert_eq!(tokens.latest(SHOP).unwrap(), [("a".to_owned(), "elt_token_01_".to_owned())]);
        for text in ["", "{}", &FILE.replace(":1,", ":2,"), &FILE.replace("tokens", "others")] {
            fs::write(tokens.file(SHOP), text).unwrap();
            assert_eq!(tokens.latest(SHOP).unwrap_err().code(), Code::TokensUnkept, "{text}");
            assert_eq!(tokens.replace(SHOP, "a", "2").unwrap_err().code(), Code::TokensUnkept, "{text}");
        }
    }
}
