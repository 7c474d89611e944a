//! Opens an export, and sees to it that it was one: unpacked, decoded, not something else, and with the records it must have.

use std::io::Read;

use super::body::Body;
use super::text::Text;
use super::{Export, Format};
use crate::error::{Error, Result};
use crate::record::{Record, start_of};

/// What an answer says of its body.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    pub(crate) content_type: Option<String>,
    /// It does not say how long the body is, so that one that was cut looks whole.
    pub(crate) of_unknown_length: bool,
    /// Status 204: the source says that there is nothing.
    pub(crate) no_content: bool,
}

impl Arrival {
    fn charset(&self) -> Option<&str> {
        let parameters = self.content_type.as_deref()?.split(';').skip(1);
        parameters.filter_map(|pair| pair.split_once('=')).find_map(|(name, value)| {
            name.trim().eq_ignore_ascii_case("charset").then_some(value.trim()).filter(|value| !value.is_empty())
        })
    }
}

/// The records of an export.
pub(crate) fn open<F: Format, R: Read>(
    mut format: F,
    arrival: &Arrival,
    input: R,
) -> Result<impl Iterator<Item = Result<Record<'static>>> + use<F, R>> {
    let mut export = format.export().clone();
    if arrival.no_content {
        let rows = Checked { rows: None, export, count: 0, start: "nothing, by status 204".to_owned() };
        return rows.verdict().map_or(Ok(rows), Err);
    }
    let body = Body::new(input, export.entry.as_deref())?;
    export.line_end_proven |= !arrival.of_unknown_length || body.is_packed();
    format.export().line_end_proven = export.line_end_proven;
    let mut text = Text::new(body, F::KIND, export.encoding.as_deref(), arrival.charset())?;
    let (start, is_all) = text.start()?;
    let start_shown = start_of(start.trim()).to_owned();
    if is_all && export.empty_body.as_deref().is_some_and(|empty| empty.trim() == start.trim()) {
        export.may_be_empty = true;
        return Ok(Checked { rows: None, export, count: 0, start: start_shown });
    }
    let fits = F::KIND.check(arrival.content_type.as_deref(), export.content_type.as_deref());
    fits.and_then(|()| F::KIND.check_start(&start)).map_err(|error| begins(error, &start_shown))?;
    let rows = Some(format.records(text));
    Ok(Checked { rows, export, count: 0, start: start_shown })
}

/// Shows what came instead.
fn begins(error: Error, start: &str) -> Error {
    let start = if start.is_empty() { "it is empty".to_owned() } else { format!("it begins: {start}") };
    error.reworded(|message| format!("{message}; {start}"))
}

/// Records on their way, counted.
struct Checked<I> {
    /// `None` after the end or an error.
    rows: Option<I>,
    export: Export,
    count: u64,
    start: String,
}

impl<I> Checked<I> {
    /// What is wrong with the whole of it, now that it has ended.
    fn verdict(&self) -> Option<Error> {
        let Export { count, may_be_empty, .. } = self.export;
        if let Some(expected) = count.filter(|&expected| expected != self.count) {
            let message = format_args!("the export has {} records, the source spoke of {expected}", self.count);
            return Some(Error::transient(message));
        }
        if self.count > 0 || may_be_empty || count == Some(0) {
            return None;
        }
        let message = "there is no record in it, and `may_be_empty` was not said of this export";
        Some(begins(Error::source(message), &self.start))
    }
}

impl<I: Iterator<Item = Result<Record<'static>>>> Iterator for Checked<I> {
    type Item = Result<Record<'static>>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.as_mut()?.next();
        if let Some(Ok(_)) = &row {
            self.count += 1;
            return row;
        }
        self.rows = None;
        match row {
            // What is wrong before the first record is easier to tell by what came in its place.
            Some(Err(error)) if self.count == 0 => Some(Err(begins(error, &self.start))),
            row => row.or_else(|| self.verdict().map(Err)),
        }
    }
}
