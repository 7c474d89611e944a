//! Masks a body that comes in pieces: a secret that two pieces share is found all the same.

use std::sync::Arc;

use super::Held;

/// Takes a body as it comes and gives it back with placeholders for secrets.
pub(crate) struct Masker {
    held: Arc<Held>,
    /// Not looked through to its end yet: a secret may begin in it.
    raw: Vec<u8>,
    /// Masked; the first `taken` bytes are gone.
    masked: Vec<u8>,
    taken: usize,
}

impl Masker {
    pub(super) fn new(held: Arc<Held>) -> Self {
        Self { held, raw: Vec::new(), masked: Vec::new(), taken: 0 }
    }

    /// Where the next piece of the body is to be put.
    pub(crate) fn raw(&mut self) -> &mut Vec<u8> {
        &mut self.raw
    }

    /// Looks through what has come. At the end of the body nothing is held back.
    pub(crate) fn mask(&mut self, at_end: bool) {
        let Some(mask) = &self.held.mask else { return };
        let mut end = 0;
        let safe = if at_end { self.raw.len() } else { mask.cut_at(&self.raw) };
        for (pair, range) in mask.find(&self.raw) {
            if range.start >= safe {
                break;
            }
            self.masked.extend_from_slice(&self.raw[end..range.start]);
            self.masked.extend_from_slice(mask.by(pair).as_bytes());
            end = range.end;
        }
        if end < safe {
            self.masked.extend_from_slice(&self.raw[end..safe]);
            end = safe;
        }
        self.raw.drain(..end);
    }

    /// Moves at most `max` masked bytes; returns how many.
    pub(crate) fn take(&mut self, into: &mut Vec<u8>, max: usize) -> usize {
        let end = self.masked.len().min(self.taken.saturating_add(max));
        let bytes = end - self.taken;
        into.extend_from_slice(&self.masked[self.taken..end]);
        self.taken = end;
        if end == self.masked.len() {
            self.masked.clear();
            self.taken = 0;
        }
        bytes
    }
}
