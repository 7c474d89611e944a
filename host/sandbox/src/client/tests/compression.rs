//! Compressed bodies: decoded, counted on both sides, damaged, and bombs.

use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZstdEncoder};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::server::{Act, answer, head};
use super::*;

const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

async fn finish(mut encoder: impl AsyncWrite + Unpin, bytes: &[u8]) {
    encoder.write_all(bytes).await.unwrap();
    encoder.shutdown().await.unwrap();
}

async fn compressed(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        "gzip" => finish(GzipEncoder::new(&mut out), bytes).await,
        "br" => finish(BrotliEncoder::with_quality(&mut out, async_compression::Level::Fastest), bytes).await,
        _ => finish(ZstdEncoder::new(&mut out), bytes).await,
    }
    out
}

fn sample() -> Vec<u8> {
    (0..50_000).flat_map(|n: u32| format!("{{\"id\":{n}}}\n").into_bytes()).collect()
}

#[tokio::test]
async fn every_coding_is_decoded_streamed_and_buffered() {
    let plain = sample();
    for coding in CODINGS {
        let packed = compressed(coding, &plain).await;
        let server = Server::same(answer(200, &[("content-encoding", coding), ("x", "y")], &packed)).await;
        let client = client(&server);
        for request in [get(server.url("/")), buffered(server.url("/"))] {
            let mut response = fetch(&client, request).await.unwrap();
            // Length and coding are those of bytes that the guest never sees.
            assert_eq!(response.headers(), headers(&[("x", "y")]));
            assert_eq!(response.read_all().await.unwrap(), plain, "{coding}");
        }
        let stats = client.stats();
        assert_eq!((stats.bytes(), stats.wire_bytes()), (2 * plain.len() as u64, 2 * packed.len() as u64));
        assert_eq!(server.connections(), 1, "{coding}");
    }
}

#[tokio::test]
async fn bodies_of_several_members_are_whole() {
    for coding in ["gzip", "zstd"] {
        let packed = [compressed(coding, b"one ").await, compressed(coding, b"two").await].concat();
        let server = Server::same(answer(200, &[("content-encoding", coding)], packed)).await;
        assert_eq!(text(&client(&server), get(server.url("/"))).await.unwrap().1, "one two", "{coding}");
    }
}

#[tokio::test]
async fn an_empty_body_is_empty_in_every_coding() {
    for coding in CODINGS {
        for status in [200, 204, 304] {
            let server = Server::same(answer(status, &[("content-encoding", coding)], "")).await;
            let client = client(&server);
            assert_eq!(text(&client, get(server.url("/"))).await.unwrap(), (status, String::new()));
        }
        let server = Server::same(head(200, &[("content-encoding", coding), ("content-length", "99")])).await;
        let request = Request { method: Method::Head, ..get(server.url("/")) };
        assert_eq!(text(&client(&server), request).await.unwrap(), (200, String::new()));
    }
}

#[tokio::test]
async fn codings_nobody_asked_for_are_passed_on_as_they_are() {
    for coding in ["deflate", "aws-chunked", "gzip, br", "identity"] {
        let server = Server::same(answer(200, &[("content-encoding", coding)], "raw")).await;
        let mut response = fetch(&client(&server), get(server.url("/"))).await.unwrap();
        assert_eq!(response.headers()[0], ("content-encoding".to_owned(), coding.to_owned()));
        assert_eq!(response.read_all().await.unwrap(), b"raw");
    }
}

#[tokio::test]
async fn a_damaged_or_cut_body_is_tried_again_and_then_an_error() {
    for coding in CODINGS {
        let packed = compressed(coding, &sample()).await;
        let half = packed[..packed.len() / 2].to_vec();
        for broken in [half, b"this is not compressed at all".to_vec(), vec![0xff; 100]] {
            let (first, second) = (broken.clone(), packed.clone());
            let server = Server::start(move |before, _| {
                let bytes = if before == 0 { &first } else { &second };
                vec![Act::Send(answer(200, &[("content-encoding", coding)], bytes))]
            })
            .await;
            let mut response = fetch(&client(&server), buffered(server.url("/"))).await.unwrap();
            assert_eq!(response.read_all().await.unwrap(), sample(), "{coding}");

            let server = Server::same(answer(200, &[("content-encoding", coding)], &broken)).await;
            let error = told(fetch(&client(&server), buffered(server.url("/"))).await);
            assert_eq!((error.kind, server.seen().len()), (ErrorKind::Protocol, 5), "{coding}: {error}");
            assert!(error.message.contains("damaged or cut short"), "{coding}: {error}");
        }
    }
}

#[tokio::test]
async fn bombs_stop_at_the_limit() {
    let zeros = vec![0; 64 * 1024 * 1024];
    for coding in CODINGS {
        let packed = compressed(coding, &zeros).await;
        assert!(packed.len() < 100_000, "{coding}: {}", packed.len());
        let server = Server::same(answer(200, &[("content-encoding", coding)], packed)).await;
        let mut settings = settings();
        settings.limits.response_bytes_max = 1_000_000;
        let client = client_for(&[&server], settings);
        let error = limit(fetch(&client, buffered(server.url("/"))).await);
        assert!(error.to_string().contains("more than 1000000 bytes, decompressed"), "{error}");
        let mut response = fetch(&client, get(server.url("/"))).await.unwrap();
        let mut kept = 0;
        let error = loop {
            match response.read(u32::MAX).await {
                Ok(piece) => kept += piece.len(),
                Err(failure) => break limit::<()>(Err(failure)),
            }
        };
        assert!(kept <= 1_000_000, "{coding}: {kept}, {error}");
        // A bomb is not asked for again.
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn zstd_must_not_ask_for_more_than_8_mib_of_window() {
    // A frame header that wants 128 MiB (window log 27), a last block of three bytes.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x19, 0x00, 0x00, b'a', b'b', b'c'];
    let server = Server::same(answer(200, &[("content-encoding", "zstd")], frame)).await;
    let error = told(fetch(&client(&server), buffered(server.url("/"))).await);
    assert_eq!(error.kind, ErrorKind::Protocol, "{error}");
    // The same with 8 MiB is fine.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 0x19, 0x00, 0x00, b'a', b'b', b'c'];
    let server = Server::same(answer(200, &[("content-encoding", "zstd")], frame)).await;
    assert_eq!(text(&client(&server), buffered(server.url("/"))).await.unwrap().1, "abc");
}
