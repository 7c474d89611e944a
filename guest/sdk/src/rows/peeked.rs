//! A buffered reader whose next bytes can be looked at before they are read.

use std::io::{self, BufRead, Read};

use super::PIECE_BYTES;

/// Like [`std::io::BufReader`], and shows more than one read brought.
pub(super) struct Peeked<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
}

impl<R: Read> Peeked<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), at: 0 }
    }

    /// The next `count` bytes, fewer only where the input ends.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.at < count {
            if self.more()? == 0 {
                break;
            }
        }
        let end = self.buffer.len().min(self.at + count);
        Ok(&self.buffer[self.at..end])
    }

    /// The next `count` bytes are read; an error where the input ends before.
    pub(super) fn take_exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let bytes = self.peek(count)?.to_vec();
        if bytes.len() < count {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.consume(count);
        Ok(bytes)
    }

    fn more(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + PIECE_BYTES, 0);
        let count = loop {
            match self.input.read(&mut self.buffer[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(length + count.as_ref().map_or(0, |&count| count));
        count
    }
}

impl<R: Read> BufRead for Peeked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.buffer.len() {
            self.more()?;
        }
        Ok(&self.buffer[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at = self.buffer.len().min(self.at + count);
    }
}

impl<R: Read> Read for Peeked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}
