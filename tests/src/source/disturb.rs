//! Turns a good answer into the one that a fault asks for.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};

use super::answer::Answer;
use super::faults::Kind;
use super::script::{Script, Step};

/// Between two bytes of a slow body.
const DRIP: Duration = Duration::from_millis(200);
/// Between two pieces of a body.
const PAUSE: Duration = Duration::from_millis(5);
/// Time for what was written to leave before the connection is broken off.
const LEAVE: Duration = Duration::from_millis(20);
const MIB: usize = 1 << 20;

/// What a fault needs to know of the request.
pub(super) struct Request<'a> {
    pub(super) path_and_query: &'a str,
    pub(super) cursor: Option<&'a str>,
    pub(super) port: u16,
}

/// The response with the fault in it. `Kind::Hang` is the server's business: it has no response.
pub(super) fn disturb(kind: Kind, good: &Answer, request: &Request<'_>) -> Response<Body> {
    match kind {
        Kind::TooManyRequests => too_many(Some("1")),
        Kind::RetryAfter(seconds) => too_many(Some(&seconds.to_string())),
        Kind::RetryAfterPast => too_many(Some("Wed, 21 Oct 2015 07:28:00 GMT")),
        Kind::RetryAfterNone => too_many(None),
        Kind::Status(status) => refuse(status),
        Kind::Cut => cut(good),
        Kind::Reset => json(Script::new([Step::Break])),
        Kind::WrongLength => json(Script::sending([half(good)])),
        Kind::Html => html(),
        Kind::InvalidJson => json(Script::sending([Bytes::from_static(br#"{"cds_records":[{"record_id":1,}"#)])),
        Kind::Slow => json(Script::new([Step::Drip(good.whole().into(), DRIP)])),
        Kind::Pieces => json(Script::new(pieces(good))),
        Kind::Hang | Kind::Endless => endless(),
        Kind::GzipBomb => gzip_bomb(),
        Kind::BadGzip => with_header(plain(good), header::CONTENT_ENCODING, "gzip"),
        Kind::HugeHeaders => huge_headers(good),
        // Another URL each time, or it would be a circle.
        Kind::Redirect => redirect(&format!("{}&redirected=1", request.path_and_query)),
        Kind::RedirectPrivate => redirect("http://169.254.169.254/latest/meta-data/"),
        Kind::RedirectOrigin => redirect(&format!("http://localhost:{}{}", request.port, request.path_and_query)),
        Kind::RedirectLoop => redirect("/_loop"),
        Kind::SameCursor => same_cursor(good, request.cursor),
        // What overlaps is in the answer already.
        Kind::Overlap => plain(good),
        Kind::MissingKey => changed_key(good, |_| String::new()),
        Kind::NullKey => changed_key(good, |name| format!("{name}null,")),
        Kind::ChangedType => json(Script::sending([changed_type(&good.whole()).into()])),
        Kind::NotAnObject => json(Script::sending([not_an_object(&good.whole()).into()])),
    }
}

/// The answer as it should be.
pub(super) fn plain(answer: &Answer) -> Response<Body> {
    let mut response = json(Script::sending(answer.parts.iter().cloned()));
    *response.status_mut() = answer.status;
    for (name, value) in &answer.headers {
        response = with_header(response, HeaderName::from_static(name), value);
    }
    response
}

fn json(script: Script) -> Response<Body> {
    with_header(Response::new(Body::new(script)), header::CONTENT_TYPE, "application/json")
}

fn with_header(mut response: Response<Body>, name: HeaderName, value: &str) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

fn too_many(retry_after: Option<&str>) -> Response<Body> {
    let response = plain(&Answer::error(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "slow down, please"));
    match retry_after {
        Some(value) => with_header(response, header::RETRY_AFTER, value),
        None => response,
    }
}

fn refuse(status: u16) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let name = status.canonical_reason().unwrap_or("error");
    plain(&Answer::error(status, "asked_to_fail", name))
}

fn redirect(to: &str) -> Response<Body> {
    let mut response = with_header(Response::new(Body::empty()), header::LOCATION, to);
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response
}

/// Where `/_loop` leads.
pub(super) fn redirect_again() -> Response<Body> {
    redirect("/_loop")
}

fn half(good: &Answer) -> Bytes {
    let whole = good.whole();
    Bytes::copy_from_slice(&whole[..whole.len() / 2])
}

fn cut(good: &Answer) -> Response<Body> {
    let script = Script::new([Step::Send(half(good)), Step::Wait(LEAVE), Step::Break]);
    with_header(json(script), header::CONTENT_LENGTH, &good.len().to_string())
}

fn pieces(good: &Answer) -> Vec<Step> {
    let whole = good.whole();
    let pieces = whole.chunks(whole.len().div_ceil(7).max(1)).map(Bytes::copy_from_slice);
    pieces.flat_map(|piece| [Step::Send(piece), Step::Wait(PAUSE)]).collect()
}

fn html() -> Response<Body> {
    let page =
        "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>\n";
    with_header(Response::new(Body::from(page)), header::CONTENT_TYPE, "text/html; charset=utf-8")
}

/// Blanks are legal between two JSON tokens, so a parser has no reason to give up.
fn endless() -> Response<Body> {
    let blanks = Bytes::from(vec![b' '; 64 * 1024]);
    let start = Bytes::from_static(br#"{"cds_records":["#);
    json(Script::new([Step::Send(start), Step::Repeat(blanks, u64::MAX)]))
}

/// 16 GiB of blanks in 16 MB: one compressed mebibyte, sent again and again.
fn gzip_bomb() -> Response<Body> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut block = |text: &[u8]| {
        let mut out = Vec::with_capacity(text.len() + 1024);
        // A full flush ends the block at a byte and forgets what came before it, so it can be repeated.
        match compress.compress_vec(text, &mut out, FlushCompress::Full) {
            Ok(_) => Bytes::from(out),
            Err(_) => Bytes::new(),
        }
    };
    let header = Bytes::from_static(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    let steps = [
        Step::Send(header),
        Step::Send(block(br#"{"cds_records":["#)),
        Step::Repeat(block(&vec![b' '; MIB]), 16 * 1024),
    ];
    with_header(json(Script::new(steps)), header::CONTENT_ENCODING, "gzip")
}

fn huge_headers(good: &Answer) -> Response<Body> {
    let mut response = plain(good);
    let value = HeaderValue::from_static("a header field that nobody asked for, and a long one at that");
    for number in 0..5000 {
        if let Ok(name) = HeaderName::try_from(format!("x-padding-{number}")) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn same_cursor(good: &Answer, cursor: Option<&str>) -> Response<Body> {
    let mut body = good.whole();
    let next = br#""next_cursor":"#;
    if let Some(place) = find(&body, 0, next) {
        body.truncate(place + next.len());
        // The first page has no cursor of its own; the first position is the same page.
        body.extend_from_slice(format!("\"{}\"}}", cursor.unwrap_or("after-0")).as_bytes());
    }
    json(Script::sending([body.into()]))
}

/// The answer in which the key of one record, name and value, is replaced by what `change` makes of the name.
fn changed_key(good: &Answer, change: impl Fn(&str) -> String) -> Response<Body> {
    let mut body = good.whole();
    let middle = body.len() / 2;
    for name in [r#""record_id":"#, r#""id":"#] {
        let found = find(&body, middle, name.as_bytes()).or_else(|| find(&body, 0, name.as_bytes()));
        let Some(place) = found else { continue };
        let Some(comma) = find(&body, place, b",") else { continue };
        body.splice(place..=comma, change(name).into_bytes());
        break;
    }
    json(Script::sending([body.into()]))
}

/// A number in the middle becomes a text, behind all numbers that came before.
fn changed_type(body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    let middle = body.len() / 2;
    for name in [r#""amount":"#, r#""total":"#, r#""credit_limit":"#] {
        let Some(place) = find(&body, middle, name.as_bytes()) else { continue };
        let start = place + name.len();
        let Some(comma) = find(&body, start, b",") else { continue };
        body.splice(start..comma, br#""about a hundred""#.iter().copied());
        break;
    }
    body
}

/// The list of records begins with a number.
fn not_an_object(body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    if let Some(place) = find(&body, 0, b"[{") {
        body.splice(place..=place, b"[42,".iter().copied());
    }
    body
}

fn find(text: &[u8], from: usize, pattern: &[u8]) -> Option<usize> {
    let place = text.get(from..)?.windows(pattern.len()).position(|window| window == pattern)?;
    Some(from + place)
}
