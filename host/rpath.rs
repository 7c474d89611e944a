//! Lets programs find a prebuilt libduckdb at run time where it was linked from `DUCKDB_LIB_DIR`: a build script that the
//! crates with test programs share.

#![allow(clippy::print_stdout, reason = "a build script speaks to cargo this way")]

fn main() {
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    if let Ok(folder) = std::env::var("DUCKDB_LIB_DIR") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
