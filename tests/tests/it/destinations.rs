//! Every destination that keeps a state, as one sees it from outside: where rows go, how far it is, what it holds.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;
use tests::host::{Host, Output, Running};
use tests::json_lines::Reader;
use tests::postgres::{Server, server};
use tests::source::{Options, Source};

use crate::records;

/// How often a source serves each key to a table that keeps its history.
const VERSIONS: u64 = 3;

/// A record or a row, by column.
type Row = BTreeMap<String, Value>;

/// A destination of the connection `cds`, empty at first.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) url: String,
    /// The table, as it is written in a query.
    table: &'static str,
    /// Whoever reads lines; warehouses have none.
    reader: Option<Reader>,
    keeps_history: bool,
}

impl Destination {
    pub(crate) fn duckdb() -> Self {
        Self { url: "duckdb:files/warehouse.db".into(), table: "cds.cds_records", reader: None, keeps_history: false }
    }

    pub(crate) fn sqlite() -> Self {
        Self {
            url: "sqlite:files/warehouse.sqlite".into(),
            table: "cds__cds_records",
            reader: None,
            keeps_history: false,
        }
    }

    pub(crate) fn delta() -> Self {
        Self { url: "delta:files/lake".into(), table: "cds.cds_records", reader: None, keeps_history: false }
    }

    /// A new database on the server of this process.
    pub(crate) fn postgres() -> Result<Self> {
        Self::postgres_on(server()?)
    }

    /// A new database.
    pub(crate) fn postgres_on(server: &Server) -> Result<Self> {
        let url = server.url(&server.database()?, server.port);
        Ok(Self { url, table: "cds.cds_records", reader: None, keeps_history: false })
    }

    pub(crate) fn json_lines() -> Self {
        Self { url: "jsonl:".into(), table: "cds_records", reader: Some(Reader::default()), keeps_history: false }
    }

    /// The same with tables that keep their history.
    pub(crate) fn with_history(self) -> Self {
        Self { keeps_history: true, ..self }
    }

    /// What a source is to serve: records, each with a key of its own; or, for a history, keys that come back with other values,
    /// never twice in a transaction.
    pub(crate) fn records(&self, count: u64) -> Options {
        let keys = if self.keeps_history { count.div_ceil(VERSIONS) } else { 0 };
        Options { keys, cache: true, ..records(count) }
    }

    /// One of each.
    pub(crate) fn all() -> Result<Vec<Self>> {
        Ok(vec![Self::duckdb(), Self::sqlite(), Self::postgres()?, Self::delta(), Self::json_lines()])
    }

    /// Its kind, for messages: the URL may be long.
    pub(crate) fn name(&self) -> &str {
        self.url.split_once(':').map_or("", |(name, _)| name)
    }

    /// The same and whether tables keep their history.
    pub(crate) fn title(&self) -> String {
        format!("{}{}", self.name(), if self.keeps_history { " with history" } else { "" })
    }

    /// Starts a sync of the connector `guest` into it.
    pub(crate) fn start(&self, host: &Host, source: &Source, more: &[&str]) -> Result<Running> {
        let history: &[&str] = if self.keeps_history { &["--history", "*"] } else { &[] };
        host.start_sync("guest", source, &[&["--destination", &self.url], history, more].concat())
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
    fn rows(&self, host: &Host) -> Result<BTreeMap<u64, Row>> {
        if let Some(reader) = &self.reader {
            let rows = reader.tables()?.remove(self.table).unwrap_or_default();
            let row =
                |(key, row): (String, Value)| Ok((key.trim_matches(['[', ']']).parse()?, serde_json::from_value(row)?));
            return rows.into_iter().map(row).collect();
        }
        let sql = format!("SELECT * FROM {} WHERE NOT _deleted", self.table);
        let output = host.run(&["query", &sql, "--format", "json", "--destination", &self.url])?.succeeded()?;
        let mut rows = BTreeMap::new();
        for line in output.stdout.lines() {
            let row: Row = serde_json::from_str(line)?;
            let key = row.get("record_id").and_then(Value::as_u64).with_context(|| format!("no key in {line}"))?;
            ensure!(rows.insert(key, row).is_none(), "record {key} is doubled");
        }
        Ok(rows)
    }

    /// Compares with the source's truth: the first `records` records, row by row and field by field, and no others.
    pub(crate) fn compare(&self, host: &Host, source: &Source, records: u64) -> Result<()> {
        if self.keeps_history {
            return self.compare_history(host, source, records);
        }
        let mut rows = self.rows(host)?;
        for position in 0..records {
            let truth: Row = serde_json::from_str(&source.record(position))?;
            let number = position + 1;
            let row = rows.remove(&number).with_context(|| format!("record {number} is lost"))?;
            check_row(number, &row, &truth)?;
        }
        ensure!(
            rows.is_empty(),
            "{} rows are in no record, the first of them {:?}",
            rows.len(),
            rows.first_key_value()
        );
        Ok(())
    }

    /// Every version of every row, by key and in the order of time.
    fn versions(&self, host: &Host) -> Result<BTreeMap<u64, Vec<Row>>> {
        let sql = format!("SELECT * FROM {} ORDER BY _valid_from", self.table);
        let output = host.run(&["query", &sql, "--format", "json", "--destination", &self.url])?.succeeded()?;
        let mut versions: BTreeMap<u64, Vec<Row>> = BTreeMap::new();
        for line in output.stdout.lines() {
            let row: Row = serde_json::from_str(line)?;
            let key = row.get("record_id").and_then(Value::as_u64).with_context(|| format!("no key in {line}"))?;
            versions.entry(key).or_default().push(row);
        }
        Ok(versions)
    }

    /// The same for a table that keeps its history: every record is a version of its key, in the order in which they were
    /// served, without a gap between them; the last one is active.
    fn compare_history(&self, host: &Host, source: &Source, records: u64) -> Result<()> {
        let mut truth: BTreeMap<u64, Vec<Row>> = BTreeMap::new();
        for position in 0..records {
            let record: Row = serde_json::from_str(&source.record(position))?;
            let key = record.get("record_id").and_then(Value::as_u64).context("a record has no key")?;
            truth.entry(key).or_default().push(record);
        }
        let versions = self.versions(host)?;
        ensure!(versions.keys().eq(truth.keys()), "{} keys and not {}", versions.len(), truth.len());
        for ((key, records), versions) in truth.iter().zip(versions.values()) {
            let (has, should) = (versions.len(), records.len());
            ensure!(has == should, "record {key} has {has} versions and should have {should}");
            for (row, record) in versions.iter().zip(records) {
                check_row(*key, row, record)?;
            }
            check_spans(versions).with_context(|| format!("record {key}: {versions:?}"))?;
        }
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

/// A row is what the source says of it, field by field.
fn check_row(number: u64, row: &Row, truth: &Row) -> Result<()> {
    for (column, should) in truth {
        // A column that was null in every record is not there at all.
        let is = row.get(column).unwrap_or(&Value::Null);
        ensure!(same(is, should), "record {number}: {column} is {is} and should be {should}");
    }
    let is_known = |column: &str| column.starts_with('_') || truth.contains_key(column);
    let more = row.iter().find(|(column, value)| !is_known(column) && !value.is_null());
    ensure!(more.is_none(), "record {number} has what the source does not know: {more:?}");
    Ok(())
}

/// The versions of a key follow one another without gap or overlap; the last one alone is active, and none was deleted.
fn check_spans(versions: &[Row]) -> Result<()> {
    let when = |row: &Row, column: &str| row.get(column).and_then(instant);
    let is = |row: &Row, column: &str| row.get(column).and_then(Value::as_bool);
    for (index, row) in versions.iter().enumerate() {
        let next = versions.get(index + 1);
        let (from, to) = (when(row, "_valid_from").context("it never began")?, when(row, "_valid_to"));
        ensure!(to.is_none_or(|to| from < to), "a version ends before it begins");
        ensure!(
            to == next.and_then(|next| when(next, "_valid_from")),
            "a version does not end where the next one begins"
        );
        ensure!(is(row, "_active") == Some(next.is_none()), "the last version should be active, and it alone");
        ensure!(is(row, "_deleted") == Some(false), "it was never deleted");
    }
    Ok(())
}

fn instant(value: &Value) -> Option<Timestamp> {
    value.as_str().and_then(|text| text.parse().ok())
}

/// Numbers by their bits, instants by the time they name: each engine writes those in its own way.
fn same(is: &Value, should: &Value) -> bool {
    match (is.as_f64(), should.as_f64()) {
        (Some(is), Some(should)) => is.to_bits() == should.to_bits(),
        _ => is == should || instant(is).is_some_and(|is| Some(is) == instant(should)),
    }
}
