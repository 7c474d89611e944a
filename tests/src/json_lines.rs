//! A reader of JSON lines that does what docs/formats/jsonl.md says.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Tables by name, their rows by key.
pub type Tables = BTreeMap<String, BTreeMap<String, Value>>;

/// What was read of one connection.
#[derive(Debug, Default)]
pub struct Reader {
    /// The lines of every commit, in the order in which they came.
    commits: Vec<(u64, Vec<Value>)>,
}

impl Reader {
    /// Takes what one sync wrote. What follows its last commit does not count.
    ///
    /// # Errors
    /// When a line is not JSON, or commits are missing.
    pub fn hear(&mut self, stdout: &str) -> Result<()> {
        let last = self.commits.last().map_or(0, |(last, _)| *last);
        let first = stdout.lines().find_map(|line| serde_json::from_str::<Value>(line).ok()?["sequence"].as_u64());
        let is_next = first.is_none_or(|first| (last..=last + 1).contains(&first));
        ensure!(is_next, "commit {first:?} follows {last}: lines are lost");
        self.hear_after_a_gap(stdout)
    }

    /// The same where lines were lost, and the sync started from the state of the last commit that was not.
    ///
    /// # Errors
    /// When a line is not JSON.
    pub fn hear_after_a_gap(&mut self, stdout: &str) -> Result<()> {
        let mut open = Vec::new();
        for line in stdout.split_inclusive('\n') {
            // What a killed host has left of a line is none.
            let Some(line) = line.strip_suffix('\n') else { break };
            let line: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
            let sequence = line["sequence"].as_u64().with_context(|| format!("no sequence: {line}"))?;
            if line["type"] == "commit" {
                self.commits.push((sequence, std::mem::take(&mut open)));
            } else {
                open.push(line);
            }
        }
        Ok(())
    }

    /// The tables of a reader that keeps the last commit of each number.
    ///
    /// # Errors
    /// When a line is none of the format.
    pub fn tables(&self) -> Result<Tables> {
        applied(self.kept())
    }

    /// The tables of a reader that applies everything as it comes.
    ///
    /// # Errors
    /// When a line is none of the format.
    pub fn tables_of_all(&self) -> Result<Tables> {
        applied(self.commits.iter().flat_map(|(_, lines)| lines))
    }

    /// How many commits took the place of one that was there.
    pub fn replaced(&self) -> usize {
        let numbers: BTreeSet<u64> = self.commits.iter().map(|(sequence, _)| *sequence).collect();
        self.commits.len() - numbers.len()
    }

    /// How many upserts repeat the key of one that is kept from another commit, by the column that is the key.
    ///
    /// # Errors
    /// When a row has no key.
    pub fn repeated(&self, key: &str) -> Result<usize> {
        let (mut seen, mut repeated) = (BTreeSet::new(), 0);
        for line in self.kept().filter(|line| line["type"] == "upsert") {
            let key = line["row"].get(key).context("no key")?;
            repeated += usize::from(!seen.insert(key.to_string()));
        }
        Ok(repeated)
    }

    fn kept(&self) -> impl Iterator<Item = &Value> {
        let last: BTreeMap<u64, &Vec<Value>> = self.commits.iter().map(|(number, lines)| (*number, lines)).collect();
        last.into_values().flatten()
    }
}

fn applied<'a>(lines: impl Iterator<Item = &'a Value>) -> Result<Tables> {
    let (mut tables, mut keys) = (Tables::new(), BTreeMap::new());
    for line in lines {
        let name = line["table"].as_str().context("no table")?;
        let (kind, row) = (line["type"].as_str().context("no type")?, &line["row"]);
        if kind == "schema" {
            keys.insert(name, line["key"].as_array().context("no key")?);
            continue;
        }
        let key = keys.get(name).with_context(|| format!("{name} has no schema"))?;
        let key: Vec<&Value> = key.iter().filter_map(|column| row.get(column.as_str()?)).collect();
        let (rows, key) = (tables.entry(name.to_owned()).or_default(), serde_json::to_string(&key)?);
        match kind {
            "truncate" => rows.clear(),
            "upsert" => drop(rows.insert(key, row.clone())),
            "delete" => drop(rows.remove(&key)),
            "update" => {
                let Some(old) = rows.get_mut(&key) else { continue };
                for (name, value) in row.as_object().context("no row")? {
                    old[name] = value.clone();
                }
            }
            _ => bail!("a line of an unknown type: {line}"),
        }
    }
    Ok(tables)
}
