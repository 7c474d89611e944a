//! How a value is written where it stands: in a URL, a header, JSON, a form, XML. Pure.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

/// What RFC 3986 leaves as it is everywhere.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// In bytes that nobody knows: as it is.
    Raw,
    /// In the path or the query of a URL.
    Url,
    /// In a field of a form.
    Form,
    /// In a header field, or half of it: control characters cannot stand there.
    Header,
    /// As the user of basic authentication, which ends at the first colon.
    User,
    /// In a string of JSON.
    Json,
    /// In the text or an attribute of XML.
    Xml,
}

impl Escape {
    /// How the body of a content type is escaped.
    pub(crate) fn of_content_type(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/x-www-form-urlencoded" => Self::Form,
            "application/json" | "text/json" => Self::Json,
            "application/xml" | "text/xml" => Self::Xml,
            kind if kind.ends_with("+json") => Self::Json,
            kind if kind.ends_with("+xml") => Self::Xml,
            _ => Self::Raw,
        }
    }

    /// The value as it is written there; none if it cannot be.
    pub(super) fn escaped(self, value: &str) -> Option<String> {
        let fits = |wrong: fn(char) -> bool| (!value.contains(wrong)).then(|| value.to_owned());
        match self {
            Self::Raw => Some(value.to_owned()),
            Self::Url => Some(url(value)),
            Self::Form => Some(form(value)),
            Self::Header => fits(|letter| letter.is_ascii_control() && letter != '\t'),
            Self::User => fits(|letter| letter == ':'),
            Self::Json => Some(json(value)),
            Self::Xml => Some(xml(value)),
        }
    }
}

impl Escape {
    /// What a reader has who reads bytes of such a text: the letters that they stand for, as far as they are escaped in the way
    /// of that text. What is no JSON, as most texts are that nobody names, is read as it is.
    pub(super) fn read(self, bytes: &[u8]) -> String {
        // Bytes that are no UTF-8 are Latin-1: each is the letter of that number.
        let text = std::str::from_utf8(bytes)
            .map_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect(), str::to_owned);
        match self {
            Self::Xml => read_xml(&text),
            Self::Form => {
                percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
            }
            _ => serde_json::from_str(&format!("\"{text}\"")).unwrap_or(text),
        }
    }
}

/// The letters of a text of XML; what is no entity of XML's own stays.
fn read_xml(text: &str) -> String {
    let (mut read, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('&') {
        read.push_str(before);
        let entity = after.split_once(';').and_then(|(name, behind)| Some((entity(name)?, behind)));
        let (letter, behind) = entity.unwrap_or(('&', after));
        read.push(letter);
        rest = behind;
    }
    read + rest
}

fn entity(name: &str) -> Option<char> {
    let number = |digits: &str| match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    };
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        name => char::from_u32(number(name.strip_prefix('#')?)?),
    }
}

pub(super) fn url(value: &str) -> String {
    utf8_percent_encode(value, UNRESERVED).to_string()
}

pub(super) fn form(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

/// The inside of a JSON string.
pub(super) fn json(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            control if control < ' ' => {
                let _infallible = write!(text, "\\u{:04x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text
}

pub(super) fn xml(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_escaped_reads_back() {
        for value in ["plain", "a b&c=d+e/é?#%\"\\\n\r\t\u{1}\u{8}\u{c}<x>'~", "🦀", "..", "https://u:p@h/?q"] {
            let read: String = serde_json::from_str(&format!("\"{}\"", json(value))).unwrap();
            assert_eq!(read, value);
            let pair = format!("k={}", form(value));
            assert_eq!(form_urlencoded::parse(pair.as_bytes()).next().unwrap().1, value);
            let address = url::Url::parse(&format!("https://h.example/x{}?k={}", url(value), url(value))).unwrap();
            assert_eq!(address.query_pairs().next().unwrap().1, value);
            let path = percent_encoding::percent_decode_str(address.path()).decode_utf8().unwrap();
            assert_eq!(path, format!("/x{value}"));
        }
        assert_eq!(xml("a<b & \"c\">'"), "a&lt;b &amp; &quot;c&quot;&gt;&#39;");
    }

    #[test]
    fn bytes_are_read_as_what_they_stand_in() {
        for (escape, bytes, letters) in [
            (Escape::Raw, &b"a\\\"b\\u00E9"[..], "a\"bé"),
            (Escape::Raw, b"a\"b%2F&amp;", "a\"b%2F&amp;"),
            (Escape::Json, b"f\xfcr", "für"),
            (Escape::Xml, b"a&amp;&#39;&#x3C;&eacute;&b", "a&'<&eacute;&b"),
            (Escape::Form, b"a+b%2F", "a b/"),
        ] {
            assert_eq!(escape.read(bytes), letters);
        }
    }

    #[test]
    fn what_cannot_stand_there_is_refused() {
        assert_eq!(Escape::Header.escaped("a\r\nHost: evil"), None);
        assert_eq!(Escape::Header.escaped("a\tb é"), Some("a\tb é".to_owned()));
        assert_eq!(Escape::User.escaped("a:b"), None);
        assert_eq!(Escape::Raw.escaped("a:\n"), Some("a:\n".to_owned()));
    }

    #[test]
    fn bodies_are_escaped_as_their_content_type_says() {
        for (content_type, escape) in [
            ("application/json; charset=utf-8", Escape::Json),
            ("application/vnd.api+json", Escape::Json),
            ("Text/XML", Escape::Xml),
            ("application/soap+xml", Escape::Xml),
            ("application/x-www-form-urlencoded", Escape::Form),
            ("text/plain", Escape::Raw),
            ("", Escape::Raw),
        ] {
            assert_eq!(Escape::of_content_type(content_type), escape, "{content_type}");
        }
    }
}
