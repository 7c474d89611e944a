//! Looks for a way out: files, sockets, processes, odd requests. What was found is written as rows.

use std::net::{TcpListener, TcpStream, UdpSocket};

use elt_sdk::bindings::elt::connector::http;

use super::{Done, get, upsert};
use crate::component::Sync;

fn found(what: &str, answer: &str) {
    upsert("facts", elt_sdk::json!({"what": what, "answer": answer}).to_string());
}

fn tried<T>(what: &str, result: &Result<T, impl Sized>) {
    found(what, if result.is_ok() { "there" } else { "refused" });
}

/// Writes a row for each thing it tried: `refused`, a count, or `there`.
pub(crate) fn nothing_but_the_contract(_: &Sync) -> Done {
    found("arguments", &std::env::args().count().to_string());
    found("variables", &std::env::vars().count().to_string());
    tried("read a file", &std::fs::read("/etc/passwd"));
    tried("read a folder", &std::fs::read_dir("."));
    tried("write a file", &std::fs::write("escaped", "x"));
    tried("write above", &std::fs::write("../escaped", "x"));
    tried("connect", &TcpStream::connect("127.0.0.1:9"));
    tried("connect by name", &TcpStream::connect("localhost:9"));
    tried("listen", &TcpListener::bind("127.0.0.1:0"));
    tried("send a datagram", &UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", "127.0.0.1:9")));
    tried("start a process", &std::process::Command::new("true").spawn());
    tried("start a thread", &std::thread::Builder::new().spawn(|| {}));
    Ok(())
}

/// Requests that no client should send, and that must not break one. One attempt each: the methods are not idempotent.
pub(crate) fn odd_requests(sync: &Sync) -> Done {
    let post = || http::Request { method: http::Method::Post, ..get(&sync.base_url) };
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let odd = [
        ("no time at all", http::Request { timeout_ms: Some(0), ..post() }),
        ("all the time", http::Request { timeout_ms: Some(u32::MAX), ..post() }),
        ("many headers", http::Request { headers: (0..100).map(|_| header("x", "y")).collect(), ..post() }),
        ("a header with an end of line", http::Request { headers: vec![header("x", "y\r\nz: 1")], ..post() }),
        ("a header without a name", http::Request { headers: vec![header("", "y")], ..post() }),
        ("a header of the host", http::Request { headers: vec![header("Transfer-Encoding", "chunked")], ..post() }),
        ("a file", http::Request { url: "file:///etc/passwd".to_owned(), ..post() }),
        ("no address", http::Request { url: String::new(), ..post() }),
        ("another port", http::Request { url: "http://127.0.0.1:10/".to_owned(), ..post() }),
        ("the metadata service", http::Request { url: "http://169.254.169.254/".to_owned(), ..post() }),
        ("a number for an address", http::Request { url: "http://2130706433:9/".to_owned(), ..post() }),
        ("a password in the address", http::Request { url: "http://a:b@127.0.0.1:10/".to_owned(), ..post() }),
    ];
    for (what, request) in odd {
        let answer = http::fetch(&request);
        found(what, &answer.map_or_else(|error| format!("{:?}", error.kind), |answer| answer.status().to_string()));
    }
    Ok(())
}

/// Writes down the clocks, random numbers and what depends on them: no two syncs write the same.
pub(crate) fn clock_and_chance(_: &Sync) -> Done {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    found("the time", &since.as_nanos().to_string());
    let begun = std::time::Instant::now();
    let sum: u64 = (0..10_000_u64).filter(|number| std::hint::black_box(*number) % 3 == 0).sum();
    found("the time it takes", &format!("{sum} after {:?}", begun.elapsed()));
    found("random bytes", &format!("{:?}", wasi::random::random::get_random_bytes(40)));
    found("insecure random bytes", &format!("{:?}", wasi::random::insecure::get_insecure_random_bytes(40)));
    let set: std::collections::HashSet<u32> = (0..100).collect();
    found("the order of a set", &format!("{set:?}"));
    Ok(())
}
