//! Exports as records, one after the other: lines of JSON, CSV and XML. Whatever the export's size, memory holds one
//! record.
//!
//! ```
//! # use elt_sdk::testing::{self, Answer};
//! use elt_sdk::prelude::*;
//!
//! # testing::serve(|_| Answer::status(200).body("{\"id\":1}\n{\"id\":2}\n"));
//! fn people(http: &Client, operations: &mut Operations) -> Result<()> {
//!     operations.truncate("people")?;
//!     for row in http.get("export").stream().send()?.rows(JsonLines::new())? {
//!         operations.upsert("people", row?)?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! [`stream`](crate::http::Request::stream) lets the records begin before the export has ended; without it the host reads
//! all of it first, and tries again where it breaks off.
//!
//! CSV needs the feature `csv` of this crate, XML the feature `xml`: `elt-sdk = { …, features = ["csv"] }`.

#[cfg(feature = "csv")]
mod csv;
mod json_lines;
#[cfg(any(feature = "csv", feature = "xml"))]
mod object;
#[cfg(feature = "xml")]
mod xml;

use std::io::Read;

#[cfg(feature = "csv")]
pub use csv::Csv;
pub use json_lines::JsonLines;
#[cfg(feature = "xml")]
pub use xml::Xml;

use crate::error::Result;
use crate::record::Record;

/// The longest record, in bytes of the export: the longest row that the host takes.
const RECORD_BYTES_MAX: usize = 16 << 20;
/// So much is read at once.
const PIECE_BYTES: usize = 64 << 10;

/// How an export is written.
pub trait Format {
    /// The records in `input`, an answer or any other reader. Ends at the end of the input or the first error.
    fn read<R: Read>(self, input: R) -> impl Iterator<Item = Result<Record<'static>>>;
}
