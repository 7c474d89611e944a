//! Collects operations, so that one call to the host carries many.

use crate::bindings::elt::connector::operations::{Batch, Kind};
use crate::error::{Error, Result};
use crate::imports;
use crate::record::{Row, start_of};

/// A hand-over costs a copy, not a wait; beyond a mebibyte more bytes a call save nothing.
const BYTES_MAX: usize = 1 << 20;
/// Half of what the host takes in one batch.
const ROWS_MAX: usize = 50_000;
/// Bounds the calls' cost where kinds or tables alternate at every row.
const BATCHES_MAX: usize = 10_000;

/// Operations not yet handed over, in order.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    batches: Vec<Batch>,
    bytes: usize,
    rows: usize,
    /// An emptied buffer, to be filled again instead of growing a new one.
    spare: Vec<u8>,
}

impl Buffer {
    /// Adds a row as one line, and hands everything over where that fills the buffer.
    pub(super) fn push(&mut self, table: &str, kind: Kind, row: impl Row) -> Result<()> {
        let rows = &mut self.batch(table, kind).rows;
        let start = rows.len();
        if let Err(error) = append_line(rows, row) {
            rows.truncate(start);
            return Err(error.context(format_args!("table `{table}`")));
        }
        self.bytes += self.batches.last().map_or(0, |batch| batch.rows.len() - start);
        self.rows += 1;
        if self.bytes >= BYTES_MAX || self.rows >= ROWS_MAX || self.batches.len() >= BATCHES_MAX {
            self.hand_over();
        }
        Ok(())
    }

    pub(super) fn truncate(&mut self, table: &str) {
        self.batches.push(Batch { table: table.to_owned(), kind: Kind::Truncate, rows: Vec::new() });
    }

    /// Hands over what there is; without anything no call is made.
    pub(super) fn hand_over(&mut self) {
        if self.batches.is_empty() {
            return;
        }
        imports::write(&self.batches);
        let largest = self.batches.drain(..).map(|batch| batch.rows).max_by_key(Vec::capacity);
        self.spare = largest.unwrap_or_default();
        self.spare.clear();
        (self.bytes, self.rows) = (0, 0);
    }

    /// The batch to append to: the last one, or a new one where table or kind change.
    fn batch(&mut self, table: &str, kind: Kind) -> &mut Batch {
        let fits = self.batches.last().is_some_and(|last| last.kind == kind && last.table == table);
        if !fits {
            let rows = std::mem::take(&mut self.spare);
            self.batches.push(Batch { table: table.to_owned(), kind, rows });
        }
        let last = self.batches.len() - 1;
        &mut self.batches[last]
    }
}

/// Appends a row and a line feed. Raw line breaks stand between tokens only, never in a JSON string, so that a space
/// says the same.
fn append_line(rows: &mut Vec<u8>, row: impl Row) -> Result<()> {
    let start = rows.len();
    row.write_to(rows).map_err(|error| Error::internal(format_args!("a row has no JSON form: {error}")))?;
    let end = rows.len();
    // Whole vectors: what is left over would go byte by byte, as slow as all the rest.
    rows.resize(start + (end - start).next_multiple_of(16), b' ');
    blank_breaks(&mut rows[start..]);
    rows.truncate(end);
    let line = &rows[start..];
    if line.trim_ascii_start().first() != Some(&b'{') {
        let line = String::from_utf8_lossy(line);
        return Err(Error::internal(format_args!("a row is no JSON object: {}", start_of(&line))));
    }
    rows.push(b'\n');
    Ok(())
}

/// Every byte is written, changed or not: that makes it vector instructions, 16 bytes at a time. The attribute spares
/// the connector's build any flag.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
fn blank_breaks(line: &mut [u8]) {
    for byte in line {
        *byte = if matches!(*byte, b'\n' | b'\r') { b' ' } else { *byte };
    }
}
