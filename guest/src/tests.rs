//! The records, their checkpoints, and where the next sync begins.

use elt_sdk::log::Level;
use elt_sdk::testing::{Answer, Asked, Test};

use super::*;

fn cds() -> Test<Cds> {
    let cds = Test::new().configuration("api_key", "123").configuration("base_url", "https://api.test/");
    cds.configuration("page_size", "2").serve(answer)
}

fn answer(asked: &Asked) -> Answer {
    if asked.header("api_key").as_deref() != Some("123") {
        return Answer::status(401).body(r#"{"error": "wrong key"}"#);
    }
    match asked.query("cursor").as_deref() {
        None => {
            Answer::json(r#"{"cds_records": [{"record_id": "a", "n": 1.0}, {"record_id": "b"}], "next_cursor": "2"}"#)
        }
        Some("2") => Answer::json("{\"next_cursor\": null, \"cds_records\": [\n  {\n    \"record_id\": \"c\"\n  }\n]}"),
        Some(other) => Answer::status(400).body(format!("no cursor {other}")),
    }
}

#[test]
fn every_field_arrives_as_it_was_and_each_page_ends_in_a_checkpoint() {
    let sync = cds().update();

    assert_eq!(sync.result, Ok(()));
    let logs = [(Level::Fine, "2 records"), (Level::Fine, "1 records"), (Level::Info, "3 records in all")];
    assert_eq!(sync.logs, logs.map(|(level, line)| (level, line.to_owned())));
    assert_eq!(
        sync.requests(),
        ["GET https://api.test/cds_data?page_size=2", "GET https://api.test/cds_data?page_size=2&cursor=2"]
    );
    assert_eq!(
        sync.operations(),
        [
            r#"upsert cds_records {"record_id": "a", "n": 1.0}"#,
            r#"upsert cds_records {"record_id": "b"}"#,
            r#"checkpoint {"next_cursor":"2"}"#,
            r#"upsert cds_records {     "record_id": "c"   }"#,
            r#"checkpoint {"next_cursor":"2"}"#,
        ]
    );
}

#[test]
fn the_next_sync_begins_with_the_last_page_again() {
    let sync = cds().state(cds().update().state()).update();

    assert_eq!(sync.requests(), ["GET https://api.test/cds_data?page_size=2&cursor=2"]);
    assert_eq!(sync.state(), Some(r#"{"next_cursor":"2"}"#));
}

#[test]
fn a_failed_page_leaves_the_checkpoint_before_it() {
    let sync = cds()
        .serve(|asked| if asked.query("cursor").is_some() { Answer::disconnect() } else { answer(asked) })
        .update();

    assert_eq!(sync.result, Err(Error::transient("the connection failed")));
    assert_eq!(sync.state(), Some(r#"{"next_cursor":"2"}"#));
}

#[test]
fn a_cursor_that_leads_back_is_the_sources_fault() {
    let sync = cds().serve(|_| Answer::json(r#"{"cds_records": [], "next_cursor": "2"}"#)).update();

    let message = "https://api.test/cds_data: the pages go round in circles, `2` leads back";
    assert_eq!(sync.result, Err(Error::source(message)));
}

#[test]
fn configuration_is_checked_before_anything_is_asked() {
    let error = |test: Test<Cds>| test.update().result.map_err(|error| error.to_string());

    let missing = "configuration field `api_key`: is required and missing; it is: The key the API asks for.";
    assert_eq!(error(Test::new()), Err(missing.to_owned()));
    let wrong = "configuration field `page_size`: must be a u32: invalid digit found in string";
    assert_eq!(error(cds().configuration("page_size", "many")), Err(wrong.to_owned()));
}

#[test]
fn a_check_asks_the_source_and_writes_nothing() {
    assert_eq!(cds().check(), Ok(()));
    let refused = r#"GET https://api.test/cds_data: status 401: {"error": "wrong key"}"#;
    assert_eq!(cds().configuration("api_key", "wrong").check(), Err(Error::authentication(refused)));
}

#[test]
fn the_schema_names_the_table_and_its_key() -> Result<()> {
    let tables = cds().schema()?;
    assert_eq!((tables[0].name(), tables[0].primary_key()), ("cds_records", &["record_id".to_owned()][..]));
    Ok(())
}
