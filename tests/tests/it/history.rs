//! Tables that keep their history: what a person types, what the warehouse remembers, what is refused.

use anyhow::Result;

use crate::{records, source_and_host};

/// Versions, those that are active, and those that a deletion ended.
const COUNTS: &str = "SELECT count(*), count(*) FILTER (_active), count(*) FILTER (_deleted) FROM operations.planets";

#[test]
fn a_history_is_kept_from_the_first_time_on_that_it_is_asked_for() -> Result<()> {
    let (source, host) = source_and_host(records(0))?;
    // Every sync truncates, writes so many rows, renames the first and deletes the last: one transaction.
    let sync = |rows: u32, options: &[&str]| {
        host.write("configuration.json", format!("{{\"rows\": \"{rows}\"}}"))?;
        host.sync("operations", &source, options)?.succeeded()
    };
    let first = sync(10, &["--history", "planets"])?;
    assert!(first.stderr.contains("new versions"), "{}", first.stderr);
    assert!(first.stderr.contains("WHERE _active LIMIT 10"), "{}", first.stderr);
    assert_eq!(host.query(COUNTS)?, "9,9,0");
    // Nothing has changed; the warehouse knows that it keeps a history.
    sync(10, &[])?;
    assert_eq!(host.query(COUNTS)?, "9,9,0");
    sync(12, &[])?;
    assert_eq!(host.query(COUNTS)?, "11,11,0");
    sync(5, &["--history", "*"])?;
    assert_eq!(host.query(COUNTS)?, "11,4,7");
    sync(10, &[])?;
    assert_eq!(host.query(COUNTS)?, "16,9,7");
    let then = "SELECT count(*) FROM operations.planets \
                WHERE _valid_from <= (SELECT max(_valid_to) FROM operations.planets) - INTERVAL 1 MICROSECOND \
                AND (_valid_to IS NULL OR _valid_to > (SELECT max(_valid_to) FROM operations.planets) - INTERVAL 1 MICROSECOND)";
    assert_eq!(host.query(then)?, "11");
    let listed = host.run(&["tables"])?.succeeded()?.stdout;
    assert!(listed.contains("versions kept"), "{listed}");
    let listed = host.run(&["tables", "--json"])?.succeeded()?.stdout;
    assert!(listed.contains(r#""rows":9,"deleted":7,"versions":16,"#), "{listed}");

    host.run(&["reset", "--connection", "operations", "--yes"])?.succeeded()?;
    sync(10, &[])?;
    assert_eq!(host.query("SELECT count(*) FROM operations.planets WHERE NOT _deleted")?, "9");
    let late = sync(10, &["--history", "planets"])?;
    assert!(late.stderr.contains("planets keeps its history from now on"), "{}", late.stderr);
    assert_eq!(host.query(COUNTS)?, "10,9,1");
    Ok(())
}

#[test]
fn a_history_that_cannot_be_kept_is_refused() -> Result<()> {
    let (source, host) = source_and_host(records(0))?;
    host.write("configuration.json", "{}")?;
    let sync = |options: &[&str]| host.sync("operations", &source, options);
    sync(&["--history", "planet"])?.failed(2, "table-unknown")?;
    sync(&["--history", "planets", "--destination", "jsonl:"])?.failed(2, "destination-invalid")?;
    for table in ["planets", "*"] {
        let refused =
            sync(&["--history", table, "--destination", "delta:files/lake"])?.failed(2, "destination-invalid")?;
        assert!(refused.stderr.contains("keep the history of tables in the destination delta:files/lake"));
        assert!(refused.stderr.contains("Leave out --history: earlier versions of a Delta table can be read"));
    }
    assert!(!host.folder().join("files/lake").exists());
    sync(&["--history", "planets", "--deletes", "hard"])?.failed(2, "usage")?;
    sync(&["--history", "planets", "--dry-run"])?.succeeded()?;
    sync(&["--history", "planets"])?.succeeded()?;
    let refused = sync(&["--deletes", "hard"])?.failed(2, "usage")?;
    assert!(refused.stderr.contains("table \"planets\" keeps its history"), "{}", refused.stderr);
    // A warehouse without a history may lose rows.
    let options = ["--deletes", "hard", "--destination", "duckdb:files/other.db"];
    sync(&options)?.succeeded().map(drop)
}
