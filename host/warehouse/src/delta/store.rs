//! The place of a lake: objects under keys such as `shop/orders/part-1.parquet`, in a folder or in an S3-compatible store.

mod local;
mod s3;

#[cfg(test)]
pub(super) mod mortal;

pub(super) use local::Local;
pub(super) use s3::S3;

use std::path::{Path, PathBuf};

use model::error::Result;

/// What is directly in a folder, each sorted by name.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) objects: Vec<String>,
    pub(super) folders: Vec<String>,
}

/// Objects by key. What a call that writes returned from is durable and is seen by every reader.
pub(super) trait Store: Send {
    /// Makes an object unless there is one of that key already. Returns whether the object has these bytes now: an answer
    /// that was lost and asked for again must not look like somebody else's.
    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool>;

    /// Makes or replaces an object.
    fn replace(&self, key: &str, bytes: &[u8]) -> Result<()>;

    /// Makes an object of a file.
    fn upload(&self, key: &str, file: &Path) -> Result<()>;

    /// An object's bytes; none if there is no such object.
    fn read(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// What is in a folder; nothing if there is none.
    fn list(&self, folder: &str) -> Result<Listing>;

    /// Removes an object if it is there.
    fn delete(&self, key: &str) -> Result<()>;

    /// Removes everything in a folder.
    fn delete_folder(&self, folder: &str) -> Result<()>;

    /// A file with an object's bytes, which may be made in the folder `scratch`.
    fn file(&self, key: &str, scratch: &Path) -> Result<PathBuf>;

    /// The folder in which `file` finds files without making them.
    fn root(&self) -> Option<&Path>;
}
