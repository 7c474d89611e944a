//! Components of connectors: kept as files named by their digest, loaded once and shared by all syncs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, Semaphore};

use crate::error::{Code, Error, Result};
use crate::guest::{Compiler, Component, Limits, Runtime};
use crate::seal;

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
        std::fs::create_dir_all(&folder).map_err(|error| unwritable(&folder).because(error))?;
        let runtime = Arc::new(Runtime::new(cache, compiler)?);
        Ok(Self { runtime, folder, loaded: Mutex::default(), compiling: Semaphore::new(COMPILING_MAX) })
    }

    /// Keeps a component that was uploaded and loads it: what cannot be loaded is not kept. Returns its digest.
    pub(super) async fn add(&self, bytes: axum::body::Bytes) -> Result<Arc<Component>> {
        let partial = self.folder.join(format!("{:08x}.upload", u32::from_be_bytes(seal::random()?)));
        let component = self.add_from(&partial, bytes).await;
        if component.is_err() {
            // It may not be there.
            let _ = std::fs::remove_file(&partial);
        }
        component
    }

    async fn add_from(&self, partial: &Path, bytes: axum::body::Bytes) -> Result<Arc<Component>> {
        write(partial.to_owned(), bytes).await?;
        let component = Arc::new(self.compile(partial.to_owned()).await?);
        let path = self.path(component.digest());
        std::fs::rename(partial, &path).map_err(|error| unwritable(&path).because(error))?;
        self.cell(component.digest()).get_or_init(|| std::future::ready(Arc::clone(&component))).await;
        Ok(component)
    }

    /// The component with this digest, loaded at most once at a time.
    pub(super) async fn get(&self, digest: &str) -> Result<Arc<Component>> {
        let cell = self.cell(digest);
        let load = async || self.compile(self.path(digest)).await.map(Arc::new);
        cell.get_or_try_init(load).await.map(Arc::clone)
    }

    /// Removes the file of a component that nobody has any more.
    pub(super) fn remove(&self, digest: &str) {
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
        let runtime = Arc::clone(&self.runtime);
        let load = move || runtime.load(&path, &Limits::default());
        let loaded = tokio::task::spawn_blocking(load).await;
        loaded.map_err(|error| Error::new(Code::HostBug, "load the component").because(error))?
    }
}

async fn write(path: PathBuf, bytes: axum::body::Bytes) -> Result<()> {
    let write = move || {
        let written = std::fs::File::create(&path).and_then(|mut file| {
            std::io::Write::write_all(&mut file, &bytes)?;
            file.sync_all()
        });
        written.map_err(|error| unwritable(&path).because(error))
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.map_err(|error| Error::new(Code::HostBug, "keep the component").because(error))?
}

fn unwritable(path: &Path) -> Error {
    Error::new(Code::StoreFailed, format!("write {}", path.display()))
        .hint("See whether the disk is full or the data folder cannot be written.")
}
