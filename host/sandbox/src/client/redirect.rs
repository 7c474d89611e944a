//! Where a redirect leads, and what of the request goes along. Pure.
//!
//! Methods change as RFC 9110 (section 15.4) and browsers have it: 303 becomes GET, 301 and 302 turn a POST into a GET,
//! 307 and 308 keep method and body. Across origins nothing goes along that could be a credential, and what was left
//! behind does not come back on the way back.

use reqwest::Method;
use reqwest::header::{self, HeaderName};
use url::Url;

use super::request::Hop;

/// Whether a header field may go along to another origin: none of those that can hold a credential.
pub(super) fn crosses_origins(name: &HeaderName) -> bool {
    const HARMLESS: [HeaderName; 5] =
        [header::ACCEPT, header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE, header::RANGE, header::USER_AGENT];
    HARMLESS.contains(name)
}

/// The next hop, none if the answer is no redirect, or why it cannot be followed.
pub(super) fn follow(hop: &Hop, status: u16, location: Option<&[u8]>) -> Result<Option<Hop>, String> {
    let (true, Some(location)) = (matches!(status, 301 | 302 | 303 | 307 | 308), location) else {
        return Ok(None);
    };
    let location = std::str::from_utf8(location).map_err(|_| "it is redirected to something that is no URL")?;
    let mut url =
        hop.url.join(location).map_err(|error| format!("it is redirected to something that is no URL ({error})"))?;
    url.set_fragment(None);
    let mut next = Hop { url, ..hop.clone() };
    next.method = method_after(status, &hop.method);
    if next.method != hop.method {
        next.body = None;
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::CONTENT_LOCATION]
        {
            next.headers.remove(name);
        }
    }
    if next.url.origin() != hop.url.origin() {
        if next.body.is_some() {
            let place = next.url.origin().ascii_serialization();
            return Err(format!("its body would be redirected to {place}; ask there directly if that is meant"));
        }
        next.authentication = None;
        next.headers = next
            .headers
            .iter()
            .filter(|(name, _)| crosses_origins(name))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
    }
    Ok(Some(next))
}

fn method_after(status: u16, method: &Method) -> Method {
    match status {
        303 if *method != Method::HEAD => Method::GET,
        301 | 302 if *method == Method::POST => Method::GET,
        _ => method.clone(),
    }
}

/// The hops of an exchange so far.
pub(super) struct Trail {
    seen: Vec<(Method, Url)>,
    redirects_max: usize,
}

impl Trail {
    pub(super) fn new(first: &Hop, redirects_max: usize) -> Self {
        Self { seen: vec![(first.method.clone(), first.url.clone())], redirects_max }
    }

    /// Takes another hop, or says why not. There are no cookies, so the same question has the same answer: a circle.
    pub(super) fn take(&mut self, hop: &Hop) -> Result<(), String> {
        let step = (hop.method.clone(), hop.url.clone());
        if self.seen.contains(&step) {
            return Err("it is redirected in a circle".to_owned());
        }
        if self.seen.len() > self.redirects_max {
            return Err(format!("it is redirected more than {} times", self.redirects_max));
        }
        self.seen.push(step);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{Authentication, Payload};
    use super::*;
    use crate::secrets::Escape;
    use bytes::Bytes;
    use reqwest::header::{HeaderMap, HeaderValue};

    const SECRET: [&str; 5] = ["authorization", "cookie", "x-api-key", "if-none-match", "content-type"];

    fn hop(method: Method, url: &str) -> Hop {
        let mut headers = HeaderMap::new();
        for name in SECRET.into_iter().chain(["accept", "user-agent"]) {
            headers.insert(name, HeaderValue::from_static("v"));
        }
        let payload = || Payload { bytes: Bytes::from_static(b"b"), escape: Escape::Raw };
        let body = (method != Method::GET && method != Method::HEAD).then(payload);
        let (url, authentication) = (Url::parse(url).unwrap(), Some(Authentication::Bearer("t".to_owned())));
        Hop { method, url, headers, authentication, body }
    }

    #[test]
    fn methods_change_as_in_browsers() {
        let (get, head, post, put, delete) = (Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE);
        for (status, before, after) in [
            (301, &get, &get),
            (302, &get, &get),
            (303, &get, &get),
            (307, &get, &get),
            (308, &get, &get),
            (301, &head, &head),
            (303, &head, &head),
            (301, &post, &get),
            (302, &post, &get),
            (303, &post, &get),
            (307, &post, &post),
            (308, &post, &post),
            (301, &put, &put),
            (302, &put, &put),
            (303, &put, &get),
            (307, &put, &put),
            (301, &delete, &delete),
            (303, &delete, &get),
        ] {
            let next = follow(&hop(before.clone(), "https://a.example/x"), status, Some(b"/y")).unwrap().unwrap();
            assert_eq!(next.method, *after, "{status} {before}");
            assert_eq!(next.body.is_some(), *after != get && *after != head, "{status} {before}");
            assert_eq!(next.headers.contains_key("content-type"), before == after, "{status} {before}");
            assert!(next.headers.contains_key("authorization"), "{status} {before}");
        }
    }

    #[test]
    fn what_is_no_redirect_is_an_answer() {
        let first = hop(Method::GET, "https://a.example/");
        for status in [200, 201, 300, 304, 305, 306, 399, 404] {
            assert!(follow(&first, status, Some(b"/y")).unwrap().is_none(), "{status}");
        }
        assert!(follow(&first, 302, None).unwrap().is_none());
    }

    #[test]
    fn locations_are_resolved_and_fragments_dropped() {
        for (location, wanted) in [
            ("", "https://a.example/p/q?x=1"),
            ("r", "https://a.example/p/r"),
            ("/r#f", "https://a.example/r"),
            ("?y=2", "https://a.example/p/q?y=2"),
            ("//b.example/r", "https://b.example/r"),
            ("../r", "https://a.example/r"),
            ("http://c.example", "http://c.example/"),
            ("\\\\d.example\\r", "https://d.example/r"),
            ("https://2130706433/", "https://127.0.0.1/"),
            ("file:///etc/passwd", "file:///etc/passwd"),
        ] {
            let next = follow(&hop(Method::GET, "https://a.example/p/q?x=1"), 302, Some(location.as_bytes()));
            assert_eq!(next.unwrap().unwrap().url.as_str(), wanted, "{location}");
        }
        for location in [&b"https://"[..], b"http://[::1", b"https://a.example:99999/", b"\xff\xfe"] {
            assert!(follow(&hop(Method::GET, "https://a.example/"), 302, Some(location)).is_err());
        }
    }

    #[test]
    fn credentials_do_not_cross_origins() {
        let first = hop(Method::GET, "https://a.example/");
        for (location, same) in [
            ("https://a.example/x", true),
            ("https://A.example:443/x", true),
            ("https://a.example:8443/x", false),
            ("http://a.example/x", false),
            ("https://b.example/x", false),
            ("https://x.a.example/x", false),
            ("https://a.example./x", false),
            ("https://a.example.b.example/x", false),
        ] {
            let next = follow(&first, 307, Some(location.as_bytes())).unwrap().unwrap();
            for name in SECRET {
                assert_eq!(next.headers.contains_key(name), same, "{name} to {location}");
            }
            assert_eq!(next.authentication.is_some(), same, "to {location}");
            assert!(next.headers.contains_key("accept") && next.headers.contains_key("user-agent"), "{location}");
            let back = follow(&next, 307, Some(b"https://a.example/y")).unwrap().unwrap();
            assert_eq!(back.headers.contains_key("authorization"), same, "back from {location}");
        }
        assert!(follow(&hop(Method::POST, "https://a.example/"), 307, Some(b"https://b.example/")).is_err());
        assert!(follow(&hop(Method::POST, "https://a.example/"), 302, Some(b"https://b.example/")).unwrap().is_some());
    }

    #[test]
    fn circles_and_long_ways_end() {
        let first = hop(Method::POST, "https://a.example/0");
        let mut trail = Trail::new(&first, 3);
        // The same URL by another method is no circle.
        for (method, path, fine) in [
            (Method::GET, "/0", true),
            (Method::GET, "/1", true),
            (Method::GET, "/0", false),
            (Method::GET, "/2", true),
            (Method::GET, "/3", false),
        ] {
            let next = hop(method, &format!("https://a.example{path}"));
            assert_eq!(trail.take(&next).is_ok(), fine, "{path}");
        }
    }
}
