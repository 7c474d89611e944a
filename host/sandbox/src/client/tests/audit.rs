//! What the operator is told of requests: all of them, and nothing that could be a secret.

use std::sync::Mutex;

use super::server::{Act, answer, ok};
use super::*;

/// Keeps what is told, as `METHOD PLACE STATUS BYTES ERROR`.
#[derive(Default)]
struct Book(Mutex<Vec<String>>);

impl Watch for Book {
    fn exchanged(&self, exchange: &Exchange) {
        let Exchange { method, place, status, bytes, error, .. } = exchange;
        let status = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        self.0.lock().unwrap().push(format!("{method} {place} {status} {bytes} {}", error.unwrap_or("-")));
    }
}

fn keeping(hosts: &[String], private: &[String], resolver: Arc<dyn Resolver>) -> (Client, Arc<Book>) {
    keeping_with(settings(), hosts, (private, resolver))
}

fn keeping_with(
    settings: Settings,
    hosts: &[String],
    (private, resolver): (&[String], Arc<dyn Resolver>),
) -> (Client, Arc<Book>) {
    let book = Arc::new(Book::default());
    let watch = Arc::clone(&book) as Arc<dyn Watch>;
    (Client::with_resolver(policy(hosts, private), settings, Arc::default(), watch, resolver), book)
}

#[tokio::test]
async fn every_request_is_in_the_book() {
    let server = Server::start(|number, seen| match (number, seen.line()) {
        (0, _) => vec![Act::Send(answer(503, &[], "later"))],
        (1, _) => vec![Act::Send(answer(302, &[("location", "/hunter2?k=hunter2")], ""))],
        (_, "GET /cut") => vec![Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()), Act::Close],
        _ => vec![Act::Send(ok("hunter2"))],
    })
    .await;
    let place = format!("127.0.0.1:{}", server.port());
    let rebound = format!("rebound.test:{}", server.port());
    let hosts = [place.clone(), rebound.clone()];
    let (client, book) = keeping(&hosts, &hosts, names(|_, _| vec![[169, 254, 169, 254].into()]));
    let request = Request { headers: headers(&[("x-key", "hunter2")]), ..get(server.url("/a?k=hunter2")) };
    text(&client, request).await.unwrap();
    assert_eq!(kind(client.send(get("https://elsewhere.test:444/hunter2"))), ErrorKind::Denied);
    assert_eq!(kind(fetch(&client, get(format!("http://{rebound}/hunter2"))).await), ErrorKind::Denied);
    drop(text(&client, get(server.url("/cut"))).await.unwrap_err());
    drop(client.send(get(server.url("/dropped"))).ok().unwrap());
    let told = book.0.lock().unwrap().clone();
    assert_eq!(told[0], format!("GET http://{place} 503 5 -"));
    assert_eq!(told[1], format!("GET http://{place} 302 0 -"));
    assert_eq!(told[2], format!("GET http://{place} 200 7 -"));
    assert_eq!(told[3], "GET https://elsewhere.test:444 - 0 denied");
    assert_eq!(told[4], format!("GET http://{rebound} - 0 denied"));
    assert_eq!(told[5], format!("GET http://{place} 200 4 protocol"));
    assert!(told.iter().all(|line| !line.contains("hunter2")), "{told:?}");
}

#[tokio::test]
async fn a_limit_that_ends_a_request_is_named() {
    let server = Server::start(|_, seen| match seen.line() {
        "GET /silent" => vec![Act::Hang],
        "GET /half" => vec![Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()), Act::Hang],
        _ => vec![Act::Send(ok("x".repeat(1_000)))],
    })
    .await;
    let hosts = [format!("127.0.0.1:{}", server.port())];
    let mut settings = settings();
    settings.limits.response_bytes_max = 999;
    let (client, book) = keeping_with(settings, &hosts, (&hosts, names(|_, _| vec![LOCAL])));
    limit(text(&client, get(server.url("/large"))).await);
    let half = fetch(&client, get(server.url("/half"))).await.unwrap();
    let silent = client.send(get(server.url("/silent"))).ok().unwrap();
    while server.seen().len() < 3 {
        tokio::task::yield_now().await;
    }
    client.stats().end(&Error::new(Code::LimitTime, "finish"));
    drop((half, silent));
    while book.0.lock().unwrap().len() < 3 {
        tokio::task::yield_now().await;
    }
    let mut told: Vec<String> = book.0.lock().unwrap().iter().map(|line| line.replace(&hosts[0], "HOST")).collect();
    told.sort_unstable();
    let expected = ["- 0 limit-time", "200 1000 limit-response-size", "200 4 limit-time"];
    assert_eq!(told, expected.map(|line| format!("GET http://HOST {line}")));
}
