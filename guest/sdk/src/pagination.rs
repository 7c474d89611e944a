//! Page after page of records, whatever the source calls its pages: cursor, key of the last record, offset, page number,
//! the next page's URL in the answer or in its `Link` header, `pageInfo`.
//!
//! ```
//! # use elt_sdk::testing::{self, Answer};
//! use elt_sdk::prelude::*;
//!
//! # testing::serve(|asked| Answer::json(match asked.query("cursor").as_deref() {
//! #     None => r#"{"items": [{"id": 1}, {"id": 2}], "next": "b"}"#,
//! #     _ => r#"{"items": [{"id": 3}], "next": null}"#,
//! # }));
//! let http = Client::new("https://api.example.com");
//! let mut ids = Vec::new();
//! for page in http.get("people").query("limit", 2).pages("items", Cursor::new("cursor", "next")) {
//!     for record in page?.records() {
//!         ids.push(record.required("id")?);
//!     }
//! }
//! assert_eq!(ids, ["1", "2", "3"]);
//! # Ok::<(), Error>(())
//! ```
//!
//! All of them begin where `start` says, so that a cursor kept in the state resumes there, and all of them fail with a
//! source error where the source goes round in circles. Another style is an implementation of [`Pagination`] away.

mod cursor;
mod keyset;
mod link_header;
mod next_url;
mod offset;
mod page;
mod page_info;
mod page_number;
mod pages;
mod parallel;

pub use cursor::Cursor;
pub use keyset::Keyset;
pub use link_header::LinkHeader;
pub use next_url::NextUrl;
pub use offset::Offset;
pub use page::Page;
pub use page_info::PageInfo;
pub use page_number::PageNumber;
pub use pages::Pages;
pub use parallel::{Parallel, parallel};

use crate::error::Result;
use crate::http::Request;

/// How a source says where its next page is. A cursor here is whatever text leads to a page: the source's own, an
/// offset, a number, a URL.
pub trait Pagination {
    /// The one value in the answer's body that [`next`](Self::next) needs, as a field's name or a JSON pointer.
    fn mark(&self) -> Option<&str> {
        None
    }

    /// The cursor of the page to begin with; `None` asks for the request as it is.
    fn start(&self) -> Option<String>;

    /// The cursor of the page after `page`; `None` at the end.
    fn next(&mut self, page: &Page) -> Result<Option<String>>;

    /// The request for the page at `cursor`, made from the request for all of them.
    fn apply(&self, request: Request, cursor: &str) -> Request;
}
