//! One JSON object a line, also known as NDJSON.

use std::io::{BufRead, Read};

use serde::de::IgnoredAny;

use super::csv::unended;
use super::{Export, Format, Kind, RECORD_BYTES_MAX};
use crate::error::{Error, Result};
use crate::json::{self, Path};
use crate::record::{Record, start_of};

/// Lines of JSON; empty ones are skipped. A line that is no object is an error that names it.
///
/// ```
/// use elt_sdk::prelude::*;
///
/// let export = "{\"id\":1}\n{\"error\":\"timeout\"}\n";
/// let mut rows = JsonLines::new().expect(["id"]).read(export.as_bytes());
/// assert!(rows.next().is_some_and(|row| row.is_ok()));
/// assert_eq!(rows.next().unwrap().unwrap_err().message(), "line 2 has no `id`: {\"error\":\"timeout\"}");
/// ```
#[derive(Debug, Clone, Default)]
pub struct JsonLines {
    expected: Vec<String>,
    end_mark: Option<String>,
    export: Export,
}

impl JsonLines {
    /// An object in each line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fields that every record has, those of the key at least: some sources write an error in the place of a record.
    #[must_use]
    pub fn expect(mut self, fields: impl IntoIterator<Item: Into<String>>) -> Self {
        self.expected = fields.into_iter().map(Into::into).collect();
        self
    }

    /// The last line of a whole export begins so; it is no record, and an export without it was cut.
    #[must_use]
    pub fn end_mark(mut self, text: impl Into<String>) -> Self {
        self.end_mark = Some(text.into());
        self
    }
}

impl Format for JsonLines {
    const KIND: Kind = Kind::Json;

    fn export(&mut self) -> &mut Export {
        &mut self.export
    }

    fn records<R: BufRead>(self, input: R) -> impl Iterator<Item = Result<Record<'static>>> {
        Lines { input: Some(input), format: self, number: 0 }
    }
}

struct Lines<R> {
    /// `None` after the end or an error.
    input: Option<R>,
    format: JsonLines,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn record(&mut self) -> Result<Option<Record<'static>>> {
        let Some(line) = self.line()? else {
            return match &self.format.end_mark {
                Some(mark) => Err(Error::transient(format_args!("the export is cut: no last line begins `{mark}`"))),
                None => Ok(None),
            };
        };
        if self.format.end_mark.as_ref().is_some_and(|mark| line.starts_with(mark)) {
            return match self.line()? {
                Some(_) => Err(self.error("stands behind the line that marks the end")),
                None => Ok(None),
            };
        }
        self.check(&line)?;
        Ok(Some(Record::from(line)))
    }

    /// The next line that is not empty, without its end.
    fn line(&mut self) -> Result<Option<String>> {
        loop {
            let Some(input) = &mut self.input else { return Ok(None) };
            let mut line = Vec::new();
            self.number += 1;
            let number = self.number;
            // One byte more than allowed tells a line that is too long from one that just fits.
            let read = input.take(RECORD_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line);
            read.map_err(|error| Error::from(error).context(format_args!("line {number}")))?;
            if line.is_empty() {
                return Ok(None);
            }
            if line.len() > RECORD_BYTES_MAX {
                return Err(self.error(format_args!("is longer than {} MiB", RECORD_BYTES_MAX >> 20)));
            }
            let is_ended = line.ends_with(b"\n");
            let Ok(mut line) = String::from_utf8(line) else {
                return Err(self.error("is not UTF-8; name its encoding by `encoding`"));
            };
            line.truncate(line.trim_ascii_end().len());
            if line.is_empty() {
                continue;
            }
            if !is_ended && !self.format.export.line_end_proven {
                return Err(unended().context(format_args!("line {number}")));
            }
            return Ok(Some(line));
        }
    }

    /// An object, whole, with the fields that it must have.
    fn check(&self, line: &str) -> Result<()> {
        if let Err(error) = serde_json::from_str::<IgnoredAny>(line) {
            let problem = if error.is_eof() { "ends in the middle of its JSON" } else { "is no JSON" };
            return Err(self.error(format_args!("{problem}: {}", start_of(line))));
        }
        if !line.trim_ascii_start().starts_with('{') {
            return Err(self.error(format_args!("is no JSON object: {}", start_of(line))));
        }
        for field in &self.format.expected {
            if json::search(line, &Path::new(field))?.is_none() {
                return Err(self.error(format_args!("has no `{field}`: {}", start_of(line))));
            }
        }
        Ok(())
    }

    fn error(&self, problem: impl std::fmt::Display) -> Error {
        Error::source(format_args!("line {} {problem}", self.number))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Record<'static>>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.record().transpose();
        if !matches!(record, Some(Ok(_))) {
            self.input = None;
        }
        record
    }
}
