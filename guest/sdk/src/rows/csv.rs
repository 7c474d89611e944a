//! Comma-separated values: RFC 4180 and what goes by that name.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::object::string;
use super::{Format, PIECE_BYTES, RECORD_BYTES_MAX};
use crate::error::{Error, Result};
use crate::record::{Record, start_of};

/// CSV with a line of names at its top. Every value arrives as text, an empty one as null. A body without that line is an
/// error, not an export without records.
///
/// Types are not guessed: `007` would lose its zeros. Declare those that matter
/// (`Table::new("sales", ["id"]).column("price", DataType::Decimal((12, 2)))`), the host takes numbers and times from text.
///
/// ```
/// use elt_sdk::prelude::*;
/// use elt_sdk::rows::Format;
///
/// let export = "id;name\n007;\"Bond; James\"\n8;\n";
/// let rows: Vec<_> = Csv::new().delimiter(b';').read(export.as_bytes()).collect::<Result<_>>()?;
/// assert_eq!(rows[0].json(), r#"{"id":"007","name":"Bond; James"}"#);
/// assert_eq!(rows[1].json(), r#"{"id":"8","name":null}"#);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Csv {
    delimiter: u8,
    names: Option<Vec<String>>,
    empty: &'static str,
}

impl Csv {
    /// Commas between values, quotes around those that need it, names in the first line.
    pub fn new() -> Self {
        Self { delimiter: b',', names: None, empty: "null" }
    }

    /// Another byte between values: `b';'`, `b'\t'`.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// The names of the columns; the first line is a record like all others.
    #[must_use]
    pub fn names<const N: usize>(mut self, names: [&str; N]) -> Self {
        self.names = Some(names.iter().map(|&name| name.to_owned()).collect());
        self
    }

    /// Keeps empty values as empty texts.
    #[must_use]
    pub fn keep_empty(mut self) -> Self {
        self.empty = "\"\"";
        self
    }
}

impl Default for Csv {
    fn default() -> Self {
        Self::new()
    }
}

impl Format for Csv {
    fn read<R: Read>(self, input: R) -> impl Iterator<Item = Result<Record<'static>>> {
        let reader = ReaderBuilder::new().delimiter(self.delimiter).build();
        let input = Some(BufReader::with_capacity(PIECE_BYTES, input));
        Rows { input, reader, format: self, text: vec![0; 1024], ends: vec![0; 32], number: 0 }
    }
}

/// The state between two records.
struct Rows<R> {
    /// `None` after the end or an error.
    input: Option<BufReader<R>>,
    reader: Reader,
    format: Csv,
    /// The values of a record, one behind the other, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    /// The record that is being read, the line of names included, from 1.
    number: u64,
}

impl<R: Read> Rows<R> {
    fn record(&mut self) -> Result<Option<Record<'static>>> {
        if self.format.names.is_none() {
            let names = self.values()?.ok_or_else(|| Error::transient("the CSV is empty, without a line of names"))?;
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            if let Some(twice) = twice(&names) {
                return Err(Error::source(format_args!("CSV record 1: the name `{}` is there twice", start_of(twice))));
            }
            self.format.names = Some(names);
        }
        let (names, empty) = (self.format.names.take().unwrap_or_default(), self.format.empty);
        let record = self.values().and_then(|values| values.map(|values| object(&names, &values, empty)).transpose());
        self.format.names = Some(names);
        record.map_err(|error| error.context(format_args!("CSV record {}", self.number)))
    }

    /// The values of the next record; `None` at the end.
    fn values(&mut self) -> Result<Option<Vec<&str>>> {
        let Some(input) = &mut self.input else { return Ok(None) };
        self.number += 1;
        let (mut length, mut count) = (0, 0);
        loop {
            let piece = input.fill_buf()?;
            let (result, read, written, ended) =
                self.reader.read_record(piece, &mut self.text[length..], &mut self.ends[count..]);
            input.consume(read);
            length += written;
            count += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if length >= RECORD_BYTES_MAX => {
                    return Err(Error::source(format_args!("is longer than {} MiB", RECORD_BYTES_MAX >> 20)));
                }
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        let text = std::str::from_utf8(&self.text[..length]).map_err(|_| Error::source("is not UTF-8"))?;
        let mut start = 0;
        let values = self.ends[..count].iter().map(|&end| {
            let value = text.get(start..end).ok_or_else(|| Error::source("is not UTF-8"));
            start = end;
            value
        });
        values.collect::<Result<_>>().map(Some)
    }
}

/// A record of which nothing is dropped: it has as many values as there are names.
fn object(names: &[String], values: &[&str], empty: &str) -> Result<Record<'static>> {
    if names.len() != values.len() {
        let message = format_args!("has {} values for {} names", values.len(), names.len());
        return Err(Error::source(message));
    }
    let mut json = String::from("{");
    for (name, value) in names.iter().zip(values) {
        if json.len() > 1 {
            json.push(',');
        }
        string(&mut json, name);
        json.push(':');
        if value.is_empty() { json.push_str(empty) } else { string(&mut json, value) }
    }
    json.push('}');
    Ok(Record::from(json))
}

fn twice(names: &[String]) -> Option<&str> {
    let mut seen = BTreeSet::new();
    names.iter().map(String::as_str).find(|name| !seen.insert(*name))
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Record<'static>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.input.as_ref()?;
        let record = self.record().transpose();
        if !matches!(record, Some(Ok(_))) {
            self.input = None;
        }
        record
    }
}
