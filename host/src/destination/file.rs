//! Warehouses that are one file: the path by which it is known, and what its file system may say.

use std::path::{Path, PathBuf};

use super::Access;
use crate::error::{Code, Error, Result};

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
    std::fs::create_dir_all(folder).map_err(|error| failed_on_disk(what(), error))?;
    Ok(folder.canonicalize().map_err(|error| failed_on_disk(what(), error))?.join(name))
}

/// An error of the file system around the warehouse.
fn failed_on_disk(what: String, error: std::io::Error) -> Error {
    let (code, hint) = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => (Code::DiskFull, DISK_FULL),
        _ => (Code::WarehouseUnwritable, UNWRITABLE),
    };
    Error::new(code, what).because(error).hint(hint)
}
