//! A reader that counts the lines it has given, and gives no more than a record may have.

use std::io::{self, BufRead, Read};

use super::RECORD_BYTES_MAX;
use crate::error::Error;

/// Counts lines for messages, and bounds what is between two calls of [`begin`](Self::begin).
pub(super) struct Lines<R> {
    input: R,
    line: u64,
    left: usize,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: 1, left: RECORD_BYTES_MAX }
    }

    /// A record begins here.
    pub(super) fn begin(&mut self) {
        self.left = RECORD_BYTES_MAX;
    }

    /// The line of the next byte, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }
}

impl<R: BufRead> BufRead for Lines<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let piece = self.input.fill_buf()?;
        if self.left == 0 && !piece.is_empty() {
            return Err(Error::source(format_args!("a record is longer than {} MiB", RECORD_BYTES_MAX >> 20)).into());
        }
        Ok(&piece[..piece.len().min(self.left)])
    }

    fn consume(&mut self, count: usize) {
        // What is consumed was shown by `fill_buf`, which asks for nothing while there is some.
        if let Ok(piece) = self.input.fill_buf() {
            let breaks = piece.iter().take(count).filter(|&&byte| byte == b'\n').count();
            self.line += breaks as u64;
        }
        self.left = self.left.saturating_sub(count);
        self.input.consume(count);
    }
}

impl<R: BufRead> Read for Lines<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}
