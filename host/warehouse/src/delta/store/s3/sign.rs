//! Requests to an S3-compatible store, signed as AWS defines it (Signature Version 4).
//!
//! Pure. Checked against the examples in AWS's own documentation.

use std::fmt::Write as _;

use reqwest::Method;
use ring::{digest, hmac};

use crate::delta::address::{Login, S3Address};

/// A request that is not signed yet.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// The object's key; empty: the bucket itself.
    pub(super) key: String,
    /// Sorted by name.
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: &'a [u8],
    /// Make the object only if there is none.
    pub(super) is_new: bool,
}

impl Request<'_> {
    pub(super) fn new(method: Method, key: String) -> Self {
        Self { method, key, query: Vec::new(), body: &[], is_new: false }
    }

    /// The URL to send it to, and its headers.
    pub(super) fn signed(&self, address: &S3Address, now: jiff::Timestamp) -> (String, Vec<(&'static str, String)>) {
        let path = match self.key.as_str() {
            "" => format!("/{}", encoded(&address.bucket, true)),
            key => format!("/{}/{}", encoded(&address.bucket, true), encoded(key, true)),
        };
        let query: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{name}={}", encoded(value, false))).collect();
        let query = query.join("&");
        let (_, host) = address.endpoint.split_once("://").unwrap_or_default();
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut headers =
            vec![("host", host.to_owned()), ("x-amz-content-sha256", hash(self.body)), ("x-amz-date", time)];
        if self.is_new {
            headers.insert(1, ("if-none-match", "*".to_owned()));
        }
        if let Some(login) = &address.login {
            headers.extend(login.token.clone().map(|token| ("x-amz-security-token", token)));
            let authorization = authorization((&self.method, &path, &query), &headers, (login, &address.region));
            headers.push(("authorization", authorization));
        }
        let separator = if query.is_empty() { "" } else { "?" };
        (format!("{}{path}{separator}{query}", address.endpoint), headers)
    }
}

/// The value of the header `authorization`; `headers` are sorted by name and have the time and the body's hash.
fn authorization(
    (method, path, query): (&Method, &str, &str),
    headers: &[(&'static str, String)],
    (login, region): (&Login, &str),
) -> String {
    let value = |name: &str| headers.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value.as_str());
    let (time, body) = (value("x-amz-date"), value("x-amz-content-sha256"));
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let (names, lines) = (
        names.join(";"),
        headers.iter().fold(String::new(), |mut lines, (name, value)| {
            // Writing to a text cannot fail.
            let _ = writeln!(lines, "{name}:{}", value.trim());
            lines
        }),
    );
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{body}");
    let day = time.get(..8).unwrap_or_default();
    let scope = format!("{day}/{region}/s3/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(canonical.as_bytes()));
    let mut key = format!("AWS4{}", login.secret).into_bytes();
    for part in [day, region, "s3", "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hex(&mac(&key, &to_sign));
    format!("AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}", login.key)
}

/// The SHA-256 of some bytes, in hexadecimal digits.
pub(super) fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A text in a URL as the signature wants it: everything but letters, digits and `-._~` is escaped, a slash unless it is one of
/// a path.
fn encoded(text: &str, is_path: bool) -> String {
    let mut made = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => made.push(char::from(byte)),
            b'/' if is_path => made.push('/'),
            _ => {
                let _ = write!(made, "%{byte:02X}");
            }
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn login() -> Login {
        Login {
            key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        }
    }

    fn headers(more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        let fixed = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", "20130524T000000Z"),
        ];
        let mut all: Vec<_> = fixed.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect();
        all.sort();
        all
    }

    /// The examples of "Authenticating Requests: Using the Authorization Header" in the documentation of Amazon S3.
    #[test]
    fn requests_are_signed_as_in_the_documentation() {
        for (path, query, more, signature) in [
            (
                "/test.txt",
                "",
                vec![("range", "bytes=0-9")],
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            ("/", "lifecycle=", vec![], "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            ("/", "max-keys=2&prefix=J", vec![], "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ] {
            let made = authorization((&Method::GET, path, query), &headers(&more), (&login(), "us-east-1"));
            assert!(made.ends_with(&format!("Signature={signature}")), "{made}");
            assert!(
                made.starts_with(
                    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                )
            );
        }
    }

    #[test]
    fn keys_are_escaped_in_urls() {
        assert_eq!(encoded("a/Gr@C3@B6/part-1.parquet%~", true), "a/Gr%40C3%40B6/part-1.parquet%25~");
        assert_eq!(encoded("a/b", false), "a%2Fb");
    }
}
