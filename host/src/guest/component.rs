//! Reads a component's file, checks that it implements the contract, compiles it or loads its compiled code.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, types::ComponentItem};

use super::engine::BoxedError;
use crate::error::{Code, Error, Result};

/// The contract this host offers, as it stands in component files.
const PACKAGE: &str = "elt:connector/";
const VERSION: &str = "0.1.0";
const EXPORTS: [&str; 4] = ["describe", "check", "schema", "update"];
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
const MAGIC: &[u8] = b"\0asm";

/// Reads the file and tells a component from what else it might be.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    let shown = path.display();
    let missing = |error: std::io::Error| {
        Error::new(Code::ComponentMissing, format!("read the component {shown}"))
            .hint("Build the connector first, for example with `cargo build --release --target wasm32-wasip2`, and check the path.")
            .because(error)
    };
    let length = fs::metadata(path).map_err(missing)?.len();
    if length > bytes_max {
        let message = format!("load {shown}: it has {length} bytes (limit component-bytes: {bytes_max})");
        return Err(Error::new(Code::LimitComponent, message)
            .hint("Build it with `--release`, or raise the limit with --limit component-bytes=…."));
    }
    let bytes = fs::read(path).map_err(missing)?;
    if !bytes.starts_with(MAGIC) {
        return Err(Error::new(Code::ComponentNotWasm, format!("load {shown}: it is not WebAssembly"))
            .hint("A connector is a `.wasm` file, made by `cargo build --release --target wasm32-wasip2`."));
    }
    if bytes.starts_with(CORE_MODULE) {
        return Err(Error::new(
            Code::ComponentCoreModule,
            format!("load {shown}: it is a core module, not a component"),
        )
        .hint("Build with `--target wasm32-wasip2` or with `cargo component build`; both make components."));
    }
    Ok(bytes)
}

/// The file's SHA-256 in hex.
pub(super) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Compiles, or loads what an earlier start compiled. Returns whether it came from the cache.
pub(super) fn compile(engine: &Engine, bytes: &[u8], digest: &str, cache: Option<&Path>) -> Result<(Component, bool)> {
    let entry = cache.map(|folder| folder.join(entry_name(engine, digest)));
    if let Some(component) = entry.as_deref().and_then(|entry| load(engine, entry)) {
        return Ok((component, true));
    }
    let component = Component::new(engine, bytes).map_err(|error| {
        Error::new(Code::ComponentInvalid, "compile the component")
            .hint("The file is damaged, or uses a WebAssembly feature that the sandbox has off. Build it again.")
            .because(BoxedError(error))
    })?;
    if let Some(entry) = entry {
        store(&component, &entry);
    }
    Ok((component, false))
}

/// Compiled code fits only the engine that made it: same version, same settings, same processor features.
fn entry_name(engine: &Engine, digest: &str) -> PathBuf {
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
    PathBuf::from(format!("{digest}-{:016x}-{}.cwasm", sink.finish(), env!("CARGO_PKG_VERSION")))
}

/// Loads compiled code, if it is there and nobody else could have written it.
fn load(engine: &Engine, entry: &Path) -> Option<Component> {
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
fn store(component: &Component, entry: &Path) {
    let Some(folder) = entry.parent() else { return };
    let written = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).and_then(|()| {
        let code = component.serialize().map_err(|error| std::io::Error::other(BoxedError(error)))?;
        let partial = entry.with_extension(format!("{}.tmp", std::process::id()));
        let mut file = fs::File::create(&partial)?;
        file.write_all(&code)?;
        fs::rename(partial, entry)
    });
    if let Err(error) = written {
        tracing::debug!(%error, "cannot keep compiled code");
    }
}

/// Refuses a component of another world, naming what is missing, and one made for another version of the contract.
pub(super) fn check_world(engine: &Engine, component: &Component) -> Result<()> {
    let found = component.component_type();
    for (name, _) in found.imports(engine) {
        let version = name.strip_prefix(PACKAGE).and_then(|rest| rest.split_once('@')).map(|(_, version)| version);
        if let Some(version) = version.filter(|version| *version != VERSION) {
            let message =
                format!("load the component: this connector needs {PACKAGE}*@{version}, this host offers {VERSION}");
            return Err(Error::new(Code::ComponentVersion, message)
                .hint("Build the connector with the SDK of this host's version, or use the host it was made for."));
        }
        if !name.starts_with(PACKAGE) && !name.starts_with("wasi:") {
            return Err(Error::new(
                Code::ComponentWrongWorld,
                format!("load the component: it imports \"{name}\", which no connector is given"),
            )
            .hint("A connector imports only the interfaces of the world `elt:connector/connector`."));
        }
    }
    let is_function = |name: &str| {
        component
            .component_type()
            .get_export(engine, name)
            .is_some_and(|item| matches!(item.ty, ComponentItem::ComponentFunc(_)))
    };
    let missing: Vec<&str> = EXPORTS.into_iter().filter(|name| !is_function(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("load the component: it does not export {}, so it is no connector", missing.join(", "));
    Err(Error::new(Code::ComponentWrongWorld, message).hint(
        "Export a connector with the SDK's macro `elt_sdk::export!`, or implement the world `elt:connector/connector`.",
    ))
}
