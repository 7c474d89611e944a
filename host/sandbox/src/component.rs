//! Reads a component's file, checks that it implements the contract, compiles it or loads its compiled code.

mod cache;
mod child;

pub use child::{COMMAND, Compiler, REFUSED, compile_in_child};

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, types::ComponentItem};

use super::Limits;
use super::engine::BoxedError;
use model::error::{Code, Error, Result};

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

/// Where components are compiled, and where compiled code is kept.
pub(super) struct Workshop {
    /// None: it is not kept.
    pub(super) cache: Option<PathBuf>,
    /// None: in this process, for components that are trusted.
    pub(super) compiler: Option<Compiler>,
}

impl Workshop {
    /// Compiles, or loads what an earlier start compiled. Returns whether it came from the cache.
    pub(super) fn compiled(
        &self,
        engine: &Engine,
        (bytes, digest): (&[u8], &str),
        limits: &Limits,
    ) -> Result<(Component, bool)> {
        let entry = self.cache.as_deref().map(|folder| cache::entry(folder, engine, digest));
        if let Some(component) = entry.as_deref().and_then(|entry| cache::load(engine, entry)) {
            return Ok((component, true));
        }
        let code = match &self.compiler {
            Some(compiler) => compiler.compile(bytes, limits)?,
            None => engine.precompile_component(bytes).map_err(|error| invalid().because(BoxedError(error)))?,
        };
        if let Some(entry) = entry {
            cache::store(&code, &entry);
        }
        // SAFETY: the code was made just now by this very program, here or in a child whose output nobody else could touch.
        #[expect(unsafe_code, reason = "loading compiled code is unsafe by its nature; where it comes from is known")]
        let component = unsafe { Component::deserialize(engine, code) };
        component.map(|component| (component, false)).map_err(|error| {
            Error::new(Code::HostBug, "load the component that was just compiled").because(BoxedError(error))
        })
    }
}

/// What a component that cannot be compiled ends in.
fn invalid() -> Error {
    Error::new(Code::ComponentInvalid, "compile the component")
        .hint("The file is damaged, or uses a WebAssembly feature that the sandbox has off. Build it again.")
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
