//! Limits that end the sync, each by its own message.

use super::server::{Act, head, ok};
use super::*;

#[tokio::test]
async fn requests_of_a_sync_are_counted_with_retries() {
    let server = Server::same(server::answer(500, &[], "")).await;
    let mut settings = settings();
    settings.limits.requests_max = 7;
    let client = client_for(&[&server], settings);
    assert_eq!(fetch(&client, get(server.url("/"))).await.unwrap().status(), 500);
    let error = limit(fetch(&client, get(server.url("/"))).await);
    assert_eq!((server.seen().len(), client.stats().requests()), (7, 7));
    assert!(error.to_string().ends_with("the sync has made 7 requests (limit requests)"), "{error}");
    let advice = "Raise it with --limit requests=… if this connector is to be trusted with more.";
    assert_eq!((error.code(), error.advice()), (Code::LimitRequests, Some(advice)));
}

#[tokio::test]
async fn bytes_of_a_sync_are_counted_over_all_answers() {
    let server = Server::same(ok("x".repeat(1000))).await;
    let mut settings = settings();
    settings.limits.responses_bytes_max = 2500;
    let client = client_for(&[&server], settings);
    for _ in 0..2 {
        assert_eq!(text(&client, get(server.url("/"))).await.unwrap().1.len(), 1000);
    }
    let error = limit(text(&client, get(server.url("/"))).await);
    assert!(error.to_string().contains("the sync has received 2500 bytes"), "{error}");
}

#[tokio::test]
async fn an_answer_without_end_is_stopped() {
    let server = Server::start(|_, _| {
        let head = Act::Send(head(200, &[("transfer-encoding", "chunked")]));
        let chunk = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
        std::iter::once(head).chain((0..1000).map(|_| Act::Send(chunk.clone()))).collect()
    })
    .await;
    let mut settings = settings();
    settings.limits.response_bytes_max = 1_000_000;
    let client = client_for(&[&server], settings);
    limit(fetch(&client, buffered(server.url("/"))).await);
    limit(text(&client, get(server.url("/"))).await);
}

#[tokio::test]
async fn bodies_kept_at_one_time_are_bounded_and_given_back() {
    let server = Server::same(ok(vec![b'x'; 400_000])).await;
    let mut settings = settings();
    settings.limits.held_bytes_max = 1_000_000;
    let client = client_for(&[&server], settings);
    for _ in 0..10 {
        assert_eq!(text(&client, buffered(server.url("/"))).await.unwrap().1.len(), 400_000);
    }
    let mut kept = vec![fetch(&client, buffered(server.url("/"))).await.unwrap()];
    kept.push(fetch(&client, buffered(server.url("/"))).await.unwrap());
    let error = limit(fetch(&client, buffered(server.url("/"))).await);
    assert!(error.to_string().contains("together they have more than 1000000 bytes"), "{error}");
    kept.pop();
    fetch(&client, buffered(server.url("/"))).await.unwrap();
    // Bodies of requests that wait count too.
    kept.clear();
    let large = || Request { body: Some(Body::Bytes(vec![0; 600_000])), ..post(server.url("/")) };
    let waiting = client.send(large()).unwrap();
    limit(client.send(large()));
    drop(waiting);
}

#[tokio::test]
async fn answers_left_unread_are_bounded() {
    let server = Server::same(ok(vec![b'x'; 5_000_000])).await;
    let mut settings = settings();
    settings.limits.streams_open_max = 3;
    let client = client_for(&[&server], settings);
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(fetch(&client, get(server.url("/"))).await.unwrap());
    }
    let error = limit(fetch(&client, get(server.url("/"))).await);
    assert!(error.to_string().contains("3 others are still unread"), "{error}");
    assert_eq!(open[0].read_all().await.unwrap().len(), 5_000_000);
    fetch(&client, get(server.url("/"))).await.unwrap();
}
