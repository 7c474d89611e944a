//! For tests: a store whose user dies at its k-th call, or sleeps before it while others go on.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::{Listing, Store};
use model::error::{Code, Error, Result};

/// What happens at the k-th call.
pub(in crate::delta) enum Fate {
    /// The store never sees the call, nor any after it.
    DeathBefore,
    /// The store does what it was asked for; it hears nothing after that.
    DeathAfter,
    /// The answer is lost, and everything after it works.
    LostAnswer,
    /// This happens first; then everything works.
    Sleep(Box<dyn FnOnce() + Send>),
}

/// A store with a fate.
pub(in crate::delta) struct Mortal<S> {
    store: S,
    calls_left: Arc<AtomicI64>,
    fate: RefCell<Fate>,
}

impl<S: Store> Mortal<S> {
    /// `calls_left` says afterwards whether it was met: it is positive where it was not.
    pub(in crate::delta) fn new(store: S, calls_left: Arc<AtomicI64>, fate: Fate) -> Self {
        Self { store, calls_left, fate: RefCell::new(fate) }
    }

    fn call<T>(&self, work: impl FnOnce(&S) -> Result<T>) -> Result<T> {
        let left = self.calls_left.fetch_sub(1, Ordering::Relaxed);
        if left > 1 {
            return work(&self.store);
        }
        let mut fate = self.fate.borrow_mut();
        match (&mut *fate, left) {
            (Fate::DeathAfter | Fate::LostAnswer, 1) => {
                work(&self.store)?;
                Err(gone())
            }
            (Fate::Sleep(_), 1) => {
                if let Fate::Sleep(meanwhile) = std::mem::replace(&mut *fate, Fate::LostAnswer) {
                    meanwhile();
                }
                work(&self.store)
            }
            (Fate::LostAnswer | Fate::Sleep(_), _) => work(&self.store),
            (Fate::DeathBefore | Fate::DeathAfter, _) => Err(gone()),
        }
    }
}

fn gone() -> Error {
    Error::new(Code::WarehouseUnreachable, "reach the store").hint("It is a test.")
}

impl<S: Store> Store for Mortal<S> {
    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool> {
        self.call(|store| store.create(key, bytes))
    }
    fn replace(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.call(|store| store.replace(key, bytes))
    }
    fn upload(&self, key: &str, file: &Path) -> Result<()> {
        self.call(|store| store.upload(key, file))
    }
    fn read(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.call(|store| store.read(key))
    }
    fn list(&self, folder: &str) -> Result<Listing> {
        self.call(|store| store.list(folder))
    }
    fn delete(&self, key: &str) -> Result<()> {
        self.call(|store| store.delete(key))
    }
    fn delete_folder(&self, folder: &str) -> Result<()> {
        self.call(|store| store.delete_folder(folder))
    }
    fn file(&self, key: &str, scratch: &Path) -> Result<PathBuf> {
        self.call(|store| store.file(key, scratch))
    }
    fn root(&self) -> Option<&Path> {
        self.store.root()
    }
}
