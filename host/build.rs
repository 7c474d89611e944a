//! Lets the host find a prebuilt libduckdb at run time where it was linked from `DUCKDB_LIB_DIR`; lists the files of the SDK,
//! so that `host new` can put a copy of them beside a connector.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    let bundled = env::var_os("CARGO_FEATURE_BUNDLED").is_some();
    if let (false, Ok(folder)) = (bundled, env::var("DUCKDB_LIB_DIR")) {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
    list_sdk();
}

fn list_sdk() {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let sdk = package.join("../guest/sdk");
    let mut files = vec![sdk.join("Cargo.toml")];
    collect(&sdk.join("src"), &mut files);
    files.sort();
    let entries: Vec<String> = files
        .iter()
        .map(|file| {
            let name = file.strip_prefix(&sdk).unwrap_or(file);
            format!("    (r\"{}\", include_str!(r\"{}\")),\n", name.display(), file.display())
        })
        .collect();
    let text = format!("&[\n{}]\n", entries.concat());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("sdk_files.rs");
    if let Err(error) = fs::write(&out, text) {
        println!("cargo::error=failed to write {}: {error}", out.display());
    }
    println!("cargo::rerun-if-changed={}", sdk.join("src").display());
    println!("cargo::rerun-if-changed={}", sdk.join("Cargo.toml").display());
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
