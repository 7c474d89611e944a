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

fn verified(host: &Host, component: &Path, configuration: &Path, open: bool) -> Result<()> {
    let source = Source::start(Options { open, ..Options::default() })?;
    let mut fields: Value = serde_json::from_str(&fs::read_to_string(configuration)?)?;
    fields["base_url"] = source.url().into();
    for (name, value) in [("page_size", "10"), ("overlap_minutes", "5")] {
        if fields.get(name).is_some() {
            fields[name] = value.into();
        }
    }
    host.write("configuration.json", fields.to_string())?;
    let component = component.to_string_lossy();
    let address = source.address();
    let verify = ["verify", &component, "--config", "configuration.json", "--allow-private", &address];
    host.run(&verify)?.succeeded().map(drop)
}

#[test]
fn a_new_connector_builds_elsewhere_and_passes_its_own_test_and_verify() -> Result<()> {
    let host = host()?;
    let folder = make(&host, "first", &[])?;
    let component = built(&host, "first")?;
    verified(&host, &component, &folder.join("configuration.json"), false)?;
    // The connector's own test, without a host.
    cargo(&folder, &["test", "--quiet"]).map(drop)
}

/// Each pagination with each other way to go on, each way to log in, each format of an export; authentication, pagination
/// (none: an export) and sync.
const TEMPLATES: [[&str; 3]; 14] = [
    ["query", "cursor", "window"],
    ["basic", "page", "full"],
    ["bearer", "next-url", "parent-child"],
    ["oauth2-client", "link-header", "full"],
    ["oauth2-refresh", "cursor", "window"],
    ["oauth2-refresh", "page", "parent-child"],
    ["session", "offset", "parent-child"],
    ["none", "page", "position"],
    ["header", "next-url", "position"],
    ["query", "link-header", "position"],
    ["bearer", "offset", "window"],
    ["header", "", "ndjson"],
    ["session", "", "csv"],
    ["oauth2-refresh", "", "xml"],
];

/// Every template at least once, as members of one workspace: they are built by one call of cargo, with one SDK.
#[test]
fn every_template_passes_verify() -> Result<()> {
    let host = host()?;
    let all = host.folder().join("all");
    let mut members = Vec::new();
    for template in TEMPLATES {
        let name = format!("made-{}", named(template));
        let folder = make(&host, &name, &options(template))?;
        let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
        let manifest = manifest.split("[workspace]").next().unwrap_or_default();
        fs::create_dir_all(all.join(&name))?;
        fs::rename(folder.join("src"), all.join(&name).join("src"))?;
        fs::write(all.join(&name).join("Cargo.toml"), manifest.replace("vendor/", "../vendor/"))?;
        fs::rename(folder.join("vendor"), all.join("vendor")).or_else(|_| fs::remove_dir_all(folder.join("vendor")))?;
        fs::copy(folder.join("Cargo.lock"), all.join("Cargo.lock"))?;
        members.push(name);
    }
    let workspace = format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\nexclude = [\"vendor\"]\n");
    fs::write(all.join("Cargo.toml"), workspace)?;
    let said = cargo(&all, &["build", "--release", "--target", "wasm32-wasip2"])?;
    ensure!(!said.contains("warning"), "{said}");
    let mut broken = Vec::new();
    for (name, [auth, ..]) in members.iter().zip(TEMPLATES) {
        let component = shared_target()?.join(format!("wasm32-wasip2/release/{}.wasm", name.replace('-', "_")));
        let configuration = host.folder().join(name).join("configuration.json");
        broken.extend(
            verified(&host, &component, &configuration, auth == "none").err().map(|error| format!("{name}: {error}")),
        );
    }
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

/// A template's name: its parts.
fn named(template: [&str; 3]) -> String {
    template.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// The options of `host new` for a template.
fn options([auth, pagination, sync]: [&str; 3]) -> Vec<&str> {
    let mut options = vec!["--auth", auth, "--sync", sync];
    if !pagination.is_empty() {
        options.extend(["--pagination", pagination]);
    }
    options
}

/// Every pair of an authentication, a pagination and a sync compiles and passes its test: as modules of one crate, since each
/// alone would take long.
#[test]
fn every_choice_compiles_and_passes_its_test() -> Result<()> {
    let host = host()?;
    let folder = make(&host, "all-choices", &[])?;
    let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
    let manifest = manifest.replace("\"vendor/elt/sdk\"", "\"vendor/elt/sdk\", features = [\"csv\", \"xml\"]");
    fs::write(folder.join("Cargo.toml"), manifest)?;
    let mut modules = String::from("//! Choices of `host new`.\n");
    for template in pairs() {
        let name = named(template).replace('-', "_");
        let dir = format!("made/{name}");
        host.run(&[&["new", "choice", "--dir", &dir][..], &options(template)].concat())?.succeeded()?;
        let made = host.folder().join(&dir).join("src");
        let module = folder.join("src").join(&name);
        fs::create_dir_all(&module)?;
        fs::copy(made.join("lib.rs"), folder.join(format!("src/{name}.rs")))?;
        fs::copy(made.join("tests.rs"), module.join("tests.rs"))?;
        modules.extend(["mod ", &name, ";\n"]);
    }
    fs::write(folder.join("src/lib.rs"), modules)?;
    fs::remove_file(folder.join("src/tests.rs"))?;
    let said = cargo(&folder, &["test", "--quiet"])?;
    ensure!(!said.contains("warning"), "{said}");
    Ok(())
}

fn pairs() -> Vec<[&'static str; 3]> {
    let mut all = Vec::new();
    let auths = ["header", "query", "basic", "bearer", "oauth2-client", "oauth2-refresh", "session", "none"];
    for (number, auth) in auths.into_iter().enumerate() {
        for (place, pagination) in ["cursor", "offset", "page", "next-url", "link-header"].into_iter().enumerate() {
            all.push([auth, pagination, ["position", "window", "full", "parent-child"][(number + place) % 4]]);
        }
        all.extend(["csv", "ndjson", "xml"].map(|export| [auth, "", export]));
    }
    all
}

#[test]
fn what_is_there_is_not_overwritten() -> Result<()> {
    let host = Host::new()?;
    host.run(&["new", "tickets"])?.succeeded()?;
    host.run(&["new", "tickets"])?.failed(2, "scaffold-failed")?;
    host.run(&["new", "Tickets"])?.failed(2, "usage")?;
    host.run(&["new", "../tickets"])?.failed(2, "usage")?;
    let paged_export = host.run(&["new", "export", "--sync", "csv", "--pagination", "page"])?.failed(2, "usage")?;
    ensure!(paged_export.stderr.contains("--pagination"), "{}", paged_export.stderr);
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
    let source = Source::start(Options::default())?;
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
    wait("a page of 45")
}
