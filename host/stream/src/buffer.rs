//! Rows of one table in columns, as they came from the guest, before they are folded.

use super::column::{Cell, Column};
use super::marks::Mark;
use model::error::Result;
use model::OperationKind;
use model::schema::ColumnType;

/// Columns, at the position that they have in the table's schema. Those that no row names cost nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    columns: Vec<Column>,
    /// The columns that have a type, in the order in which they got it.
    used: Vec<usize>,
    rows: usize,
}

impl Buffer {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The column at an index, made (with the type the table has so far, and without values) if the buffer lacks it, with
    /// as many rows as the buffer.
    pub(crate) fn column(&mut self, index: usize, column_type: ColumnType) -> &mut Column {
        let rows = self.rows;
        let column = self.typed(index, column_type);
        column.pad(rows);
        column
    }

    fn typed(&mut self, index: usize, column_type: ColumnType) -> &mut Column {
        if self.columns.len() <= index {
            self.columns.resize_with(index + 1, Column::default);
        }
        let column = &mut self.columns[index];
        if column.column_type().is_none() {
            *column = Column::new(Some(column_type));
            self.used.push(index);
        }
        column
    }

    /// Ends a row: columns that got no value stay absent.
    pub(crate) fn end_row(&mut self) {
        self.rows += 1;
    }

    /// The value of a row in a column.
    pub(crate) fn cell(&self, row: usize, column: usize) -> Option<Cell<'_>> {
        self.columns.get(column)?.cell(row)
    }

    pub(crate) fn mark(&self, row: usize, column: usize) -> Mark {
        self.columns.get(column).map_or(Mark::Absent, |column| column.mark(row))
    }

    /// The columns that have a type, ascending.
    pub(crate) fn typed_columns(&self) -> impl Iterator<Item = (usize, ColumnType, &Column)> {
        let typed = self.columns.iter().enumerate();
        typed.filter_map(|(index, column)| column.column_type().map(|column_type| (index, column_type, column)))
    }

    /// A column, taken out.
    pub(crate) fn take_column(&mut self, index: usize) -> Option<Column> {
        self.columns.get_mut(index).map(std::mem::take).filter(|column| column.column_type().is_some())
    }

    /// Makes every column at least as wide as in `other`, whose columns are those of the same table. Never narrower:
    /// `other` may be older than what came here since.
    pub(crate) fn widen_like(&mut self, other: &Self) -> Result<()> {
        for index in &other.used {
            if let Some(column_type) = other.columns[*index].column_type() {
                let own = self.typed(*index, column_type);
                let wider = own.column_type().map_or(column_type, |own_type| own_type.join(column_type));
                own.widen(wider)?;
            }
        }
        Ok(())
    }

    /// Adds all rows of `other`; `widen_like(other)` came before.
    pub(crate) fn append(&mut self, other: &Self) -> Result<()> {
        for index in &other.used {
            let (theirs, rows) = (&other.columns[*index], self.rows);
            if theirs.len() > 0 {
                self.columns[*index].append(rows, theirs)?;
            }
        }
        self.rows += other.rows;
        Ok(())
    }

    /// Adds one row of `other`; `widen_like(other)` came before.
    pub(crate) fn append_row(&mut self, other: &Self, row: usize) -> Result<()> {
        for index in &other.used {
            let (theirs, rows) = (&other.columns[*index], self.rows);
            let mark = theirs.mark(row);
            if mark != Mark::Absent {
                let own = &mut self.columns[*index];
                own.pad(rows);
                own.push_cell(mark, theirs.cell(row))?;
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Puts the columns that a row of `other` names over those of a row here, except some; `widen_like(other)` came before.
    pub(crate) fn overlay(&mut self, at: usize, (other, row): (&Self, usize), except: &[usize]) -> Result<()> {
        for index in other.used.iter().filter(|index| !except.contains(index)) {
            let theirs = &other.columns[*index];
            let mark = theirs.mark(row);
            if mark != Mark::Absent {
                self.columns[*index].set(at, mark, theirs.cell(row))?;
            }
        }
        Ok(())
    }

    /// Bytes that are kept for the rows.
    pub(crate) fn memory_bytes(&self) -> usize {
        let values: usize = self.used.iter().map(|index| self.columns[*index].memory_bytes()).sum();
        values + self.columns.capacity() * size_of::<Column>() + self.used.capacity() * size_of::<usize>()
    }
}

/// Operations on one table in the order issued, since the last checkpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) buffer: Buffer,
    /// The kind of each row: upsert, update or delete.
    pub(crate) kinds: Vec<OperationKind>,
    /// Before which rows the table is truncated.
    pub(crate) truncates: Vec<usize>,
}

impl Log {
    /// Truncates the table before the next row; twice in a row is once.
    pub(crate) fn truncate(&mut self) {
        let next = self.kinds.len();
        if self.truncates.last() != Some(&next) {
            self.truncates.push(next);
        }
    }

    /// Bytes that are kept for the operations.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.buffer.memory_bytes()
            + self.kinds.capacity() * size_of::<OperationKind>()
            + self.truncates.capacity() * size_of::<usize>()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.truncates.is_empty()
    }

    /// Nothing but upserts: they can be appended whole.
    pub(crate) fn is_plain(&self) -> bool {
        self.truncates.is_empty() && self.kinds.iter().all(|kind| *kind == OperationKind::Upsert)
    }
}
