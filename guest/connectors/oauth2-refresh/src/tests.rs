//! Which refresh token is used when, and that none is lost.

use elt_sdk::testing::{Answer, Asked, Test};

use super::*;

fn projects() -> Test<Projects> {
    let projects = Test::new().configuration("base_url", "https://api.test").configuration("client_id", "app");
    projects.configuration("client_secret", "s").configuration("refresh_token", "consent")
}

fn token(number: u32) -> Answer {
    Answer::json(format!(r#"{{"access_token": "a{number}", "expires_in": 60, "refresh_token": "r{number}"}}"#))
}

#[test]
fn the_successor_of_a_refresh_token_is_safe_before_the_first_page() {
    let sync = projects().answers([token(1), Answer::status(500)]).update();
    assert!(matches!(sync.result, Err(Error::Transient(_))));
    assert_eq!(sync.asked[0].body(), "grant_type=refresh_token&refresh_token=consent");
    assert_eq!(sync.asked[0].header("authorization").as_deref(), Some("Basic app:s"));

    let later = projects().state(sync.state()).now(Timestamp::now() + Duration::from_mins(5));
    let next = later.answers([token(2), Answer::json(r#"{"projects": [{"id": 1}], "next_cursor": null}"#)]).update();
    assert_eq!(next.result, Ok(()));
    assert_eq!(next.asked[0].body(), "grant_type=refresh_token&refresh_token=r1");
    assert_eq!(next.upserts("projects"), [r#"{"id": 1}"#]);
}

#[test]
fn an_access_token_that_ends_in_the_middle_is_renewed() {
    let mut granted = 0;
    let answer = move |asked: &Asked| match (asked.path(), asked.query("cursor").as_deref()) {
        ("/oauth/token", _) => {
            granted += 1;
            token(granted)
        }
        (_, None) => Answer::json(r#"{"projects": [{"id": 1}], "next_cursor": "2"}"#),
        (_, Some(_)) if granted == 1 => Answer::status(401),
        (_, Some(_)) => Answer::json(r#"{"projects": [{"id": 2}], "next_cursor": null}"#),
    };
    let sync = projects().serve(answer).update();
    assert_eq!((sync.result.clone(), sync.upserts("projects").len()), (Ok(()), 2));
    assert_eq!(sync.asked.iter().filter(|asked| asked.path() == "/oauth/token").count(), 2);
}

#[test]
fn a_check_uses_no_token_up() {
    assert_eq!(projects().answers([]).check(), Ok(()));
}
