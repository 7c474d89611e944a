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
        let client = client(&server);
        let mut response = fetch(&client, get(server.url("/"))).await.unwrap();
        assert_eq!((response.status(), response.headers()[0].1.as_str()), (status, "tired"));
        assert_eq!(response.read_all().await.unwrap(), b"sorry");
        assert_eq!(server.seen().len(), 5);
    }
}

#[tokio::test]
async fn answers_that_will_not_change_are_handed_over_at_once() {
    for status in [400, 401, 403, 404, 409, 422] {
        let server = Server::same(answer(status, &[("retry-after", "1")], "no")).await;
        let client = client(&server);
        assert_eq!(text(&client, get(server.url("/"))).await.unwrap(), (status, "no".into()));
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn only_requests_that_may_be_sent_twice_are() {
    let busy = || vec![answer(503, &[], "busy")];
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
            (requests, if requests == 1 { 503 } else { 200 }),
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
