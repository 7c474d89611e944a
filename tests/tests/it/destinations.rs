//! Every destination that keeps a state, as one sees it from outside: where rows go, how far it is, what it holds.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;
use tests::host::{Host, Output, Running};
use tests::json_lines::Reader;
use tests::postgres::{Server, server};
use tests::source::Source;

/// A destination of the connection `cds`, empty at first.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) url: String,
    /// The table, as it is written in a query.
    table: &'static str,
    /// Whoever reads lines; warehouses have none.
    reader: Option<Reader>,
}

impl Destination {
    pub(crate) fn duckdb() -> Self {
        Self { url: "duckdb:files/warehouse.db".into(), table: "cds.cds_records", reader: None }
    }

    pub(crate) fn sqlite() -> Self {
        Self { url: "sqlite:files/warehouse.sqlite".into(), table: "cds__cds_records", reader: None }
    }

    pub(crate) fn delta() -> Self {
        Self { url: "delta:files/lake".into(), table: "cds.cds_records", reader: None }
    }

    /// A new database on the server of this process.
    pub(crate) fn postgres() -> Result<Self> {
        Self::postgres_on(server()?)
    }

    /// A new database.
    pub(crate) fn postgres_on(server: &Server) -> Result<Self> {
        let url = server.url(&server.database()?, server.port);
        Ok(Self { url, table: "cds.cds_records", reader: None })
    }

    pub(crate) fn json_lines() -> Self {
        Self { url: "jsonl:".into(), table: "cds_records", reader: Some(Reader::default()) }
    }

    /// One of each.
    pub(crate) fn all() -> Result<Vec<Self>> {
        Ok(vec![Self::duckdb(), Self::sqlite(), Self::postgres()?, Self::delta(), Self::json_lines()])
    }

    /// Its kind, for messages: the URL may be long.
    pub(crate) fn name(&self) -> &str {
        self.url.split_once(':').map_or("", |(name, _)| name)
    }

    /// Starts a sync of the connector `guest` into it.
    pub(crate) fn start(&self, host: &Host, source: &Source, more: &[&str]) -> Result<Running> {
        host.start_sync("guest", source, &[&["--destination", &self.url], more].concat())
    }

    /// The same to its end.
    pub(crate) fn sync(&mut self, host: &Host, source: &Source, more: &[&str]) -> Result<Output> {
        let running = self.start(host, source, more)?;
        self.ended(running)
    }

    /// Waits for the end of a sync, and reads what it wrote.
    pub(crate) fn ended(&mut self, running: Running) -> Result<Output> {
        let output = running.wait()?;
        self.hear(&output.stdout)?;
        Ok(output)
    }

    /// Gives a reader what a sync wrote.
    pub(crate) fn hear(&mut self, stdout: &str) -> Result<()> {
        self.reader.as_mut().map_or(Ok(()), |reader| reader.hear(stdout))
    }

    /// The state of the last commit.
    pub(crate) fn state(&self, host: &Host) -> Result<Option<Value>> {
        if self.reader.is_some() {
            let kept = kept(host)?;
            return Ok(kept["state"].as_str().map(serde_json::from_str).transpose()?);
        }
        let shown = host.run(&["state", "show", "--destination", &self.url, "--connection", "cds"])?;
        if shown.status != 0 || shown.stdout.trim().is_empty() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&shown.stdout)?))
    }

    /// The number of the last commit that a reader counts on; 0 for warehouses.
    pub(crate) fn commits(&self, host: &Host) -> Result<u64> {
        self.reader.as_ref().map_or(Ok(0), |_| Ok(kept(host)?["sequence"].as_u64().unwrap_or(0)))
    }

    /// How many records of the source are durable, by the cursor in the state.
    pub(crate) fn position(&self, host: &Host) -> Result<u64> {
        let Some(state) = self.state(host)? else { return Ok(0) };
        let cursor = state["next_cursor"].as_str().context("no cursor in the state")?;
        Ok(cursor.trim_start_matches("after-").parse()?)
    }

    /// The rows that are not deleted, by key.
    fn rows(&self, host: &Host) -> Result<BTreeMap<u64, Value>> {
        if let Some(reader) = &self.reader {
            let rows = reader.tables()?.remove(self.table).unwrap_or_default();
            return rows.into_iter().map(|(key, row)| Ok((key.trim_matches(['[', ']']).parse()?, row))).collect();
        }
        let sql = format!("SELECT * FROM {} WHERE NOT _deleted", self.table);
        let output = host.run(&["query", &sql, "--format", "json", "--destination", &self.url])?.succeeded()?;
        let mut rows = BTreeMap::new();
        for line in output.stdout.lines() {
            let row: Value = serde_json::from_str(line)?;
            let key = row["record_id"].as_u64().with_context(|| format!("no key in {line}"))?;
            ensure!(rows.insert(key, row).is_none(), "record {key} is doubled");
        }
        Ok(rows)
    }

    /// Compares with the source's truth: the first `records` records, row by row and field by field, and no others.
    pub(crate) fn compare(&self, host: &Host, source: &Source, records: u64) -> Result<()> {
        let mut rows = self.rows(host)?;
        for position in 0..records {
            let truth: BTreeMap<String, Value> = serde_json::from_str(&source.record(position))?;
            let number = position + 1;
            let row = rows.remove(&number).with_context(|| format!("record {number} is lost"))?;
            let row = row.as_object().context("a row is no object")?;
            for (column, should) in &truth {
                // A column that was null in every record is not there at all.
                let is = row.get(column).unwrap_or(&Value::Null);
                ensure!(same(is, should), "record {number}: {column} is {is} and should be {should}");
            }
            let is_known = |column: &str| column.starts_with('_') || truth.contains_key(column);
            let more = row.iter().find(|(column, value)| !is_known(column) && !value.is_null());
            ensure!(more.is_none(), "record {number} has what the source does not know: {more:?}");
        }
        ensure!(
            rows.is_empty(),
            "{} rows are in no record, the first of them {:?}",
            rows.len(),
            rows.first_key_value()
        );
        Ok(())
    }

    /// How many upserts repeat one that a reader has kept from another commit. Warehouses have one row a key.
    pub(crate) fn repeated(&self) -> Result<usize> {
        self.reader.as_ref().map_or(Ok(0), |reader| reader.repeated("record_id"))
    }

    /// How many commits a reader was given again, to take the place of those it had.
    pub(crate) fn replaced(&self) -> usize {
        self.reader.as_ref().map_or(0, Reader::replaced)
    }
}

/// The file with the state of a connection whose destination cannot hold it; null if there is none.
fn kept(host: &Host) -> Result<Value> {
    match fs::read_to_string(host.folder().join("files/state/cds.json")) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(_) => Ok(Value::Null),
    }
}

/// Numbers by their bits, instants by the time they name: each engine writes those in its own way.
fn same(is: &Value, should: &Value) -> bool {
    let instant = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    match (is.as_f64(), should.as_f64()) {
        (Some(is), Some(should)) => is.to_bits() == should.to_bits(),
        _ => is == should || instant(is).is_some_and(|is| Some(is) == instant(should)),
    }
}
