//! Where a cursor goes in the request for its page.

use crate::http::Request;
use crate::json;

/// Where a request carries a cursor, under a name of its own.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Place {
    /// Beside the other parameters of the query.
    #[default]
    Query,
    /// In their place.
    Alone,
    /// Into the body: JSON, where the name may be a pointer, or a form.
    Body,
    /// As a header.
    Header,
}

impl Place {
    /// The request with `cursor` where it belongs; what was there under that name is replaced.
    pub(super) fn put(self, request: Request, name: &str, cursor: &str) -> Request {
        match self {
            Self::Query => request.put_query(name, cursor),
            Self::Alone => request.without_query().put_query(name, cursor),
            Self::Header => request.put_header(name, cursor),
            Self::Body => match json::of_cursor(cursor) {
                Ok(value) => request.put_body(name, &value),
                Err(error) => request.fail(format_args!("the cursor has no JSON form: {error}")),
            },
        }
    }

    /// The cursor that a value of the source's is: in a body it is to keep its type, elsewhere it is text.
    pub(super) fn cursor(self, value: &serde_json::value::RawValue) -> Option<String> {
        match self {
            Self::Body => json::to_cursor(value),
            Self::Query | Self::Alone | Self::Header => json::text(value),
        }
    }
}
