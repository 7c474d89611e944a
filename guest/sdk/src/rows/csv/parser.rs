//! Splits a CSV into values, strictly: what would move a value into another one is an error.
//!
//! A parser of our own, because those there are read a quote that stays open as one long value and text behind a closing
//! quote as a part of the value, without a word.

use std::fmt;
use std::io::BufRead;

use super::super::RECORD_BYTES_MAX;
use crate::error::{Error, Result};

/// What separates and surrounds values.
#[derive(Debug, Clone)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    pub(super) escape: Option<u8>,
    pub(super) comment: Option<u8>,
    pub(super) trim: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: b',', quote: Some(b'"'), escape: None, comment: None, trim: false }
    }
}

/// Where in a line reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At its beginning.
    Line,
    /// Behind a carriage return, of which a line feed may be a part.
    Return,
    Comment,
    /// At the beginning of a value.
    Value,
    Bare,
    Quoted,
    /// Behind a quote within quotes: the end, or the first of two.
    Quote,
    /// Behind a quoted value.
    Closed,
    /// Behind an escape; whether within quotes.
    Escaped(bool),
}

/// Reads a record at a time.
pub(super) struct Parser<R> {
    input: R,
    record: Values,
    line_end_proven: bool,
}

/// The record being read.
struct Values {
    dialect: Dialect,
    state: State,
    /// The values, one behind the other, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Lines by number, from 1: the one being read, the record's first, the one where a quote opened.
    line: u64,
    first_line: u64,
    quote_line: u64,
}

impl<R: BufRead> Parser<R> {
    pub(super) fn new(input: R, dialect: Dialect, line_end_proven: bool) -> Self {
        let state = State::Line;
        let record =
            Values { dialect, state, text: Vec::new(), ends: Vec::new(), line: 1, first_line: 1, quote_line: 1 };
        Self { input, record, line_end_proven }
    }

    /// Reads the next record; false at the end.
    pub(super) fn next(&mut self) -> Result<bool> {
        self.record.text.clear();
        self.record.ends.clear();
        loop {
            let piece = self.input.fill_buf().map_err(|error| at_line(self.record.line, error.into()))?;
            if piece.is_empty() {
                return self.record.end(self.line_end_proven);
            }
            let (read, is_whole) = self.record.feed(piece)?;
            self.input.consume(read);
            if is_whole {
                return Ok(true);
            }
            if self.record.text.len() > RECORD_BYTES_MAX {
                return Err(self.error(format_args!("is longer than {} MiB", RECORD_BYTES_MAX >> 20)));
            }
        }
    }

    /// Passes by a line, whatever is in it.
    pub(super) fn skip_line(&mut self) -> Result<()> {
        loop {
            let piece = self.input.fill_buf().map_err(|error| at_line(self.record.line, error.into()))?;
            let found = piece.iter().position(|&byte| byte == b'\n');
            let read = found.map_or(piece.len(), |at| at + 1);
            self.input.consume(read);
            if found.is_some() || read == 0 {
                self.record.line += 1;
                return Ok(());
            }
        }
    }

    /// Takes `sep=;` in the first line at its word.
    pub(super) fn separator(&mut self) -> Result<()> {
        let piece = self.input.fill_buf().map_err(|error| at_line(self.record.line, error.into()))?;
        if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter, b'\r' | b'\n', ..] = *piece {
            self.record.dialect.delimiter = delimiter;
            self.skip_line()?;
        }
        Ok(())
    }

    pub(super) fn count(&self) -> usize {
        self.record.ends.len()
    }

    /// The values of the record.
    pub(super) fn values(&self) -> Result<impl Iterator<Item = &str>> {
        let Values { text, ends, .. } = &self.record;
        let not_utf8 = || self.error("is not UTF-8; name its encoding by `encoding`");
        let text = std::str::from_utf8(text).map_err(|_| not_utf8())?;
        if !ends.iter().all(|&end| text.is_char_boundary(end)) {
            return Err(not_utf8());
        }
        let starts = std::iter::once(&0).chain(ends);
        Ok(starts.zip(ends).map(|(&start, &end)| &text[start..end]))
    }

    /// Whether the line begins with that text.
    pub(super) fn begins(&self, text: &str) -> bool {
        let Values { dialect, text: values, ends, .. } = &self.record;
        let starts = std::iter::once(&0).chain(ends);
        let values: Vec<&[u8]> = starts.zip(ends).map(|(&start, &end)| &values[start..end]).collect();
        values.join(&dialect.delimiter).starts_with(text.as_bytes())
    }

    /// What is wrong with the record; completes "CSV line 7 …".
    pub(super) fn error(&self, problem: impl fmt::Display) -> Error {
        at_line(self.record.first_line, Error::source(problem))
    }
}

fn at_line(line: u64, error: Error) -> Error {
    error.context(format_args!("CSV line {line}"))
}

impl Values {
    /// Goes through a piece of the input: how much of it was read, and whether that ended the record.
    fn feed(&mut self, piece: &[u8]) -> Result<(usize, bool)> {
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            let is_break = matches!(byte, b'\n' | b'\r');
            let is_end = match self.state {
                State::Return => {
                    at += usize::from(byte == b'\n');
                    self.state = State::Line;
                    continue;
                }
                State::Line if is_break => {
                    at += 1;
                    self.break_line(byte);
                    continue;
                }
                State::Line => {
                    self.first_line = self.line;
                    self.state = if Some(byte) == self.dialect.comment { State::Comment } else { State::Value };
                    continue;
                }
                State::Comment if is_break => {
                    self.state = State::Line;
                    continue;
                }
                State::Comment => false,
                State::Bare | State::Quoted => {
                    let run = self.run(&piece[at..]);
                    at += run;
                    if run > 0 {
                        continue;
                    }
                    self.special(byte)
                }
                State::Value if self.dialect.trim && matches!(byte, b' ' | b'\t') && byte != self.dialect.delimiter => {
                    false
                }
                State::Value if Some(byte) == self.dialect.quote => {
                    self.quote_line = self.line;
                    self.state = State::Quoted;
                    false
                }
                State::Value => {
                    self.state = State::Bare;
                    continue;
                }
                State::Quote if Some(byte) == self.dialect.quote => {
                    self.text.push(byte);
                    self.state = State::Quoted;
                    false
                }
                State::Quote | State::Closed => self.closed(byte)?,
                State::Escaped(is_quoted) => self.escaped(byte, is_quoted),
            };
            at += 1;
            if is_end {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    /// Takes all that means nothing but itself.
    fn run(&mut self, piece: &[u8]) -> usize {
        let Dialect { delimiter, quote, escape, .. } = self.dialect;
        let is_special = |byte: u8| {
            Some(byte) == escape
                || match self.state {
                    State::Quoted => Some(byte) == quote || byte == b'\n',
                    _ => byte == delimiter || matches!(byte, b'\n' | b'\r'),
                }
        };
        let run = piece.iter().position(|&byte| is_special(byte)).unwrap_or(piece.len());
        self.text.extend_from_slice(&piece[..run]);
        run
    }

    /// A byte with a meaning within a value; whether it ended the record.
    fn special(&mut self, byte: u8) -> bool {
        let is_quoted = self.state == State::Quoted;
        if Some(byte) == self.dialect.escape && !(is_quoted && self.dialect.escape == self.dialect.quote) {
            self.state = State::Escaped(is_quoted);
        } else if !is_quoted {
            return self.end_value(byte);
        } else if Some(byte) == self.dialect.quote {
            self.state = State::Quote;
        } else {
            self.line += 1;
            self.text.push(byte);
        }
        false
    }

    /// Behind a closing quote there is nothing but blanks; whether the byte ended the record.
    fn closed(&mut self, byte: u8) -> Result<bool> {
        self.state = State::Closed;
        if byte == self.dialect.delimiter || matches!(byte, b'\n' | b'\r') {
            return Ok(self.end_value(byte));
        }
        if matches!(byte, b' ' | b'\t') {
            return Ok(false);
        }
        let message =
            "has text behind a closing quote; quotes within a value are doubled, or say which `escape` they have";
        Err(at_line(self.line, Error::source(message)))
    }

    fn escaped(&mut self, byte: u8, is_quoted: bool) -> bool {
        let Dialect { delimiter, quote, escape, .. } = self.dialect;
        let had_meaning = byte == delimiter || matches!(byte, b'\n' | b'\r') || [quote, escape].contains(&Some(byte));
        if !had_meaning {
            self.text.extend(escape);
        }
        self.line += u64::from(byte == b'\n');
        self.text.push(byte);
        self.state = if is_quoted { State::Quoted } else { State::Bare };
        false
    }

    /// A delimiter or a line end; whether it ended the record.
    fn end_value(&mut self, byte: u8) -> bool {
        if self.dialect.trim && self.state == State::Bare {
            let start = self.ends.last().copied().unwrap_or_default();
            let kept = self.text[start..].trim_ascii_end().len();
            self.text.truncate(start + kept);
        }
        self.ends.push(self.text.len());
        if byte == self.dialect.delimiter {
            self.state = State::Value;
            return false;
        }
        self.break_line(byte);
        true
    }

    fn break_line(&mut self, byte: u8) {
        self.line += 1;
        self.state = if byte == b'\r' { State::Return } else { State::Line };
    }

    /// The end of the input: is there a record before it?
    fn end(&mut self, line_end_proven: bool) -> Result<bool> {
        match self.state {
            State::Line | State::Return | State::Comment => return Ok(false),
            State::Quoted | State::Escaped(true) => {
                let message = "opens a quote that is never closed: the export is cut, or a quote is not doubled";
                return Err(at_line(self.quote_line, Error::source(message)));
            }
            _ if !line_end_proven => return Err(at_line(self.line, unended())),
            _ => {}
        }
        self.end_value(b'\n');
        Ok(true)
    }
}

/// The last line has no end, and nothing else says that it is whole.
pub(in crate::rows) fn unended() -> Error {
    Error::transient(
        "has no line end, and the answer does not say how long it is: it may be cut. Where that is the source's way, say \
         `may_lack_last_line_end`",
    )
}
