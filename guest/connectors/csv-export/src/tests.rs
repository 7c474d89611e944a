//! The export replaces the table, or nothing happens.

use elt_sdk::testing::{Answer, Test};

use super::*;

fn export(body: &str) -> Test<Export> {
    let answer = Answer::status(200).header("content-type", "text/csv").body(body);
    let export = Test::new().configuration("base_url", "https://api.test").now("2024-01-01T00:00:00Z".parse().unwrap());
    export.answers([answer])
}

#[test]
fn the_table_is_emptied_and_filled_again() {
    let sync = export("id,name\n1,\"Ada, L.\"\n2,\n").update();
    assert_eq!(sync.result, Ok(()));
    let operations = [
        "truncate users",
        r#"upsert users {"id":"1","name":"Ada, L."}"#,
        r#"upsert users {"id":"2","name":null}"#,
        r#"checkpoint {"exported_at":"2024-01-01T00:00:00Z"}"#,
    ];
    assert_eq!(sync.operations(), operations);
    assert!(!sync.asked[0].buffered());
}

#[test]
fn half_an_export_is_none() {
    let sync = export("id,name\n1,Ada\n2\n").update();
    assert!(matches!(sync.result, Err(Error::Source(_))));
    assert_eq!(sync.operations(), Vec::<String>::new());
}

#[test]
fn an_answer_that_is_no_export_changes_nothing() {
    for body in [
        r#"{"error":"export not ready"}"#,
        "Export not ready.\nCome back later.\n",
        "<html>Log in</html>",
        "",
        "id,name\n",
    ] {
        let sync = export(body).update();
        assert!(sync.result.is_err() && sync.operations().is_empty(), "{body}");
    }
}
