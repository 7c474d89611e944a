//! Folds the operations on one table, per key and in the order issued, to what they amount to. Pure.
//!
//! The result depends on the stream of operations alone, never on how it was batched (docs/INVARIANTS.md, 3).

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::buffer::{Buffer, Log};
use super::column::Column;
use model::OperationKind;
use model::error::{Code, Error, Result};
use warehouse::{Segment, SegmentColumn};

/// Rows of one kind with what is known of each.
#[derive(Debug, Default)]
struct Part {
    buffer: Buffer,
    /// The hash of each row's key.
    hashes: Vec<u64>,
    /// Marked as deleted.
    deleted: Vec<bool>,
    /// Overtaken by a later operation on the same key.
    dead: Vec<bool>,
}

/// What the operations of a table amount to since the last segment.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    /// Whole rows.
    rows: Part,
    /// Changes to rows that only the warehouse has.
    patches: Part,
    index: HashTable<Slot>,
    truncates: bool,
    /// Upserts of a key that was upserted before.
    pub(crate) repeated: u64,
}

/// Where the latest operation on a key stands.
#[derive(Clone, Copy, Debug)]
struct Slot {
    patch: bool,
    row: u32,
}

/// Hashes of the keys that earlier segments of this sync inserted: tells of repeated keys, and whether a segment's rows
/// can already be in the table. Bounded: past `SEEN_MAX` keys it gives up and everything may have been seen.
#[derive(Debug)]
pub(crate) struct Seen {
    hashes: HashTable<u64>,
    /// The table had no rows when the sync began and every key since is in `hashes`.
    complete: bool,
}

/// As many as a table of 2^20 places takes before it doubles: 9 MB at most.
const SEEN_MAX: usize = (1 << 20) / 8 * 7;

impl Seen {
    pub(crate) fn new(table_is_empty: bool) -> Self {
        Self { hashes: HashTable::new(), complete: table_is_empty }
    }

    /// Notes keys; returns how many were there before and whether surely none was in the table.
    fn note(&mut self, hashes: impl Iterator<Item = u64>) -> (u64, bool) {
        let mut repeated = 0;
        for hash in hashes {
            if self.hashes.find(hash, |other| *other == hash).is_some() {
                repeated += 1;
            } else if self.hashes.len() < SEEN_MAX {
                self.hashes.insert_unique(hash, hash, |other| *other);
            } else {
                self.complete = false;
            }
        }
        (repeated, self.complete && repeated == 0)
    }
}

impl Part {
    fn push(&mut self, log: &Buffer, row: usize, below: Option<usize>, hash: u64) -> u32 {
        self.buffer.append_row(log, row, below);
        self.hashes.push(hash);
        self.deleted.push(below.is_some_and(|below| self.deleted[below]));
        self.dead.push(false);
        position(self.dead.len() - 1)
    }
}

fn position(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX)
}

fn at(slot: Slot) -> usize {
    slot.row as usize
}

/// The hash of a row's key; the same for equal keys within a process.
fn hash_key(hasher: &DefaultHashBuilder, buffer: &Buffer, row: usize, key: &[usize]) -> u64 {
    let mut state = hasher.build_hasher();
    for column in key {
        match buffer.cell(row, *column) {
            Some(cell) => cell.hash_key(buffer.columns.get(*column).and_then(Column::column_type), &mut state),
            None => 0u8.hash(&mut state),
        }
    }
    state.finish()
}

impl Fold {
    /// Applies operations in order. `key`: the columns of the primary key.
    pub(crate) fn apply(&mut self, log: &mut Log, key: &[usize], hasher: &DefaultHashBuilder) {
        log.buffer.align();
        if log.is_plain() && self.patches.dead.is_empty() {
            return self.append(log, key, hasher);
        }
        self.rows.buffer.widen_like(&log.buffer);
        self.patches.buffer.widen_like(&log.buffer);
        let mut truncates = log.truncates.iter().peekable();
        for row in 0..log.kinds.len() {
            while truncates.next_if(|before| **before <= row).is_some() {
                self.truncate();
            }
            let hash = hash_key(hasher, &log.buffer, row, key);
            match log.kinds[row] {
                OperationKind::Upsert => self.upsert(&log.buffer, row, key, hash),
                OperationKind::Update => self.update(&log.buffer, row, key, hash),
                OperationKind::Delete => self.delete(&log.buffer, row, key, hash),
                OperationKind::Truncate => self.truncate(),
            }
        }
        truncates.for_each(|_| self.truncate());
    }

    /// Upserts only: whole columns at a time, then the index.
    fn append(&mut self, log: &mut Log, key: &[usize], hasher: &DefaultHashBuilder) {
        let first = self.rows.dead.len();
        if first == 0 {
            self.rows.buffer = std::mem::take(&mut log.buffer);
        } else {
            self.rows.buffer.widen_like(&log.buffer);
            self.rows.buffer.append(&log.buffer);
        }
        let rows = self.rows.buffer.rows();
        self.rows.deleted.resize(rows, false);
        self.rows.dead.resize(rows, false);
        for row in first..rows {
            let hash = hash_key(hasher, &self.rows.buffer, row, key);
            self.rows.hashes.push(hash);
            let Part { buffer, hashes, dead, .. } = &mut self.rows;
            let slot = Slot { patch: false, row: position(row) };
            match self.index.find_mut(hash, |slot| same_key((buffer, at(*slot)), (buffer, row), key)) {
                Some(found) => {
                    dead[at(*found)] = true;
                    *found = slot;
                    self.repeated += 1;
                }
                None => drop(self.index.insert_unique(hash, slot, |slot| hashes[at(*slot)])),
            }
        }
    }

    fn find(&self, log: &Buffer, row: usize, key: &[usize], hash: u64) -> Option<Slot> {
        let same = |slot: &Slot| {
            let part = if slot.patch { &self.patches } else { &self.rows };
            same_key((&part.buffer, at(*slot)), (log, row), key)
        };
        self.index.find(hash, same).copied()
    }

    /// Points the key's entry at a new place.
    fn point(&mut self, old: Option<Slot>, new: Slot, hash: u64) {
        let (rows, patches) = (&self.rows.hashes, &self.patches.hashes);
        let hash_of = |slot: &Slot| if slot.patch { patches[at(*slot)] } else { rows[at(*slot)] };
        let same = |slot: &Slot| old.is_some_and(|old| old.patch == slot.patch && old.row == slot.row);
        match self.index.find_mut(hash, same) {
            Some(entry) => *entry = new,
            None => drop(self.index.insert_unique(hash, new, hash_of)),
        }
        if let Some(old) = old {
            let part = if old.patch { &mut self.patches } else { &mut self.rows };
            part.dead[at(old)] = true;
        }
    }

    fn upsert(&mut self, log: &Buffer, row: usize, key: &[usize], hash: u64) {
        let old = self.find(log, row, key, hash);
        self.repeated += u64::from(old.is_some_and(|old| !old.patch));
        let row = self.rows.push(log, row, None, hash);
        self.point(old, Slot { patch: false, row }, hash);
    }

    /// Overlays the columns given; a row that is marked as deleted stays so.
    fn update(&mut self, log: &Buffer, row: usize, key: &[usize], hash: u64) {
        let old = self.find(log, row, key, hash);
        let patch = old.is_none_or(|old| old.patch);
        let part = if patch { &mut self.patches } else { &mut self.rows };
        let row = part.push(log, row, old.map(at), hash);
        self.point(old, Slot { patch, row }, hash);
    }

    fn delete(&mut self, log: &Buffer, row: usize, key: &[usize], hash: u64) {
        if let Some(old) = self.find(log, row, key, hash) {
            let part = if old.patch { &mut self.patches } else { &mut self.rows };
            part.deleted[at(old)] = true;
            return;
        }
        let row = self.patches.push(log, row, None, hash);
        self.patches.deleted[row as usize] = true;
        self.point(None, Slot { patch: true, row }, hash);
    }

    fn truncate(&mut self) {
        self.truncates = true;
        self.rows.deleted.fill(true);
        self.patches.deleted.fill(true);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.dead.is_empty() && self.patches.dead.is_empty() && !self.truncates
    }

    /// Everything folded so far as one segment of table `table`.
    pub(crate) fn finish(&mut self, table: usize, seen: &mut Seen) -> Result<Segment> {
        let fold = std::mem::take(self);
        let alive = fold.rows.hashes.iter().zip(&fold.rows.dead).filter(|(_, dead)| !**dead).map(|(hash, _)| *hash);
        let (repeated, fresh) = seen.note(alive);
        self.repeated = fold.repeated + repeated;
        let (mut rows, mut patches) = (fold.rows, fold.patches);
        rows.buffer.widen_like(&patches.buffer);
        patches.buffer.widen_like(&rows.buffer);
        let columns = segment_columns(&rows.buffer);
        let rows = batch(rows, &columns, false)?;
        let patches = batch(patches, &columns, true)?;
        Ok(Segment { table, truncates: fold.truncates, columns, rows, patches, fresh })
    }
}

fn same_key(left: (&Buffer, usize), right: (&Buffer, usize), key: &[usize]) -> bool {
    key.iter().all(|column| left.0.cell(left.1, *column) == right.0.cell(right.1, *column))
}

fn segment_columns(buffer: &Buffer) -> Vec<SegmentColumn> {
    let typed =
        buffer.columns.iter().enumerate().filter_map(|(column, values)| {
            values.column_type().map(|column_type| SegmentColumn { column, column_type })
        });
    typed.collect()
}

/// The rows that no later operation overtook, in the shape that `Segment` documents.
fn batch(part: Part, columns: &[SegmentColumn], with_given: bool) -> Result<RecordBatch> {
    let rows = part.dead.len();
    let mut values: Vec<Option<Column>> = part.buffer.columns.into_iter().map(Some).collect();
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len() * 2 + 1);
    let mut given: Vec<ArrayRef> = Vec::new();
    for column in columns {
        let taken = values.get_mut(column.column).and_then(Option::take);
        let mut taken = taken.unwrap_or_else(|| Column::new(Some(column.column_type)));
        taken.pad(rows);
        if with_given {
            given.push(taken.given());
        }
        let unkept = |error| Error::new(Code::HostBug, "build a batch of rows").because(error);
        arrays.push(taken.into_array().map_err(unkept)?);
    }
    arrays.append(&mut given);
    arrays.push(Arc::new(BooleanArray::from(part.deleted)));
    let fields = arrays
        .iter()
        .enumerate()
        .map(|(index, array)| Field::new(format!("c{index}"), array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let bug = |error| Error::new(Code::HostBug, "build a batch of rows").because(error);
    let batch = RecordBatch::try_new_with_options(schema, arrays, &options).map_err(bug)?;
    if !part.dead.contains(&true) {
        return Ok(batch);
    }
    let alive = BooleanArray::from(part.dead.iter().map(|dead| !dead).collect::<Vec<_>>());
    filter_record_batch(&batch, &alive).map_err(bug)
}
