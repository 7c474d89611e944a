//! A body that says "throttled" is waited out; another error ends the sync.

use elt_sdk::testing::{Answer, Test};

use super::*;

fn events(answers: impl IntoIterator<Item = Answer>) -> Test<Events> {
    Test::new().configuration("base_url", "https://api.test").answers(answers)
}

fn throttled() -> Answer {
    Answer::json(r#"{"error": "throttled", "wait_ms": 50}"#)
}

#[test]
fn the_same_page_is_asked_for_again_after_the_time_the_source_wants() {
    let page = Answer::json(r#"{"events": [{"id": 1}, {"id": 2}]}"#);
    let sync = events([throttled(), page, throttled(), throttled(), Answer::json(r#"{"events": []}"#)]).update();
    assert_eq!(sync.result, Ok(()));
    assert_eq!(sync.slept, [Duration::from_millis(50); 3]);
    assert_eq!((sync.upserts("events").len(), sync.state()), (2, Some(r#"{"id":"2"}"#)));
}

#[test]
fn patience_has_an_end_and_other_errors_need_none() {
    let sync = events((0..99).map(|_| throttled())).update();
    assert!(matches!(sync.result, Err(Error::RateLimited { .. })));
    assert!(sync.slept.iter().sum::<Duration>() > Duration::from_mins(4));
    let sync = events([Answer::json(r#"{"error": "no such account"}"#)]).update();
    assert_eq!(sync.result, Err(Error::source("no such account")));
}
