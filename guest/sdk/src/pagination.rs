//! Page after page of records, whatever the source calls its pages: cursor, key of the last record, offset, page number,
//! the next page's URL in the answer or in a header, `pageInfo`, several values that continue.
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
//! All of them begin where `start` says, so that a place kept in the state resumes there; all of them believe the source
//! where it says how much there is, and fail with a source error where it goes round in circles. What is told of a page is
//! found at a field's name, a JSON pointer (`/meta/next`), or in a header (`header:X-Next`).
//!
//! What sources differ in beyond the style is said to the [`Pages`]: a status beyond the end, a last page that comes again,
//! a cursor that has expired. What changed since last time, over all of them, is a [`Window`]. Another style is an
//! implementation of [`Pagination`] away.

mod continuation;
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
mod place;
mod signal;
mod told;
mod window;

pub use continuation::Continuation;
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
pub use signal::Signal;
pub use window::Window;

use crate::error::Result;
use crate::http::Request;

/// How a source says where its next page is. A cursor here is whatever text leads to a page: the source's own, an
/// offset, a number, a URL.
pub trait Pagination {
    /// The cursor of the very first page; `None` asks for the request as it is.
    fn first(&self) -> Option<String> {
        None
    }

    /// The cursor that an earlier sync left, where to begin instead.
    fn start(&self) -> Option<String>;

    /// The cursor of the page after `page`; `None` at the end.
    fn next(&mut self, page: &Page) -> Result<Option<String>>;

    /// Where the next sync goes on if `page` is the last one. The usual: that page again, since it may grow.
    fn last(&self, page: &Page) -> Option<String> {
        page.asked().map(str::to_owned)
    }

    /// How often the same records may come in a row before it counts as a source that does not look at what it is asked.
    /// A cursor of the source's own shows that it does.
    fn same_in_a_row_max(&self) -> usize {
        10
    }

    /// The request for the page at `cursor`, made from the request for all of them.
    fn apply(&self, request: Request, cursor: &str) -> Request;
}
