//! Errors that the status does not tell: judges, GraphQL, and answers that are the ones of last time.

use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, Sync, Test};

/// Asks once, by what the configuration says.
struct Probe;

impl Connector for Probe {
    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(Vec::new())
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new("https://api.test").judge(judge);
        let page = match configuration.get_or("ask", "get") {
            "post" => http.post("x").page("items")?,
            "graphql" => http.post("x").graphql("query", &json!({"v": 1})).page("/data/nodes")?,
            "changed" => match http.get("x").send_if_changed(&mut state, "version")? {
                Some(answer) => {
                    operations.upsert("x", answer.json::<Box<elt_sdk::RawValue>>()?)?;
                    return operations.checkpoint(&state);
                }
                None => return Ok(()),
            },
            _ => http.get("x").page("items")?,
        };
        operations.upsert_page("x", &page)
    }
}

fn judge(answer: &Response, body: &str) -> Result<()> {
    let retry_after = answer.header("x-wait").and_then(|wait| wait.parse().ok()).map(Duration::from_secs);
    match Record::from(body).get("error").as_deref() {
        Some("throttled") => Err(Error::rate_limited("throttled", retry_after)),
        Some("busy") => Err(Error::transient("busy")),
        Some(other) => Err(Error::source(other)),
        None => Ok(()),
    }
}

fn ask(how: &str, answers: impl IntoIterator<Item = Answer>) -> Sync {
    Test::<Probe>::new().configuration("ask", how).answers(answers).update()
}

fn error(text: &str) -> Answer {
    Answer::json(format!(r#"{{"error":"{text}"}}"#))
}

fn good() -> Answer {
    Answer::json(r#"{"items":[{"id":1}],"data":{"nodes":[{"id":2}]}}"#)
}

#[test]
fn an_error_in_the_body_is_waited_out() {
    let sync = ask("get", [error("throttled").header("x-wait", "7"), error("busy"), good()]);
    assert_eq!((&sync.result, sync.upserts("x")), (&Ok(()), vec![r#"{"id":1}"#]));
    assert_eq!(sync.slept[0], Duration::from_secs(7));
    assert!(sync.slept.len() == 2 && sync.slept[1] <= Duration::from_secs(1), "{:?}", sync.slept);
}

#[test]
fn patience_lasts_for_minutes_and_ends() {
    let sync = ask("get", (0..99).map(|_| error("busy")));
    assert_eq!(sync.result, Err(Error::transient("busy")));
    let waited: Duration = sync.slept.iter().sum();
    assert!(waited > Duration::from_mins(4) && waited <= Duration::from_mins(5), "{waited:?}");
    assert!(sync.asked.len() > 10, "{}", sync.asked.len());

    let sync = ask("get", (0..99).map(|_| error("throttled").header("x-wait", "60")));
    assert_eq!(sync.slept, [Duration::from_mins(1); 5]);
    let sync = ask("get", [error("throttled").header("x-wait", "301")]);
    let message = Err(Error::rate_limited("throttled", Some(Duration::from_secs(301))));
    assert_eq!((sync.result, sync.asked.len()), (message, 1));
}

#[test]
fn an_error_that_stays_and_a_request_that_must_not_be_repeated_end_at_once() {
    let sync = ask("get", [error("no such thing")]);
    assert_eq!((sync.result, sync.slept.len()), (Err(Error::source("no such thing")), 0));
    let sync = ask("post", [error("throttled"), good()]);
    assert_eq!((sync.result, sync.asked.len()), (Err(Error::rate_limited("throttled", None)), 1));
}

#[test]
fn a_judge_leaves_the_body_to_be_read() {
    elt_sdk::testing::serve(|_| Answer::status(500).body("x".repeat(3000)));
    let answer = Client::new("https://api.test").judge(|_, body| {
        assert_eq!(body.len(), 3000);
        Ok(())
    });
    let mut answer = answer.get("x").send().unwrap();
    let first = answer.chunk().unwrap().unwrap();
    let rest = answer.bytes().unwrap();
    assert_eq!(first.len() + rest.len(), 3000);
}

#[test]
fn a_graphql_question_carries_its_variables_and_its_errors_have_a_kind() {
    let sync = ask("graphql", [good()]);
    assert_eq!((&sync.result, sync.upserts("x")), (&Ok(()), vec![r#"{"id":2}"#]));
    assert_eq!(sync.asked[0].body(), r#"{"query":"query","variables":{"v":1}}"#);

    let problem = |code: &str| Answer::json(format!(r#"{{"data":null,"errors":[{{"message":"m",{code}}}]}}"#));
    let fails = |code: &str| ask("graphql", (0..99).map(|_| problem(code))).result.unwrap_err();
    let message = |code: &str| format!("POST https://api.test/x: status 200: {code}: m");
    assert_eq!(fails(r#""type":"RATE_LIMITED""#), Error::rate_limited(message("RATE_LIMITED"), None));
    assert_eq!(fails(r#""extensions":{"code":"THROTTLED"}"#), Error::rate_limited(message("THROTTLED"), None));
    assert_eq!(fails(r#""extensions":{"code":"UNAUTHENTICATED"}"#), Error::authentication(message("UNAUTHENTICATED")));
    assert_eq!(
        fails(r#""extensions":{"code":"INTERNAL_SERVER_ERROR"}"#),
        Error::transient(message("INTERNAL_SERVER_ERROR"))
    );
    assert_eq!(fails(r#""type":"NOT_FOUND""#), Error::source(message("NOT_FOUND")));
    assert_eq!(fails(r#""path":[]"#), Error::source("POST https://api.test/x: status 200: m"));

    let sync = ask("graphql", [problem(r#""type":"RATE_LIMITED""#), good()]);
    assert_eq!((sync.result, sync.slept.len()), (Ok(()), 1));
}

#[test]
fn an_answer_of_last_time_is_none() {
    let first = ask("changed", [Answer::json(r#"{"id":1}"#).header("ETag", "W/\"a\"").header("Last-Modified", "x")]);
    assert_eq!(first.state(), Some(r#"{"version":"W/\"a\""}"#));

    let again = Test::<Probe>::new().configuration("ask", "changed").state(first.state());
    let again = again.answers([Answer::status(304)]).update();
    assert_eq!((again.result.clone(), again.operations()), (Ok(()), Vec::new()));
    assert_eq!(again.asked[0].header("if-none-match").as_deref(), Some("W/\"a\""));

    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let by_date = ask("changed", [Answer::json("{}").header("Last-Modified", date)]);
    let again = Test::<Probe>::new().configuration("ask", "changed").state(by_date.state());
    let again = again.answers([Answer::json("{}")]).update();
    assert_eq!(again.asked[0].header("if-modified-since").as_deref(), Some(date));
    assert_eq!(again.state(), Some("{}"));

    let failed = ask("changed", [Answer::status(500)]);
    assert!(matches!(failed.result, Err(Error::Transient(_))));
}
