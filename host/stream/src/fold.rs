//! Folds the operations on one table, per key and in the order issued, to what they amount to. Pure.
//!
//! The result depends on the stream of operations alone, never on how it was batched (docs/INVARIANTS.md, 3).

use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::buffer::{Buffer, Log};
use super::column::{Cell, Column};
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
    keys_max: usize,
}

/// As many as a table of 2^20 places takes before it doubles: 9 MB at most.
const SEEN_MAX: usize = (1 << 20) / 8 * 7;

impl Seen {
    pub(crate) fn new(table_is_empty: bool) -> Self {
        Self { hashes: HashTable::new(), complete: table_is_empty, keys_max: SEEN_MAX }
    }

    /// Takes in no more keys than there is memory for: a table has room for up to twice as many as it holds.
    pub(crate) fn limit(&mut self, more_bytes: usize) {
        let more = more_bytes / (2 * (size_of::<u64>() + 1));
        self.keys_max = SEEN_MAX.min(self.hashes.len() + more);
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.hashes.capacity() * (size_of::<u64>() + 1)
    }

    /// Notes keys; returns how many were there before and whether surely none was in the table.
    fn note(&mut self, hashes: impl Iterator<Item = u64>) -> (u64, bool) {
        let mut repeated = 0;
        for hash in hashes {
            if self.hashes.find(hash, |other| *other == hash).is_some() {
                repeated += 1;
            } else if self.hashes.len() < self.keys_max {
                self.hashes.insert_unique(hash, hash, |other| *other);
            } else {
                self.complete = false;
            }
        }
        (repeated, self.complete && repeated == 0)
    }
}

impl Part {
    fn push(&mut self, log: &Buffer, row: usize, hash: u64) -> Result<u32> {
        let place = position(self.dead.len())?;
        self.buffer.append_row(log, row)?;
        self.hashes.push(hash);
        self.deleted.push(false);
        self.dead.push(false);
        Ok(place)
    }

    fn memory_bytes(&self) -> usize {
        let of_rows = size_of::<u64>() + 2 * size_of::<bool>();
        self.buffer.memory_bytes() + self.dead.len() * of_rows
    }
}

/// Rows are numbered with 32 bits: memory ends before that, unless an operator gives more than any table needs.
fn position(row: usize) -> Result<u32> {
    u32::try_from(row).map_err(|_| {
        Error::new(Code::LimitMemory, "keep more than 4,294,967,295 rows in memory").hint("Save checkpoints more often.")
    })
}

fn at(slot: Slot) -> usize {
    slot.row as usize
}

/// The hash of a row's key; the same for equal keys within a process.
fn hash_key(hasher: &DefaultHashBuilder, buffer: &Buffer, row: usize, key: &[usize]) -> u64 {
    let mut state = hasher.build_hasher();
    for column in key {
        match buffer.cell(row, *column) {
            Some(Cell::Boolean(value)) => value.hash(&mut state),
            Some(Cell::Integer(value)) => value.hash(&mut state),
            Some(Cell::Decimal(value)) => value.hash(&mut state),
            // Equal numbers hash alike: -0 is 0. So it is for every warehouse.
            Some(Cell::Double(value)) => (value + 0.0).to_bits().hash(&mut state),
            Some(Cell::Text(value)) => value.hash(&mut state),
            None => 0u8.hash(&mut state),
        }
    }
    state.finish()
}

impl Fold {
    /// Applies operations in order. `key`: the columns of the primary key.
    pub(crate) fn apply(&mut self, log: &mut Log, key: &[usize], hasher: &DefaultHashBuilder) -> Result<()> {
        if log.is_plain() && self.patches.dead.is_empty() {
            return self.append(log, key, hasher);
        }
        self.rows.buffer.widen_like(&log.buffer)?;
        self.patches.buffer.widen_like(&log.buffer)?;
        let mut truncates = log.truncates.iter().peekable();
        for row in 0..log.kinds.len() {
            while truncates.next_if(|before| **before <= row).is_some() {
                self.truncate();
            }
            let hash = hash_key(hasher, &log.buffer, row, key);
            match log.kinds[row] {
                OperationKind::Upsert => self.upsert(&log.buffer, row, key, hash)?,
                OperationKind::Update => self.update(&log.buffer, row, key, hash)?,
                OperationKind::Delete => self.delete(&log.buffer, row, key, hash)?,
                OperationKind::Truncate => self.truncate(),
            }
        }
        truncates.for_each(|_| self.truncate());
        Ok(())
    }

    /// Upserts only: whole columns at a time, then the index.
    fn append(&mut self, log: &mut Log, key: &[usize], hasher: &DefaultHashBuilder) -> Result<()> {
        let first = self.rows.dead.len();
        if first == 0 {
            self.rows.buffer = std::mem::take(&mut log.buffer);
        } else {
            self.rows.buffer.widen_like(&log.buffer)?;
            self.rows.buffer.append(&log.buffer)?;
        }
        let rows = self.rows.buffer.rows();
        self.rows.deleted.resize(rows, false);
        self.rows.dead.resize(rows, false);
        for row in first..rows {
            let hash = hash_key(hasher, &self.rows.buffer, row, key);
            self.rows.hashes.push(hash);
            let Part { buffer, hashes, dead, .. } = &mut self.rows;
            let slot = Slot { patch: false, row: position(row)? };
            match self.index.find_mut(hash, |slot| same_key((buffer, at(*slot)), (buffer, row), key)) {
                Some(found) => {
                    dead[at(*found)] = true;
                    *found = slot;
                    self.repeated += 1;
                }
                None => drop(self.index.insert_unique(hash, slot, |slot| hashes[at(*slot)])),
            }
        }
        Ok(())
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

    fn upsert(&mut self, log: &Buffer, row: usize, key: &[usize], hash: u64) -> Result<()> {
        let old = self.find(log, row, key, hash);
        self.repeated += u64::from(old.is_some_and(|old| !old.patch));
        let row = self.rows.push(log, row, hash)?;
        self.point(old, Slot { patch: false, row }, hash);
        Ok(())
    }

    /// Overlays the columns given, in place: what a row holds besides is not touched, however large. A row that is marked
    /// as deleted stays so.
    fn update(&mut self, log: &Buffer, row: usize, key: &[usize], hash: u64) -> Result<()> {
        let Some(old) = self.find(log, row, key, hash) else {
            let row = self.patches.push(log, row, hash)?;
            self.point(None, Slot { patch: true, row }, hash);
            return Ok(());
        };
        let part = if old.patch { &mut self.patches } else { &mut self.rows };
        part.buffer.overlay(at(old), (log, row), key)
    }

    fn delete(&mut self, log: &Buffer, row: usize, key: &[usize], hash: u64) -> Result<()> {
        if let Some(old) = self.find(log, row, key, hash) {
            let part = if old.patch { &mut self.patches } else { &mut self.rows };
            part.deleted[at(old)] = true;
            return Ok(());
        }
        let row = self.patches.push(log, row, hash)?;
        self.patches.deleted[row as usize] = true;
        self.point(None, Slot { patch: true, row }, hash);
        Ok(())
    }

    fn truncate(&mut self) {
        self.truncates = true;
        self.rows.deleted.fill(true);
        self.patches.deleted.fill(true);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.dead.is_empty() && self.patches.dead.is_empty() && !self.truncates
    }

    /// Bytes that are kept for the rows.
    pub(crate) fn memory_bytes(&self) -> usize {
        let index = self.index.capacity() * (size_of::<Slot>() + 1);
        self.rows.memory_bytes() + self.patches.memory_bytes() + index
    }

    /// Everything folded so far as segments of table `table`: one, unless its columns have so few values that an array of
    /// each would take far more memory than they do.
    pub(crate) fn finish(
        &mut self,
        table: usize,
        seen: &mut Seen,
        each: &mut dyn FnMut(Segment) -> Result<()>,
    ) -> Result<()> {
        let memory_bytes = self.memory_bytes();
        let fold = std::mem::take(self);
        let alive = fold.rows.hashes.iter().zip(&fold.rows.dead).filter(|(_, dead)| !**dead).map(|(hash, _)| *hash);
        let (repeated, fresh) = seen.note(alive);
        self.repeated = fold.repeated + repeated;
        let Self { mut rows, mut patches, truncates, .. } = fold;
        rows.buffer.widen_like(&patches.buffer)?;
        patches.buffer.widen_like(&rows.buffer)?;
        let all = Pieces { rows: 0..rows.dead.len(), patches: 0..patches.dead.len() };
        let segment = |truncates, columns, (rows, patches)| Segment { table, truncates, columns, rows, patches, fresh };
        if all.array_bytes(&rows, &patches) <= PIECE_BYTES.max(memory_bytes + memory_bytes / 4) {
            let columns = segment_columns(&rows, &patches, &all);
            let batches = (rows.into_batch(&columns, false)?, patches.into_batch(&columns, true)?);
            return each(segment(truncates, columns, batches));
        }
        let mut truncates = truncates;
        all.cut(&rows, &patches, &mut |piece| {
            let columns = segment_columns(&rows, &patches, &piece);
            let batches =
                (rows.batch(&piece.rows, &columns, false)?, patches.batch(&piece.patches, &columns, true)?);
            each(segment(std::mem::take(&mut truncates), columns, batches))
        })
    }
}

/// What the arrays of a segment take at most, where the rows in memory take less.
const PIECE_BYTES: usize = 16 << 20;

/// Some of the rows and some of the patches.
struct Pieces {
    rows: Range<usize>,
    patches: Range<usize>,
}

impl Pieces {
    fn array_bytes(&self, rows: &Part, patches: &Part) -> usize {
        let bytes = |part: &Part, range: &Range<usize>| -> usize {
            part.buffer.typed_columns().map(|(_, _, column)| column.array_bytes(range)).sum()
        };
        bytes(rows, &self.rows) + bytes(patches, &self.patches)
    }

    /// Calls `each` with pieces of this whose arrays are no larger than `PIECE_BYTES`, or of one row. Rows of like columns
    /// come together: halves of which one has few columns are cheap.
    fn cut(self, rows: &Part, patches: &Part, each: &mut dyn FnMut(Self) -> Result<()>) -> Result<()> {
        let mut left = vec![Self { rows: 0..0, patches: self.patches }, Self { rows: self.rows, patches: 0..0 }];
        while let Some(piece) = left.pop() {
            let (length, is_patch) = (piece.rows.len() + piece.patches.len(), piece.rows.is_empty());
            if length == 0 {
                continue;
            }
            if length == 1 || piece.array_bytes(rows, patches) <= PIECE_BYTES {
                each(piece)?;
                continue;
            }
            let range = if is_patch { piece.patches } else { piece.rows };
            let middle = range.start + length / 2;
            let of = |range| if is_patch { Self { rows: 0..0, patches: range } } else { Self { rows: range, patches: 0..0 } };
            left.push(of(middle..range.end));
            left.push(of(range.start..middle));
        }
        Ok(())
    }
}

fn same_key(left: (&Buffer, usize), right: (&Buffer, usize), key: &[usize]) -> bool {
    key.iter().all(|column| left.0.cell(left.1, *column) == right.0.cell(right.1, *column))
}

/// The columns that a row or a patch of these names.
fn segment_columns(rows: &Part, patches: &Part, of: &Pieces) -> Vec<SegmentColumn> {
    let mut columns: Vec<SegmentColumn> = Vec::new();
    let mut patched = patches.buffer.typed_columns().filter(|(.., column)| column.names(&of.patches)).peekable();
    for (index, column_type, column) in rows.buffer.typed_columns() {
        // Both have the same columns, of the same types.
        let is_patched = patched.next_if(|(other, ..)| *other <= index).is_some();
        if is_patched || column.names(&of.rows) {
            columns.push(SegmentColumn { column: index, column_type });
        }
    }
    columns
}

impl Part {
    /// All rows, in the shape that `Segment` documents.
    fn into_batch(mut self, columns: &[SegmentColumn], with_given: bool) -> Result<RecordBatch> {
        let rows = self.dead.len();
        let arrays = columns.iter().map(|column| {
            let values = self.buffer.take_column(column.column);
            values.unwrap_or_else(|| Column::new(Some(column.column_type))).into_arrays(rows, with_given)
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        shaped(arrays, &self.deleted, &self.dead)
    }

    /// Some of the rows, in the same shape.
    fn batch(&self, rows: &Range<usize>, columns: &[SegmentColumn], with_given: bool) -> Result<RecordBatch> {
        let own: HashMap<usize, &Column> =
            self.buffer.typed_columns().map(|(index, _, column)| (index, column)).collect();
        let arrays = columns.iter().map(|column| match own.get(&column.column) {
            Some(values) => values.arrays(rows, with_given),
            None => Column::new(Some(column.column_type)).into_arrays(rows.len(), with_given),
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        shaped(arrays, &self.deleted[rows.clone()], &self.dead[rows.clone()])
    }
}

/// Columns, and what says whether a row names each, as a batch of the rows that no later operation overtook.
fn shaped(columns: Vec<(ArrayRef, Option<ArrayRef>)>, deleted: &[bool], dead: &[bool]) -> Result<RecordBatch> {
    let (mut arrays, given): (Vec<ArrayRef>, Vec<Option<ArrayRef>>) = columns.into_iter().unzip();
    arrays.extend(given.into_iter().flatten());
    arrays.push(Arc::new(BooleanArray::from(deleted.to_vec())));
    let fields = arrays
        .iter()
        .enumerate()
        .map(|(index, array)| Field::new(format!("c{index}"), array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(dead.len()));
    let bug = |error| Error::new(Code::HostBug, "build a batch of rows").because(error);
    let batch = RecordBatch::try_new_with_options(schema, arrays, &options).map_err(bug)?;
    if !dead.contains(&true) {
        return Ok(batch);
    }
    let alive = BooleanArray::from(dead.iter().map(|dead| !dead).collect::<Vec<_>>());
    filter_record_batch(&batch, &alive).map_err(bug)
}
