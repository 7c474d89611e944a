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

/// Whether the URL's query has a parameter of that name.
pub(crate) fn has_parameter(url: &str, name: &str) -> bool {
    let query = url.split('#').next().and_then(|url| url.split_once('?')).map_or("", |(_, query)| query);
    query.split('&').any(|pair| pair.split('=').next() == Some(name))
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
pub fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte.into()),
            _ => encoded.extend(['%', hex(byte >> 4), hex(byte & 15)]),
        }
    }
    encoded
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
}
