//! Masks a body that comes in pieces: a secret that two pieces share is found all the same.
//!
//! What is held back of a body is always as long, whatever stands in it: it tells nobody what a secret begins with.

use super::{Escape, Secrets};
use crate::egress::Target;

/// Takes a body as it comes and gives it back with placeholders for secrets.
pub(crate) struct Masker {
    secrets: Secrets,
    /// Where the body comes from.
    target: Target,
    content_type: Escape,
    /// Not looked through to its end yet: a secret may begin in it.
    raw: Vec<u8>,
    /// Masked; the first `taken` bytes are gone.
    masked: Vec<u8>,
    taken: usize,
}

impl Masker {
    pub(super) fn new(secrets: Secrets, target: Target, content_type: Escape) -> Self {
        Self { secrets, target, content_type, raw: Vec::new(), masked: Vec::new(), taken: 0 }
    }

    /// Where the next piece of the body is to be put.
    pub(crate) fn raw(&mut self) -> &mut Vec<u8> {
        &mut self.raw
    }

    /// Looks through what has come. At the end of the body nothing is held back.
    pub(crate) fn mask(&mut self, at_end: bool) {
        let held = self.secrets.held();
        let finder = held.finder_for(&self.target);
        let held_back = finder.as_ref().map_or(0, |finder| finder.held_back_bytes());
        let safe = if at_end { self.raw.len() } else { self.raw.len().saturating_sub(held_back) };
        let mut end = 0;
        for found in finder.iter().flat_map(|finder| finder.find(&self.raw)) {
            if found.range.start >= safe {
                break;
            }
            self.masked.extend_from_slice(&self.raw[end..found.range.start]);
            let stand_in = self.secrets.0.stand_in(&held, &found, &self.raw, self.content_type);
            self.masked.extend_from_slice(stand_in.as_bytes());
            end = found.range.end;
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
