//! Records that cannot be taken, and tables that would be emptied, in every destination.

use anyhow::{Result, ensure};
use tests::host::{Host, Output, component};
use tests::postgres::server;

/// A warehouse of its own, and how a table of a connection is written in a query there.
struct Warehouse {
    host: Host,
    url: String,
    separator: &'static str,
}

impl Warehouse {
    fn all() -> Result<Vec<Self>> {
        let postgres = server()?;
        let urls = [
            ("duckdb:files/warehouse.db".to_owned(), "."),
            ("sqlite:files/warehouse.sqlite".to_owned(), "__"),
            (postgres.url(&postgres.database()?, postgres.port), "."),
            ("delta:files/lake".to_owned(), "."),
        ];
        urls.into_iter().map(|(url, separator)| Ok(Self { host: Host::new()?, url, separator })).collect()
    }

    fn sync(&self, connector: &str, configuration: &str, more: &[&str]) -> Result<Output> {
        self.host.write("configuration.json", configuration)?;
        let component = component(connector)?;
        let run = ["run", &*component.to_string_lossy(), "--config", "configuration.json", "--destination", &self.url];
        self.host.run(&[&run[..], &["--connection", "c", "--allow-private", "127.0.0.1:9"], more].concat())
    }

    fn misbehave(&self, mode: &str, more: &[&str]) -> Result<Output> {
        self.sync("misbehaving", &format!(r#"{{"mode": "update.{mode}"}}"#), more)
    }

    fn query(&self, select: &str, table: &str) -> Result<String> {
        let sql = format!("SELECT {select} FROM c{}{table}", self.separator);
        let query = ["query", &sql, "--format", "csv", "--destination", &self.url];
        let output = self.host.run(&query)?.succeeded()?;
        Ok(output.stdout.split_once('\n').unwrap_or_default().1.trim_end().replace("\r\n", "\n"))
    }

    fn rejected(&self, more: &[&str]) -> Result<Output> {
        let command = [&["rejected"], more, &["--destination", &self.url]].concat();
        self.host.run(&command)?.succeeded()
    }
}

/// Connectors with a bad record, the code of why, and its table.
const MODES: [(&str, &str, &str); 8] = [
    ("rows_not_json", "record-invalid", "things"),
    ("rows_not_objects", "record-invalid", "things"),
    ("rows_not_utf8", "record-invalid", "things"),
    ("row_nested_deep", "limit-depth", "things"),
    ("key_missing", "record-key-missing", "things"),
    ("key_null", "record-key-missing", "things"),
    ("key_of_another_type", "record-key-type", "things"),
    ("value_of_another_type", "value-mismatch", "amounts"),
];

#[test]
fn bad_records_are_set_aside_and_the_others_arrive() -> Result<()> {
    for warehouse in Warehouse::all()? {
        for (mode, code, table) in MODES {
            warehouse.misbehave(mode, &[])?.failed(if code.starts_with("limit") { 5 } else { 3 }, code)?;
            ensure!(warehouse.query("count(*)", "things")? == "3", "{mode}: what was before the checkpoint is there");
            let output = warehouse.misbehave(mode, &["--on-bad-record", "quarantine"])?.succeeded()?;
            ensure!(output.stderr.contains("is set aside"), "{}", output.stderr);
            let found = warehouse.query("\"table\", operation, reason", "_rejected")?;
            ensure!(found.starts_with(&format!("{table},upsert,")) && found.contains(code), "{mode}: {found}");
            let listed = warehouse.rejected(&["list", "--json"])?.stdout;
            ensure!(listed.lines().count() == 1 && listed.contains(code), "{mode}: {listed}");
            warehouse.rejected(&["drop", "--yes"])?;
            ensure!(warehouse.query("count(*)", "_rejected")? == "0", "{mode}: it was dropped");
            warehouse.host.run(&["reset", "--yes", "--destination", &warehouse.url])?.succeeded()?;
        }
    }
    Ok(())
}

#[test]
fn a_record_is_taken_again_once_it_can_be() -> Result<()> {
    for warehouse in Warehouse::all()? {
        warehouse.misbehave("value_of_another_type", &["--on-bad-record", "quarantine"])?.succeeded()?;
        let output = warehouse.rejected(&["retry"])?;
        ensure!(output.stderr.contains("0 records of c were taken, 1 stay"), "{}", output.stderr);
        let output = warehouse.rejected(&["retry", "--on-mismatch", "widen"])?;
        ensure!(output.stderr.contains("1 record of c were taken, 0 stay"), "{}", output.stderr);
        ensure!(warehouse.query("count(*)", "amounts WHERE amount = 'a lot'")? == "1");
        ensure!(warehouse.query("count(*)", "_rejected")? == "0");
    }
    Ok(())
}

#[test]
fn json_lines_tell_of_bad_records() -> Result<()> {
    let warehouse = Warehouse { host: Host::new()?, url: "jsonl:".into(), separator: "" };
    let output = warehouse.misbehave("key_null", &["--on-bad-record", "quarantine"])?.succeeded()?;
    let rejected: Vec<&str> = output.stdout.lines().filter(|line| line.contains("\"type\":\"rejected\"")).collect();
    ensure!(matches!(rejected[..], [line] if line.contains("record-key-missing")), "{}", output.stdout);
    ensure!(!output.stdout.contains("\"table\":\"_rejected\""), "{}", output.stdout);
    Ok(())
}

#[test]
fn a_table_is_not_emptied_unless_that_is_allowed() -> Result<()> {
    let json_lines = Warehouse { host: Host::new()?, url: "jsonl:".into(), separator: "" };
    for warehouse in Warehouse::all()?.into_iter().chain([json_lines]) {
        let live = |warehouse: &Warehouse| warehouse.query("count(*)", "planets WHERE NOT _deleted");
        let is_lines = warehouse.url == "jsonl:";
        // The connector truncates its table at every sync, and deletes the last row.
        for rows in ["10", "7"] {
            warehouse.sync("operations", &format!(r#"{{"rows": "{rows}"}}"#), &[])?.succeeded()?;
        }
        warehouse.sync("operations", r#"{"rows": "0"}"#, &[])?.failed(3, "table-shrinks")?;
        ensure!(is_lines || live(&warehouse)? == "6");
        if !is_lines {
            let few = r#"{"rows": "3"}"#;
            warehouse.sync("operations", few, &["--shrink-max", "50"])?.failed(3, "table-shrinks")?;
            warehouse.sync("operations", few, &["--shrink-max", "70%"])?.succeeded()?;
        }
        warehouse.sync("operations", r#"{"rows": "0"}"#, &["--shrink-max", "100"])?.succeeded()?;
        ensure!(is_lines || live(&warehouse)? == "0");
    }
    Ok(())
}

#[test]
fn a_table_without_rows_is_there_and_named() -> Result<()> {
    for warehouse in Warehouse::all()? {
        let output = warehouse.misbehave("well_behaved", &[])?.succeeded()?;
        ensure!(output.stderr.contains("nothing came for "), "{}", output.stderr);
        ensure!(warehouse.query("count(*)", "facts")? == "0" && warehouse.query("count(*)", "amounts")? == "0");
        // The key comes with the first row.
        warehouse.misbehave("value_of_another_type", &["--on-bad-record", "quarantine"])?.succeeded()?;
        ensure!(warehouse.query("id", "amounts")? == "1");
    }
    Ok(())
}
