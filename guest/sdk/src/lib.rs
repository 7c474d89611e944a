//! Write a data connector as two functions, `schema` and `update`, and compile it to one WebAssembly component.
//!
//! ```
//! use elt_sdk::prelude::*;
//!
//! struct Tickets;
//!
//! impl Connector for Tickets {
//!     const FIELDS: &'static [Field] = &[Field::required("token", "The token of your account.").secret()];
//!     const HOSTS: &'static [&'static str] = &["api.example.com"];
//!
//!     fn schema(_: &Configuration) -> Result<Vec<Table>> {
//!         Ok(vec![Table::new("tickets", ["id"])])
//!     }
//!
//!     fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
//!         let http = Client::new("https://api.example.com").bearer_auth(configuration.required("token")?);
//!         let cursor = Cursor::new("cursor", "next_cursor").start(state.get("cursor"));
//!         for page in http.get("tickets").pages("tickets", cursor) {
//!             let page = page?;
//!             operations.upsert_page("tickets", &page)?;
//!             state.set("cursor", page.place())?;
//!             operations.checkpoint(&state)?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! elt_sdk::export!(Tickets);
//! ```
//!
//! The modules in the order an author meets them:
//!
//! - [`connector`]: the trait to implement, and [`export!`] which makes a component of it
//! - [`description`] and [`table`]: what a connector declares, its fields, hosts, rate limits and tables
//! - [`configuration`] and [`state`]: what it is given
//! - [`http`] and [`pagination`]: how it asks its source, behind which login, and page after page
//! - [`record`]: a source's record as it arrived, byte for byte
//! - [`rows`]: exports as records, lines of JSON, CSV, XML
//! - [`operations`]: what it writes, and its checkpoints
//! - [`log`], [`time`], [`error`]: lines for people, RFC 3339 timestamps, errors that say whose fault they are
//! - [`testing`]: a host of one's own for `cargo test`
//!
//! A connector's crate needs this one dependency. It builds for `wasm32-wasip2` (or `wasm32-wasip1` with an adapter);
//! tests run natively, against [`testing`].

#![deny(missing_docs)]

#[doc(hidden)]
pub mod bindings;
pub mod configuration;
pub mod connector;
pub mod description;
pub mod error;
#[doc(hidden)]
pub mod export;
pub mod http;
mod imports;
mod json;
pub mod log;
pub mod operations;
pub mod pagination;
pub mod prelude;
pub mod record;
pub mod rows;
pub mod state;
pub mod table;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;

#[doc(no_inline)]
pub use serde;
#[doc(no_inline)]
pub use serde_json::{self, json, value::RawValue};
#[doc(hidden)]
pub use wit_bindgen;

pub use error::{Error, Result};

/// The code of the guide must compile too.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/write-a-connector.md")]
struct Guide;

/// So must that of the page on what sources do.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/sources.md")]
struct Sources;

/// So must that of the page for those who generate connectors.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/connector-expert.md")]
struct Expert;
