//! Where a redirect leads, and what of the request goes along. Pure.
//!
//! What was asked is asked again at the new place: 301, 307 and 308 keep method and body, 303 becomes GET. A 302 after a
//! form becomes GET, as pages to log in have it; after any other body it is refused, since browsers would drop the body
//! and the answer would be one to another question. Across origins nothing goes along that could be a credential, and
//! what was left behind does not come back on the way back.

use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{self, HeaderName, HeaderValue};
use url::Url;

use super::request::Hop;
use crate::secrets::Escape;

/// Whether a header field may go along to another origin: none of those that can hold a credential.
pub(super) fn crosses_origins(name: &HeaderName) -> bool {
    const HARMLESS: [HeaderName; 5] =
        [header::ACCEPT, header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE, header::RANGE, header::USER_AGENT];
    HARMLESS.contains(name)
}

/// The next hop, none if the answer is no redirect, or why it cannot be followed.
pub(super) fn follow(hop: &Hop, status: u16, location: Option<&[u8]>) -> Result<Option<Hop>, String> {
    let location = match (status, location) {
        (301 | 302 | 303 | 307 | 308, Some(location)) => location,
        // 304 is the answer to a question of its own.
        (304 | ..=299 | 400.., _) => return Ok(None),
        (301 | 302 | 303 | 307 | 308, None) => {
            return Err(format!("the answer {status} redirects it and does not say where to"));
        }
        _ => return Err(format!("the answer {status} redirects it in a way that the host cannot follow")),
    };
    let location = std::str::from_utf8(location).map_err(|_| "it is redirected to something that is no URL")?;
    let mut url =
        hop.url.join(location).map_err(|error| format!("it is redirected to something that is no URL ({error})"))?;
    url.set_fragment(None);
    let mut next = Hop { url, challenge: None, ..hop.clone() };
    next.method = method_after(status, hop)?;
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
        next.terms = Arc::new(hop.terms.without_credentials());
        next.headers = next
            .headers
            .iter()
            .filter(|(name, _)| crosses_origins(name))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
    }
    Ok(Some(next))
}

fn method_after(status: u16, hop: &Hop) -> Result<Method, String> {
    let is_form = hop.body.as_ref().is_none_or(|body| body.escape == Escape::Form);
    match status {
        303 if hop.method != Method::HEAD => Ok(Method::GET),
        302 if hop.method == Method::POST && is_form => Ok(Method::GET),
        302 if hop.method == Method::POST => {
            Err("it is redirected by 302, which would turn the POST into a GET without its body; ask at the new place \
                 directly"
                .to_owned())
        }
        _ => Ok(hop.method.clone()),
    }
}

/// Whether something that could be a credential stayed behind between these hops.
pub(super) fn leaves_credentials(hop: &Hop, next: &Hop) -> bool {
    const OTHERS: [HeaderName; 4] =
        [header::CONTENT_TYPE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::CONTENT_LANGUAGE];
    let stayed = |name: &HeaderName| !next.headers.contains_key(name) && !OTHERS.contains(name);
    (hop.authentication.is_some() && next.authentication.is_none())
        || (hop.terms.has_credentials() && !next.terms.has_credentials())
        || hop.headers.keys().any(stayed)
}

/// The hops of an exchange so far.
#[derive(Debug)]
pub(super) struct Trail {
    seen: Vec<Step>,
    redirects_max: usize,
}

/// A question: the same one has the same answer.
type Step = (Method, Url, Option<HeaderValue>);

impl Trail {
    pub(super) fn new(first: &Hop, cookies: Option<HeaderValue>, redirects_max: usize) -> Self {
        Self { seen: vec![(first.method.clone(), first.url.clone(), cookies)], redirects_max }
    }

    /// How many redirects were followed.
    pub(super) fn redirects(&self) -> usize {
        self.seen.len() - 1
    }

    /// Takes another hop, which goes with these cookies, or says why not: the same question again is a circle.
    pub(super) fn take(&mut self, hop: &Hop, cookies: Option<HeaderValue>) -> Result<(), String> {
        let step = (hop.method.clone(), hop.url.clone(), cookies);
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
    use bytes::Bytes;
    use reqwest::header::HeaderMap;

    const SECRET: [&str; 5] = ["authorization", "cookie", "x-api-key", "if-none-match", "content-type"];

    fn hop(method: Method, url: &str) -> Hop {
        let mut headers = HeaderMap::new();
        for name in SECRET.into_iter().chain(["accept", "user-agent"]) {
            headers.insert(name, HeaderValue::from_static("v"));
        }
        let payload = || Payload { bytes: Bytes::from_static(b"b"), escape: Escape::Form };
        let body = (method != Method::GET && method != Method::HEAD).then(payload);
        let (url, authentication) = (Url::parse(url).unwrap(), Some(Authentication::Bearer("t".to_owned())));
        Hop { method, url, headers, authentication, body, terms: Arc::default(), challenge: None }
    }

    #[test]
    fn what_was_asked_is_asked_again_at_the_new_place() {
        let (get, head, post, put, delete) = (Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE);
        for (status, before, after) in [
            (301, &get, &get),
            (302, &get, &get),
            (303, &get, &get),
            (307, &get, &get),
            (308, &get, &get),
            (301, &head, &head),
            (303, &head, &head),
            (301, &post, &post),
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
    fn a_302_drops_no_body_but_a_forms() {
        for escape in [Escape::Json, Escape::Raw] {
            let mut first = hop(Method::POST, "https://a.example/");
            first.body = Some(Payload { bytes: Bytes::from_static(b"{}"), escape });
            assert!(follow(&first, 302, Some(b"/y")).is_err_and(|why| why.contains("without its body")));
            for status in [301, 307, 308] {
                let next = follow(&first, status, Some(b"/y")).unwrap().unwrap();
                assert!(next.method == Method::POST && next.body.is_some(), "{status}");
            }
        }
    }

    #[test]
    fn what_is_no_redirect_is_an_answer_and_what_is_none_to_follow_an_error() {
        let first = hop(Method::GET, "https://a.example/");
        for status in [200, 201, 304, 400, 404] {
            assert!(follow(&first, status, Some(b"/y")).unwrap().is_none(), "{status}");
        }
        for status in [300, 305, 306, 399] {
            assert!(follow(&first, status, Some(b"/y")).is_err(), "{status}");
        }
        for status in [301, 302, 303, 307, 308] {
            assert!(follow(&first, status, None).is_err_and(|why| why.contains("where to")), "{status}");
        }
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
            assert_eq!(leaves_credentials(&first, &next), !same, "to {location}");
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
        let mut trail = Trail::new(&first, None, 3);
        // The same URL by another method is no circle.
        for (method, path, fine) in [
            (Method::GET, "/0", true),
            (Method::GET, "/1", true),
            (Method::GET, "/0", false),
            (Method::GET, "/2", true),
            (Method::GET, "/3", false),
        ] {
            let next = hop(method, &format!("https://a.example{path}"));
            assert_eq!(trail.take(&next, None).is_ok(), fine, "{path}");
        }
    }
}
