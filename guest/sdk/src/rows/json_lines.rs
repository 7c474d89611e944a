//! One JSON object a line, also known as NDJSON.

use std::io::{BufRead, BufReader, Read};

use super::{Format, PIECE_BYTES, RECORD_BYTES_MAX};
use crate::error::{Error, Result};
use crate::record::Record;

/// Lines of JSON; empty ones are skipped, the last may lack its end.
#[derive(Debug, Clone, Default)]
pub struct JsonLines;

impl JsonLines {
    /// The format as it is; there are no choices.
    pub fn new() -> Self {
        Self
    }
}

impl Format for JsonLines {
    fn read<R: Read>(self, input: R) -> impl Iterator<Item = Result<Record<'static>>> {
        Lines { input: Some(BufReader::with_capacity(PIECE_BYTES, input)), number: 0 }
    }
}

struct Lines<R> {
    /// `None` after the end or an error.
    input: Option<BufReader<R>>,
    number: u64,
}

impl<R: Read> Lines<R> {
    fn line(&mut self) -> Result<Option<Record<'static>>> {
        loop {
            let Some(input) = &mut self.input else { return Ok(None) };
            let mut line = Vec::new();
            self.number += 1;
            // One byte more than allowed tells a line that is too long from one that just fits.
            input.take(RECORD_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                return Ok(None);
            }
            if line.len() > RECORD_BYTES_MAX {
                return Err(self.error(format_args!("is longer than {} MiB", RECORD_BYTES_MAX >> 20)));
            }
            let Ok(line) = String::from_utf8(line) else { return Err(self.error(format_args!("is not UTF-8"))) };
            if !line.trim_ascii().is_empty() {
                return Ok(Some(Record::from(line)));
            }
        }
    }

    fn error(&self, problem: std::fmt::Arguments<'_>) -> Error {
        Error::source(format_args!("line {} {problem}", self.number))
    }
}

impl<R: Read> Iterator for Lines<R> {
    type Item = Result<Record<'static>>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.line().transpose();
        if !matches!(line, Some(Ok(_))) {
            self.input = None;
        }
        line
    }
}
