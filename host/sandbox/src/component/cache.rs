//! Compiled code between two starts: kept where only this user can write, and loaded only if nobody else could have.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// The file of a component's code. Compiled code fits only the engine that made it: same version, same settings, same
/// processor features; all of them are in the name.
pub(super) fn entry(folder: &Path, engine: &Engine, digest: &str) -> PathBuf {
    struct Sink(Sha256);
    impl Hasher for Sink {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            let bytes = self.0.clone().finalize();
            bytes.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
        }
    }
    let mut sink = Sink(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sink);
    folder.join(format!("{digest}-{:016x}-{}.cwasm", sink.finish(), env!("CARGO_PKG_VERSION")))
}

/// Loads compiled code, if it is there and nobody else could have written it.
pub(super) fn load(engine: &Engine, entry: &Path) -> Option<Component> {
    let folder = entry.parent()?;
    if !is_private(folder) || !is_private(entry) {
        return None;
    }
    // SAFETY: the file is machine code that will run. It was written by `store` of this user into a folder that only
    // this user can write (checked above), under a name that only the same engine computes.
    #[expect(unsafe_code, reason = "loading compiled code is unsafe by its nature; the conditions are checked above")]
    unsafe { Component::deserialize_file(engine, entry) }.ok()
}

/// Owned by this user, and writable by nobody else.
fn is_private(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| {
        !found.is_symlink() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o022 == 0
    })
}

/// Keeps compiled code. A cache that cannot be written only makes the next start slower.
pub(super) fn store(code: &[u8], entry: &Path) {
    let Some(folder) = entry.parent() else { return };
    let written = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).and_then(|()| {
        // Several starts, and several threads of one, may be at it: each has a file of its own, the last one stays.
        let partial = entry.with_extension(format!("{}-{:016x}.tmp", std::process::id(), fastrand::u64(..)));
        let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(&partial)?;
        let renamed = file.write_all(code).and_then(|()| fs::rename(&partial, entry));
        renamed.inspect_err(|_| drop(fs::remove_file(&partial)))
    });
    if let Err(error) = written {
        tracing::debug!(%error, "cannot keep compiled code");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// The smallest component: nothing.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn kept(folder: &Path) -> (Engine, PathBuf, Vec<u8>) {
        let engine = crate::engine::engine().unwrap();
        let code = engine.precompile_component(EMPTY).unwrap();
        let entry = entry(&folder.join("components"), &engine, "0123");
        store(&code, &entry);
        (engine, entry, code)
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_kept_is_loaded_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, entry, _) = kept(folder.path());
        assert!(load(&engine, &entry).is_some());
        assert_eq!(fs::metadata(entry.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(&entry).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(entry.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_others_could_have_written_is_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, entry, _) = kept(folder.path());
        let parent = entry.parent().unwrap();
        for (path, wrong, right) in
            [(parent, 0o770, 0o700), (parent, 0o702, 0o700), (&entry, 0o620, 0o600), (&entry, 0o602, 0o600)]
        {
            set_mode(path, wrong);
            assert!(load(&engine, &entry).is_none(), "{} {wrong:o}", path.display());
            set_mode(path, right);
            assert!(load(&engine, &entry).is_some());
        }
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&entry, &elsewhere).unwrap();
        symlink(&elsewhere, &entry).unwrap();
        assert!(load(&engine, &entry).is_none(), "a link");
        fs::rename(parent, folder.path().join("moved")).unwrap();
        symlink(folder.path().join("moved"), parent).unwrap();
        fs::remove_file(&entry).unwrap();
        fs::rename(&elsewhere, &entry).unwrap();
        assert!(load(&engine, &entry).is_none(), "a linked folder");
    }

    #[test]
    fn what_is_damaged_or_of_another_engine_is_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, path, code) = kept(folder.path());
        let mut other = code.clone();
        let middle = other.len() / 2;
        other.truncate(middle);
        for bytes in [&b""[..], b"text", EMPTY, &other] {
            store(bytes, &path);
            assert!(load(&engine, &path).is_none(), "{} bytes", bytes.len());
        }
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(false);
        let foreign = Engine::new(&config).unwrap();
        store(&foreign.precompile_component(EMPTY).unwrap(), &path);
        assert!(load(&engine, &path).is_none(), "of another engine");
        assert_ne!(entry(folder.path(), &foreign, "0123"), entry(folder.path(), &engine, "0123"));
        assert_ne!(entry(folder.path(), &engine, "4567"), entry(folder.path(), &engine, "0123"));
    }

    #[test]
    fn a_cache_that_cannot_be_written_does_no_harm() {
        store(b"code", Path::new("/proc/nowhere/components/x.cwasm"));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("components"), "a file").unwrap();
        let (engine, entry, _) = kept(folder.path());
        assert!(load(&engine, &entry).is_none());
    }
}
