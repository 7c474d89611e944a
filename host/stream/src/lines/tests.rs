//! Golden lines of every event. They stand in docs/formats/events.md too: a test compares.

use std::time::Duration;

use super::*;
use model::error::{Code, Error};
use model::schema::ColumnType;

const AT: &str = "2024-02-29T12:00:00.000Z";

const STARTED: &str = r#"{"event":"started","version":1,"at":"2024-02-29T12:00:00.000Z","connection":"cds","connector":"cds 0.1.0","destination":"duckdb:files/warehouse.db","state":{"cursor":"42"}}"#;
const LOG: &str = r#"{"event":"log","version":1,"at":"2024-02-29T12:00:00.000Z","level":"info","message":"page 1"}"#;
const NOTICE: &str =
    r#"{"event":"notice","version":1,"at":"2024-02-29T12:00:00.000Z","level":"warning","message":"retrying in 2 s"}"#;
const NEW_TABLE: &str = r#"{"event":"schema_changed","version":1,"at":"2024-02-29T12:00:00.000Z","change":"new_table","table":"orders","column":null,"type_before":null,"type":null}"#;
const NEW_COLUMN: &str = r#"{"event":"schema_changed","version":1,"at":"2024-02-29T12:00:00.000Z","change":"new_column","table":"orders","column":"note","type_before":null,"type":"STRING"}"#;
const WIDENED: &str = r#"{"event":"schema_changed","version":1,"at":"2024-02-29T12:00:00.000Z","change":"widened","table":"orders","column":"amount","type_before":"LONG","type":"DOUBLE"}"#;
const HISTORY_BEGUN: &str = r#"{"event":"schema_changed","version":1,"at":"2024-02-29T12:00:00.000Z","change":"history_begun","table":"orders","column":null,"type_before":null,"type":null}"#;
const REJECTED: &str = r#"{"event":"rejected","version":1,"at":"2024-02-29T12:00:00.000Z","table":"orders","position":8,"reason":"record-key-missing: failed to take record 8 of table \"orders\": its primary key \"id\" is null"}"#;
const COMMITTED: &str = r#"{"event":"committed","version":1,"at":"2024-02-29T12:00:00.000Z","sequence":7,"rows":50000,"state":{"cursor":"43"},"duration_ms":120.5}"#;
const REPORT: &str = r#"{"event":"report","version":1,"at":"2024-02-29T12:00:00.000Z","outcome":"failed","error":{"code":"source-unavailable","fault":"source","message":"failed to fetch page 57: timed out","hint":"Run again later."},"sync":"1700000000000000-1","connection":"cds","connector":"cds 0.1.0","destination":"duckdb:files/warehouse.db","tables":[{"table":"orders","upserted":10,"updated":3,"deleted":2,"truncated":1,"rejected":6,"ignored":4,"swept":0,"history":true,"versions_begun":7,"versions_ended":6,"repeated_keys":5,"rows_now":9,"is_new":false,"new_columns":[{"name":"note","type":"STRING"}],"widened_columns":[{"name":"amount","type_before":"LONG","type":"DOUBLE"}]}],"tables_without_operations":["notes"],"requests":3,"retries":1,"response_bytes":2048,"checkpoints":2,"commits":1,"duration_ms":1500.0,"first_row_after_ms":35.0,"committed_after_ms":1450.0,"guest_memory_peak_bytes":1048576,"destination_memory_bytes":null,"state_before":null,"state_after":{"cursor":"43"},"notes":[{"table":"orders","column":"price","kind":"nulled","values":2,"first_record":8,"first_value":"\"n/a\""}],"samples":[{"table":"orders","primary_key":["id"],"columns":[{"name":"id","type":"LONG"}],"records":["{\"id\":1}"]}]}"#;

fn changed(column: Option<&str>, change: SchemaChange, data_type: Option<&str>) -> Event {
    Event::SchemaChanged {
        table: "orders".into(),
        column: column.map(Into::into),
        change,
        data_type: data_type.map(Into::into),
    }
}

#[test]
fn events_have_their_documented_shapes() {
    let started = Event::Started {
        connection: "cds".into(),
        connector: "cds 0.1.0".into(),
        destination: "duckdb:files/warehouse.db".into(),
        state: Some("{\"cursor\":\"42\"}".into()),
    };
    let widened =
        SchemaChange::Widened { table: 0, column: 1, from: ColumnType::Long { exact: true }, to: ColumnType::Double };
    let rejected = Event::Rejected(Rejection {
        table: "orders".into(),
        position: 8,
        reason: r#"record-key-missing: failed to take record 8 of table "orders": its primary key "id" is null"#.into(),
    });
    let committed = Event::Committed {
        sequence: 7,
        rows: 50_000,
        state: Some("{\"cursor\":\"43\"}".into()),
        duration: Duration::from_micros(120_500),
    };
    let events = [
        (started, STARTED),
        (Event::Log { level: LogLevel::Info, message: "page 1".into() }, LOG),
        (Event::Notice { level: LogLevel::Warning, message: "retrying in 2 s".into() }, NOTICE),
        (changed(None, SchemaChange::NewTable { table: 0 }, None), NEW_TABLE),
        (changed(Some("note"), SchemaChange::NewColumn { table: 0, column: 2 }, Some("STRING")), NEW_COLUMN),
        (changed(Some("amount"), widened, Some("DOUBLE")), WIDENED),
        (changed(None, SchemaChange::HistoryBegun { table: 0 }, None), HISTORY_BEGUN),
        (rejected, REJECTED),
        (committed, COMMITTED),
    ];
    for (event, expected) in events {
        assert_eq!(line(&event, AT), expected);
    }
}

fn eventful_report() -> Report {
    let error = Error::new(Code::SourceUnavailable, "fetch page 57")
        .because(std::io::Error::other("timed out"))
        .hint("Run again later.");
    let table = TableReport {
        table: "orders".into(),
        upserted: 10,
        updated: 3,
        deleted: 2,
        truncated: 1,
        rejected: 6,
        ignored: 4,
        swept: 0,
        history: true,
        history_is_new: false,
        versions_begun: 7,
        versions_ended: 6,
        repeated_keys: 5,
        rows_now: 9,
        is_new: false,
        new_columns: vec![("note".into(), "STRING".into())],
        widened_columns: vec![("amount".into(), "LONG".into(), "DOUBLE".into())],
    };
    let note = Note {
        table: "orders".into(),
        column: "price".into(),
        kind: NoteKind::Nulled,
        values: 2,
        first_record: 8,
        first_value: "\"n/a\"".into(),
    };
    let sample = Sample {
        table: "orders".into(),
        primary_key: vec!["id".into()],
        columns: vec![("id".into(), "LONG".into())],
        records: vec!["{\"id\":1}".into()],
    };
    Report {
        id: "1700000000000000-1".into(),
        connection: "cds".into(),
        connector: "cds 0.1.0".into(),
        tables: vec![table],
        without_operations: vec!["notes".into()],
        requests: 3,
        retries: 1,
        response_bytes: 2_048,
        checkpoints: 2,
        commits: 1,
        duration: Duration::from_millis(1_500),
        first_row_after: Some(Duration::from_millis(35)),
        committed_after: Some(Duration::from_millis(1_450)),
        guest_memory_peak_bytes: 1 << 20,
        state_after: Some("{\"cursor\":\"43\"}".into()),
        notes: vec![note],
        samples: vec![sample],
        ..Report::not_begun(error)
    }
}

#[test]
fn the_report_has_its_documented_shape() {
    assert_eq!(report(&eventful_report(), "duckdb:files/warehouse.db", AT), REPORT);
}

#[test]
fn the_outcome_is_one_of_four() {
    let outcome = |outcome: Outcome| {
        let text = report(&Report { outcome, ..eventful_report() }, "null:", AT);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["outcome"].as_str().unwrap().to_owned()
    };
    assert_eq!(outcome(Outcome::Succeeded), "succeeded");
    assert_eq!(outcome(Outcome::LimitRows), "limit_rows");
    assert_eq!(outcome(Outcome::Failed(Error::new(Code::Interrupted, "finish"))), "interrupted");
    assert_eq!(outcome(Outcome::Failed(Error::new(Code::HostBug, "finish"))), "failed");
}

#[test]
fn the_page_shows_every_event_as_it_is() {
    let page = include_str!("../../../../docs/formats/events.md");
    for line in [STARTED, LOG, NOTICE, NEW_TABLE, NEW_COLUMN, WIDENED, COMMITTED, REPORT] {
        assert!(page.contains(line), "docs/formats/events.md should contain\n{line}");
    }
}
