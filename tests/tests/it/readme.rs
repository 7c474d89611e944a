//! What the README promises is there: its connector is the one that is built, its commands are the ones that run.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use tests::host::Host;

fn file(name: &str) -> Result<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).context("failed to read a page")
}

/// The smallest connector stands in the README word for word, up to its test module, and has at most 40 lines.
#[test]
fn the_connector_in_the_readme_is_the_one_that_is_built() {
    let source = file("guest/connectors/operations/src/lib.rs").unwrap();
    let connector = source.split("\n#[cfg(test)]").next().unwrap().trim_end();
    assert!(connector.lines().count() <= 40, "it has {} lines", connector.lines().count());
    assert!(
        file("README.md").unwrap().contains(&format!("```rust\n{connector}\n```")),
        "README.md should contain:\n{connector}"
    );
}

/// Every `host` command of the README is one that the host knows.
#[test]
fn the_commands_in_the_readme_exist() {
    let readme = file("README.md").unwrap();
    // Blocks of shell commands: what stands between "```sh" and "```".
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut commands: Vec<&str> = blocks
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("host "))
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    commands.sort_unstable();
    commands.dedup();
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        Host::new().unwrap().run(&[command, "--help"]).unwrap().succeeded().unwrap();
    }
}

/// Files that the README links to are there.
#[test]
fn the_links_in_the_readme_lead_somewhere() {
    let readme = file("README.md").unwrap();
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links.filter(|link| !link.starts_with("http") && !link.starts_with('#')) {
        let path = link.split('#').next().unwrap();
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path).exists(), "{link}");
    }
}
