//! JSON lines on stdout: complete, numbered, resumable, and alone there.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{records, source_and_host};

fn lines(stdout: &str) -> Result<Vec<Value>> {
    Ok(stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// What a reader holds that applies lines by the letter of docs/formats/jsonl.md.
fn applied(lines: &[Value]) -> Result<BTreeMap<String, Value>> {
    let (mut rows, mut open) = (BTreeMap::new(), Vec::new());
    for line in lines {
        open.push(line);
        if line["type"] != "commit" {
            continue;
        }
        for line in open.drain(..) {
            let key = line["row"]["id"].to_string();
            match line["type"].as_str().context("no type")? {
                "truncate" => rows.clear(),
                "upsert" => drop(rows.insert(key, line["row"].clone())),
                "delete" => drop(rows.remove(&key)),
                "update" => {
                    let Some(row) = rows.get_mut(&key) else { continue };
                    for (name, value) in line["row"].as_object().context("no row")? {
                        row[name] = value.clone();
                    }
                }
                _ => {}
            }
        }
    }
    Ok(rows)
}

#[test]
fn every_row_is_on_stdout_and_nothing_else() -> Result<()> {
    let (source, host) = source_and_host(records(2_500))?;
    let output = host.sync("guest", &source, &["--destination", "jsonl:", "--json"])?.succeeded()?;
    let rows = lines(&output.stdout)?;
    let ids: std::collections::BTreeSet<String> =
        rows.iter().filter(|line| line["type"] == "upsert").map(|line| line["row"]["record_id"].to_string()).collect();
    assert_eq!(ids.len(), 2_500);
    assert_eq!((&rows[0]["type"], &rows[0]["key"]), (&"schema".into(), &serde_json::json!(["record_id"])));
    let last = rows.last().context("no line")?;
    assert_eq!((&last["type"], &last["sequence"]), (&"commit".into(), &1.into()));
    // The events are on stderr, and are all of it.
    let events = lines(&output.stderr)?;
    assert_eq!(events.last().context("no event")?["event"], "report");
    // The next sync goes on from the state.
    let again = host.sync("guest", &source, &["--destination", "jsonl:"])?.succeeded()?;
    let again = lines(&again.stdout)?;
    assert_eq!(again.last().context("no line")?["sequence"], 2);
    assert!(again.len() < 1_500, "{} lines", again.len());
    Ok(())
}

#[test]
fn operations_of_all_kinds_give_a_reader_the_same_table() -> Result<()> {
    let (_source, host) = source_and_host(records(1))?;
    let component = tests::host::component("operations")?;
    let component = component.to_string_lossy();
    let mut all = Vec::new();
    for _ in 0..2 {
        let output = host.run(&["run", &component, "--destination", "jsonl:"])?.succeeded()?;
        all.extend(lines(&output.stdout)?);
    }
    let rows = applied(&all)?;
    assert_eq!(rows.len(), 9);
    assert_eq!(rows["1"]["name"], "Mercury");
    assert_eq!(rows["2"]["name"], "Planet 2");
    host.run(&["tables", "--destination", "jsonl:"])?.failed(2, "destination-invalid").map(drop)
}
