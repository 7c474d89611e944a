//! The little that is done to URLs here; the host parses them.

/// Whether it begins with a scheme.
pub(crate) fn is_absolute(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| {
        let rest = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(rest)
    })
}

/// The URL without query and fragment.
pub(crate) fn up_to_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// The parameters of a query (what follows the `?`), decoded.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(name, value)| (decode(name), decode(value)))
}

/// Whether the URL's query has a parameter of that name.
pub(crate) fn has_parameter(url: &str, name: &str) -> bool {
    let query = url.split('#').next().and_then(|url| url.split_once('?')).map_or("", |(_, query)| query);
    parameters(query).any(|(of, _)| of == name)
}

/// The URL without its fragment and without those parameters of its query that are not to be kept; the others keep
/// their bytes.
pub(crate) fn retain(url: &str, mut keep: impl FnMut(&str, &str) -> bool) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let Some((path, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let kept = query.split('&').filter(|pair| parameters(pair).all(|(name, value)| keep(&name, &value)));
    let query = kept.collect::<Vec<_>>().join("&");
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Scheme and authority (`https://h.example:8443`), and all from the path on.
pub(crate) fn split_origin(url: &str) -> (&str, &str) {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let path = url[authority..].find(['/', '?', '#']).map_or(url.len(), |at| authority + at);
    url.split_at(path)
}

/// Whether both have the same scheme, host and port.
pub(crate) fn is_same_origin(one: &str, other: &str) -> bool {
    let origin = |url| without_query(split_origin(url).0).to_ascii_lowercase();
    origin(one) == origin(other)
}

/// What is left of an absolute URL where it is taken from `base`: a path that continues it, or that begins with a
/// slash where it leads elsewhere on the same host. Scheme, host, port and credentials are gone: they are the base's.
pub(crate) fn relative(base: &str, url: &str) -> String {
    let path = split_origin(url).1.split('#').next().unwrap_or_default();
    let folder = split_origin(up_to_query(base)).1.trim_end_matches('/');
    match path.strip_prefix(folder) {
        Some(rest) if rest.starts_with('/') && !rest.starts_with("//") && rest.len() > 1 => rest[1..].to_owned(),
        Some(rest) if rest.starts_with('?') => rest.to_owned(),
        _ if path.starts_with('/') => path.to_owned(),
        _ => format!("/{path}"),
    }
}

/// The URL that [`relative`] made `cursor` of, with the scheme, host and port that `base` has by now.
pub(crate) fn resolve(base: &str, cursor: &str) -> String {
    if is_absolute(cursor) {
        return resolve(base, &relative(base, cursor));
    }
    let base = up_to_query(base).trim_end_matches('/');
    match cursor.as_bytes().first() {
        Some(b'/') => format!("{}{cursor}", split_origin(base).0),
        Some(b'?') => format!("{base}{cursor}"),
        _ => format!("{base}/{cursor}"),
    }
}

/// The URL without query and fragment, and without user and password: fit for a message.
pub(crate) fn without_query(url: &str) -> String {
    let url = up_to_query(url);
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// The URL that `reference`, found in the answer of `base`, stands for: RFC 3986 without dot segments.
pub(crate) fn join(base: &str, reference: &str) -> String {
    if is_absolute(reference) {
        return reference.to_owned();
    }
    let base = up_to_query(base);
    let (scheme, rest) = base.split_once("://").unwrap_or(("https", base));
    let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    if let Some(other) = reference.strip_prefix("//") {
        format!("{scheme}://{other}")
    } else if reference.starts_with('/') {
        format!("{scheme}://{authority}{reference}")
    } else if reference.starts_with('?') {
        format!("{scheme}://{authority}{path}{reference}")
    } else {
        let folder = &path[..=path.rfind('/').unwrap_or_default()];
        format!("{scheme}://{authority}{folder}{reference}")
    }
}

/// A text as one segment of a path, percent-encoded: `format!("people/{}", encode(&id))`. Query parameters and form
/// fields are encoded by the host.
pub fn encode(text: impl AsRef<str>) -> String {
    let mut encoded = String::new();
    for byte in text.as_ref().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte.into()),
            _ => encoded.extend(['%', hex(byte >> 4), hex(byte & 15)]),
        }
    }
    encoded
}

/// A part of a query without its percent-encoding.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        let (byte, after) = match (first, hex) {
            (b'%', Some(byte)) => (byte, &tail[2..]),
            (b'+', _) => (b' ', tail),
            (byte, _) => (byte, tail),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> char {
    char::from(if digit < 10 { b'0' + digit } else { b'A' + digit - 10 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_credentials_stay_out_of_messages() {
        assert_eq!(without_query("https://u:p@h.example:8443/a/b?key=1#x"), "https://h.example:8443/a/b");
        assert_eq!(without_query("https://h.example?key=1"), "https://h.example");
        assert_eq!(without_query("https://h.example/@me"), "https://h.example/@me");
        assert_eq!(without_query("people?x"), "people");
    }

    #[test]
    fn a_reference_is_taken_from_where_it_was_found() {
        let base = "https://h.example/v1/people?page=1";
        let check = |reference: &str, expect: &str| assert_eq!(join(base, reference), expect);
        check("https://other.example/x", "https://other.example/x");
        check("//other.example/x", "https://other.example/x");
        check("/v2/people?page=2", "https://h.example/v2/people?page=2");
        check("?page=2", "https://h.example/v1/people?page=2");
        check("people/2?next=https://h.example", "https://h.example/v1/people/2?next=https://h.example");
        assert_eq!(join("https://h.example", "a"), "https://h.example/a");
    }

    #[test]
    fn a_url_is_kept_without_its_host_and_found_again_at_another() {
        let check = |base: &str, url: &str, kept: &str, again: &str| {
            assert_eq!(relative(base, url), kept);
            assert_eq!(resolve("http://other.example:81/api", kept), again);
            assert_eq!(resolve(base, &relative(base, url)), resolve(base, url));
        };
        let base = "https://h.example/v1";
        check(base, "https://h.example/v1/x?page=2", "x?page=2", "http://other.example:81/api/x?page=2");
        check(base, "http://u:p@10.0.0.1:8080/v1/x?page=2#y", "x?page=2", "http://other.example:81/api/x?page=2");
        check(
            base,
            "https://h.example/v2/x?u=https://h",
            "/v2/x?u=https://h",
            "http://other.example:81/v2/x?u=https://h",
        );
        check(base, "https://h.example/v1?page=2", "?page=2", "http://other.example:81/api?page=2");
        check(base, "https://h.example/v10/x", "/v10/x", "http://other.example:81/v10/x");
        check("https://h.example", "https://h.example?page=2", "?page=2", "http://other.example:81/api?page=2");
        check("https://h.example/", "https://h.example/x", "x", "http://other.example:81/api/x");
        check(base, "https://h.example", "/", "http://other.example:81/");
        assert!(is_same_origin("https://u@H.example/x?y", "https://h.example"));
        assert!(!is_same_origin("https://h.example:8443", "https://h.example"));
    }

    #[test]
    fn parameters_are_taken_out_and_the_others_keep_their_bytes() {
        let kept = |url: &str| retain(url, |name, value| !(name == "api key" && value == "a b"));
        assert_eq!(kept("https://h/x?q=%7e+1&api%20key=a+b&n#f"), "https://h/x?q=%7e+1&n");
        assert_eq!(kept("https://h/x?api+key=a%20b"), "https://h/x");
        assert_eq!(kept("https://h/x"), "https://h/x");
    }
}
