//! HTTP: what is sent, and what an answer that is not as hoped turns into.

use std::io::{BufRead, BufReader};

use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, serve};

fn client() -> Client {
    Client::new("https://api.test/v1/")
}

/// What `GET https://api.test/v1/x?key=secret` read as JSON gives for this answer.
fn read(answer: Answer) -> Result<Vec<u8>> {
    serve(move |_| answer.clone());
    client().get("x").query("key", "secret").send()?.json()
}

#[test]
fn a_request_carries_what_was_put_in() {
    serve(|asked| {
        assert_eq!(asked.to_string(), "POST https://api.test/v1/search?a=1&q=x%20y%26z");
        assert_eq!(asked.header("X-One").as_deref(), Some("1"));
        assert_eq!(asked.header("authorization").as_deref(), Some("Bearer t"));
        assert_eq!(asked.body(), r#"{"since":null}"#);
        assert!(asked.idempotent() && asked.buffered());
        Answer::status(204)
    });
    let http = client().header("x-one", 1).basic_auth("u", "p").bearer_auth("t");
    let request = http.post("/search?a=1").query("q", "x y&z").query_if("none", None::<u8>);
    let answer = request.json(&json!({"since": null})).idempotent(true).send().unwrap();
    assert!(answer.is_success());
    assert_eq!(answer.url(), "https://api.test/v1/search?a=1&q=x%20y%26z");
}

#[test]
fn a_path_continues_the_base_and_a_url_replaces_it() {
    serve(|asked| Answer::json(format!("{:?}", asked.url())));
    let check =
        |path: &str, expect: &str| assert_eq!(client().get(path).send().unwrap().json::<String>().unwrap(), expect);
    check("x", "https://api.test/v1/x");
    check("/x", "https://api.test/v1/x");
    check("", "https://api.test/v1");
    check("http://other.test/x", "http://other.test/x");
}

#[test]
fn an_error_status_is_an_error_by_whose_fault_it_is() {
    let name = "GET https://api.test/v1/x: status";
    assert_eq!(read(Answer::status(403)), Err(Error::authentication(format!("{name} 403"))));
    assert_eq!(read(Answer::status(500).body(" oops ")), Err(Error::transient(format!("{name} 500: oops"))));
    assert_eq!(
        read(Answer::status(404).body("x".repeat(5000))),
        Err(Error::source(format!("{name} 404: {}", "x".repeat(200))))
    );
    let limited = Answer::status(429).header("Retry-After", "7");
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(read(limited), Err(Error::rate_limited(format!("{name} 429"), retry_after)));
}

#[test]
fn html_instead_of_json_says_so() {
    let html = Answer::status(200).header("content-type", "text/html").body("\n<!DOCTYPE html><p>Please log in");
    let expect = "GET https://api.test/v1/x: status 200: the body (text/html) is not the JSON expected, \
        expected value at line 2 column 1; it starts: <!DOCTYPE html><p>Please log in";
    assert_eq!(read(html), Err(Error::source(expect)));
}

#[test]
fn no_answer_is_an_error_by_whose_fault_it_is() {
    assert_eq!(read(Answer::disconnect()), Err(Error::transient("the connection failed")));
    assert_eq!(read(Answer::denied("no")), Err(Error::Configuration { field: None, message: "no".into() }));
}

#[test]
fn a_stream_is_read_by_pieces_or_lines() {
    serve(|asked| {
        assert!(!asked.buffered());
        Answer::status(200).body("{\"a\":1}\n{\"a\":2}\n".repeat(5000))
    });
    let answer = client().get("export").stream().send().unwrap();
    let lines: Vec<String> = BufReader::new(answer).lines().map(Result::unwrap).collect();
    assert_eq!((lines.len(), lines[9999].as_str()), (10_000, "{\"a\":2}"));

    let mut answer = client().get("export").stream().send().unwrap();
    let mut length = 0;
    while let Some(piece) = answer.chunk().unwrap() {
        length += piece.len();
    }
    assert_eq!(length, 80_000);
}

#[test]
fn several_requests_are_under_way_before_the_first_is_waited_for() {
    serve(|asked| Answer::json(asked.query("n").unwrap()));
    let pending: Vec<_> = (0..3).map(|n| client().get("x").query("n", n).start().unwrap()).collect();
    let answers: Vec<u8> = pending.into_iter().map(|pending| pending.wait().unwrap().json().unwrap()).collect();
    assert_eq!(answers, [0, 1, 2]);
}

#[test]
fn debug_output_shows_no_secret() {
    let request = client().get("x").query("key", "secret").header("k", "secret").bearer_auth("secret");
    assert_eq!(format!("{request:?}"), "GET https://api.test/v1/x");
    assert_eq!(format!("{:?}", Configuration::from([("key", "secret")])), r#"{"key"}"#);
}

#[test]
fn an_error_knows_the_answer_it_stands_for() {
    let body = r#"{"error":{"code":"SHOP_CLOSED","message":"closed since May"}}"#;
    let page = |answer: Answer| {
        serve(move |_| answer.clone());
        Client::new("https://api.test").get("shops/7").page("orders").unwrap_err()
    };
    for status in [400, 401, 403, 404, 410, 418, 429, 500, 503] {
        let error = page(Answer::status(status).header("X-Request-Id", "r-1").body(body));
        assert_eq!((error.status(), error.code()), (Some(status), Some("SHOP_CLOSED")));
        assert_eq!((error.header("x-request-id"), error.body()), (Some("r-1"), Some(body)));
        assert_eq!(error.clone().context("shop 7").status(), Some(status));
    }
    let other = page(Answer::json("{}"));
    assert_eq!((other.status(), other.code(), other.body()), (None, None, None));
}

#[test]
fn the_usual_errors_travel_by_a_question_mark() {
    fn read() -> Result<()> {
        let record = Record::from(r#"{"n":"7","f":"1.5","b":"true","c":"x"}"#);
        let small = u8::try_from(record.required("n")?.parse::<i64>()?)?;
        let rest = (record.required("f")?.parse::<f64>()?, record.required("b")?.parse::<bool>()?);
        let letter: char = record.required("c")?.parse()?;
        let value: Value = elt_sdk::serde_json::from_str("{\"a\": 1}")?;
        let text = (String::from_utf8(vec![b'x'])?, std::str::from_utf8(b"y")?);
        assert_eq!((small, rest.1, letter, value["a"].as_i64(), text.1), (7, true, 'x', Some(1), "y"));
        "x".parse::<u32>()?;
        Ok(())
    }
    assert_eq!(read(), Err(Error::source("invalid digit found in string")));
}
