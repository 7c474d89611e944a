//! Rows of one table in columns, as they came from the guest, before they are folded.

use super::column::{Cell, Column};
use super::marks::Mark;
use model::OperationKind;
use model::schema::ColumnType;

/// Columns of equal length; the position of a column is its index in the table's schema.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    pub(crate) columns: Vec<Column>,
    rows: usize,
}

impl Buffer {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The column at an index, made (with the type the table has so far, and without values) if the buffer lacks it.
    pub(crate) fn column(&mut self, index: usize, column_type: ColumnType) -> &mut Column {
        let rows = self.rows;
        while self.columns.len() <= index {
            self.columns.push(Column::new(None));
        }
        let column = &mut self.columns[index];
        if column.column_type().is_none() {
            *column = Column::new(Some(column_type));
        }
        column.pad(rows);
        column
    }

    /// Ends a row: columns that got no value stay absent.
    pub(crate) fn end_row(&mut self) {
        self.rows += 1;
    }

    /// Takes back the values of the row that was not ended, and columns from this one on.
    pub(crate) fn take_back_row(&mut self, columns: usize) {
        self.columns.truncate(columns);
        for column in &mut self.columns {
            while column.len() > self.rows {
                column.pop();
            }
        }
    }

    /// Fills every column up, so that all have as many rows as the buffer.
    pub(crate) fn align(&mut self) {
        for column in &mut self.columns {
            column.pad(self.rows);
        }
    }

    /// The value of a row in a column.
    pub(crate) fn cell(&self, row: usize, column: usize) -> Option<Cell<'_>> {
        self.columns.get(column)?.cell(row)
    }

    pub(crate) fn mark(&self, row: usize, column: usize) -> Mark {
        self.columns.get(column).map_or(Mark::Absent, |column| column.mark(row))
    }

    /// Makes every column at least as wide as in `other`, whose columns are those of the same table. Never narrower:
    /// `other` may be older than what came here since.
    pub(crate) fn widen_like(&mut self, other: &Self) {
        for (index, theirs) in other.columns.iter().enumerate() {
            if let Some(column_type) = theirs.column_type() {
                let own = self.column(index, column_type);
                own.widen(own.column_type().map_or(column_type, |own_type| own_type.join(column_type)));
            }
        }
        self.align();
    }

    /// Adds all rows of `other`; `widen_like(other)` came before.
    pub(crate) fn append(&mut self, other: &Self) {
        self.rows += other.rows;
        for (column, theirs) in self.columns.iter_mut().zip(&other.columns) {
            column.append(theirs);
        }
        self.align();
    }

    /// Adds one row of `other`, over the values of a row of this buffer where `other` does not name a column.
    pub(crate) fn append_row(&mut self, other: &Self, row: usize, below: Option<usize>) {
        for (index, column) in self.columns.iter_mut().enumerate() {
            match (other.mark(row, index), below) {
                (Mark::Absent, Some(below)) => copy_within(column, below),
                (mark, _) => column.push_cell(mark, other.cell(row, index)),
            }
        }
        self.rows += 1;
    }
}

fn copy_within(column: &mut Column, row: usize) {
    let mark = column.mark(row);
    match column.cell(row) {
        Some(Cell::Text(text)) => {
            let text = text.to_vec();
            column.push_cell(mark, Some(Cell::Text(&text)));
        }
        Some(Cell::Boolean(value)) => column.push_cell(mark, Some(Cell::Boolean(value))),
        Some(Cell::Integer(value)) => column.push_cell(mark, Some(Cell::Integer(value))),
        Some(Cell::Decimal(value)) => column.push_cell(mark, Some(Cell::Decimal(value))),
        Some(Cell::Double(value)) => column.push_cell(mark, Some(Cell::Double(value))),
        None => column.push_empty(mark),
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
    pub(crate) fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.truncates.is_empty()
    }

    /// Nothing but upserts: they can be appended whole.
    pub(crate) fn is_plain(&self) -> bool {
        self.truncates.is_empty() && self.kinds.iter().all(|kind| *kind == OperationKind::Upsert)
    }
}
