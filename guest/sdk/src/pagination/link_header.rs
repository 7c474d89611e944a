//! Pagination by the `Link` header of RFC 8288: `Link: <https://…?page=2>; rel="next"`.

use super::{Page, Pagination};
use crate::error::Result;
use crate::http::Request;

/// Follows the link with relation `next`, whole or relative; without one the pages end, and where the link says itself
/// that it has no `results`. Headers and credentials stay those of the request, its query does not: the URL holds its own.
/// The host is the client's, as with [`NextUrl`](super::NextUrl).
#[derive(Debug, Clone, Default)]
pub struct LinkHeader {
    elsewhere: bool,
    start: Option<String>,
}

impl LinkHeader {
    /// A pagination that begins at the beginning.
    pub fn new() -> Self {
        Self::default()
    }

    /// Follows to other hosts than the client's too; they must be among the connector's.
    #[must_use]
    pub fn elsewhere(mut self) -> Self {
        self.elsewhere = true;
        self
    }

    /// Begins at this URL, [`Page::cursor`] or [`Page::place`] of an earlier sync; `None` begins at the beginning.
    #[must_use]
    pub fn start(mut self, url: Option<String>) -> Self {
        self.start = url.filter(|start| !start.is_empty());
        self
    }

    /// The link's URL, and whether something is there.
    fn found(&self, page: &Page) -> Option<(String, bool)> {
        let values = page.headers().iter().filter(|(name, _)| name.eq_ignore_ascii_case("link"));
        let (link, filled) = values.map(|(_, value)| value).find_map(|value| next_of(value))?;
        Some((page.cursor_of_url(link, self.elsewhere), filled))
    }
}

impl Pagination for LinkHeader {
    fn start(&self) -> Option<String> {
        self.start.clone()
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        Ok(self.found(page).and_then(|(url, filled)| filled.then_some(url)))
    }

    fn last(&self, page: &Page) -> Option<String> {
        let empty = self.found(page).and_then(|(url, filled)| (!filled).then_some(url));
        empty.or_else(|| page.asked().map(str::to_owned))
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        request.at(cursor, self.elsewhere)
    }
}

/// The target of the first link with relation `next` in a header's value, and whether it says of itself (`results`) that
/// something is there.
fn next_of(value: &str) -> Option<(&str, bool)> {
    let mut rest = value;
    loop {
        let (target, after) = rest.split_once('<')?.1.split_once('>')?;
        let (parameters, remainder) = split_outside_quotes(after, ',');
        let relations = parameter(parameters, "rel").unwrap_or_default();
        if relations.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next")) {
            let filled = parameter(parameters, "results").is_none_or(|results| !results.eq_ignore_ascii_case("false"));
            return Some((target.trim(), filled));
        }
        rest = remainder;
    }
}

/// The first parameter of that name (`; rel="next last"; title="…"`), without its quotes; some sources use single ones.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = parameters;
    while !rest.is_empty() {
        let (parameter, remainder) = split_outside_quotes(rest, ';');
        if let Some((of, value)) = parameter.split_once('=')
            && of.trim().eq_ignore_ascii_case(name)
        {
            return Some(value.trim().trim_matches(['"', '\'']).trim());
        }
        rest = remainder;
    }
    None
}

/// The text before and after the first `separator` that stands in no quoted string.
fn split_outside_quotes(text: &str, separator: char) -> (&str, &str) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == separator && !quoted => return (&text[..at], &text[at + c.len_utf8()..]),
            _ => {}
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::next_of;

    #[test]
    fn the_link_with_relation_next_is_found() {
        let check = |value: &str, expect: Option<&str>| {
            assert_eq!(next_of(value), expect.map(|link| (link, true)), "{value}");
        };
        check(r#"<https://h/?page=2>; rel="next""#, Some("https://h/?page=2"));
        check(r#"<https://h/?page=1>; rel="prev", <https://h/?page=3>; rel="next""#, Some("https://h/?page=3"));
        check(r#"<https://h/?a=1,2>; rel=last,<x>;title="a, b; rel=\"next\"";REL="prefetch NEXT""#, Some("x"));
        check(r#"<https://h/>; rel="nextish""#, None);
        check(r#"<https://h/>; title="rel=next""#, None);
        check(r#"<https://h/>; rel="first"; rel="next""#, None);
        check("<https://h/?page=2>; rel='next'", Some("https://h/?page=2"));
        check("<https://h/?a>; rel='prev', <https://h/?b>; rel = 'last next' ; x=1", Some("https://h/?b"));
        check("<https://h/?page=2>;rel=next", Some("https://h/?page=2"));
        check("<https://h/?page=2>; rel=\" next \"", Some("https://h/?page=2"));
        let empty =
            r#"<https://h/?c=1>; rel="previous"; results="true", <https://h/?c=2>; rel="next"; results="false""#;
        assert_eq!(next_of(empty), Some(("https://h/?c=2", false)));
        check("<https://h/>", None);
        check("", None);
        check("<broken", None);
    }
}
