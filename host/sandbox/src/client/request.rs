//! A guest's request, and the checks that turn it into one that can be sent.

use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::{Url, form_urlencoded};

use std::time::Duration;

use super::error::Limit;
use super::{Failure, Settings};
use crate::secrets::Escape;

/// Request methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
}

impl Method {
    /// Whether sending it twice does what sending it once does (RFC 9110, section 9.2.2).
    fn idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Head => Self::HEAD,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Patch => Self::PATCH,
            Method::Delete => Self::DELETE,
            Method::Options => Self::OPTIONS,
        }
    }
}

/// Credentials as a part of the request.
#[derive(Clone)]
pub(crate) enum Authentication {
    /// User and password.
    Basic(String, String),
    /// A token.
    Bearer(String),
}

/// A request's body.
pub(crate) enum Body {
    /// JSON text, sent as it is.
    Json(Vec<u8>),
    /// Fields of a form.
    Form(Vec<(String, String)>),
    /// Anything else.
    Bytes(Vec<u8>),
}

/// A request as the guest gives it; the contract (`wit/connector.wit`) explains each part. Without `Debug`, since almost
/// every part may be secret.
pub(crate) struct Request {
    /// The method.
    pub(crate) method: Method,
    /// An absolute http or https URL.
    pub(crate) url: String,
    /// Appended to the URL's own query.
    pub(crate) query: Vec<(String, String)>,
    /// Header fields.
    pub(crate) headers: Vec<(String, String)>,
    /// Credentials.
    pub(crate) authentication: Option<Authentication>,
    /// The body.
    pub(crate) body: Option<Body>,
    /// Whether it may be sent twice although its method is not idempotent.
    pub(crate) idempotent: bool,
    /// Whether the whole body is read before `wait` returns.
    pub(crate) buffer: bool,
    /// Time for one attempt up to the first byte of the answer.
    pub(crate) timeout_ms: Option<u32>,
}

/// One hop of an exchange: what is sent to one place, with placeholders where secrets will stand.
#[derive(Clone)]
pub(super) struct Hop {
    pub(super) method: reqwest::Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) authentication: Option<Authentication>,
    pub(super) body: Option<Payload>,
}

/// The bytes of a body, and how a secret in them is to be written.
#[derive(Clone)]
pub(super) struct Payload {
    pub(super) bytes: Bytes,
    pub(super) escape: Escape,
}

impl Hop {
    /// The method and the URL without its query, for people.
    pub(super) fn label(&self) -> String {
        label(&self.method, &self.url)
    }
}

/// A request that has passed the checks.
pub(super) struct Prepared {
    pub(super) first: Hop,
    pub(super) repeatable: bool,
    pub(super) buffer: bool,
    pub(super) timeout: Duration,
}

/// Names that are the host's own. Besides these, everything that begins with `proxy-`.
const FORBIDDEN: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What the host can decompress.
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("gzip, br, zstd");

/// Checks a request and composes what is sent.
pub(super) fn prepare(request: Request, settings: &Settings) -> Result<Prepared, Failure> {
    let method = reqwest::Method::from(request.method);
    let url = compose_url(&method, &request.url, &request.query)?;
    let label = label(&method, &url);
    let timeout = match request.timeout_ms {
        None => settings.timing.answer,
        Some(0) => return Err(Failure::invalid(&label, "a timeout of 0 ms leaves no time for an answer")),
        Some(ms) => Duration::from_millis(ms.into()),
    };
    check_sizes(&label, &url, &request.headers, settings)?;
    let mut headers = compose_headers(&label, &request.headers)?;
    if let Some(authentication) = &request.authentication {
        check_authentication(&label, authentication)?;
        headers.remove(header::AUTHORIZATION);
    }
    let body = request.body.map(|body| compose_body(body, &mut headers));
    let max = settings.limits.request_body_bytes_max;
    if body.as_ref().is_some_and(|body| body.bytes.len() as u64 > max) {
        let failed_to = format!("send {label}: its body has more than {max} bytes");
        return Err(Failure::limit(Limit::RequestBody, failed_to));
    }
    if !headers.contains_key(header::USER_AGENT) {
        let agent = HeaderValue::from_str(&settings.user_agent);
        headers.insert(header::USER_AGENT, agent.unwrap_or(HeaderValue::from_static("elt-host")));
    }
    // A range of a compressed body could not be decompressed by itself.
    let ranged = headers.contains_key(header::RANGE);
    let encoding = if ranged { HeaderValue::from_static("identity") } else { ACCEPT_ENCODING };
    headers.insert(header::ACCEPT_ENCODING, encoding);
    let repeatable = request.idempotent || request.method.idempotent();
    let first = Hop { method, url, headers, authentication: request.authentication, body };
    Ok(Prepared { first, repeatable, buffer: request.buffer, timeout })
}

fn compose_url(method: &reqwest::Method, text: &str, query: &[(String, String)]) -> Result<Url, Failure> {
    let unread = |what: String| Failure::invalid(method.as_str(), what);
    // The parser would drop some of these without a word, and the connector would ask for something it did not write.
    if text.contains(|c: char| c.is_control()) {
        return Err(unread("the URL contains a control character".to_owned()));
    }
    let mut url = Url::parse(text).map_err(|error| unread(format!("the URL cannot be read: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(unread("the URL must begin with https:// or http:// and a host".to_owned()));
    }
    let shown = label(method, &url);
    if !url.username().is_empty() || url.password().is_some() {
        let what = "the URL carries a user name or a password; they belong into the request's authentication";
        return Err(Failure::invalid(&shown, what));
    }
    url.set_fragment(None);
    if !query.is_empty() {
        let own = url.query().filter(|own| !own.is_empty()).map(ToOwned::to_owned);
        let added = query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        url.set_query(Some(&own.into_iter().chain(added).collect::<Vec<_>>().join("&")));
    }
    Ok(url)
}

/// Percent-encodes a part of a query. A space becomes `%20`, which every server reads; `+` is for forms.
fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

fn check_sizes(label: &str, url: &Url, headers: &[(String, String)], settings: &Settings) -> Result<(), Failure> {
    let max = settings.limits.request_headers_max;
    if headers.len() > max {
        let failed_to = format!("send {label}: it has more than {max} header fields");
        return Err(Failure::limit(Limit::RequestHeaders, failed_to));
    }
    let max = settings.limits.request_header_bytes_max;
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes + url.as_str().len() > max {
        let failed_to = format!("send {label}: its URL and header fields have more than {max} bytes");
        return Err(Failure::limit(Limit::RequestHeaderBytes, failed_to));
    }
    Ok(())
}

fn compose_headers(label: &str, given: &[(String, String)]) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let Ok(key) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(Failure::invalid(label, format!("{name:?} is not the name of a header field")));
        };
        if FORBIDDEN.contains(&key.as_str()) || key.as_str().starts_with("proxy-") {
            return Err(Failure::invalid(label, format!("the header field \"{key}\" is the host's to set")));
        }
        let Ok(mut value) = HeaderValue::from_bytes(value.as_bytes()) else {
            return Err(Failure::invalid(label, format!("the header field \"{key}\" contains a control character")));
        };
        // Whatever a connector makes up may be a key: keep it out of HTTP/2's tables and of debug output.
        value.set_sensitive(!super::redirect::crosses_origins(&key));
        if headers.try_append(key, value).is_err() {
            return Err(Failure::invalid(label, "there are too many header fields"));
        }
    }
    Ok(headers)
}

/// What can be refused before secrets are put in.
fn check_authentication(label: &str, authentication: &Authentication) -> Result<(), Failure> {
    match authentication {
        Authentication::Basic(user, _) if user.contains(':') => {
            Err(Failure::invalid(label, "a user name for basic authentication cannot contain a colon"))
        }
        Authentication::Bearer(token) if HeaderValue::from_str(token).is_err() => {
            Err(Failure::invalid(label, "the bearer token contains characters that no header field can carry"))
        }
        _ => Ok(()),
    }
}

fn compose_body(body: Body, headers: &mut HeaderMap) -> Payload {
    let (bytes, known) = match body {
        Body::Json(text) => (text, Some(("application/json", Escape::Json))),
        Body::Form(fields) => {
            let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            (text.into_bytes(), Some(("application/x-www-form-urlencoded", Escape::Form)))
        }
        Body::Bytes(bytes) => (bytes, None),
    };
    let escape = if let Some((content_type, escape)) = known {
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
        escape
    } else {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Escape::of_content_type(content_type.unwrap_or_default())
    };
    Payload { bytes: bytes.into(), escape }
}

/// The method and the URL without user name, password, query and fragment, cut to a length that a line can hold.
fn label(method: &reqwest::Method, url: &Url) -> String {
    const PATH_CHARS_MAX: usize = 300;
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path: String = url.path().chars().take(PATH_CHARS_MAX).collect();
    let more = if path.len() < url.path().len() { "…" } else { "" };
    format!("{method} {}://{host}{port}{path}{more}", url.scheme())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ErrorKind;
    use crate::egress::{Scheme, Target};
    use crate::{Limits, Secrets};
    use model::Description;
    use model::error::Code;

    fn settings() -> Settings {
        let connector = Description {
            name: "shop".into(),
            version: "2.1.0".into(),
            fields: vec![],
            hosts: vec![],
            rate_limits: vec![],
        };
        Settings::new(&connector, &Limits::default(), Secrets::default())
    }

    fn request(url: &str) -> Request {
        Request {
            method: Method::Get,
            url: url.to_owned(),
            query: vec![],
            headers: vec![],
            authentication: None,
            body: None,
            idempotent: false,
            buffer: false,
            timeout_ms: None,
        }
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn prepared(request: Request) -> Prepared {
        prepare(request, &settings()).ok().unwrap()
    }

    /// The header fields as they leave.
    fn composed(request: Request) -> HeaderMap {
        let host = url::Host::Domain("h.example".to_owned());
        let target = Target { scheme: Scheme::Https, host, port: 443 };
        super::super::outgoing::compose(&prepared(request).first, &target, &settings()).ok().unwrap().headers().clone()
    }

    fn refused(request: Request) -> String {
        match prepare(request, &settings()) {
            Err(Failure::Exchange(error)) => {
                assert_eq!(error.kind, ErrorKind::InvalidRequest);
                error.message
            }
            Err(Failure::Sync(error)) => {
                assert_eq!(error.code(), Code::LimitRequestSize);
                error.to_string()
            }
            Ok(_) => panic!("not refused"),
        }
    }

    #[test]
    fn queries_are_appended_in_order_and_fragments_dropped() {
        for (url, query, wanted) in [
            ("https://h.example/p", vec![], "https://h.example/p"),
            ("https://h.example", vec![("a", "1")], "https://h.example/?a=1"),
            ("https://h.example/p?x=%41&y", vec![("a", "1"), ("a", "2")], "https://h.example/p?x=%41&y&a=1&a=2"),
            ("https://h.example/p?#f", vec![("a", "")], "https://h.example/p?a="),
            ("https://h.example/p#f?x=1", vec![("a", "1")], "https://h.example/p?a=1"),
            (
                "https://h.example/p",
                vec![("a b", "c d+e&f=g/é")],
                "https://h.example/p?a%20b=c%20d%2Be%26f%3Dg%2F%C3%A9",
            ),
            ("https://h.example/a b", vec![], "https://h.example/a%20b"),
            ("https://h.example/p", vec![("#", "\r\n")], "https://h.example/p?%23=%0D%0A"),
        ] {
            let sent = prepared(Request { query: pairs(&query), ..request(url) });
            assert_eq!(sent.first.url.as_str(), wanted);
        }
    }

    #[test]
    fn urls_that_cannot_be_sent_are_refused_without_showing_secrets() {
        for url in [
            "",
            "/p",
            "h.example",
            "//h.example/p",
            "ftp://h.example/",
            "mailto:a@h.example",
            "https://",
            "http://[::1",
            "https://h.example:99999/",
            "https://h.example/\n",
            "\thttps://h.example/",
            "https://h.example/\u{7f}",
            "https://me:hunter2@h.example/?k=hunter2",
            "https://hunter2@h.example/",
            "data:,hunter2",
            "file:///etc/passwd",
        ] {
            let message = refused(request(url));
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn the_hosts_own_header_fields_are_refused() {
        for name in [
            "Host",
            "connection",
            "Content-Length",
            "TRANSFER-ENCODING",
            "Accept-Encoding",
            "TE",
            "Trailer",
            "Upgrade",
            "Keep-Alive",
            "Expect",
            "Proxy-Authorization",
            "proxy-connection",
            "HTTP2-Settings",
            "",
            ":path",
            "a b",
            "a\r\nb",
            "é",
            "a:",
        ] {
            let message = refused(Request { headers: pairs(&[(name, "x")]), ..request("https://h.example/") });
            assert!(message.starts_with("GET https://h.example/: "), "{message}");
        }
        for value in ["a\r\nHost: evil", "a\0", "\n"] {
            let message = refused(Request { headers: pairs(&[("X-Key", value)]), ..request("https://h.example/") });
            assert!(message.contains("control character") && !message.contains("evil"), "{message}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let many = (0..129).map(|n| (format!("x-{n}"), String::new())).collect();
        assert!(refused(Request { headers: many, ..request("https://h.example/") }).contains("128 header fields"));
        let large = pairs(&[("x", &"a".repeat(65 * 1024))]);
        assert!(refused(Request { headers: large.clone(), ..request("https://h.example/") }).contains("65536 bytes"));
        assert!(refused(Request { query: large, ..request("https://h.example/") }).contains("65536 bytes"));
        let body = Some(Body::Bytes(vec![0; 16 * 1024 * 1024 + 1]));
        assert!(refused(Request { body, ..request("https://h.example/") }).contains("16777216 bytes"));
        let timeout = refused(Request { timeout_ms: Some(0), ..request("https://h.example/") });
        assert!(timeout.contains("0 ms"), "{timeout}");
        let longest = prepared(Request { timeout_ms: Some(u32::MAX), ..request("https://h.example/") });
        assert_eq!(longest.timeout, Duration::from_millis(u64::from(u32::MAX)));
    }

    #[test]
    fn bodies_say_what_they_are_unless_a_header_does() {
        let json = || Some(Body::Json(b"{}".to_vec()));
        let form = || Some(Body::Form(pairs(&[("a b", "c&d"), ("é", "+")])));
        let content_type = |body, headers: &[(&str, &str)]| {
            let sent = prepared(Request { body, headers: pairs(headers), ..request("https://h.example/") }).first;
            sent.headers.get_all("content-type").iter().map(|v| v.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(content_type(json(), &[]), ["application/json"]);
        assert_eq!(content_type(json(), &[("Content-Type", "application/vnd.x+json")]), ["application/vnd.x+json"]);
        assert_eq!(content_type(form(), &[]), ["application/x-www-form-urlencoded"]);
        assert!(content_type(Some(Body::Bytes(vec![])), &[]).is_empty());
        let sent = prepared(Request { body: form(), ..request("https://h.example/") }).first.body;
        assert_eq!(sent.unwrap().bytes, "a+b=c%26d&%C3%A9=%2B");
    }

    #[test]
    fn authentication_replaces_an_authorization_header() {
        let with = |authentication| Request {
            headers: pairs(&[("authorization", "old"), ("Authorization", "older")]),
            authentication: Some(authentication),
            ..request("https://h.example/")
        };
        let sent = |authentication| {
            let headers = composed(with(authentication));
            let values: Vec<_> =
                headers.get_all("authorization").iter().map(|v| v.to_str().unwrap().to_owned()).collect();
            assert!(headers["authorization"].is_sensitive());
            values
        };
        assert_eq!(
            sent(Authentication::Basic("Aladdin".into(), "open sesame".into())),
            ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]
        );
        assert_eq!(sent(Authentication::Basic("é".into(), "a:b".into())), ["Basic w6k6YTpi"]);
        assert_eq!(sent(Authentication::Bearer("t".into())), ["Bearer t"]);
        refused(with(Authentication::Basic("a:b".into(), "c".into())));
        let message = refused(with(Authentication::Bearer("sec\nret".into())));
        assert!(!message.contains("ret\""), "{message}");
    }

    #[test]
    fn the_host_says_who_asks_and_what_it_can_decompress() {
        let headers = prepared(request("https://h.example/")).first.headers;
        assert_eq!(headers["user-agent"], format!("elt-host/{} shop/2.1.0", env!("CARGO_PKG_VERSION")).as_str());
        assert_eq!(headers["accept-encoding"], "gzip, br, zstd");
        let given = pairs(&[("user-agent", "mine"), ("Range", "bytes=0-9")]);
        let headers = prepared(Request { headers: given, ..request("https://h.example/") }).first.headers;
        assert_eq!(
            (headers["user-agent"].as_bytes(), headers["accept-encoding"].as_bytes()),
            (&b"mine"[..], &b"identity"[..])
        );
    }
}
