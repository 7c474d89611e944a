//! The pages that are asked for, and where an interrupted sync goes on.

use elt_sdk::testing::{Answer, Asked, Test};

use super::*;

fn users() -> Test<Users> {
    Test::new().configuration("base_url", "https://api.test").serve(answer)
}

fn answer(asked: &Asked) -> Answer {
    let page = |user: &str, next: &str| Answer::json(format!(r#"{{"data": [{user}], "next_page_url": {next}}}"#));
    match asked.query("page").as_deref() {
        None => page(r#"{"id": "a", "updatedAt": "2024-01-01T00:00:00Z"}"#, r#""https://api.test/users?page=2""#),
        Some("2") => page(r#"{"id": "b", "updatedAt": "2024-01-02T00:00:00Z"}"#, "null"),
        _ => Answer::status(404),
    }
}

#[test]
fn the_state_moves_on_with_every_page() {
    let sync = users().update();
    assert_eq!(sync.result, Ok(()));
    let first = "GET https://api.test/pagination/next_page_url?per_page=50&order_by=updatedAt";
    assert_eq!(sync.requests(), [first, "GET https://api.test/users?page=2"]);
    let states = [r#"{"updated_at":"2024-01-01T00:00:00Z"}"#, r#"{"updated_at":"2024-01-02T00:00:00Z"}"#];
    assert_eq!(sync.checkpoints(), states);
}

#[test]
fn a_broken_sync_goes_on_after_the_page_that_arrived() {
    let broken = users().serve(|asked| if asked.query("page").is_some() { Answer::status(503) } else { answer(asked) });
    let broken = broken.update();
    assert!(matches!(broken.result, Err(Error::Transient(_))));

    let next = users().state(broken.state()).update();
    assert_eq!(next.asked[0].query("updated_since").as_deref(), Some("2024-01-01T00:00:00Z"));
}
