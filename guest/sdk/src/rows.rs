//! Exports as records, one after the other: lines of JSON, a JSON array, CSV and XML. Whatever the export's size, memory
//! holds one record.
//!
//! ```
//! # use elt_sdk::testing::{self, Answer};
//! use elt_sdk::prelude::*;
//!
//! # testing::serve(|_| Answer::status(200).body("id,name\n1,Ada\n2,Bo\n"));
//! fn people(http: &Client, operations: &mut Operations) -> Result<()> {
//!     let rows = http.get("export").stream().send()?.rows(Csv::new().expect(["id"]))?;
//!     operations.truncate("people")?;
//!     for row in rows {
//!         operations.upsert("people", row?)?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! An export has to prove that it is one, because a table is replaced by it: status and content type fit, it begins as the
//! format does, it ends where the format ends, and it has a record. Where a source may have none, say so by
//! [`may_be_empty`](Format::may_be_empty); what an empty export looks like is then checked too. Errors name the line.
//!
//! Exports in gzip or in a zip are unpacked, whatever the answer says of them, and texts in other encodings than UTF-8 are
//! read: by their byte order mark, by the answer's `charset` or XML's own word, or by [`encoding`](Format::encoding).
//!
//! [`stream`](crate::http::Request::stream) lets the records begin before the export has ended; without it the host reads
//! all of it first, and tries again where it breaks off.

mod body;
mod checked;
mod csv;
mod export;
mod json_array;
mod json_lines;
mod kind;
mod lines;
mod object;
mod peeked;
mod text;
mod xml;

use std::io::{BufRead, Read};

pub use csv::Csv;
pub use export::Export;
pub use json_array::JsonArray;
pub use json_lines::JsonLines;
pub use xml::Xml;

use crate::error::Result;
use crate::record::Record;
pub(crate) use checked::{Arrival, open};
pub use kind::Kind;

/// The longest record, in bytes of the export: the longest row that the host takes.
const RECORD_BYTES_MAX: usize = 16 << 20;
/// So much is read at once.
const PIECE_BYTES: usize = 64 << 10;

/// How an export is written, and what all formats have a choice in.
pub trait Format: Sized {
    /// What an answer's content type calls it.
    const KIND: Kind;

    /// The choices that all formats share.
    fn export(&mut self) -> &mut Export;

    /// The records in `input`, an unpacked export in UTF-8. Ends at the end of the input or the first error.
    fn records<R: BufRead>(self, input: R) -> impl Iterator<Item = Result<Record<'static>>>;

    /// The records in any reader, which has all of the export.
    fn read<R: Read>(self, input: R) -> impl Iterator<Item = Result<Record<'static>>> {
        let (rows, error) = match open(self, &Arrival::default(), input) {
            Ok(rows) => (Some(rows), None),
            Err(error) => (None, Some(Err(error))),
        };
        error.into_iter().chain(rows.into_iter().flatten())
    }

    /// The encoding of an export whose answer does not say it, or says it wrong: `windows-1252`, `latin1`, `utf-16le`,
    /// `shift_jis`, by the names of the WHATWG. A byte order mark counts more.
    #[must_use]
    fn encoding(mut self, name: impl Into<String>) -> Self {
        self.export().encoding = Some(name.into());
        self
    }

    /// An export without any record is fine where it proves itself to be empty: CSV by its line of names
    /// ([`Csv::expect`]), XML by its root ([`Xml::root`]), a JSON array by its brackets; lines of JSON by an empty body.
    #[must_use]
    fn may_be_empty(mut self) -> Self {
        self.export().may_be_empty = true;
        self
    }

    /// A body that is this text stands for an export without records: `No data found`.
    #[must_use]
    fn empty_body(mut self, text: impl Into<String>) -> Self {
        self.export().empty_body = Some(text.into());
        self
    }

    /// How many records there must be, where the source says so: in a header, in the answer of the report's job.
    #[must_use]
    fn expect_count(mut self, records: u64) -> Self {
        self.export().count = Some(records);
        self
    }

    /// The content type that this source gives its exports, where it is none of the usual ones; another is an error.
    #[must_use]
    fn content_type(mut self, name: impl Into<String>) -> Self {
        self.export().content_type = Some(name.into());
        self
    }

    /// The file to read of a zip that holds several.
    #[must_use]
    fn entry(mut self, name: impl Into<String>) -> Self {
        self.export().entry = Some(name.into());
        self
    }

    /// The last line of a whole export may lack its line end also where the answer does not say how long it is. Without
    /// this, such a line is an error: it may have been cut.
    #[must_use]
    fn may_lack_last_line_end(mut self) -> Self {
        self.export().line_end_proven = true;
        self
    }
}
