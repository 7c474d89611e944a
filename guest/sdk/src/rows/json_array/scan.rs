//! Walks a JSON text from token to token without building anything.

use std::fmt;
use std::io::BufRead;

use serde::de::IgnoredAny;

use super::super::lines::Lines;
use crate::error::{Error, Result};
use crate::record::start_of;

/// A JSON text, read up to some place.
pub(super) struct Scan<R> {
    input: Lines<R>,
}

/// What a value is as far as it was read.
#[derive(Default)]
struct Depth {
    open: usize,
    in_text: bool,
    is_escaped: bool,
}

impl<R: BufRead> Scan<R> {
    pub(super) fn new(input: Lines<R>) -> Self {
        Self { input }
    }

    /// The next byte that is no blank, which stays to be read; an error at the end of the text.
    pub(super) fn token(&mut self) -> Result<u8> {
        self.blank()?.ok_or_else(|| self.cut())
    }

    fn blank(&mut self) -> Result<Option<u8>> {
        loop {
            self.input.begin();
            let line = self.input.line();
            let piece = self.input.fill_buf().map_err(|error| at_line(line, error.into()))?;
            let Some(&byte) = piece.first() else { return Ok(None) };
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Ok(Some(byte));
            }
            self.input.consume(1);
        }
    }

    /// The byte that [`token`](Self::token) showed is read.
    pub(super) fn bump(&mut self) {
        self.input.consume(1);
    }

    /// Within an object, before a name or (`is_first` false) behind a value: whether a field of that name follows. Then its
    /// value is next, otherwise the object was read to its end.
    pub(super) fn find(&mut self, name: &str, mut is_first: bool) -> Result<bool> {
        loop {
            match self.token()? {
                b'}' => {
                    self.bump();
                    return Ok(false);
                }
                b',' if !is_first => {
                    self.bump();
                    self.token()?;
                }
                b'"' if is_first => {}
                other => return Err(self.unexpected(other)),
            }
            is_first = false;
            let key: String =
                serde_json::from_str(&self.value()?).map_err(|_| self.error("a field's name is no text"))?;
            match self.token()? {
                b':' => self.bump(),
                other => return Err(self.unexpected(other)),
            }
            self.token()?;
            if key == name {
                return Ok(true);
            }
            self.walk(None)?;
        }
    }

    /// The value that begins here, checked.
    pub(super) fn value(&mut self) -> Result<String> {
        self.token()?;
        let line = self.input.line();
        let mut bytes = Vec::new();
        self.walk(Some(&mut bytes))?;
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(at_line(line, Error::source("is not UTF-8; name its encoding by `encoding`")));
        };
        match serde_json::from_str::<IgnoredAny>(&text) {
            Ok(_) => Ok(text),
            Err(_) => Err(at_line(line, Error::source(format_args!("is no JSON: {}", start_of(&text))))),
        }
    }

    /// Reads to the end of the value that begins here.
    fn walk(&mut self, mut into: Option<&mut Vec<u8>>) -> Result<()> {
        let mut depth = Depth::default();
        let mut is_first = true;
        loop {
            if into.is_none() {
                // What is passed by is kept nowhere, and may be as long as it likes.
                self.input.begin();
            }
            let line = self.input.line();
            let piece = self.input.fill_buf().map_err(|error| at_line(line, error.into()))?;
            if piece.is_empty() {
                return Err(self.cut());
            }
            let (mut at, mut ended) = (0, false);
            while let (Some(&byte), false) = (piece.get(at), ended) {
                // A number or a word ends before what does not belong to it.
                if !is_first && depth.open == 0 && !depth.in_text && ends_word(byte) {
                    ended = true;
                    break;
                }
                ended = depth.step(byte);
                is_first = false;
                at += 1;
            }
            if let Some(into) = &mut into {
                into.extend_from_slice(&piece[..at]);
            }
            self.input.consume(at);
            if ended {
                return Ok(());
            }
        }
    }

    /// Nothing but blanks follows.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.blank()? {
            None => Ok(()),
            Some(other) => Err(self.unexpected(other)),
        }
    }

    pub(super) fn unexpected(&self, byte: u8) -> Error {
        self.error(format_args!("`{}` is not expected there", char::from(byte)))
    }

    fn cut(&self) -> Error {
        at_line(self.input.line(), Error::transient("the JSON ends in the middle"))
    }

    /// What is wrong where reading is.
    pub(super) fn error(&self, problem: impl fmt::Display) -> Error {
        at_line(self.input.line(), Error::source(problem))
    }
}

impl Depth {
    /// Takes a byte; whether the value ends with it.
    fn step(&mut self, byte: u8) -> bool {
        if self.in_text {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => {
                    self.in_text = false;
                    return self.open == 0;
                }
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.open += 1,
            b'}' | b']' => {
                self.open = self.open.saturating_sub(1);
                return self.open == 0;
            }
            _ => {}
        }
        false
    }
}

fn ends_word(byte: u8) -> bool {
    matches!(byte, b',' | b'}' | b']' | b':' | b' ' | b'\t' | b'\n' | b'\r')
}

fn at_line(line: u64, error: Error) -> Error {
    error.context(format_args!("JSON line {line}"))
}
