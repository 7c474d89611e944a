//! One login for as many syncs as the session lives.

use elt_sdk::testing::{Answer, Asked, Test};

use super::*;

fn users(now: &str) -> Test<Users> {
    let users = Test::new().configuration("base_url", "https://api.test").configuration("username", "ada");
    users.configuration("password", "p").now(now.parse().unwrap()).serve(answer)
}

fn answer(asked: &Asked) -> Answer {
    match (asked.path(), asked.header("authorization").as_deref()) {
        ("/auth/session_token/login", None) if asked.body() == r#"{"password":"p","username":"ada"}"# => {
            Answer::json(r#"{"token": "abc", "expires_in": 3600}"#)
        }
        ("/auth/session_token/data", Some("Token abc")) => Answer::json(r#"{"data": [{"id": 1}]}"#),
        _ => Answer::status(401),
    }
}

#[test]
fn a_session_is_used_until_its_time_is_up() {
    let first = users("2024-01-01T00:00:00Z").update();
    assert_eq!((first.result.clone(), first.upserts("users")), (Ok(()), vec![r#"{"id": 1}"#]));
    assert!(!first.state().unwrap().contains("abc"));

    let soon = users("2024-01-01T00:58:00Z").state(first.state()).update();
    assert_eq!((soon.result, soon.asked.len()), (Ok(()), 1));
    let late = users("2024-01-01T00:59:00Z").state(first.state()).update();
    assert_eq!((late.result, late.asked.len()), (Ok(()), 2));
}

#[test]
fn a_wrong_password_is_an_authentication_error() {
    let sync = users("2024-01-01T00:00:00Z").configuration("password", "q").update();
    let message = "POST https://api.test/auth/session_token/login: status 401: the login was refused, without a reason";
    assert_eq!(sync.result, Err(Error::authentication(message)));
}
