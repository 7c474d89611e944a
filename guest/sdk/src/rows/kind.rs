//! Tells by a content type and by first characters that an answer is something else than the export asked for.

use crate::error::{Error, Result};

/// What an export is, as far as content types tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Values between delimiters.
    Csv,
    /// JSON, as one text or in lines.
    Json,
    /// XML.
    Xml,
}

/// What a content type says for sure; most types of exports (`text/plain`, `application/octet-stream`, a vendor's own) say
/// nothing.
fn told(content_type: &str) -> Option<Kind> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/csv" | "application/csv" | "text/comma-separated-values" | "text/tab-separated-values" => Some(Kind::Csv),
        "text/xml" | "application/xml" => Some(Kind::Xml),
        "application/json" | "text/json" => Some(Kind::Json),
        other if other.contains("ndjson") || other.contains("jsonl") || other.ends_with("+json") => Some(Kind::Json),
        other if other.ends_with("+xml") => Some(Kind::Xml),
        _ => None,
    }
}

impl Kind {
    /// Refuses a content type that names another format, or another than `expected`.
    pub(super) fn check(self, content_type: Option<&str>, expected: Option<&str>) -> Result<()> {
        let given = content_type.unwrap_or_default();
        let essence = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if let Some(expected) = expected {
            let fits = essence(given) == essence(expected);
            let message = format_args!("the answer's content type is `{given}`, not `{expected}`");
            return if fits { Ok(()) } else { Err(Error::source(message)) };
        }
        if ["text/html", "application/xhtml+xml"].contains(&essence(given).as_str()) {
            return Err(Error::source("the answer is a web page, not an export"));
        }
        match told(given) {
            Some(told) if told != self => {
                Err(Error::source(format_args!("the answer is no {}: its content type is `{given}`", self.name())))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a text that begins as no such export does.
    pub(super) fn check_start(self, start: &str) -> Result<()> {
        let text = start.trim_start();
        let json = text.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with(['"', '}']))
            || text.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(['"', '{', '[', ']']));
        let markup = text
            .strip_prefix('<')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || "!?/".contains(c)));
        match self {
            Self::Csv if json => Err(Error::source("the answer is JSON, no CSV")),
            Self::Csv | Self::Json if markup => {
                Err(Error::source(format_args!("the answer is XML or a web page, no {}", self.name())))
            }
            _ => Ok(()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::Xml => "XML",
        }
    }
}
