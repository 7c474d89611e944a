//! Sources that break off, lie about lengths, hang, drip, or do not speak HTTP at all.

use super::server::{Act, answer, head, ok};
use super::*;

/// Half a body, then the end of the connection.
fn cut() -> Vec<Act> {
    vec![Act::Send(answer(200, &[], "x".repeat(1000))[..600].to_vec()), Act::Close]
}

async fn once(fault: impl Fn() -> Vec<Act> + Send + Sync + 'static) -> Server {
    Server::start(move |before, _| if before == 0 { fault() } else { vec![Act::Send(ok("whole"))] }).await
}

async fn always(fault: impl Fn() -> Vec<Act> + Send + Sync + 'static) -> Server {
    Server::start(move |_, _| fault()).await
}

#[tokio::test]
async fn a_body_that_is_cut_is_asked_for_again_when_it_is_buffered() {
    let server = once(cut).await;
    let client = client(&server);
    assert_eq!(text(&client, buffered(server.url("/"))).await.unwrap(), (200, "whole".into()));
    assert_eq!(client.stats().retries(), 1);
}

#[tokio::test]
async fn a_body_that_is_always_cut_is_an_error() {
    let server = always(cut).await;
    let client = client(&server);
    let error = told(fetch(&client, buffered(server.url("/p?key=hunter2"))).await);
    assert_eq!((error.kind, server.seen().len()), (ErrorKind::Protocol, 5));
    assert!(error.message.starts_with(&format!("GET {}: ", server.url("/p"))), "{error}");
    assert!(!error.message.contains("hunter2"), "{error}");
    // Sending it twice would be wrong.
    assert_eq!(kind(fetch(&client, Request { buffer: true, ..post(server.url("/")) }).await), ErrorKind::Protocol);
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn a_stream_that_is_cut_before_its_first_byte_is_asked_for_again() {
    let server = once(|| vec![Act::Send(head(200, &[("content-length", "9")])), Act::Close]).await;
    let client = client(&server);
    assert_eq!(text(&client, get(server.url("/"))).await.unwrap(), (200, "whole".into()));
}

#[tokio::test]
async fn a_stream_that_is_cut_later_is_an_error_where_it_is_read() {
    let server = always(|| {
        let head = head(200, &[("content-length", "300000")]);
        vec![Act::Send([head, vec![b'x'; 200_000]].concat()), Act::Close]
    })
    .await;
    let client = client(&server);
    let mut response = fetch(&client, get(server.url("/"))).await.unwrap();
    let mut bytes = 0;
    let error = loop {
        match response.read(10_000).await {
            Ok(piece) => bytes += piece.len(),
            Err(failure) => break told::<()>(Err(failure)),
        }
    };
    assert_eq!((error.kind, bytes, server.seen().len()), (ErrorKind::Protocol, 200_000, 1));
    assert_eq!(told(response.read(1).await), error, "again");
    assert_eq!(told(response.read_all().await), error, "and again");
}

#[tokio::test]
async fn a_length_that_is_too_short_ends_the_body_and_the_connection() {
    let server = always(|| vec![Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdef".to_vec())]).await;
    let client = client(&server);
    for _ in 0..2 {
        assert_eq!(text(&client, buffered(server.url("/"))).await.unwrap(), (200, "abc".into()));
    }
}

#[tokio::test]
async fn broken_framing_is_an_error_and_no_panic() {
    let answers: &[&[u8]] = &[
        b"",
        b"\r\n",
        b"hello\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 9999 X\r\n\r\n",
        b"HTTP/1.1 -200 X\r\n\r\n",
        b"HTTP/9.9 200 X\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"<html>",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\x00: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: \x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcdeXX",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nx",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ];
    for bytes in answers {
        let server = always(|| vec![Act::Send(bytes.to_vec()), Act::Close]).await;
        let client = client(&server);
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(kind(fetch(&client, buffered(server.url("/"))).await), ErrorKind::Protocol, "{shown:?}");
        assert_eq!(server.seen().len(), 5, "{shown:?}");
    }
}

#[tokio::test]
async fn too_many_or_too_large_header_fields_are_an_error_and_no_panic() {
    for count in [101, 1_000, 33_000, 70_000] {
        let server = always(move || {
            let fields = (0..count).map(|n| format!("x{n}:\r\n")).collect::<Vec<_>>().concat();
            vec![Act::Send(format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n").into_bytes()), Act::Close]
        })
        .await;
        let client = client(&server);
        let error = told(fetch(&client, Request { body: None, ..post(server.url("/")) }).await);
        assert_eq!(error.kind, ErrorKind::Protocol, "{count}: {error}");
    }
    let server = always(|| vec![Act::Send(answer(200, &[("x", &"y".repeat(2_000_000))], "")), Act::Close]).await;
    let client = client(&server);
    let error = told(fetch(&client, Request { body: None, ..post(server.url("/")) }).await);
    assert_eq!(error.kind, ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_a_timeout() {
    let server = always(|| vec![Act::Hang]).await;
    let client = client(&server);
    let error = told(fetch(&client, Request { timeout_ms: Some(20), ..get(server.url("/")) }).await);
    assert_eq!((error.kind, client.stats().requests()), (ErrorKind::Timeout, 5));
    assert_eq!(error.message, format!("GET {}: no answer within 20ms", server.url("/")));
    let shortest = Request { timeout_ms: Some(1), ..get(server.url("/")) };
    assert_eq!(kind(fetch(&client, shortest).await), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_head_that_drips_is_a_timeout() {
    let server = always(|| {
        let bytes = answer(200, &[("x", &"y".repeat(10_000))], "");
        bytes.into_iter().flat_map(|byte| [Act::Send(vec![byte]), Act::Wait(Duration::from_millis(5))]).collect()
    })
    .await;
    let client = client(&server);
    let request = Request { timeout_ms: Some(50), ..post(server.url("/")) };
    assert_eq!(kind(fetch(&client, request).await), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_body_that_falls_silent_is_a_timeout() {
    let mut settings = settings();
    settings.timing.silence = Duration::from_millis(250);
    settings.retry.attempts_max = 2;
    let silent = || vec![Act::Send(answer(200, &[], "x".repeat(1000))[..600].to_vec()), Act::Hang];
    let server = always(silent).await;
    let client = client_for(&[&server], settings.clone());
    let error = told(fetch(&client, buffered(server.url("/"))).await);
    assert_eq!((error.kind, server.seen().len()), (ErrorKind::Timeout, 2));
    assert!(error.message.ends_with("the body stopped: no byte came for 250ms (limit silence)"), "{error}");
    let mut response = fetch(&client, get(server.url("/"))).await.unwrap();
    assert_eq!(kind(response.read_all().await), ErrorKind::Timeout);

    let server = once(silent).await;
    let client = client_for(&[&server], settings);
    assert_eq!(text(&client, buffered(server.url("/"))).await.unwrap().1, "whole");
}

#[tokio::test]
async fn a_body_that_trickles_for_ever_is_a_timeout() {
    let mut settings = settings();
    settings.timing.trickle_window = Duration::from_millis(50);
    let server = always(|| {
        let drop = || [Act::Send(b"1\r\nx\r\n".to_vec()), Act::Wait(Duration::from_millis(2))];
        let head = Act::Send(head(200, &[("transfer-encoding", "chunked")]));
        std::iter::once(head).chain((0..100_000).flat_map(|_| drop())).collect()
    })
    .await;
    let client = client_for(&[&server], settings);
    let mut response = fetch(&client, post(server.url("/"))).await.unwrap();
    let error = told(response.read_all().await);
    assert_eq!(error.kind, ErrorKind::Timeout);
    assert!(error.message.contains("fewer than 1024 bytes"), "{error}");
}

#[tokio::test]
async fn a_guest_that_takes_its_time_is_no_silent_source() {
    let mut settings = settings();
    settings.timing.silence = Duration::from_millis(250);
    settings.timing.trickle_window = Duration::from_millis(250);
    let server = always(|| vec![Act::Send(ok(vec![b'x'; 3_000_000]))]).await;
    let client = client_for(&[&server], settings);
    let mut response = fetch(&client, get(server.url("/"))).await.unwrap();
    let mut bytes = 0;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        bytes += response.read(1000).await.unwrap().len();
    }
    assert_eq!(response.read_all().await.unwrap().len() + bytes, 3_000_000);
}

#[tokio::test]
async fn a_closed_door_is_named() {
    let server = always(|| vec![Act::Close]).await;
    let client = client(&server);
    let url = server.url("/p?key=hunter2");
    drop(server);
    // The listener closes when its task is gone.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let error = told(fetch(&client, get(url)).await);
    assert_eq!((error.kind, client.stats().retries()), (ErrorKind::Connect, 4));
    assert!(error.message.contains("could not connect: Connection refused"), "{error}");
    assert!(!error.message.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_connection_that_the_source_closed_meanwhile_is_replaced() {
    let server = always(|| vec![Act::Send(ok("x")), Act::Close]).await;
    let client = client(&server);
    for _ in 0..5 {
        assert_eq!(fetch(&client, post(server.url("/"))).await.unwrap().status(), 200);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
