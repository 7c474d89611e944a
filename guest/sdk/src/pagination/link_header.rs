//! Pagination by the `Link` header of RFC 8288: `Link: <https://…?page=2>; rel="next"`.

use super::{Page, Pagination};
use crate::error::Result;
use crate::http::{Request, url};

/// Follows the link with relation `next`, whole or relative; without one the pages end. Headers and credentials stay
/// those of the request, its query does not: the URL holds its own.
#[derive(Debug, Clone, Default)]
pub struct LinkHeader {
    start: Option<String>,
}

impl LinkHeader {
    /// A pagination that begins at the beginning.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins at this URL, [`Page::cursor`] of an earlier sync; `None` begins at the beginning.
    #[must_use]
    pub fn start(mut self, url: Option<String>) -> Self {
        self.start = url.filter(|start| !start.is_empty());
        self
    }
}

impl Pagination for LinkHeader {
    fn start(&self) -> Option<String> {
        self.start.clone()
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        Ok(page.links().iter().find_map(|value| next_of(value)).map(|link| url::join(page.url(), link)))
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        request.at(cursor)
    }
}

/// The target of the first link with relation `next` in a header's value.
fn next_of(value: &str) -> Option<&str> {
    let mut rest = value;
    loop {
        let (target, after) = rest.split_once('<')?.1.split_once('>')?;
        let (parameters, remainder) = split_outside_quotes(after, ',');
        if is_next(parameters) {
            return Some(target.trim());
        }
        rest = remainder;
    }
}

/// Whether the parameters (`; rel="next last"; title="…"`) name the relation `next`.
fn is_next(parameters: &str) -> bool {
    let mut rest = parameters;
    while !rest.is_empty() {
        let (parameter, remainder) = split_outside_quotes(rest, ';');
        if let Some((name, value)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("rel")
        {
            let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
            return relations.any(|relation| relation.eq_ignore_ascii_case("next"));
        }
        rest = remainder;
    }
    false
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
        let check = |value: &str, expect: Option<&str>| assert_eq!(next_of(value), expect, "{value}");
        check(r#"<https://h/?page=2>; rel="next""#, Some("https://h/?page=2"));
        check(r#"<https://h/?page=1>; rel="prev", <https://h/?page=3>; rel="next""#, Some("https://h/?page=3"));
        check(r#"<https://h/?a=1,2>; rel=last,<x>;title="a, b; rel=\"next\"";REL="prefetch NEXT""#, Some("x"));
        check(r#"<https://h/>; rel="nextish""#, None);
        check(r#"<https://h/>; title="rel=next""#, None);
        check(r#"<https://h/>; rel="first"; rel="next""#, None);
        check("<https://h/>", None);
        check("", None);
        check("<broken", None);
    }
}
