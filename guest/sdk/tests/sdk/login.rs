//! Logins: which token a request carries, when it is renewed, and what of it the state holds.

use std::cell::RefCell;
use std::rc::Rc;

use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, Asked, Sync, Test};

/// Reads pages behind a login, saves the login with every checkpoint.
struct Probe;

impl Connector for Probe {
    const FIELDS: &[Field] = &[
        Field::optional("refresh_token", "A refresh token.").default("configured"),
        Field::optional("kind", "Which login.").default("refresh"),
    ];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(Vec::new())
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let url = "https://auth.test/token";
        let login = match configuration.required("kind")? {
            "client" => Login::client_credentials(url, "id", "key").parameter("scope", "read").basic(),
            "session" => {
                let login = Client::new("https://auth.test").post("session").json(&json!({"password": "p"}));
                Login::session(login, "/data/token").lifetime("/data/seconds").header("X-Session", "Token ")
            }
            "query" => Login::client_credentials(url, "id", "key").query("token"),
            _ => Login::refresh_token(url, "id", "key", configuration.required("refresh_token")?),
        };
        let login = login.resume(&state, "login")?;
        let http = Client::new("https://api.test").login(&login);
        for page in http.get("x").pages("items", NextUrl::new("next")) {
            operations.upsert_page("x", &page?)?;
            login.save(&mut state, "login")?;
            operations.checkpoint(&state)?;
        }
        Ok(())
    }
}

fn probe(kind: &str) -> Test<Probe> {
    Test::new().configuration("kind", kind).now("2024-01-01T00:00:00Z".parse().unwrap())
}

/// Grants `t1`, `t2`, … and refresh tokens `r1`, `r2`, …; `good` are the refresh tokens it takes. Each access token is
/// good for `lives` requests. Three pages.
fn source(good: &'static [&'static str], lives: u32) -> impl FnMut(&Asked) -> Answer {
    let (mut granted, mut used) = (0, 0);
    move |asked| {
        if asked.path() == "/token" {
            let refresh =
                asked.body().split('&').find_map(|pair| pair.strip_prefix("refresh_token=").map(str::to_owned));
            if refresh.is_some_and(|refresh| !good.contains(&refresh.as_str())) {
                return Answer::status(400).body(r#"{"error":"invalid_grant","error_description":"revoked"}"#);
            }
            (granted, used) = (granted + 1, 0);
            return Answer::json(format!(
                r#"{{"access_token":"t{granted}","expires_in":3600,"refresh_token":"r{granted}"}}"#
            ));
        }
        used += 1;
        let token = asked.header("authorization").or_else(|| asked.query("token"));
        if token.is_none_or(|token| !token.ends_with(&format!("t{granted}"))) || used > lives {
            return Answer::status(401);
        }
        let page = asked.query("page").map_or(1, |page| page.parse().unwrap());
        let next = if page < 3 { format!("\"/x?page={}\"", page + 1) } else { "null".to_owned() };
        Answer::json(format!(r#"{{"items":[{{"id":{page}}}],"next":{next}}}"#))
    }
}

fn asked_for_tokens(sync: &Sync) -> Vec<String> {
    sync.asked.iter().filter(|asked| asked.path() == "/token").map(Asked::body).collect()
}

#[test]
fn a_refresh_token_brings_access_and_is_replaced_by_its_successor() {
    let first = probe("refresh").serve(source(&["configured", "r1"], 99)).update();
    assert_eq!(first.result, Ok(()));
    assert_eq!(
        asked_for_tokens(&first),
        ["grant_type=refresh_token&refresh_token=configured&client_id=id&client_secret=key"]
    );
    assert_eq!(first.asked[1].header("authorization").as_deref(), Some("Bearer t1"));

    // An hour later the token of the first sync has expired, and its refresh token is the only one that is good.
    let later = probe("refresh").now("2024-01-01T01:00:00Z".parse().unwrap());
    let next = later.state(first.state()).serve(source(&["r1"], 99)).update();
    assert_eq!(next.result, Ok(()));
    assert!(asked_for_tokens(&next)[0].contains("refresh_token=r1&"));
}

#[test]
fn a_token_with_time_left_is_used_again_and_no_token_is_in_the_state() {
    let first = probe("refresh").serve(source(&["configured"], 99)).update();
    let state = first.state().unwrap();
    assert!(
        !state.contains("t1") && !state.contains("r1") && state.contains("renew_at\":\"2024-01-01T00:59:00Z"),
        "{state}"
    );

    let page = Answer::json(r#"{"items":[],"next":null}"#);
    let next = probe("refresh").state(state).answers([page]).update();
    assert_eq!((next.result, next.asked.len()), (Ok(()), 1));
    assert_eq!(next.asked[0].header("authorization").as_deref(), Some("Bearer t1"));
}

#[test]
fn a_token_that_is_refused_in_the_middle_is_renewed_once() {
    let sync = probe("refresh").serve(source(&["configured", "r1", "r2"], 1)).update();
    assert_eq!(sync.result, Ok(()));
    assert_eq!(sync.upserts("x"), [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#]);
    assert_eq!(asked_for_tokens(&sync).len(), 3);

    let sync = probe("refresh").serve(source(&["configured", "r1", "r2"], 0)).update();
    assert_eq!(sync.result, Err(Error::authentication("GET https://api.test/x: status 401")));
    assert_eq!(asked_for_tokens(&sync).len(), 2);
}

#[test]
fn a_refresh_token_of_the_state_that_is_no_good_gives_way_to_the_configured_one() {
    let state = r#"{"login":{"refresh_token":"old"}}"#;
    let sync = probe("refresh").state(state).serve(source(&["configured"], 99)).update();
    assert_eq!(sync.result, Ok(()));
    assert_eq!(asked_for_tokens(&sync).len(), 2);

    let refused = probe("refresh").state(state).serve(source(&[], 99)).update();
    let message = "POST https://auth.test/token: status 400: the login was refused, invalid_grant: revoked";
    assert_eq!(refused.result, Err(Error::authentication(message)));
}

#[test]
fn client_credentials_go_as_user_and_password_or_in_the_form() {
    let sync = probe("client").serve(source(&[], 99)).update();
    assert_eq!(sync.result, Ok(()));
    assert_eq!(asked_for_tokens(&sync), ["grant_type=client_credentials&scope=read"]);
    assert_eq!(sync.asked[0].header("authorization").as_deref(), Some("Basic id:key"));
    assert!(sync.asked[0].idempotent());

    let sync = probe("query").serve(source(&[], 99)).update();
    assert_eq!(sync.result, Ok(()));
    assert_eq!(asked_for_tokens(&sync), ["grant_type=client_credentials&client_id=id&client_secret=key"]);
    assert!(sync.requests().ends_with(&["GET https://api.test/x?page=3&token=t1".to_owned()]), "{:?}", sync.requests());
}

#[test]
fn a_session_is_opened_by_a_request_of_ones_own() {
    let page = Answer::json(r#"{"items":[],"next":null}"#);
    let sync = probe("session").answers([Answer::json(r#"{"data":{"token":"s","seconds":"600"}}"#), page]).update();
    assert_eq!(sync.result, Ok(()));
    assert_eq!(sync.asked[0].body(), r#"{"password":"p"}"#);
    assert_eq!(sync.asked[1].header("x-session").as_deref(), Some("Token s"));
    assert!(sync.state().unwrap().contains("2024-01-01T00:09:00Z"), "{:?}", sync.state());
}

#[test]
fn a_login_that_fails_says_why_and_shows_no_token() {
    let fails = |answer: Answer| probe("client").answers([answer]).update().result.unwrap_err();
    let place = "POST https://auth.test/token: status";
    assert_eq!(
        fails(Answer::json(r#"{"error":"bad_client"}"#)),
        Error::authentication(format!("{place} 200: the login was refused, bad_client"))
    );
    assert_eq!(
        fails(Answer::json(r#"{"token":"secret"}"#)),
        Error::source(format!("{place} 200: the answer to the login has no token at `/access_token`"))
    );
    assert_eq!(
        fails(Answer::status(200).body("secret")),
        Error::source(format!("{place} 200: the answer to the login is no JSON (line 1)"))
    );
    assert_eq!(fails(Answer::status(500)), Error::transient(format!("{place} 500")));
    assert_eq!(format!("{:?}", Login::client_credentials("u", "i", "s")), "Login by OAuth2");
}

#[test]
fn requests_under_way_together_renew_a_refused_token_once() {
    let grants = Rc::new(RefCell::new(0));
    let count = Rc::clone(&grants);
    elt_sdk::testing::serve(move |asked| {
        let mut granted = count.borrow_mut();
        if asked.path() == "/token" {
            *granted += 1;
            return Answer::json(format!(r#"{{"access_token":"t{granted}"}}"#));
        }
        let good = asked.header("authorization").as_deref() == Some("Bearer t2");
        Answer::status(if good { 200 } else { 401 })
    });
    let login = Login::client_credentials("https://auth.test/token", "id", "key");
    let http = Client::new("https://api.test").login(&login);
    let pending: Vec<_> = (0..4).map(|id| http.get(id.to_string()).start().unwrap()).collect();
    assert!(pending.into_iter().all(|pending| pending.wait().unwrap().is_success()));
    assert_eq!(*grants.borrow(), 2);
}

#[test]
fn a_refresh_token_rotates_under_any_pointer_of_json() {
    let counts = Rc::new(RefCell::new((0, String::from("configured"))));
    let source = Rc::clone(&counts);
    elt_sdk::testing::serve(move |asked| {
        let mut state = source.borrow_mut();
        if asked.path() != "/auth/refresh" {
            return Answer::json(format!("{:?}", asked.header("authorization").unwrap()));
        }
        let good = format!(r#"{{"token":{{"refresh":"{}"}}}}"#, state.1);
        if asked.body() != good {
            return Answer::status(401).body(r#"{"error":{"code":"TOKEN_USED","message":"used up"}}"#);
        }
        state.0 += 1;
        state.1 = format!("r{}", state.0);
        Answer::json(format!(r#"{{"data":{{"access":"a{}","refresh":"r{}"}}}}"#, state.0, state.0))
    });
    let http = Client::new("https://api.test");
    let login = || {
        let request = http.post("auth/refresh").json(&json!({"token": {"refresh": "configured"}}));
        Login::session(request, "/data/access").rotating("/token/refresh", "/data/refresh")
    };
    let mut state = State::default();
    for number in 1..=3 {
        // Each sync begins without a token that is good, and with the refresh token that the last one left.
        let mut kept: std::collections::BTreeMap<String, Value> =
            state.parse_or("login", std::collections::BTreeMap::default()).unwrap();
        kept.remove("access_token");
        state.set("login", kept).unwrap();
        let login = login().resume(&state, "login").unwrap();
        let answer: String = http.clone().login(&login).get("me").send().unwrap().json().unwrap();
        assert!(answer.starts_with("Bearer ") && counts.borrow().0 == number, "{answer}");
        login.save(&mut state, "login").unwrap();
    }
    let refused = Login::session(http.post("auth/refresh").json(&json!({})), "/data/access").renew().unwrap_err();
    let message = "POST https://api.test/auth/refresh: status 401: the login was refused, used up";
    assert_eq!(refused, Error::authentication(message));
    assert_eq!((refused.status(), refused.code()), (Some(401), Some("TOKEN_USED")));
}

#[test]
fn a_login_by_cookies_sends_all_that_were_set() {
    elt_sdk::testing::serve(|asked| match asked.path() {
        "/login" if asked.body().contains("password=wrong") => Answer::json(r#"{"message":"bad password"}"#),
        "/login" => Answer::json("{}").header("Set-Cookie", "sid=7; Path=/; HttpOnly").header("set-cookie", "csrf=x=y"),
        _ => Answer::status(if asked.header("cookie").as_deref() == Some("sid=7; csrf=x=y") { 200 } else { 401 }),
    });
    let http = Client::new("https://api.test");
    let login = |password| Login::cookie(http.post("login").form([("user", "ada"), ("password", password)]));
    assert_eq!(http.clone().login(&login("right")).get("me").send().unwrap().status(), 200);
    let refused = "POST https://api.test/login: status 200: the login was refused, bad password";
    assert_eq!(login("wrong").renew(), Err(Error::authentication(refused)));
}

#[test]
fn a_login_that_was_not_processed_is_sent_again_although_it_is_a_post() {
    let mut busy = vec![Answer::status(503), Answer::status(429).header("retry-after", "7")];
    let page = Answer::json(r#"{"items":[],"next":null}"#);
    busy.extend([Answer::json(r#"{"access_token":"t","refresh_token":"r"}"#), page]);
    let sync = probe("refresh").answers(busy).update();
    assert_eq!((sync.result.clone(), sync.asked.len()), (Ok(()), 4));
    assert_eq!(sync.slept[1], Duration::from_secs(7));
    assert_eq!(asked_for_tokens(&sync).len(), 3);
}
