//! Trying again: when, how often, and when not.

use std::sync::Mutex;

use super::server::{Act, answer, ok};
use super::*;

/// A server that gives these answers in order, then "fine".
async fn script(answers: Vec<Vec<u8>>) -> Server {
    Server::start(move |before, _| vec![Act::Send(answers.get(before).cloned().unwrap_or_else(|| ok("fine")))]).await
}

#[tokio::test]
async fn trouble_that_passes_is_not_seen_by_the_guest() {
    for status in [408, 429, 500, 502, 503, 504] {
        let server = script(vec![answer(status, &[], "x"), answer(status, &[("retry-after", "0")], "x")]).await;
        let client = client(&server);
        assert_eq!(text(&client, get(server.url("/"))).await.unwrap(), (200, "fine".into()), "{status}");
        assert_eq!((client.stats().requests(), client.stats().retries()), (3, 2));
    }
}

#[tokio::test]
async fn after_the_last_attempt_the_answer_is_handed_over() {
    for status in [429, 500] {
        let server = Server::same(answer(status, &[("x-why", "tired")], "sorry")).await;
        let mut settings = settings();
        settings.retry.patience = Duration::ZERO;
        let client = client_for(&[&server], settings);
        let mut response = fetch(&client, get(server.url("/"))).await.unwrap();
        assert_eq!((response.status(), response.headers()[0].1.as_str()), (status, "tired"));
        assert_eq!(response.read_all().await.unwrap(), b"sorry");
        assert_eq!(server.seen().len(), 5);
    }
}

#[tokio::test]
async fn answers_that_will_not_change_are_handed_over_at_once() {
    for status in [400, 401, 404, 409, 422] {
        let server = Server::same(answer(status, &[("retry-after", "1")], "no")).await;
        let client = client(&server);
        assert_eq!(text(&client, get(server.url("/"))).await.unwrap(), (status, "no".into()));
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn only_requests_that_may_be_sent_twice_are() {
    let busy = || vec![answer(502, &[], "busy")];
    for (method, idempotent, requests) in [
        (Method::Get, false, 2),
        (Method::Head, false, 2),
        (Method::Put, false, 2),
        (Method::Delete, false, 2),
        (Method::Options, false, 2),
        (Method::Post, false, 1),
        (Method::Patch, false, 1),
        (Method::Post, true, 2),
        (Method::Patch, true, 2),
    ] {
        let server = script(busy()).await;
        let client = client(&server);
        let response = fetch(&client, Request { method, idempotent, ..get(server.url("/")) }).await.unwrap();
        assert_eq!(
            (server.seen().len(), response.status()),
            (requests, if requests == 1 { 502 } else { 200 }),
            "{method:?}"
        );
    }
}

#[tokio::test]
async fn bodies_are_sent_again_with_every_attempt() {
    let server = script(vec![answer(500, &[], ""), answer(500, &[], "")]).await;
    let client = client(&server);
    fetch(&client, Request { idempotent: true, ..post(server.url("/")) }).await.unwrap();
    assert!(server.seen().iter().all(|seen| seen.body == b"{}"));
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_source_that_wants_a_long_rest_gets_it() {
    let dates = ["Tue, 31 Dec 2199 23:59:59 GMT", "31536000", "999999999999999999999"];
    for wait in dates {
        for status in [429, 503] {
            let server = Server::same(answer(status, &[("retry-after", wait)], "")).await;
            let client = client(&server);
            let error = told(fetch(&client, get(server.url("/p?key=hunter2"))).await);
            assert_eq!(error.kind, ErrorKind::RateLimited);
            assert!(error.retry_after_ms.unwrap() >= 31_536_000_000, "{error}");
            assert!(error.message.contains(&status.to_string()) && !error.message.contains("hunter2"), "{error}");
            assert_eq!(server.seen().len(), 1);
        }
    }
}

#[tokio::test]
async fn a_date_in_the_past_is_no_wait() {
    let past = answer(429, &[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], "");
    let server = script(vec![past.clone(), past]).await;
    let client = client(&server);
    assert_eq!(fetch(&client, get(server.url("/"))).await.unwrap().status(), 200);
}

#[tokio::test]
async fn rate_limits_of_the_connector_are_kept() {
    let server = Server::same(ok("x")).await;
    let mut settings = settings();
    settings.rate_limits = vec![model::RateLimit { requests: 1, window_ms: 20 }];
    let client = client_for(&[&server], settings);
    for _ in 0..3 {
        fetch(&client, get(server.url("/"))).await.unwrap();
    }
    let stats = client.stats();
    assert!(stats.backed_off() > Duration::ZERO && stats.waited() >= stats.backed_off());
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Watch for Heard {
    fn retrying(&self, reason: &str, _wait: Duration) {
        self.0.lock().unwrap().push(format!("retry: {reason}"));
    }

    fn denied(&self, reason: &str) {
        self.0.lock().unwrap().push(format!("denied: {reason}"));
    }
}

#[tokio::test]
async fn retries_and_refusals_are_told_while_they_happen() {
    let server = script(vec![answer(500, &[], "")]).await;
    let host = format!("127.0.0.1:{}", server.port());
    let heard = Arc::new(Heard::default());
    let policy = policy(std::slice::from_ref(&host), std::slice::from_ref(&host));
    let client = Client::new(policy, settings(), Arc::default(), Arc::clone(&heard) as Arc<dyn Watch>);
    fetch(&client, get(server.url("/p?k=v"))).await.unwrap();
    assert_eq!(kind(client.send(get("https://elsewhere.test/"))), ErrorKind::Denied);
    let heard = heard.0.lock().unwrap();
    assert_eq!(heard[0], format!("retry: GET {}: the source answered 500", server.url("/p")));
    assert!(heard[1].starts_with("denied: GET https://elsewhere.test/: the connector does not declare"), "{heard:?}");
    assert_eq!(client.stats().denials(), 1);
    assert!(client.stats().last_denial().unwrap().contains("elsewhere.test:443"));
}

#[tokio::test]
async fn a_request_that_is_to_be_sent_once_is_not_repeated_where_it_may_have_been_taken() {
    let once = |request| Request { terms: Terms { once: true, ..Terms::default() }, buffer: true, ..request };
    // Cut, silent, failing: each may have taken something from the queue.
    let cut = || vec![Act::Send(answer(200, &[], "x".repeat(1000))[..600].to_vec()), Act::Close];
    let half_a_head = || vec![Act::Send(b"HTTP/1.1 200".to_vec()), Act::Close];
    let faults: [fn() -> Vec<Act>; 3] = [cut, half_a_head, || vec![Act::Close]];
    for fault in faults {
        let server = Server::start(move |_, _| fault()).await;
        for request in [get(server.url("/")), Request { method: Method::Delete, ..get(server.url("/")) }] {
            let before = server.seen().len();
            assert_eq!(kind(fetch(&client(&server), once(request)).await), ErrorKind::Protocol);
            assert_eq!(server.seen().len(), before + 1);
        }
        let marked = Request { idempotent: true, ..once(post(server.url("/"))) };
        assert_eq!(kind(fetch(&client(&server), marked).await), ErrorKind::Protocol);
        assert_eq!(server.seen().len(), 3);
    }
    for status in [408, 500, 502, 504] {
        let server = Server::same(answer(status, &[], "")).await;
        assert_eq!(fetch(&client(&server), once(get(server.url("/")))).await.unwrap().status(), status);
        assert_eq!(server.seen().len(), 1, "{status}");
    }
    let hanging = Server::start(|_, _| vec![Act::Hang]).await;
    let request = Request { timeout_ms: Some(50), ..once(get(hanging.url("/"))) };
    assert_eq!(kind(fetch(&client(&hanging), request).await), ErrorKind::Timeout);
    assert_eq!(hanging.seen().len(), 1);
}

#[tokio::test]
async fn what_was_surely_not_taken_is_sent_again_whatever_it_is() {
    for status in [420, 429, 430, 503, 509, 529] {
        for terms in [Terms::default(), Terms { once: true, ..Terms::default() }] {
            let server = script(vec![answer(status, &[], ""), answer(status, &[("retry-after", "0")], "")]).await;
            let request = Request { terms, ..post(server.url("/token")) };
            assert_eq!(fetch(&client(&server), request).await.unwrap().status(), 200, "{status}");
            assert!(server.seen().iter().all(|seen| seen.body == b"{}"));
        }
    }
    // A door that is closed has let nobody in.
    let server = script(vec![]).await;
    let (client, url) = (client(&server), server.url("/"));
    drop(server);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(kind(fetch(&client, post(url)).await), ErrorKind::Connect);
    assert_eq!(client.stats().retries(), 4);
}

#[tokio::test]
async fn a_get_that_a_post_led_to_is_tried_again_and_the_post_is_not() {
    for once in [false, true] {
        let server = Server::start(move |before, seen| match (before, seen.line()) {
            (_, "POST /jobs") => vec![Act::Send(answer(303, &[("location", "/jobs/1")], ""))],
            (1, _) => vec![Act::Send(answer(if once { 503 } else { 500 }, &[], ""))],
            _ => vec![Act::Send(ok("done"))],
        })
        .await;
        let request = Request { terms: Terms { once, ..Terms::default() }, ..post(server.url("/jobs")) };
        assert_eq!(text(&client(&server), request).await.unwrap().1, "done");
        let lines: Vec<_> = server.seen().iter().map(|seen| seen.line().to_owned()).collect();
        assert_eq!(lines, ["POST /jobs", "GET /jobs/1", "GET /jobs/1"]);
    }
}

#[tokio::test]
async fn a_source_that_asks_for_patience_gets_more_than_a_few_attempts() {
    for (status, fields) in [
        (429, vec![]),
        (503, vec![]),
        (403, vec![("x-ratelimit-remaining", "0")]),
        (403, vec![("retry-after", "0.001")]),
        (429, vec![("retry-after-ms", "1")]),
        (429, vec![("retry-after", "0.001, 0.002")]),
        (429, vec![("ratelimit", "\"default\";r=0;t=0")]),
    ] {
        let server = script(vec![answer(status, &fields, "slowly"); 20]).await;
        let client = client(&server);
        assert_eq!(text(&client, get(server.url("/"))).await.unwrap(), (200, "fine".into()), "{fields:?}");
        assert_eq!(client.stats().retries(), 20, "{fields:?}");
    }
    // The connector may have more patience or less than the operator.
    let server = script(vec![answer(429, &[], ""); 20]).await;
    let impatient = Terms { patience_ms: Some(0), ..Terms::default() };
    let response = fetch(&client(&server), Request { terms: impatient, ..get(server.url("/")) }).await.unwrap();
    assert_eq!((response.status(), server.seen().len()), (429, 5));
    let server = script(vec![answer(429, &[("retry-after", "301")], "")]).await;
    assert_eq!(kind(fetch(&client(&server), get(server.url("/"))).await), ErrorKind::RateLimited);
}

#[tokio::test]
async fn hints_are_waited_for() {
    for field in [
        ("retry-after", "0.25"),
        ("retry-after", "250ms"),
        ("retry-after-ms", "250"),
        ("x-ratelimit-reset", "0.25"),
        ("ratelimit-reset", "0.25"),
        ("ratelimit", "limit=9, remaining=0, reset=0.25"),
    ] {
        let server = script(vec![answer(429, &[field], "")]).await;
        let client = client(&server);
        fetch(&client, get(server.url("/"))).await.unwrap();
        // Back-off alone is 2 ms here.
        assert!(client.stats().backed_off() >= Duration::from_millis(250), "{field:?}");
    }
}

#[tokio::test]
async fn a_success_that_is_none_is_tried_again_where_json_is_expected() {
    let expecting = |request| Request { terms: Terms { expect_json: true, ..Terms::default() }, ..request };
    for bad in ["", " \r\n ", "<html>", "\u{feff}<!DOCTYPE html>", "\n<?xml version=\"1.0\"?>"] {
        for buffer in [false, true] {
            let server = script(vec![ok(bad), ok(bad), ok("[1]")]).await;
            let request = Request { buffer, ..expecting(get(server.url("/"))) };
            assert_eq!(text(&client(&server), request).await.unwrap().1, "[1]", "{bad:?}");
            // For good it is what came, for the connector to judge.
            let server = Server::same(ok(bad)).await;
            let request = Request { buffer, ..expecting(get(server.url("/"))) };
            assert_eq!(text(&client(&server), request).await.unwrap().1, bad);
            assert_eq!(server.seen().len(), 5);
            // Where nobody expects JSON, or sending twice would be wrong, it is an answer.
            let server = Server::same(ok(bad)).await;
            text(&client(&server), get(server.url("/"))).await.unwrap();
            text(&client(&server), expecting(post(server.url("/")))).await.unwrap();
            assert_eq!(server.seen().len(), 2);
        }
    }
    for (method, status) in [(Method::Get, 204), (Method::Head, 200)] {
        let server = Server::same(answer(status, &[], "")).await;
        text(&client(&server), Request { method, ..expecting(get(server.url("/"))) }).await.unwrap();
        assert_eq!(server.seen().len(), 1);
    }
}
