//! What docs/guides/operate.md tells operators to do, done.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::server::until;

use super::{operations, query, server_for};

/// The code of a kind behind a heading of the guide.
fn code(heading: &str, kind: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides/operate.md");
    let text = std::fs::read_to_string(path)?;
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).context("no such heading")?;
    let (section, _) = section.split_once("\n## ").unwrap_or((section, ""));
    let start = format!("```{kind}\n");
    let blocks = section.split(&start).skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let code: String = blocks.collect();
    ensure!(!code.is_empty(), "there is no {kind} behind {heading:?}");
    Ok(code)
}

#[test]
fn systemd_understands_the_unit() -> Result<()> {
    let unit = code("Run it as a service", "ini")?;
    // Its words are looked at as well, so the program that it names has to be there.
    let program = std::env::var("HOST_BIN")?;
    ensure!(unit.contains("/usr/local/bin/host serve"), "{unit}");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("elt.service");
    std::fs::write(&file, unit.replace("/usr/local/bin/host", &program))?;
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").arg(&file).output() else {
        // No systemd here: the unit is for machines that have it.
        return Ok(());
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    ensure!(verified.status.success() && !said.contains("elt.service"), "{said}");
    Ok(())
}

/// Runs commands of the guide where the data folder is.
fn shell(folder: &Path, commands: &str) -> Result<()> {
    let commands = commands.replace("elt-data", "data");
    let mut shell = Command::new("sh");
    let output = shell.args(["-euc", &commands]).current_dir(folder).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{commands}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn what_was_backed_up_is_brought_back() -> Result<()> {
    let (host, mut server, token) = server_for(None, &[])?;
    let put = |name: &str, connection: &Value| {
        server.ask_as(&token, "PUT", &format!("/v1/tenants/shop/connections/{name}"), connection)
    };
    put("kept", &operations("sqlite:w.db"))?;
    let first = server.sync("shop", "kept")?;
    let mut ticking = operations("null:");
    ticking["schedule"] = json!({"every": "1s", "jitter": "0s"});
    put("ticking", &ticking)?;
    // The server runs and writes meanwhile.
    let commands = code("Back up, bring back, upgrade", "sh")?;
    let (back_up, bring_back) = commands.split_once("# bring back, with the server stopped\n").context("two parts")?;
    shell(host.folder(), back_up)?;
    put("later", &operations("null:"))?;
    server.end("KILL")?;
    // All is lost but the key and the warehouses.
    for file in ["server.db", "server.db-wal", "server.db-shm"] {
        // Not all of them are there.
        let _ = std::fs::remove_file(host.folder().join("data").join(file));
    }
    std::fs::remove_dir_all(host.folder().join("data/components"))?;
    shell(host.folder(), bring_back)?;
    server.start_again(&host, &[])?;
    let connections = server.ask_as(&token, "GET", "/v1/tenants/shop/connections", &Value::Null)?;
    let names: Vec<_> = connections["items"].as_array().into_iter().flatten().map(|item| &item["name"]).collect();
    assert_eq!(names, [&json!("kept"), &json!("ticking")]);
    assert_eq!(server.syncs("shop", "kept")?[0]["id"], first["id"]);
    assert_eq!(server.sync("shop", "kept")?["outcome"], "succeeded");
    assert_eq!(query(&host, "shop", "sqlite:w.db", "SELECT count(*) FROM kept__planets WHERE NOT _deleted")?, "9");
    let before = server.syncs("shop", "ticking")?.len();
    until("the schedule goes on", || Ok((server.syncs("shop", "ticking")?.len() > before).then_some(())))
}
