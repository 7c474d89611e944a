//! A JSON array as a stream: one answer of any size, of which memory holds one record.

mod scan;

use std::io::BufRead;

use super::lines::Lines;
use super::{Export, Format, Kind};
use crate::error::{Error, Result};
use crate::json::Path;
use crate::record::{Record, start_of};
use scan::Scan;

/// The elements of one array in a JSON text, wherever it stands: `JsonArray::new("items")`, `"/data/items"`, or `""` where
/// the text is the array. For lists that come in one answer and are too large for [`page`](crate::http::Request::page).
///
/// ```
/// use elt_sdk::prelude::*;
///
/// let export = r#"{"total": 2, "items": [{"id": 1.0}, {"id": 2}], "took": 3}"#;
/// let rows: Vec<_> = JsonArray::new("items").read(export.as_bytes()).collect::<Result<_>>()?;
/// assert_eq!(rows[0].json(), r#"{"id": 1.0}"#);
/// # Ok::<(), Error>(())
/// ```
///
/// The text is read to its end, so that one that was cut, or whose array is missing, is an error.
#[derive(Debug, Clone, Default)]
pub struct JsonArray {
    at: Path,
    export: Export,
}

impl JsonArray {
    /// The array at a field's name or a JSON pointer, or the text itself.
    pub fn new(at: impl AsRef<str>) -> Self {
        Self { at: Path::new(at.as_ref()), export: Export::default() }
    }
}

impl Format for JsonArray {
    const KIND: Kind = Kind::Json;

    fn export(&mut self) -> &mut Export {
        &mut self.export
    }

    fn records<R: BufRead>(self, input: R) -> impl Iterator<Item = Result<Record<'static>>> {
        Elements { scan: Scan::new(Lines::new(input)), at: self.at, place: Place::Before }
    }
}

/// Where in the text reading is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    /// Behind the bracket that opens the array.
    First,
    /// Behind an element.
    Behind,
    Ended,
}

struct Elements<R> {
    scan: Scan<R>,
    at: Path,
    place: Place,
}

impl<R: BufRead> Elements<R> {
    fn element(&mut self) -> Result<Option<Record<'static>>> {
        if self.place == Place::Before && !self.descend()? {
            return Ok(None);
        }
        let is_first = self.place == Place::First;
        self.place = Place::Behind;
        match self.scan.token()? {
            b']' => {
                self.scan.bump();
                self.finish(self.at.steps().len())?;
                return Ok(None);
            }
            b',' if !is_first => self.scan.bump(),
            _ if is_first => {}
            other => return Err(self.scan.unexpected(other)),
        }
        let element = self.scan.value()?;
        if !element.starts_with('{') {
            return Err(self.scan.error(format_args!("a record is no JSON object: {}", start_of(&element))));
        }
        Ok(Some(Record::from(element)))
    }

    /// Goes to the array; false where null stands there.
    fn descend(&mut self) -> Result<bool> {
        self.place = Place::First;
        let steps = self.at.steps().to_vec();
        for (depth, step) in steps.iter().enumerate() {
            if self.scan.token()? != b'{' {
                return Err(self.not_there());
            }
            self.scan.bump();
            if !self.scan.find(step, true)? {
                // What is wrong with the text counts more than that nothing was found in it.
                self.finish(depth)?;
                return Err(self.not_there());
            }
        }
        match self.scan.token()? {
            b'[' => {
                self.scan.bump();
                Ok(true)
            }
            b'n' => {
                self.scan.value()?;
                self.finish(steps.len()).map(|()| false)
            }
            _ => Err(self.not_there()),
        }
    }

    fn not_there(&self) -> Error {
        Error::source(format_args!("the JSON has no array at `{}`", self.at))
    }

    /// Reads what stands behind the array, out of `depth` objects and to the end of the text.
    fn finish(&mut self, depth: usize) -> Result<()> {
        let steps = self.at.steps()[..depth].to_vec();
        for step in steps.iter().rev() {
            if self.scan.find(step, false)? {
                return Err(self.scan.error(format_args!("`{step}` is there twice")));
            }
        }
        self.scan.end()
    }
}

impl<R: BufRead> Iterator for Elements<R> {
    type Item = Result<Record<'static>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.place == Place::Ended {
            return None;
        }
        let element = self.element().transpose();
        if !matches!(element, Some(Ok(_))) {
            self.place = Place::Ended;
        }
        element
    }
}
