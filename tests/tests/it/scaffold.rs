//! `host new`, `host build`, `host dev`: a new connector builds outside of this repository, passes its own test and
//! `host verify`, and is run again when it is saved.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::host::Host;
use tests::source::{Options, Source};

/// Longer than a first build takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(15);

/// A host whose builds share one folder from test to test: the SDK's dependencies are built once. Nothing is fetched that is
/// not there; the lock file of this repository says what is.
fn host() -> Result<Host> {
    let mut host = Host::new()?;
    host.set_env("CARGO_TARGET_DIR", shared_target()?);
    host.set_env("CARGO_NET_OFFLINE", "true");
    Ok(host)
}

fn shared_target() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    Ok(test.ancestors().nth(3).context("there is no folder that cargo builds in")?.join("scaffold"))
}

fn make(host: &Host, name: &str, choice: &[&str]) -> Result<PathBuf> {
    host.run(&[&["new", name], choice].concat())?.succeeded()?;
    let folder = host.folder().join(name);
    // The versions of this repository, so that no network is needed.
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(folder)
}

fn cargo(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", shared_target()?)
        .env("CARGO_NET_OFFLINE", "true");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PKG_")) {
        cargo.env_remove(name);
    }
    let output = cargo.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "cargo {arguments:?} failed in {}:\n{said}", folder.display());
    Ok(said)
}

fn built(host: &Host, name: &str) -> Result<PathBuf> {
    let output = host.run_patiently(&["build", name], PATIENCE)?.succeeded()?;
    ensure!(output.stderr.contains("imports elt:connector/http@0.1.0"), "{}", output.stderr);
    Ok(shared_target()?.join(format!("wasm32-wasip2/release/{}.wasm", name.replace('-', "_"))))
}

fn verified(host: &Host, component: &Path, source: &Source, configuration: &Path) -> Result<()> {
    let mut fields: Value = serde_json::from_str(&fs::read_to_string(configuration)?)?;
    fields["base_url"] = source.url().into();
    fields["page_size"] = "10".into();
    if fields.get("overlap_minutes").is_some() {
        fields["overlap_minutes"] = "5".into();
    }
    host.write("configuration.json", fields.to_string())?;
    let component = component.to_string_lossy();
    let address = source.address();
    let verify = ["verify", &component, "--config", "configuration.json", "--allow-private", &address];
    host.run(&verify)?.succeeded().map(drop)
}

/// One for each pagination that the demo's source has and each way to go on, each with another authentication.
#[test]
fn a_new_connector_builds_elsewhere_and_passes_verify() -> Result<()> {
    let host = host()?;
    let options = Options { records: 95, orders: 95, customers: 35, ..Options::default() };
    for (name, choice) in [
        ("first", &[][..]),
        ("by-offset", &["--pagination", "offset", "--sync", "window"]),
        ("by-url", &["--pagination", "next-url", "--sync", "full"]),
    ] {
        let source = Source::start(options.clone())?;
        let folder = make(&host, name, choice)?;
        let component = built(&host, name)?;
        verified(&host, &component, &source, &folder.join("configuration.json")).context(name)?;
    }
    // The connector's own test, without a host.
    cargo(&host.folder().join("first"), &["test", "--quiet"])?;
    Ok(())
}

/// All the other choices compile and pass their tests: as modules of one crate, since each alone would take long.
#[test]
fn every_choice_compiles_and_passes_its_test() -> Result<()> {
    let host = host()?;
    let folder = make(&host, "all-choices", &[])?;
    let mut modules = String::from("//! Every choice of `host new`.\n");
    for pagination in ["cursor", "offset", "page", "next-url", "link-header"] {
        for auth in ["header", "query", "basic", "bearer", "none"] {
            for sync in ["position", "window", "full"] {
                let name = format!("{}_{auth}_{sync}", pagination.replace('-', "_"));
                let dir = format!("made/{name}");
                let choice = ["--pagination", pagination, "--auth", auth, "--sync", sync, "--dir", &dir];
                host.run(&[&["new", "choice"][..], &choice].concat())?.succeeded()?;
                let made = host.folder().join(&dir).join("src");
                let module = folder.join("src").join(&name);
                fs::create_dir_all(&module)?;
                fs::copy(made.join("lib.rs"), folder.join(format!("src/{name}.rs")))?;
                fs::copy(made.join("tests.rs"), module.join("tests.rs"))?;
                modules.extend(["mod ", &name, ";\n"]);
            }
        }
    }
    fs::write(folder.join("src/lib.rs"), modules)?;
    fs::remove_file(folder.join("src/tests.rs"))?;
    let said = cargo(&folder, &["test", "--quiet"])?;
    ensure!(!said.contains("warning"), "{said}");
    Ok(())
}

#[test]
fn what_is_there_is_not_overwritten() -> Result<()> {
    let host = Host::new()?;
    host.run(&["new", "tickets"])?.succeeded()?;
    host.run(&["new", "tickets"])?.failed(2, "scaffold-failed")?;
    host.run(&["new", "Tickets"])?.failed(2, "usage")?;
    host.run(&["new", "../tickets"])?.failed(2, "usage")?;
    Ok(())
}

#[test]
fn the_usual_mistakes_are_explained() -> Result<()> {
    let host = host()?;
    let nothing = host.run(&["build", "nowhere"])?.failed(3, "build-failed")?;
    ensure!(nothing.stderr.contains("host new"), "{}", nothing.stderr);
    let folder = make(&host, "no-cdylib", &[])?;
    let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
    fs::write(folder.join("Cargo.toml"), manifest.replace("crate-type = [\"cdylib\"]", ""))?;
    let library = host.run_patiently(&["build", "no-cdylib"], PATIENCE)?.failed(3, "build-failed")?;
    ensure!(library.stderr.contains("crate-type"), "{}", library.stderr);
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::write(folder.join("src/lib.rs"), "//! Broken.\nfn broken( {}\n")?;
    let broken = host.run_patiently(&["build", "no-cdylib"], PATIENCE)?.failed(3, "build-failed")?;
    ensure!(broken.stderr.contains("src/lib.rs:2"), "{}", broken.stderr);
    Ok(())
}

#[test]
fn a_saved_file_is_built_and_run_again() -> Result<()> {
    let host = host()?;
    let source = Source::start(Options { records: 20, ..Options::default() })?;
    let folder = make(&host, "developed", &[])?;
    let configuration = fs::read_to_string(folder.join("configuration.json"))?;
    fs::write(folder.join("configuration.json"), configuration.replace("http://127.0.0.1:8765", &source.url()))?;
    let dev = host.start(&["dev", "developed", "--allow-private", &source.address()])?;
    let wait = |words: &str| -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !dev.stderr_so_far()?.contains(words) {
            ensure!(Instant::now() < deadline, "{words:?} is not in: {}", dev.stderr_so_far()?);
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    };
    wait("waiting for a file to be saved")?;
    let code = fs::read_to_string(folder.join("src/lib.rs"))?;
    let louder =
        code.replace("let page = page?;", "let page = page?;\n            info!(\"a page of {}\", page.len());");
    fs::write(folder.join("src/lib.rs"), louder)?;
    wait("a page of 20")
}
