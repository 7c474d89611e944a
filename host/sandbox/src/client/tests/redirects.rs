//! Redirects as the host follows them: every hop checked, nothing secret taken across origins.

use super::server::{Act, Seen, answer, ok};
use super::*;

fn to(status: u16, location: &str) -> Vec<Act> {
    vec![Act::Send(answer(status, &[("location", location)], "moved"))]
}

/// Answers with where it was asked to redirect to: `/to/302/URL`.
fn obedient(seen: &Seen) -> Vec<Act> {
    let path = seen.line().split_once(' ').unwrap().1;
    match path.strip_prefix("/to/").and_then(|rest| rest.split_once('/')) {
        Some((status, location)) => to(status.parse().unwrap(), location),
        None => vec![Act::Send(ok("arrived"))],
    }
}

async fn server() -> Server {
    Server::start(|_, seen| obedient(seen)).await
}

fn secrets(url: String) -> Request {
    Request {
        query: headers(&[("key", "hunter2")]),
        headers: headers(&[("X-Api-Key", "hunter2"), ("Cookie", "hunter2"), ("Accept", "text/x")]),
        authentication: Some(Authentication::Bearer("hunter2".into())),
        ..get(url)
    }
}

#[tokio::test]
async fn a_redirect_within_the_origin_keeps_credentials() {
    let server = server().await;
    let client = client(&server);
    let mut response = fetch(&client, secrets(server.url("/to/302//there?x=1#f"))).await.unwrap();
    // The obedient server echoes the query into the location, as careless ones do.
    assert_eq!(response.url(), server.url("/there?x=1&key=hunter2"));
    assert_eq!(response.read_all().await.unwrap(), b"arrived");
    let last = server.seen().pop().unwrap();
    assert_eq!((last.line(), last.header("x-api-key")), ("GET /there?x=1&key=hunter2", Some("hunter2")));
    assert_eq!(last.header("authorization"), Some("Bearer hunter2"));
}

#[tokio::test]
async fn a_redirect_to_another_origin_leaves_credentials_behind() {
    let (first, second) = (server().await, server().await);
    let client = client_for(&[&first, &second], settings());
    let targets =
        [second.url("/x"), first.url_as("a.test", "/x"), first.url_as("b.test", "/x"), first.url_as("A.TEST.", "/x")];
    for target in targets {
        for status in [301, 302, 303, 307, 308] {
            let location = target.clone();
            let origin = Server::start(move |_, _| to(status, &location)).await;
            let client = client_for(&[&origin, &first, &second], settings());
            fetch(&client, secrets(origin.url("/"))).await.unwrap();
            assert_eq!(origin.seen()[0].header("authorization"), Some("Bearer hunter2"));
        }
    }
    // There and back again: what was left behind stays behind.
    let back = format!("/to/307/{}", second.url(&format!("/to/307/{}", first.url("/end"))));
    fetch(&client, secrets(first.url(&back))).await.unwrap();
    assert_eq!(first.seen().last().unwrap().line(), "GET /end?key=hunter2");
    let arrived = first.seen().into_iter().skip_while(|seen| seen.line().starts_with("GET /to")).chain(second.seen());
    for seen in arrived.filter(|seen| !seen.line().starts_with("GET /to/307/http")) {
        for name in ["authorization", "cookie", "x-api-key"] {
            assert_eq!(seen.header(name), None, "{name} at {}", seen.line());
        }
        assert_eq!(seen.header("accept"), Some("text/x"));
    }
}

#[tokio::test]
async fn a_body_goes_along_within_the_origin_only() {
    let server = server().await;
    let client = client(&server);
    fetch(&client, post(server.url("/to/308//there"))).await.unwrap();
    fetch(&client, post(server.url("/to/303//there"))).await.unwrap();
    let seen = server.seen();
    assert_eq!((seen[1].line(), seen[1].body.as_slice()), ("POST /there", &b"{}"[..]));
    assert_eq!((seen[3].line(), seen[3].body.as_slice()), ("GET /there", &b""[..]));
    assert_eq!((seen[3].header("content-type"), seen[3].header("content-length")), (None, None));
    let elsewhere = format!("/to/307/{}", server.url_as("a.test", "/"));
    let error = told(fetch(&client, post(server.url(&elsewhere))).await);
    assert_eq!((error.kind, server.seen().len()), (ErrorKind::Redirect, 5));
    assert!(error.message.contains("a.test"), "{error}");
}

#[tokio::test]
async fn circles_and_long_ways_are_errors() {
    let server = Server::start(|before, seen| match seen.line() {
        "GET /self" => to(302, "/self"),
        "GET /a" => to(302, "/b"),
        "GET /b" => to(302, "/a"),
        _ => to(302, &format!("/{before}")),
    })
    .await;
    let client = client(&server);
    for (path, requests) in [("/self", 1), ("/a", 2), ("/long", 11)] {
        let before = server.seen().len();
        assert_eq!(kind(fetch(&client, get(server.url(path))).await), ErrorKind::Redirect, "{path}");
        assert_eq!(server.seen().len() - before, requests, "{path}");
    }
}

#[tokio::test]
async fn exactly_ten_redirects_are_followed() {
    let server =
        Server::start(|before, _| if before < 10 { to(302, &format!("/{before}")) } else { vec![Act::Send(ok("x"))] })
            .await;
    assert_eq!(text(&client(&server), get(server.url("/start"))).await.unwrap().1, "x");
    assert_eq!(server.seen().len(), 11);
}

#[tokio::test]
async fn every_hop_is_held_against_the_policy() {
    let (open, secret) = (server().await, server().await);
    let client = client(&open);
    for location in [
        secret.url("/"),
        "http://169.254.169.254/latest/meta-data".into(),
        "http://2852039166/".into(),
        "http://[::ffff:127.0.0.1]/".into(),
        "https://127.0.0.1/".into(),
        "//evil.test/".into(),
        format!("http://user:pw@127.0.0.1:{}/", open.port()),
        format!("https://127.0.0.1:{}/", secret.port()),
        "file:///etc/passwd".into(),
        "ftp://127.0.0.1/".into(),
        "data:text/plain,x".into(),
    ] {
        let place = location.clone();
        let server = Server::start(move |_, _| to(302, &place)).await;
        let client = client_for(&[&server, &open], settings());
        assert_eq!(kind(fetch(&client, get(server.url("/"))).await), ErrorKind::Denied, "{location}");
        assert_eq!((server.seen().len(), client.stats().denials()), (1, 1), "{location}");
    }
    assert_eq!((secret.connections(), open.connections()), (0, 0));
    assert_eq!(fetch(&client, get(open.url("/"))).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_redirect_without_a_usable_location() {
    let server = Server::same(answer(302, &[], "where to?")).await;
    assert_eq!(text(&client(&server), get(server.url("/"))).await.unwrap(), (302, "where to?".into()));
    let server = Server::same(answer(302, &[("location", "http://[")], "")).await;
    assert_eq!(kind(fetch(&client(&server), get(server.url("/"))).await), ErrorKind::Redirect);
}

#[tokio::test]
async fn a_failed_hop_starts_the_whole_way_again() {
    let server = Server::start(|before, seen| match (before, seen.line()) {
        (_, "GET /start") => to(302, &format!("/signed-{before}")),
        (1, _) => vec![Act::Send(answer(503, &[], ""))],
        _ => vec![Act::Send(ok("x"))],
    })
    .await;
    assert_eq!(text(&client(&server), get(server.url("/start"))).await.unwrap().1, "x");
    let lines: Vec<_> = server.seen().iter().map(|seen| seen.line().to_owned()).collect();
    assert_eq!(lines, ["GET /start", "GET /signed-0", "GET /start", "GET /signed-2"]);
}
