//! Files of destinations: the path by which a warehouse is known, the folders they are in, and what the file system may say.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Access;
use model::error::{Code, Error, Result};

pub(super) const UNWRITABLE: &str =
    "Check that the path is a file, not a folder, and that this user may write the file and its folder.";
pub(super) const DISK_FULL: &str =
    "Free some room and run again: what was committed stands, the sync goes on from there.";

/// The one path by which a file is known here. For writing, makes the folder.
pub(super) fn absolute(path: &Path, access: Access, scheme: &str) -> Result<PathBuf> {
    if let Ok(found) = path.canonicalize() {
        return Ok(found);
    }
    let Some(name) = path.file_name() else {
        let what = format!("open the warehouse {}: the path names no file", path.display());
        return Err(Error::new(Code::WarehouseUnwritable, what)
            .hint("Give the path of a file, for example files/warehouse.db."));
    };
    if access == Access::Read {
        return Err(Error::new(
            Code::DestinationInvalid,
            format!("open the warehouse {}: there is no such file", path.display()),
        )
        .hint(format!("Run a sync first, or give the path of the warehouse with --destination {scheme}:PATH.")));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let what = || format!("make the folder {} of the warehouse", folder.display());
    make_folder(folder).map_err(|error| failed_on_disk(what(), error))?;
    Ok(folder.canonicalize().map_err(|error| failed_on_disk(what(), error))?.join(name))
}

/// Makes a folder and those it is in, where they are not there; a power cut leaves them. The names of files in it are durable only
/// once it was synced itself.
pub(super) fn make_folder(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folder(above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => File::open(above)?.sync_all(),
    }
}

/// An error of the file system around the warehouse.
fn failed_on_disk(what: String, error: std::io::Error) -> Error {
    let (code, hint) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (Code::DiskFull, DISK_FULL),
        _ => (Code::WarehouseUnwritable, UNWRITABLE),
    };
    Error::new(code, what).because(error).hint(hint)
}
