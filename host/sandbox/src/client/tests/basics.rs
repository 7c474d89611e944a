//! What works when the source does: requests, bodies, connections, cancelling, counting.

use std::sync::Mutex;

use super::server::{Act, answer, head, ok};
use super::*;

#[tokio::test]
async fn an_answer_has_status_headers_url_and_body() {
    let fields = [("X-One", "1"), ("x-two", "\u{e9}"), ("X-One", "2")];
    let server = Server::same(answer(207, &fields, "hello world")).await;
    let client = client(&server);
    let mut response = fetch(&client, get(server.url("/p?x=1#f"))).await.unwrap();
    assert_eq!((response.status(), response.url()), (207, server.url("/p?x=1").as_str()));
    let wanted = [("x-one", "1"), ("x-one", "2"), ("x-two", "é"), ("content-length", "11")];
    assert_eq!(response.headers(), headers(&wanted));
    assert_eq!(response.read(5).await.unwrap(), b"hello");
    assert_eq!(response.read(1).await.unwrap(), b" ");
    assert_eq!(kind(response.read(0).await), ErrorKind::InvalidRequest);
    assert_eq!(response.read_all().await.unwrap(), b"world");
    assert_eq!(response.read(u32::MAX).await.unwrap(), b"");
    assert_eq!(response.read_all().await.unwrap(), b"");
}

#[tokio::test]
async fn requests_arrive_as_composed() {
    let server = Server::same(ok("")).await;
    let client = client(&server);
    let request = Request {
        query: headers(&[("b", "2 3")]),
        headers: headers(&[("X-Key", "k"), ("x-key", "l")]),
        authentication: Some(Authentication::Bearer("token".into())),
        ..post(server.url("/p?a=1"))
    };
    fetch(&client, request).await.unwrap();
    fetch(&client, Request { body: None, ..post(server.url("/empty")) }).await.unwrap();
    fetch(&client, Request { method: Method::Head, ..get(server.url("/")) }).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].line(), "POST /p?a=1&b=2%203");
    assert_eq!(seen[0].header("host"), Some(format!("127.0.0.1:{}", server.port()).as_str()));
    assert_eq!(seen[0].header("authorization"), Some("Bearer token"));
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    assert_eq!(seen[0].header("accept-encoding"), Some("gzip, br, zstd"));
    assert!(seen[0].header("user-agent").unwrap().starts_with("elt-host/"));
    assert_eq!((seen[0].header("x-key"), seen[0].body.as_slice()), (Some("k"), &b"{}"[..]));
    assert_eq!((seen[1].line(), seen[1].header("content-length")), ("POST /empty", Some("0")));
    assert_eq!(seen[2].line(), "HEAD /");
}

#[tokio::test]
async fn connections_are_kept_alive_through_errors_and_redirects() {
    let server = Server::start(|before, seen| {
        vec![Act::Send(match (before % 3, seen.line()) {
            (0, _) => answer(503, &[], "busy"),
            (1, "GET /start") => answer(302, &[("location", "/end")], "moved"),
            _ => ok("done"),
        })]
    })
    .await;
    let client = client(&server);
    for _ in 0..10 {
        assert_eq!(text(&client, get(server.url("/start"))).await.unwrap(), (200, "done".into()));
    }
    assert_eq!((server.seen().len(), server.connections()), (30, 1));
    let stats = client.stats();
    assert_eq!((stats.requests(), stats.retries(), stats.redirects()), (30, 10, 10));
    assert_eq!((stats.bytes(), stats.last_status(), stats.in_flight()), (40, Some(200), 0));
}

#[tokio::test]
async fn an_answer_that_is_not_read_frees_its_connection_when_it_is_small() {
    let server = Server::same(ok("small")).await;
    let client = client(&server);
    let mut kept = Vec::new();
    for _ in 0..5 {
        kept.push(fetch(&client, get(server.url("/"))).await.unwrap());
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(kept[0].read_all().await.unwrap(), b"small");
}

#[tokio::test]
async fn several_requests_are_in_flight_and_no_more_than_allowed() {
    let server = Server::start(|_, _| vec![Act::Wait(Duration::from_millis(30)), Act::Send(ok("x"))]).await;
    let mut settings = settings();
    settings.limits.in_flight_max = 3;
    let client = client_for(&[&server], settings);
    let pending: Vec<_> = (0..9).map(|n| client.send(get(server.url(&format!("/{n}")))).unwrap()).collect();
    // Waiting in another order than sending must not lock up.
    for pending in pending.into_iter().rev() {
        assert_eq!(pending.wait().await.unwrap().status(), 200);
    }
    assert_eq!((server.busiest(), server.seen().len()), (3, 9));
}

#[tokio::test]
async fn requests_start_at_once_without_waiting() {
    let server = Server::same(ok("x")).await;
    let client = client(&server);
    let pending = client.send(get(server.url("/"))).unwrap();
    while server.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(pending.wait().await.unwrap().status(), 200);
}

#[tokio::test]
async fn dropping_a_pending_request_cancels_it() {
    let server = Server::start(|_, _| vec![Act::Hang]).await;
    let client = client(&server);
    let pending = client.send(get(server.url("/"))).unwrap();
    while server.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((client.stats().in_flight(), server.open()), (1, 1));
    drop(pending);
    while client.stats().in_flight() > 0 || server.open() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn dropping_an_answer_closes_its_connection() {
    let server = Server::start(|_, _| vec![Act::Send([head(200, &[]), vec![b'x'; 100_000]].concat()), Act::Hang]).await;
    let client = client(&server);
    let response = fetch(&client, get(server.url("/"))).await.unwrap();
    assert_eq!(server.open(), 1);
    drop(response);
    while server.open() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn bodies_are_streamed_as_they_come() {
    let server = Server::start(|_, _| {
        let chunk = |text: &str| Act::Send(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes());
        let pause = || Act::Wait(Duration::from_millis(20));
        let head = Act::Send(head(200, &[("transfer-encoding", "chunked")]));
        vec![
            head,
            pause(),
            chunk("one"),
            pause(),
            chunk("two"),
            pause(),
            chunk("three"),
            Act::Send(b"0\r\n\r\n".to_vec()),
        ]
    })
    .await;
    let client = client(&server);
    let mut response = fetch(&client, get(server.url("/"))).await.unwrap();
    let mut pieces = Vec::new();
    loop {
        let piece = response.read(1024).await.unwrap();
        if piece.is_empty() {
            break;
        }
        pieces.push(String::from_utf8(piece).unwrap());
    }
    assert_eq!(pieces.concat(), "onetwothree");
    assert!(pieces.len() > 1, "{pieces:?}");
    assert_eq!((client.stats().bytes(), client.stats().wire_bytes()), (11, 11));
}

#[test]
fn without_a_runtime_nothing_panics() {
    let policy = policy(&["a.test".into()], &[]);
    let client = Client::new(policy, settings(), Arc::default(), Arc::new(()));
    let Err(Failure::Sync(error)) = client.send(get("https://a.test/")) else { panic!() };
    assert_eq!(error.code(), Code::HostBug);
}

/// Everything that was written to a log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_exchange_leaves_an_event_without_secrets() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(move || writer.clone()).finish();
    // While there is but one dispatcher, tests on other threads that come by an event first switch it off for all.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start(|before, _| {
        vec![Act::Send(if before == 0 { answer(500, &[], "hunter2") } else { ok("hunter2") })]
    })
    .await;
    let client = client(&server);
    let request = Request {
        query: headers(&[("key", "hunter2")]),
        headers: headers(&[("x-key", "hunter2")]),
        authentication: Some(Authentication::Basic("hunter2".into(), "hunter2".into())),
        body: Some(Body::Json(b"hunter2".to_vec())),
        idempotent: true,
        ..post(server.url("/p?k=hunter2"))
    };
    text(&client, request).await.unwrap();
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let own: Vec<_> = log.lines().filter(|line| line.contains("http exchange")).collect();
    assert_eq!(own.len(), 2, "{log}");
    for (line, status) in own.iter().zip(["status=500", "status=200"]) {
        assert!(line.contains("method=POST") && line.contains(status) && line.contains("bytes=7"), "{line}");
        assert!(line.contains(&format!("host=http://127.0.0.1:{}", server.port())), "{line}");
    }
    assert!(!log.contains("hunter2"), "{log}");
}
