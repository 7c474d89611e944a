//! Finds a DuckDB library for the host, so that DuckDB need not be compiled: that takes 15 to 40 minutes.

mod bind;

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::run::{output, shown, works};
use crate::workspace::{Workspace, create_folder};

/// The npm package that ships `libduckdb.so` of the version the `duckdb` crate is pinned to.
const PACKAGE: &str = "@duckdb/node-bindings-linux-x64@1.5.6-r.1";
/// The name npm gives its archive.
const ARCHIVE: &str = "duckdb-node-bindings-linux-x64-1.5.6-r.1.tgz";
/// SHA-512 of the archive; in npm's notation
/// `sha512-IXcrZJE6kEqM0Z4wwdVnGBHX/frOS33VPNAwDXQ/Q+Fs84b058Qe94chrCCIcNJlG8Y3UHIUU4eBeCQxW5mN1Q==`.
const SHA512: &str = "21772b64913a904a8cd19e30c1d5671811d7fdface4b7dd53cd0300d743f43e1\
                      6cf386f4e7c41ef78721ac208870d2651bc6375072145387817824315b998dd5";
const LIBRARY: &str = "libduckdb.so";
/// Beside a library that is bound to itself (`bind`).
const BOUND: &str = "bound";

/// Where the host gets DuckDB from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    /// A folder with a prebuilt library.
    Prebuilt(PathBuf),
    /// It is compiled with the host.
    Bundled,
}

impl Library {
    /// The quickest way at hand: DUCKDB_LIB_DIR, else prebuilt from npm, else compiled.
    #[expect(clippy::doc_markdown, reason = "DUCKDB_LIB_DIR is read like a word here")]
    pub(crate) fn find(workspace: &Workspace) -> Result<Self> {
        if std::env::var("ELT_DUCKDB").is_ok_and(|wish| wish == "bundled") {
            return Ok(Self::Bundled);
        }
        if let Some(folder) = std::env::var_os("DUCKDB_LIB_DIR") {
            let folder = PathBuf::from(folder);
            let message = || format!("failed to find the folder {} that DUCKDB_LIB_DIR names", folder.display());
            return folder.canonicalize().map(Self::Prebuilt).map_err(|_| message());
        }
        if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
            return Ok(Self::Bundled);
        }
        let folder = workspace.cache.join("duckdb-1.5.6");
        if !folder.join(LIBRARY).exists() {
            println!("\n==> Download a prebuilt DuckDB 1.5.6 (24 MB, well under a minute)");
            if let Err(reason) = download(workspace, &folder) {
                println!("    {reason}");
                println!("    DuckDB is compiled instead, which takes 15 to 40 minutes on two cores, once.");
                return Ok(Self::Bundled);
            }
        }
        if let Err(reason) = bind_once(&folder) {
            println!("    {reason}");
            println!("    Every start of the host takes some 15 ms longer than it could.");
        }
        Ok(Self::Prebuilt(folder))
    }
}

/// Binds the library to itself, unless that is done. A program that has loaded it keeps the file it loaded.
fn bind_once(folder: &Path) -> Result<()> {
    let (path, mark) = (folder.join(LIBRARY), folder.join(BOUND));
    if mark.exists() {
        return Ok(());
    }
    let failed = |error: std::io::Error| format!("failed to bind {}: {error}", path.display());
    let mut library = fs::read(&path).map_err(failed)?;
    let names = bind::bind(&mut library)?;
    let partial = folder.join(format!("{LIBRARY}.{}", std::process::id()));
    fs::write(&partial, &library).and_then(|()| fs::rename(&partial, &path)).map_err(failed)?;
    println!("    {LIBRARY} is bound to itself: {names} names need not be looked up at every start");
    fs::write(mark, "").map_err(failed)
}

/// Fetches the package, checks it and only then unpacks it to where the next run will look.
fn download(workspace: &Workspace, folder: &Path) -> Result<()> {
    for (program, argument) in [("npm", "--version"), ("sha512sum", "--version"), ("tar", "--version")] {
        if !works(program, &[argument]) {
            return Err(format!("failed to find the program {program}"));
        }
    }
    let work = workspace.cache.join(format!("download-{}", std::process::id()));
    create_folder(&work)?;
    let result = fetch(workspace, &work).and_then(|()| keep(&work.join("package"), folder));
    // What is left there is of no use to anyone, and of no harm either.
    let _ = fs::remove_dir_all(&work);
    result
}

fn fetch(workspace: &Workspace, work: &Path) -> Result<()> {
    let place = work.display().to_string();
    shown("download DuckDB", workspace.command("npm", &["pack", PACKAGE, "--silent", "--pack-destination", &place]))?;
    let archive = work.join(ARCHIVE).display().to_string();
    let sum = output(&mut workspace.command("sha512sum", &[&archive]))?;
    if !sum.starts_with(SHA512) {
        return Err(format!("refused {ARCHIVE}: its SHA-512 is not the one this repository knows"));
    }
    let library = format!("package/{LIBRARY}");
    output(&mut workspace.command("tar", &["-xzf", &archive, "-C", &place, &library, "package/LICENSE"])).map(drop)
}

/// Moves the unpacked folder to its place in one go, so that nobody ever sees half of it.
fn keep(unpacked: &Path, folder: &Path) -> Result<()> {
    match fs::rename(unpacked, folder) {
        // Another run was quicker; what it left is the same.
        Err(_) if folder.join(LIBRARY).exists() => Ok(()),
        moved => moved.map_err(|error| format!("failed to create {}: {error}", folder.display())),
    }
}
