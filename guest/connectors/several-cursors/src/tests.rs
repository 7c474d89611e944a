//! One cursor for the companies, and one for each of them.

use elt_sdk::testing::{Answer, Asked, Test};

use super::*;

fn staff() -> Test<Staff> {
    Test::new().configuration("base_url", "https://api.test").serve(answer)
}

fn answer(asked: &Asked) -> Answer {
    let since = asked.query("updated_since").is_some();
    match asked.path() {
        "/cursors/companies" if since => Answer::json(r#"{"data": []}"#),
        "/cursors/companies" => Answer::json(
            r#"{"data": [{"company_id": 1, "updatedAt": "2024-01-01T00:00:00Z"}, {"company_id": 2, "updatedAt": "2024-01-03T00:00:00Z"}]}"#,
        ),
        "/cursors/1/departments" => {
            Answer::json(r#"{"data": [{"company_id": 1, "department_id": 1, "updatedAt": "2024-01-02T00:00:00Z"}]}"#)
        }
        _ => Answer::json(r#"{"data": []}"#),
    }
}

#[test]
fn every_company_has_a_cursor_of_its_own() {
    let sync = staff().update();
    assert_eq!(sync.result, Ok(()));
    let state = r#"{"companies":{"updated_at":"2024-01-03T00:00:00Z"},"departments":{"1":{"updated_at":"2024-01-02T00:00:00Z"},"2":{}}}"#;
    assert_eq!(sync.state(), Some(state));
    assert_eq!(sync.checkpoints().len(), 3);

    let next = staff().state(state).update();
    let asked = [
        "GET https://api.test/cursors/companies?updated_since=2024-01-03T00%3A00%3A00Z",
        "GET https://api.test/cursors/1/departments?updated_since=2024-01-02T00%3A00%3A00Z",
        "GET https://api.test/cursors/2/departments",
    ];
    assert_eq!(next.requests(), asked);
    assert_eq!(next.state(), Some(state));
}

#[test]
fn a_failure_at_one_company_keeps_what_the_others_brought() {
    let broken = staff()
        .serve(|asked| if asked.path() == "/cursors/2/departments" { Answer::status(500) } else { answer(asked) });
    let broken = broken.update();
    assert!(matches!(broken.result, Err(Error::Transient(_))));
    assert!(broken.state().unwrap().contains(r#""1":{"updated_at":"2024-01-02T00:00:00Z"}"#));
}
