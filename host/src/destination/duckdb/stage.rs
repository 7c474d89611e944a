//! Segments that wait for their commit: small ones in memory, more than that in the engine's temporary tables, which it
//! writes to disk when its own memory runs short.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use duckdb::Connection;

use super::{convert, ddl};
use crate::destination::{Segment, SegmentColumn};

/// Bytes of Arrow data that stay in memory.
pub(super) const STAGED_BYTES_MAX: usize = 64 << 20;

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
        }
    }
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
    pub(super) fn push(&mut self, engine: &Connection, segments: Vec<Segment>) -> Result<(), duckdb::Error> {
        for segment in segments {
            self.bytes += segment.rows.get_array_memory_size() + segment.patches.get_array_memory_size();
            self.segments.push(segment.into());
        }
        if self.bytes <= self.bytes_max {
            return Ok(());
        }
        engine.execute_batch("BEGIN")?;
        let spilled = self.spill(engine).and_then(|()| engine.execute_batch("COMMIT"));
        if spilled.is_err() {
            let _ = engine.execute_batch("ROLLBACK");
        }
        spilled
    }

    fn spill(&mut self, engine: &Connection) -> Result<(), duckdb::Error> {
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
    pub(super) fn discard(&mut self, engine: &Connection) -> Result<(), duckdb::Error> {
        self.take()
            .iter()
            .flat_map(|staged| [&staged.rows, &staged.patches])
            .try_for_each(|batch| drop_table(engine, batch))
    }
}

/// Drops the temporary table of a spilled batch.
pub(super) fn drop_table(engine: &Connection, batch: &Batch) -> Result<(), duckdb::Error> {
    match batch {
        Batch::Spilled(spilled) if !spilled.table.is_empty() => {
            engine.execute_batch(&format!("DROP TABLE temp.main.{}", spilled.table))
        }
        _ => Ok(()),
    }
}

/// Names and types of a stage's columns.
pub(super) fn stage_columns(columns: &[SegmentColumn], is_patch: bool) -> Vec<(String, String)> {
    let values = columns
        .iter()
        .enumerate()
        .map(|(index, column)| (format!("c{index}"), convert::duckdb_type(column.column_type)));
    let given = (0..if is_patch { columns.len() } else { 0 }).map(|index| (format!("g{index}"), "BOOLEAN".to_owned()));
    values.chain(given).chain([("d".to_owned(), "BOOLEAN".to_owned())]).collect()
}

/// Makes a temporary table of a batch. An empty batch needs none.
pub(super) fn write(
    engine: &Connection,
    table: &str,
    columns: &[(String, String)],
    batch: &RecordBatch,
) -> Result<Spilled, duckdb::Error> {
    if batch.num_rows() == 0 {
        return Ok(Spilled { table: String::new(), rows: 0 });
    }
    let definitions: Vec<String> = columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
    engine.execute_batch(&format!("CREATE TEMP TABLE {} ({})", ddl::quoted(table), definitions.join(", ")))?;
    let mut appender = engine.appender_to_catalog_and_db(table, "temp", "main")?;
    appender.append_record_batch(batch.clone())?;
    appender.flush()?;
    Ok(Spilled { table: table.to_owned(), rows: batch.num_rows() })
}

/// A batch of these columns, whatever they were named before.
pub(super) fn batch_of(columns: Vec<ArrayRef>) -> Result<RecordBatch, arrow::error::ArrowError> {
    let field = |(index, column): (usize, &ArrayRef)| Field::new(format!("c{index}"), column.data_type().clone(), true);
    let fields: Vec<Field> = columns.iter().enumerate().map(field).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
