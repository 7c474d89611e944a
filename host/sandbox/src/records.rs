//! The records of an answer's body, told apart and kept for the guest, so that rows that a connector hands on as they are
//! never enter the sandbox. Pure.
//!
//! Where they begin and end is found by bit masks for 64 bytes at a time; what is around them is read by `serde_json`. That
//! they themselves are JSON is checked where they are read: by the decoder of rows, or by the guest.

mod block;
mod search;
mod split;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::slice;

use bytes::Bytes;

use self::search::{Goal, search};

/// A batch as large as this is handed over; beyond a mebibyte more bytes in one save nothing.
const BATCH_BYTES: usize = 1 << 20;
/// Rows that make a batch, however short they are.
const BATCH_ROWS: u64 = 50_000;
/// JSON nested deeper is not read, so that a longer pointer leads nowhere either.
const STEPS_MAX: usize = 256;

/// What one record takes besides its bytes.
pub(super) const RECORD_BYTES: usize = size_of::<Range<usize>>();

/// Records in a body.
#[derive(Debug)]
pub(super) struct Records {
    body: Bytes,
    elements: Vec<Range<usize>>,
    /// Whether there may be line breaks in them.
    has_breaks: bool,
}

/// Why there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The body is no JSON text; says why.
    NotJson(String),
    /// There is no array at the path.
    NotThere,
    /// There are more than there is memory for.
    TooMany,
}

/// The steps of a pointer by RFC 6901; `None` where it is none.
pub(super) fn path(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let steps = pointer.strip_prefix('/')?.split('/').take(STEPS_MAX);
    Some(steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

impl Records {
    /// Finds the elements of the array at `path`, up to so many.
    pub(super) fn find(body: Bytes, path: &[String], elements_max: usize) -> Result<Self, Missing> {
        let Ok(json) = simdutf8::basic::from_utf8(&body) else {
            // The quick check does not say where.
            let error = std::str::from_utf8(&body).err().map(|error| error.to_string());
            return Err(Missing::NotJson(error.unwrap_or_default()));
        };
        let (elements, has_breaks) = locate(json, path, elements_max)?;
        Ok(Self { body, elements, has_breaks })
    }

    pub(super) fn len(&self) -> usize {
        self.elements.len()
    }

    /// How many bytes the body has.
    pub(super) fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// What it takes besides the body.
    pub(super) fn places_bytes(&self) -> usize {
        self.elements.capacity() * RECORD_BYTES
    }

    /// The body with an empty array in the place of the records.
    pub(super) fn rest(&self) -> Vec<u8> {
        match (self.elements.first(), self.elements.last()) {
            (Some(first), Some(last)) => [&self.body[..first.start], &self.body[last.end..]].concat(),
            _ => self.body.to_vec(),
        }
    }

    /// Of `count` records from `first` on those that are there, as lines.
    pub(super) fn read(&self, first: usize, count: usize) -> Vec<u8> {
        let first = first.min(self.len());
        self.lines(&self.elements[first..self.len().min(first.saturating_add(count))])
    }

    /// The records from `first` on that make one batch, as lines, and how many they are; `None` at the end.
    pub(super) fn batch(&self, first: usize, rows_max: u64) -> Option<(Vec<u8>, usize)> {
        let rows_max = usize::try_from(rows_max.clamp(1, BATCH_ROWS)).unwrap_or(usize::MAX);
        let (mut bytes, mut count) = (0, 0);
        for record in self.elements.get(first..)?.iter().take(rows_max) {
            if bytes >= BATCH_BYTES {
                break;
            }
            bytes += record.len() + 1;
            count += 1;
        }
        (count > 0).then(|| (self.read(first, count), count))
    }

    /// Raw line breaks stand between tokens only, never in a string of JSON, so that a space says the same.
    fn lines(&self, records: &[Range<usize>]) -> Vec<u8> {
        let mut lines = Vec::with_capacity(records.iter().map(|record| record.len() + 1).sum());
        for record in records {
            let start = lines.len();
            lines.extend_from_slice(&self.body[record.clone()]);
            if self.has_breaks {
                for byte in &mut lines[start..] {
                    *byte = if matches!(*byte, b'\n' | b'\r') { b' ' } else { *byte };
                }
            }
            lines.push(b'\n');
        }
        lines
    }
}

/// Where the elements of the array lie, and whether there may be line breaks in them.
fn locate(json: &str, path: &[String], elements_max: usize) -> Result<(Vec<Range<usize>>, bool), Missing> {
    let thorough = Goal { path, elements_max, to_first: false };
    let (mut found, mut searched) = search(json, Goal { to_first: true, ..thorough });
    if let Some(first) = found.first {
        if let Some(objects) = objects(json, first, thorough) {
            return Ok((objects.elements, objects.has_breaks));
        }
        // The boundaries were not to be found, and a thorough reader says why.
        (found, searched) = search(json, thorough);
    }
    match (searched, found.elements) {
        _ if found.too_many => Err(Missing::TooMany),
        (Err(error), _) => Err(Missing::NotJson(error.to_string())),
        (Ok(()), None) => Err(Missing::NotThere),
        (Ok(()), Some(elements)) => Ok((elements, true)),
    }
}

/// The records from `first` on, if they can be told apart; the text around them is read with one number in their place.
fn objects(json: &str, first: usize, goal: Goal<'_>) -> Option<split::Objects> {
    let objects = split::objects(json.as_bytes(), first, goal.elements_max)?;
    let rest = format!("{}0{}", json.get(..first)?, json.get(objects.elements.last()?.end..)?);
    let (found, searched) = search(&rest, goal);
    // Where a name is given twice the last one counts, which may be another array than the one that was split.
    let same = searched.is_ok() && found.elements? == slice::from_ref(&(first..first + 1));
    same.then_some(objects)
}
