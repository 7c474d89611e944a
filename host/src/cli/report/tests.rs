//! Golden texts of the report.

use std::time::Duration;

use super::*;
use model::error::Code;

const PLAIN: Paint = Paint { colours: false };

fn setting() -> Setting<'static> {
    Setting {
        destination: "duckdb:files/warehouse.db",
        destination_flag: "",
        dry_run: false,
        state_given: false,
        paint: PLAIN,
        room: Room::Endless,
    }
}

fn column(name: &str, kind: &str) -> (String, String) {
    (name.to_owned(), kind.to_owned())
}

fn first_sync() -> Report {
    Report {
        id: "1700000000000000-1".into(),
        connection: "cds".into(),
        connector: "cds 0.1.0".into(),
        outcome: Outcome::Succeeded,
        tables: vec![TableReport {
            table: "cds_records".into(),
            upserted: 100_000,
            rows_now: 100_000,
            is_new: true,
            new_columns: (1..=9).map(|index| column(&format!("field_{index}"), "LONG")).collect(),
            ..TableReport::default()
        }],
        requests: 101,
        retries: 0,
        response_bytes: 47_513_600,
        checkpoints: 101,
        commits: 3,
        duration: Duration::from_millis(3_200),
        first_row_after: Some(Duration::from_millis(35)),
        committed_after: Some(Duration::from_millis(3_150)),
        guest_memory_peak_bytes: 2 << 20,
        destination_memory_bytes: Some(90 << 20),
        state_before: None,
        state_after: Some("{\"cursor\":\"100000\"}".into()),
        notes: vec![],
        samples: vec![],
    }
}

/// A later sync in which everything happened that can, in two tables.
fn eventful_sync() -> Report {
    let orders = TableReport {
        table: "orders".into(),
        upserted: 1_200,
        updated: 30,
        deleted: 4,
        ignored: 2,
        rows_now: 50_196,
        new_columns: vec![column("note", "STRING")],
        widened_columns: vec![("amount".into(), "LONG".into(), "DOUBLE".into())],
        ..TableReport::default()
    };
    let lines = TableReport { table: "lines".into(), upserted: 7, rows_now: 7, ..TableReport::default() };
    Report {
        connection: "my-shop".into(),
        connector: "shop 2.0.0".into(),
        tables: vec![orders, lines],
        retries: 2,
        state_before: Some("{\"since\":\"2024-01-01\"}".into()),
        state_after: Some("{\"since\":\"2024-01-02\"}".into()),
        ..first_sync()
    }
}

fn failed(report: Report, error: Error) -> Report {
    Report { outcome: Outcome::Failed(error), ..report }
}

fn unavailable() -> Error {
    Error::new(Code::SourceUnavailable, "fetch page 57")
        .because(std::io::Error::other("GET http://127.0.0.1:9000/cds_data: 503 after 5 attempts"))
        .hint("Run again later: the sync goes on from the last checkpoint.")
}

#[test]
fn a_first_sync() {
    let expected = "
Sync of cds succeeded after 3.2 s: cds 0.1.0 -> duckdb:files/warehouse.db

 table         upserted   updated   deleted   rows now
───────────────────────────────────────────────────────
 cds_records    100,000         0         0    100,000
 cds_records is new: field_1 LONG, field_2 LONG, field_3 LONG, field_4 LONG, field_5 LONG, field_6 LONG and 3 more

 started from   no state: everything is fetched
 state now      {\"cursor\":\"100000\"}
 source         101 requests, 45.3 MiB received
 speed          31,250 rows/s, first row after 35 ms
 durable        101 checkpoints in 3 commits
 guest memory   2.0 MiB at most

Look at the data:
  host tables
  host query 'SELECT * FROM cds.cds_records LIMIT 10'
";
    assert_eq!(summary(&first_sync(), &setting()), expected);
}

#[test]
fn in_sqlite_a_table_has_one_name() {
    let page = summary(&first_sync(), &Setting { destination: "sqlite:w.db", ..setting() });
    assert!(page.contains("'SELECT * FROM cds__cds_records LIMIT 10'"), "{page}");
}

#[test]
fn a_later_sync_with_changes_of_every_kind() {
    let setting =
        Setting { destination_flag: " --destination duckdb:shop.db", destination: "duckdb:shop.db", ..setting() };
    let expected = "
Sync of my-shop succeeded after 3.2 s: shop 2.0.0 -> duckdb:shop.db

 table    upserted   updated   deleted   ignored   rows now
────────────────────────────────────────────────────────────
 orders      1,200        30         4         2     50,196
 lines           7         0         0         0          7
 orders has new columns: note STRING
 orders has widened columns: amount LONG to DOUBLE

 started from   {\"since\":\"2024-01-01\"}
 state now      {\"since\":\"2024-01-02\"}
 source         101 requests (2 retries), 45.3 MiB received
 speed          387 rows/s, first row after 35 ms
 durable        101 checkpoints in 3 commits
 guest memory   2.0 MiB at most

Look at the data:
  host tables --destination duckdb:shop.db
  host query --destination duckdb:shop.db 'SELECT * FROM \"my-shop\".orders WHERE NOT _deleted LIMIT 10'
";
    assert_eq!(summary(&eventful_sync(), &setting), expected);
}

#[test]
fn versions_are_counted_where_a_table_keeps_its_history() {
    let mut report = eventful_sync();
    report.tables[0] = TableReport {
        history: true,
        history_is_new: true,
        versions_begun: 210,
        versions_ended: 14,
        widened_columns: vec![],
        ..report.tables[0].clone()
    };
    let page = summary(&report, &setting());
    let expected = "
 table    upserted   updated   deleted   ignored   new versions   ended versions   rows now
────────────────────────────────────────────────────────────────────────────────────────────
 orders      1,200        30         4         2            210               14     50,196
 lines           7         0         0         0              0                0          7
 orders has new columns: note STRING
 orders keeps its history from now on: its rows are the first versions
";
    assert!(page.contains(expected), "{page}");
    assert!(page.ends_with("'SELECT * FROM \"my-shop\".orders WHERE _active LIMIT 10'\n"), "{page}");
}

#[test]
fn a_failure_says_whose_fault_it_is_and_what_stands() {
    let page = summary(&failed(first_sync(), unavailable()), &setting());
    let expected = "
error[source-unavailable] (fault: source): failed to fetch page 57: GET http://127.0.0.1:9000/cds_data: 503 after 5 attempts
  what to do: Run again later: the sync goes on from the last checkpoint.
  more: docs/errors/source-unavailable.md
  The last checkpoint stands: 100,000 rows of this sync are durable, and the next sync goes on from {\"cursor\":\"100000\"}.
";
    assert!(page.starts_with("\nSync of cds failed after 3.2 s:"), "{page}");
    assert!(page.ends_with(expected), "{page}");
    assert!(page.lines().count() <= 25, "{page}");
}

#[test]
fn a_failure_before_the_first_commit_says_that_nothing_changed() {
    let nothing = |state_after: Option<&str>| Report {
        tables: vec![],
        commits: 0,
        state_after: state_after.map(Into::into),
        ..failed(first_sync(), unavailable())
    };
    let first = summary(&nothing(None), &setting());
    assert!(
        first.ends_with(
            "Nothing was written; there is no checkpoint yet, so the next sync starts from the beginning.\n"
        ),
        "{first}"
    );
    let later = summary(&nothing(Some("{}")), &setting());
    assert!(
        later.ends_with("The last checkpoint stands: this sync changed nothing, and the next one starts from {}.\n"),
        "{later}"
    );
    let given = summary(&nothing(None), &Setting { state_given: true, ..setting() });
    assert!(given.ends_with("  The last checkpoint stands: this sync changed nothing.\n"), "{given}");
}

#[test]
fn an_interrupted_sync_is_no_error() {
    let stopped = Error::new(Code::Interrupted, "finish: stopped by Ctrl-C");
    let page = summary(&failed(first_sync(), stopped), &setting());
    assert!(page.starts_with("\nSync of cds was interrupted after 3.2 s:"), "{page}");
    assert!(
        page.contains("\nstopped[interrupted]: failed to finish: stopped by Ctrl-C\n  The last checkpoint stands"),
        "{page}"
    );
}

#[test]
fn a_sync_without_rows_says_so() {
    let page = summary(&Report { tables: vec![], ..eventful_sync() }, &setting());
    assert!(page.ends_with("\nNo rows: nothing has changed since the last sync.\n"), "{page}");
}

#[test]
fn foreign_text_in_a_report_is_harmless() {
    let hostile = Error::new(Code::ConnectorFailed, "run: \x1b[2J").because(std::io::Error::other("one\ntwo"));
    let page = failure(&hostile, PLAIN);
    assert_eq!(
        page,
        "error[connector-failed] (fault: connector): failed to run: \\u{1b}[2J: one\n    two\n  more: docs/errors/connector-failed.md\n"
    );
    let mut report = eventful_sync();
    report.tables[0].table = "a'; \x1b[2J--".into();
    assert!(!summary(&report, &setting()).contains('\x1b'));
}

#[test]
fn a_trial_run_shows_types_and_first_records() {
    let sample = Sample {
        table: "orders".into(),
        primary_key: vec!["id".into()],
        columns: vec![column("id", "LONG"), column("paid", "BOOLEAN")],
        records: vec!["{\"id\":1,\"paid\":true}".into()],
    };
    let expected = "orders (key: id)

 column   type
──────────────────
 id       LONG
 paid     BOOLEAN

the first record:
{\"id\":1,\"paid\":true}

";
    assert_eq!(samples(&[sample], Room::Endless), expected);
    let page =
        summary(&Report { outcome: Outcome::LimitRows, ..first_sync() }, &Setting { dry_run: true, ..setting() });
    assert!(
        page.starts_with(
            "\nSync of cds stopped at its row limit after 3.2 s: cds 0.1.0 -> nothing written (--dry-run)\n"
        ),
        "{page}"
    );
    assert!(page.ends_with("\nNothing was written. Leave out --dry-run to load the tables.\n"), "{page}");
}
