//! Components of connectors: kept as files named by their digest, loaded once and shared by all syncs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, Semaphore};

use super::Server;
use super::store::{Session, connectors};
use model::error::{Code, Error, Result};
use sandbox::seal;
use sandbox::{Compiler, Component, Limits, Runtime};

/// Components that stay loaded without a sync that uses them.
const LOADED_MAX: usize = 256;
/// Components that are compiled at one time: each takes all processors.
const COMPILING_MAX: usize = 1;

/// The components of a server.
pub(super) struct Components {
    runtime: Arc<Runtime>,
    folder: PathBuf,
    loaded: Mutex<HashMap<String, Arc<OnceCell<Arc<Component>>>>>,
    compiling: Semaphore,
}

impl Components {
    /// Those in a folder, which is made if it is not there.
    pub(super) fn open(folder: PathBuf, cache: Option<&Path>, compiler: Option<Compiler>) -> Result<Self> {
        std::fs::create_dir_all(&folder).map_err(|error| unwritable().because(error))?;
        let runtime = Arc::new(Runtime::new(cache, compiler)?);
        Ok(Self { runtime, folder, loaded: Mutex::default(), compiling: Semaphore::new(COMPILING_MAX) })
    }

    /// Loads a component that was uploaded. It is not there for anybody before it is kept.
    pub(super) async fn take_in(&self, bytes: axum::body::Bytes) -> Result<Upload> {
        let path = self.folder.join(format!("{:08x}.{UPLOAD}", u32::from_be_bytes(seal::random()?)));
        // Its file goes with this, whatever ends it.
        let file = Partial(path);
        write(file.0.clone(), bytes).await?;
        let component = Arc::new(self.compile(file.0.clone()).await?);
        Ok(Upload { component, file })
    }

    /// Keeps a component that was uploaded. Only in the store's work that notes it: one work after another decides which
    /// files there are.
    pub(super) fn keep(&self, upload: &Upload) -> Result<()> {
        let digest = upload.component.digest();
        std::fs::rename(&upload.file.0, self.path(digest)).map_err(|error| unwritable().because(error))?;
        // Where it was loaded before, that one stays.
        let _ = self.cell(digest).set(Arc::clone(&upload.component));
        Ok(())
    }

    /// The component with this digest, loaded at most once at a time.
    pub(super) async fn get(&self, digest: &str) -> Result<Arc<Component>> {
        let cell = self.cell(digest);
        let load = async || self.compile(self.path(digest)).await.map(Arc::new);
        cell.get_or_try_init(load).await.map(Arc::clone)
    }

    /// Removes the file of a component that nobody has any more. Only in the store's work that has found that out.
    fn remove(&self, digest: &str) {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
        // One that stays takes room and nothing else.
        let _ = std::fs::remove_file(self.path(digest));
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.wasm"))
    }

    fn cell(&self, digest: &str) -> Arc<OnceCell<Arc<Component>>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.len() >= LOADED_MAX && !loaded.contains_key(digest) {
            loaded.retain(|_, cell| cell.get().is_none_or(|component| Arc::strong_count(component) > 1));
        }
        Arc::clone(loaded.entry(digest.to_owned()).or_default())
    }

    async fn compile(&self, path: PathBuf) -> Result<Component> {
        let Ok(_turn) = self.compiling.acquire().await else {
            return Err(Error::new(Code::ServerBusy, "load the component: the server is about to end"));
        };
        let (runtime, shown) = (Arc::clone(&self.runtime), path.display().to_string());
        let load = move || runtime.load(&path, &Limits::default());
        let loaded = tokio::task::spawn_blocking(load).await;
        let loaded = loaded.map_err(|error| Error::new(Code::HostBug, "load the component").because(error))?;
        loaded.map_err(|error| unplaced(error, &shown))
    }
}

/// A component that was uploaded and is not kept yet.
pub(super) struct Upload {
    pub(super) component: Arc<Component>,
    file: Partial,
}

/// A file that is not there for longer than this, unless it was given another name.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// How the name of a file ends that is being uploaded.
const UPLOAD: &str = "upload";
/// How the name of a component's file ends.
const WASM: &str = "wasm";

/// Removes files that nothing refers to: uploads that a server was killed with, components that were to go.
pub(super) async fn clean(server: &Arc<Server>) -> Result<()> {
    let cleaned = Arc::clone(server);
    let work = move |session: &Session<'_>| {
        let folder = &cleaned.components.folder;
        let entries = std::fs::read_dir(folder).map_err(|error| unwritable().because(error))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_left = match path.extension().and_then(OsStr::to_str) {
                Some(UPLOAD) => true,
                Some(WASM) => {
                    let digest = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
                    !connectors::has_file(session, digest)?
                }
                _ => false,
            };
            if is_left {
                std::fs::remove_file(&path).map_err(|error| unwritable().because(error))?;
            }
        }
        Ok(())
    };
    server.store.note(work).await
}

/// Removes the files of those components that no connector has any more.
pub(super) async fn forget(server: &Arc<Server>, digests: Vec<String>) -> Result<()> {
    let forgetting = Arc::clone(server);
    let work = move |session: &Session<'_>| {
        for digest in digests {
            if !connectors::has_file(session, &digest)? {
                forgetting.components.remove(&digest);
            }
        }
        Ok(())
    };
    server.store.note(work).await
}

/// The error without the server's own path: where files lie is not for tenants to know.
fn unplaced(error: Error, path: &str) -> Error {
    error.rewritten(&|text| {
        if text.contains(path) {
            Cow::Owned(text.replace(&format!("the component {path}"), "the component").replace(path, "the component"))
        } else {
            Cow::Borrowed(text)
        }
    })
}

async fn write(path: PathBuf, bytes: axum::body::Bytes) -> Result<()> {
    let write = move || {
        let written = std::fs::File::create(&path).and_then(|mut file| {
            std::io::Write::write_all(&mut file, &bytes)?;
            file.sync_all()
        });
        written.map_err(|error| unwritable().because(error))
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.map_err(|error| Error::new(Code::HostBug, "keep the component").because(error))?
}

fn unwritable() -> Error {
    Error::new(Code::StoreFailed, "keep components in the data folder")
        .hint("See whether the disk is full or the data folder cannot be written.")
}
