//! A lake in a folder of this machine. Every file appears whole and durable: written beside, synced, then linked into place.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Listing, Store};
use crate::Access;
use crate::file::{DISK_FULL, make_folder};
use model::error::{Code, Error, Result};

/// Where files are written before they get their name.
const PARTIAL: &str = "_elt/.partial";
/// What a host that died has left there is removed after so long.
const PARTIAL_KEPT: Duration = Duration::from_hours(24);

/// A folder.
pub(in crate::delta) struct Local {
    root: PathBuf,
    /// Whether files are synced to the disk; tests of other things do without.
    is_durable: bool,
    /// Folders that a power cut leaves where they are.
    durable: RefCell<BTreeSet<PathBuf>>,
}

impl Local {
    /// Opens a folder; for writing, makes it.
    pub(in crate::delta) fn open(path: &Path, access: Access) -> Result<Self> {
        if access == Access::Write {
            let made = make_folder(path).and_then(|()| fs::create_dir_all(path.join(PARTIAL)));
            made.map_err(|error| failed("make the folder of", path, error))?;
        }
        let root = path.canonicalize().map_err(|error| match (access, error.kind()) {
            (Access::Read, ErrorKind::NotFound) => Error::new(
                Code::DestinationInvalid,
                format!("open the lake {}: there is no such folder", path.display()),
            )
            .hint("Run a sync first, or give the path of the lake with --destination delta:PATH."),
            _ => failed("open", path, error),
        })?;
        let local = Self { root, is_durable: true, durable: RefCell::default() };
        if access == Access::Write {
            local.clean();
        }
        Ok(local)
    }

    /// The same without syncing, for tests.
    #[cfg(test)]
    pub(in crate::delta) fn hasty(mut self) -> Self {
        self.is_durable = false;
        self
    }

    /// Removes what hosts that died have left. What cannot be removed is in nobody's way.
    fn clean(&self) {
        for entry in fs::read_dir(self.root.join(PARTIAL)).into_iter().flatten().flatten() {
            let age = entry.metadata().and_then(|found| found.modified()).ok().and_then(|time| time.elapsed().ok());
            if age.is_some_and(|age| age > PARTIAL_KEPT) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// Writes a file beside, and gives it its name by `place`.
    fn write(
        &self,
        key: &str,
        content: impl FnOnce(&mut File) -> std::io::Result<()>,
        place: impl FnOnce(&Path, &Path) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let partial = self.root.join(PARTIAL).join(format!("{:032x}", fastrand::u128(..)));
        let written = (|| {
            let mut file = File::create_new(&partial)?;
            content(&mut file)?;
            if self.is_durable {
                file.sync_all()?;
            }
            let path = self.path(key);
            let folder = path.parent().unwrap_or(&self.root);
            self.make(folder)?;
            place(&partial, &path)?;
            self.sync(folder)
        })();
        // After a rename it is gone already, and what is left is removed in a day.
        let _ = fs::remove_file(&partial);
        written
    }

    /// Makes a folder and those it is in; they are as durable as what is put into them. So are those that are there already:
    /// a host that died may have made them a moment ago.
    fn make(&self, folder: &Path) -> std::io::Result<()> {
        if folder == self.root || self.durable.borrow().contains(folder) && folder.is_dir() {
            return Ok(());
        }
        let above = folder.parent().unwrap_or(&self.root);
        self.make(above)?;
        match fs::create_dir(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => self.sync(above)?,
        }
        self.durable.borrow_mut().insert(folder.to_owned());
        Ok(())
    }

    /// A new name is durable only with its folder.
    fn sync(&self, folder: &Path) -> std::io::Result<()> {
        if self.is_durable { File::open(folder)?.sync_all() } else { Ok(()) }
    }
}

impl Store for Local {
    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool> {
        // A link fails where there is a file already; a rename would replace it.
        match self.write(key, |file| file.write_all(bytes), |from, to| fs::hard_link(from, to)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Ok(self.read(key)?.is_some_and(|there| there == bytes))
            }
            Err(error) => Err(failed("write", &self.path(key), error)),
        }
    }

    fn replace(&self, key: &str, bytes: &[u8]) -> Result<()> {
        let written = self.write(key, |file| file.write_all(bytes), |from, to| fs::rename(from, to));
        written.map_err(|error| failed("write", &self.path(key), error))
    }

    fn upload(&self, key: &str, file: &Path) -> Result<()> {
        let content = |to: &mut File| std::io::copy(&mut File::open(file)?, to).map(drop);
        let written = self.write(key, content, |from, to| fs::rename(from, to));
        written.map_err(|error| failed("write", &self.path(key), error))
    }

    fn read(&self, key: &str) -> Result<Option<Vec<u8>>> {
        match fs::read(self.path(key)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &self.path(key), error)),
        }
    }

    fn list(&self, folder: &str) -> Result<Listing> {
        let path = self.path(folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Listing::default()),
            Err(error) => return Err(failed("list", &path, error)),
        };
        let mut listing = Listing::default();
        for entry in entries {
            let found = entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?.is_dir())));
            let (name, is_folder) = found.map_err(|error| failed("list", &path, error))?;
            // No key of ours is anything but ASCII.
            let Ok(name) = name.into_string() else { continue };
            if is_folder { &mut listing.folders } else { &mut listing.objects }.push(name);
        }
        listing.objects.sort_unstable();
        listing.folders.sort_unstable();
        Ok(listing)
    }

    fn delete(&self, key: &str) -> Result<()> {
        match fs::remove_file(self.path(key)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", &self.path(key), error)),
            _ => Ok(()),
        }
    }

    fn delete_folder(&self, folder: &str) -> Result<()> {
        match fs::remove_dir_all(self.path(folder)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", &self.path(folder), error)),
            _ => Ok(()),
        }
    }

    fn file(&self, key: &str, _scratch: &Path) -> Result<PathBuf> {
        Ok(self.path(key))
    }

    fn root(&self) -> Option<&Path> {
        Some(&self.root)
    }
}

fn failed(verb: &str, path: &Path, error: std::io::Error) -> Error {
    const UNWRITABLE: &str = "Check that the path is a folder, and that this user may write it and everything in it.";
    let (code, hint) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (Code::DiskFull, DISK_FULL),
        _ => (Code::WarehouseUnwritable, UNWRITABLE),
    };
    Error::new(code, format!("{verb} {}", path.display())).because(error).hint(hint)
}
