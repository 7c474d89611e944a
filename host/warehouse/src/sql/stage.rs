//! Segments that wait for their commit: small ones in memory, more than that in the engine's temporary tables, which it
//! writes to disk when its own memory runs short.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;

use super::ddl::quoted;
use super::engine::{Engine, LoadColumn, Target};
use crate::{Segment, SegmentColumn};
use model::schema::ColumnType;

/// A batch where a statement can read it: columns `c0`, `c1` … in the segment's order, then for patches `g0`, `g1` …
/// (given), then `d` (deleted).
#[derive(Debug)]
pub(super) struct Spilled {
    /// The temporary table.
    pub(super) table: String,
    pub(super) rows: usize,
}

/// A batch, wherever it is.
#[derive(Debug)]
pub(super) enum Batch {
    Memory(RecordBatch),
    Spilled(Spilled),
}

impl Batch {
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Memory(batch) => batch.num_rows(),
            Self::Spilled(spilled) => spilled.rows,
        }
    }

    /// Bytes of values in memory, without the room that their vectors have left.
    fn bytes(&self) -> usize {
        match self {
            Self::Memory(batch) => crate::values_bytes(batch),
            Self::Spilled(_) => 0,
        }
    }

    /// Whether there may be a row that is marked as deleted.
    pub(super) fn may_delete(&self) -> bool {
        match self {
            Self::Memory(batch) => {
                let marks = batch.columns().last().and_then(|marks| marks.as_boolean_opt());
                marks.is_none_or(|marks| marks.true_count() > 0)
            }
            Self::Spilled(spilled) => spilled.rows > 0,
        }
    }
}

/// A segment whose batches may be in the engine.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) table: usize,
    pub(super) truncates: bool,
    pub(super) columns: Vec<SegmentColumn>,
    pub(super) rows: Batch,
    pub(super) patches: Batch,
    pub(super) fresh: bool,
    /// The rest of patches that another part has begun: whether a row is there was counted with that.
    pub(super) is_rest: bool,
}

impl From<Segment> for Staged {
    fn from(segment: Segment) -> Self {
        Self {
            table: segment.table,
            truncates: segment.truncates,
            columns: segment.columns,
            rows: Batch::Memory(segment.rows),
            patches: Batch::Memory(segment.patches),
            fresh: segment.fresh,
            is_rest: false,
        }
    }
}

/// A segment, with its patches cut by columns where a stage of them would be wider than a table can be: a stage has two
/// columns for each of theirs and one more. Every part has the key.
pub(super) fn parts(segment: Segment, key: &[usize], columns_max: usize) -> Result<Vec<Staged>, ArrowError> {
    let (room, count) = (columns_max.saturating_sub(1) / 2, segment.columns.len());
    if count <= room || segment.patches.num_rows() == 0 {
        return Ok(vec![segment.into()]);
    }
    let patches = segment.patches.clone();
    let is_key = |place: &usize| key.contains(&segment.columns[*place].column);
    let (own, others): (Vec<usize>, Vec<usize>) = (0..count).partition(is_key);
    let mut staged = Vec::new();
    for (number, some) in others.chunks(room.saturating_sub(own.len()).max(1)).enumerate() {
        let places: Vec<usize> = own.iter().chain(some).copied().collect();
        let given = places.iter().map(|place| count + place);
        let projected: Vec<usize> = places.iter().copied().chain(given).chain([2 * count]).collect();
        staged.push(Staged {
            table: segment.table,
            truncates: false,
            columns: places.iter().map(|place| segment.columns[*place]).collect(),
            rows: Batch::Memory(segment.rows.slice(0, 0)),
            patches: Batch::Memory(patches.project(&projected)?),
            fresh: false,
            is_rest: number > 0,
        });
    }
    let rows = Segment { patches: patches.slice(0, 0), ..segment };
    staged.insert(0, rows.into());
    Ok(staged)
}

/// What was staged since the last commit, in order.
#[derive(Debug)]
pub(super) struct Stage {
    segments: Vec<Staged>,
    bytes: usize,
    bytes_max: usize,
    tables: usize,
}

impl Stage {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { segments: Vec::new(), bytes: 0, bytes_max, tables: 0 }
    }

    /// Adds segments; when memory holds too much, moves everything into temporary tables.
    pub(super) fn push<E: Engine>(&mut self, engine: &mut E, segments: Vec<Staged>) -> Result<(), E::Failure> {
        self.bytes += segments.iter().map(|segment| segment.rows.bytes() + segment.patches.bytes()).sum::<usize>();
        self.segments.extend(segments);
        if self.bytes <= self.bytes_max {
            return Ok(());
        }
        engine.run(E::BEGIN)?;
        let spilled = self.spill(engine).and_then(|()| engine.run("COMMIT"));
        if spilled.is_err() {
            let _ = engine.run("ROLLBACK");
        }
        spilled
    }

    fn spill<E: Engine>(&mut self, engine: &mut E) -> Result<(), E::Failure> {
        for staged in &mut self.segments {
            for (batch, is_patch) in [(&mut staged.rows, false), (&mut staged.patches, true)] {
                if let Batch::Memory(memory) = &*batch {
                    self.tables += 1;
                    let columns = stage_columns(&staged.columns, is_patch);
                    let spilled = write(engine, &format!("_staged_{}", self.tables), &columns, memory)?;
                    *batch = Batch::Spilled(spilled);
                }
            }
        }
        self.bytes = 0;
        Ok(())
    }

    /// Hands over everything, in order.
    pub(super) fn take(&mut self) -> Vec<Staged> {
        self.bytes = 0;
        std::mem::take(&mut self.segments)
    }

    /// Forgets everything.
    pub(super) fn discard<E: Engine>(&mut self, engine: &mut E) -> Result<(), E::Failure> {
        for staged in self.take() {
            for batch in [staged.rows, staged.patches] {
                if let Batch::Spilled(spilled) = batch
                    && spilled.rows > 0
                {
                    let drop = format!("DROP TABLE {}", engine.temporary(&spilled.table));
                    engine.run(&drop)?;
                }
            }
        }
        Ok(())
    }
}

/// A stage's columns.
pub(super) fn stage_columns(columns: &[SegmentColumn], is_patch: bool) -> Vec<LoadColumn> {
    let values =
        columns.iter().enumerate().map(|(index, column)| LoadColumn::new(format!("c{index}"), column.column_type));
    let given = (0..if is_patch { columns.len() } else { 0 })
        .map(|index| LoadColumn::new(format!("g{index}"), ColumnType::Boolean));
    values.chain(given).chain([LoadColumn::new("d", ColumnType::Boolean)]).collect()
}

/// Makes a temporary table of a batch. An empty batch needs none.
pub(super) fn write<E: Engine>(
    engine: &mut E,
    table: &str,
    columns: &[LoadColumn],
    batch: &RecordBatch,
) -> Result<Spilled, E::Failure> {
    let spilled = Spilled { table: table.to_owned(), rows: batch.num_rows() };
    if spilled.rows > 0 {
        let definition =
            |column: &LoadColumn| format!("{} {}", quoted(&column.name), engine.type_name(column.column_type));
        let definitions: Vec<String> = columns.iter().map(definition).collect();
        engine.run(&format!("CREATE TEMP TABLE {} ({})", quoted(table), definitions.join(", ")))?;
        engine.load(Target::Temporary(table), columns, batch)?;
    }
    Ok(spilled)
}

/// A batch of these columns, whatever they were named before.
pub(crate) fn batch_of(columns: Vec<ArrayRef>) -> Result<RecordBatch, ArrowError> {
    let field = |(index, column): (usize, &ArrayRef)| Field::new(format!("c{index}"), column.data_type().clone(), true);
    let fields: Vec<Field> = columns.iter().enumerate().map(field).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
