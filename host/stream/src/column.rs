//! One column of a buffer: values in typed vectors that become an Arrow array without a copy, and widen in place.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use hashbrown::HashMap;

use super::marks::{Mark, Marks};
use model::error::{Code, Error, Result};
use model::schema::ColumnType;
use model::schema::value::{
    Moment, Number, Value, clock_text, double_text, float_text, free_moment_text, moment, moment_text, units_text,
};

/// What a vector of a transaction takes once it is not small. The host has the C library's allocator ask the system for
/// blocks of this size, and give them back when they are freed.
pub const ROOM_BYTES: usize = 2 << 20;
/// Up to here a vector grows as any other: there may be thousands of columns.
const SMALL_BYTES: usize = 64 << 10;

/// Values of one column. Rows that do not name it cost nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    /// The type of the values; none while there are only nulls.
    kind: Option<ColumnType>,
    marks: Marks,
    /// One value for each entry of `marks`.
    data: Data,
    late: Option<Box<Late>>,
}

/// What was set in rows that others had followed already, and does not fit in their place: it goes before that.
#[derive(Clone, Debug)]
struct Late {
    entries: HashMap<usize, usize>,
    column: Column,
}

/// The values themselves; entries without one hold a zero.
#[derive(Clone, Debug, Default)]
enum Data {
    #[default]
    None,
    Boolean(Vec<bool>),
    Integer(Vec<i64>),
    Decimal(Vec<i128>),
    Double(Vec<f64>),
    /// Text and bytes: value `i` is `bytes[ends[i - 1]..ends[i]]`.
    Text {
        ends: Vec<i32>,
        bytes: Vec<u8>,
    },
}

/// A value taken out of a column, to compare or to move it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Boolean(bool),
    Integer(i64),
    Decimal(i128),
    Double(f64),
    Text(&'a [u8]),
}

impl Data {
    fn of(column_type: ColumnType, rows: usize) -> Self {
        use ColumnType as T;
        match column_type {
            T::Boolean => Self::Boolean(vec![false; rows]),
            T::Short
            | T::Int
            | T::Long { .. }
            | T::NaiveDate
            | T::NaiveTime
            | T::NaiveDatetime(_)
            | T::UtcDatetime(_) => Self::Integer(vec![0; rows]),
            T::Decimal { .. } => Self::Decimal(vec![0; rows]),
            T::Float | T::Double => Self::Double(vec![0.0; rows]),
            T::Binary | T::Xml | T::String | T::Json => Self::Text { ends: vec![0; rows], bytes: Vec::new() },
        }
    }

    fn push_empty(&mut self) {
        match self {
            Self::None => {}
            Self::Boolean(values) => values.push(false),
            Self::Integer(values) => values.push(0),
            Self::Decimal(values) => values.push(0),
            Self::Double(values) => values.push(0.0),
            Self::Text { ends, .. } => ends.push(last_end(ends)),
        }
    }

    /// Adds so many rows without a value.
    fn fill(&mut self, rows: usize) {
        match self {
            Self::None => {}
            Self::Boolean(values) => values.resize(values.len() + rows, false),
            Self::Integer(values) => values.resize(values.len() + rows, 0),
            Self::Decimal(values) => values.resize(values.len() + rows, 0),
            Self::Double(values) => values.resize(values.len() + rows, 0.0),
            Self::Text { ends, .. } => ends.resize(ends.len() + rows, last_end(ends)),
        }
    }

    fn pop(&mut self) {
        match self {
            Self::None => {}
            Self::Boolean(values) => drop(values.pop()),
            Self::Integer(values) => drop(values.pop()),
            Self::Decimal(values) => drop(values.pop()),
            Self::Double(values) => drop(values.pop()),
            Self::Text { ends, bytes } => {
                ends.pop();
                bytes.truncate(offset(last_end(ends)));
            }
        }
    }

    fn cell(&self, row: usize) -> Option<Cell<'_>> {
        Some(match self {
            Self::None => return None,
            Self::Boolean(values) => Cell::Boolean(*values.get(row)?),
            Self::Integer(values) => Cell::Integer(*values.get(row)?),
            Self::Decimal(values) => Cell::Decimal(*values.get(row)?),
            Self::Double(values) => Cell::Double(*values.get(row)?),
            Self::Text { ends, bytes } => Cell::Text(slice(ends, bytes, row)?),
        })
    }

    fn push_cell(&mut self, cell: Cell<'_>) -> Result<()> {
        match (self, cell) {
            (Self::Boolean(values), Cell::Boolean(value)) => values.push(value),
            (Self::Integer(values), Cell::Integer(value)) => values.push(value),
            (Self::Decimal(values), Cell::Decimal(value)) => values.push(value),
            (Self::Double(values), Cell::Double(value)) => values.push(value),
            (Self::Text { ends, bytes }, Cell::Text(value)) => {
                ends.push(end_after(bytes, value.len())?);
                bytes.extend_from_slice(value);
            }
            (data, cell) => return Err(mixed(&format!("{cell:?}"), data)),
        }
        Ok(())
    }

    /// Puts a value in the place of another, if that is as large.
    fn replace(&mut self, entry: usize, cell: Cell<'_>) -> bool {
        fn put<T>(values: &mut [T], entry: usize, value: T) -> bool {
            values.get_mut(entry).map(|slot| *slot = value).is_some()
        }
        match (self, cell) {
            (Self::Boolean(values), Cell::Boolean(value)) => put(values, entry, value),
            (Self::Integer(values), Cell::Integer(value)) => put(values, entry, value),
            (Self::Decimal(values), Cell::Decimal(value)) => put(values, entry, value),
            (Self::Double(values), Cell::Double(value)) => put(values, entry, value),
            _ => false,
        }
    }

    /// Bytes that a value takes, but for its text.
    fn width(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Boolean(_) => size_of::<bool>(),
            Self::Integer(_) | Self::Double(_) => size_of::<i64>(),
            Self::Decimal(_) => size_of::<i128>(),
            Self::Text { .. } => size_of::<i32>(),
        }
    }

    /// Bytes of the text of some entries.
    fn text_bytes(&self, entries: &Range<usize>) -> usize {
        let Self::Text { ends, .. } = self else { return 0 };
        let before = |entry: usize| entry.checked_sub(1).and_then(|last| ends.get(last)).map_or(0, |end| offset(*end));
        before(entries.end) - before(entries.start)
    }
}

/// Where the text behind the last one begins.
fn last_end(ends: &[i32]) -> i32 {
    ends.last().copied().unwrap_or(0)
}

/// Ends are never negative: they are made by `end_after`.
fn offset(end: i32) -> usize {
    end.unsigned_abs() as usize
}

/// Where a text of so many bytes ends behind those that there are. Arrow has 32 bits for it.
fn end_after(bytes: &[u8], more: usize) -> Result<i32> {
    i32::try_from(bytes.len() + more).map_err(|_| {
        Error::new(Code::LimitMemory, "hold more than 2 GiB of text in one column")
            .hint("Save checkpoints more often, or lower the limit with --limit sync-memory-bytes=…: then more is staged.")
    })
}

/// A value whose column is not of its type: a mistake of ours, which must not be stored as something else.
fn mixed(value: &str, data: &Data) -> Error {
    let shown: String = value.chars().take(100).collect();
    let of = match data {
        Data::None => "nulls",
        Data::Boolean(_) => "booleans",
        Data::Integer(_) => "integers",
        Data::Decimal(_) => "decimals",
        Data::Double(_) => "doubles",
        Data::Text { .. } => "texts",
    };
    Error::new(Code::HostBug, format!("put {shown} into a column of {of}"))
}

fn slice<'a>(ends: &[i32], bytes: &'a [u8], row: usize) -> Option<&'a [u8]> {
    let from = if row == 0 { 0 } else { offset(*ends.get(row - 1)?) };
    bytes.get(from..offset(*ends.get(row)?))
}

impl Column {
    /// An empty column of the type that the table has so far.
    pub(crate) fn new(column_type: Option<ColumnType>) -> Self {
        let data = column_type.map_or(Data::None, |column_type| Data::of(column_type, 0));
        Self { kind: column_type, marks: Marks::default(), data, late: None }
    }

    pub(crate) fn column_type(&self) -> Option<ColumnType> {
        self.kind
    }

    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn mark(&self, row: usize) -> Mark {
        match self.late_entry(row) {
            Some((late, entry)) => late.marks.of_entry(entry),
            None => self.marks.get(row),
        }
    }

    /// The value of a row, if it has one.
    pub(crate) fn cell(&self, row: usize) -> Option<Cell<'_>> {
        match self.late_entry(row) {
            Some((late, entry)) => late.of_entry(entry),
            None => self.of_entry(self.marks.entry(row)?),
        }
    }

    fn late_entry(&self, row: usize) -> Option<(&Self, usize)> {
        let late = self.late.as_ref()?;
        late.entries.get(&row).map(|entry| (&late.column, *entry))
    }

    fn of_entry(&self, entry: usize) -> Option<Cell<'_>> {
        if self.marks.of_entry(entry) == Mark::Value { self.data.cell(entry) } else { None }
    }

    /// Adds rows without a value until there are `rows`.
    pub(crate) fn pad(&mut self, rows: usize) {
        if self.marks.len() < rows {
            let fillers = self.marks.pad(rows);
            self.data.fill(fillers);
        }
    }

    pub(crate) fn push_empty(&mut self, mark: Mark) {
        self.marks.push(mark);
        self.data.push_empty();
    }

    /// Takes back the last row.
    pub(crate) fn pop(&mut self) {
        if self.marks.pop() {
            self.data.pop();
        }
    }

    /// Adds a value; widens the column where it must. `time`: strings may become time.
    pub(crate) fn push(&mut self, value: &Value<'_>, time: bool) -> Result<()> {
        let (Some(joined), moment) = self.joined(value, time) else {
            self.push_empty(Mark::Null);
            return Ok(());
        };
        self.widen(joined)?;
        match (&mut self.data, moment) {
            (Data::Integer(values), Some(Moment::Date(days))) => values.push(days.into()),
            (Data::Integer(values), Some(Moment::Timestamp(micros, _))) => values.push(micros),
            (data, _) => push_value(data, joined, value)?,
        }
        self.marks.push(Mark::Value);
        Ok(())
    }

    /// The type that this column would have with a value, none for null; and what the value is as time.
    pub(crate) fn joined(&self, value: &Value<'_>, time: bool) -> (Option<ColumnType>, Option<Moment>) {
        let moment = match value {
            Value::Text(text) if time && self.may_become_time() => moment(text),
            _ => None,
        };
        let own = moment.map_or_else(|| value.column_type(false), |moment| Some(moment.column_type()));
        (own.map(|own| self.kind.map_or(own, |column_type| column_type.join(own))), moment)
    }

    /// A column that is text already need not look whether a string is time.
    fn may_become_time(&self) -> bool {
        self.kind != Some(ColumnType::String)
    }

    /// Adds a cell of a column of the same type.
    pub(crate) fn push_cell(&mut self, mark: Mark, cell: Option<Cell<'_>>) -> Result<()> {
        match cell {
            Some(cell) => self.data.push_cell(cell)?,
            None => self.data.push_empty(),
        }
        self.marks.push(mark);
        Ok(())
    }

    /// Adds a value that a declared column accepted.
    pub(crate) fn push_declared(&mut self, cell: Cell<'_>) -> Result<()> {
        self.push_cell(Mark::Value, Some(cell))
    }

    /// Sets the cell of a row that others may have followed, of a column of the same type. The row is not copied.
    pub(crate) fn set(&mut self, row: usize, mark: Mark, cell: Option<Cell<'_>>) -> Result<()> {
        let kind = self.kind;
        match self.late.as_ref().and_then(|late| late.entries.get(&row).copied()) {
            Some(entry) => {
                if self.late.as_mut().is_some_and(|late| late.column.set_entry(entry, mark, cell)) {
                    return Ok(());
                }
            }
            None => {
                if self.marks.entry(row).is_some_and(|entry| self.set_entry(entry, mark, cell)) {
                    return Ok(());
                }
            }
        }
        let fresh = || Box::new(Late { entries: HashMap::new(), column: Self::new(kind) });
        let late = self.late.get_or_insert_with(fresh);
        late.entries.insert(row, late.column.marks.entries());
        late.column.push_cell(mark, cell)
    }

    /// Whether it could be set.
    fn set_entry(&mut self, entry: usize, mark: Mark, cell: Option<Cell<'_>>) -> bool {
        let fits = cell.is_none_or(|cell| self.data.replace(entry, cell));
        if fits {
            self.marks.set(entry, mark);
        }
        fits
    }

    /// Converts every value to a wider type, as the warehouse would.
    pub(crate) fn widen(&mut self, to: ColumnType) -> Result<()> {
        if self.kind == Some(to) {
            return Ok(());
        }
        if let Some(late) = &mut self.late {
            late.column.widen(to)?;
        }
        let Some(from) = self.kind else {
            (self.kind, self.data) = (Some(to), Data::of(to, self.marks.entries()));
            return Ok(());
        };
        if !same_representation(from, to) {
            let mut wider = Data::of(to, 0);
            for entry in 0..self.marks.entries() {
                match self.of_entry(entry) {
                    Some(cell) => push_converted(&mut wider, cell, from, to)?,
                    None => wider.push_empty(),
                }
            }
            self.data = wider;
        }
        self.kind = Some(to);
        Ok(())
    }

    /// Adds all rows of another column of the same type behind so many rows.
    pub(crate) fn append(&mut self, rows: usize, other: &Self) -> Result<()> {
        self.pad(rows);
        if other.late.is_some() || !self.marks.is_dense() || !other.marks.is_dense() {
            return other.gather(&(0..other.len()), |row, mark, cell| {
                self.pad(rows + row);
                self.push_cell(mark, cell)
            });
        }
        match (&mut self.data, &other.data) {
            (Data::Boolean(own), Data::Boolean(more)) => extend(own, more),
            (Data::Integer(own), Data::Integer(more)) => extend(own, more),
            (Data::Decimal(own), Data::Decimal(more)) => extend(own, more),
            (Data::Double(own), Data::Double(more)) => extend(own, more),
            (Data::Text { ends, bytes }, Data::Text { ends: more_ends, bytes: more_bytes }) => {
                let shift = end_after(bytes, 0)?;
                end_after(bytes, more_bytes.len())?;
                make_room(ends, more_ends.len());
                ends.extend(more_ends.iter().map(|end| end + shift));
                extend(bytes, more_bytes);
            }
            (Data::None, Data::None) => {}
            (own, more) => return Err(mixed(&format!("{} values", more.width()), own)),
        }
        self.marks.append(&other.marks);
        Ok(())
    }

    /// Calls `each` with the entries of a range of rows, the rows ascending, counted from its start.
    fn gather(
        &self,
        rows: &Range<usize>,
        mut each: impl FnMut(usize, Mark, Option<Cell<'_>>) -> Result<()>,
    ) -> Result<()> {
        let late = self.late.iter().flat_map(|late| late.entries.iter().map(|(row, entry)| (*row, *entry)));
        let mut late: Vec<(usize, usize)> = late.filter(|(row, _)| rows.contains(row)).collect();
        late.sort_unstable();
        let mut late = late.into_iter().peekable();
        let of_late = self.late.as_ref().map_or(self, |late| &late.column);
        for entry in self.marks.entries_of(rows) {
            let row = self.marks.row(entry);
            while let Some((before, entry)) = late.next_if(|(other, _)| *other < row) {
                each(before - rows.start, of_late.marks.of_entry(entry), of_late.of_entry(entry))?;
            }
            let (column, entry) = late.next_if(|(other, _)| *other == row).map_or((self, entry), |(_, entry)| (of_late, entry));
            each(row - rows.start, column.marks.of_entry(entry), column.of_entry(entry))?;
        }
        for (row, entry) in late {
            each(row - rows.start, of_late.marks.of_entry(entry), of_late.of_entry(entry))?;
        }
        Ok(())
    }

    /// Whether a row of a range names the column, as far as can be told at once.
    pub(crate) fn names(&self, rows: &Range<usize>) -> bool {
        let late = || self.late.as_ref().is_some_and(|late| late.entries.keys().any(|row| rows.contains(row)));
        !self.marks.entries_of(rows).is_empty() || late()
    }

    /// Bytes that an array of a range of rows would take.
    pub(crate) fn array_bytes(&self, rows: &Range<usize>) -> usize {
        if !self.names(rows) {
            return 0;
        }
        let late = self.late.as_ref().map_or(0, |late| {
            let entries = late.entries.iter().filter(|(row, _)| rows.contains(row));
            entries.map(|(_, entry)| late.column.data.text_bytes(&(*entry..entry + 1))).sum()
        });
        let text = self.data.text_bytes(&self.marks.entries_of(rows));
        rows.len() * (self.data.width() + size_of::<Mark>()) + text + late
    }

    /// Bytes that are kept for the values.
    pub(crate) fn memory_bytes(&self) -> usize {
        let text = if let Data::Text { bytes, .. } = &self.data { bytes.len() } else { 0 };
        let late = self.late.as_ref().map_or(0, |late| {
            let entries = late.entries.capacity() * (size_of::<(usize, usize)>() + 1);
            size_of::<Late>() + entries + late.column.memory_bytes()
        });
        self.marks.entries() * self.data.width() + text + self.marks.memory_bytes() + late
    }

    /// The rows of a range as a column in which every row has an entry.
    fn dense(&self, rows: &Range<usize>) -> Result<Self> {
        let mut dense = Self::new(self.kind);
        self.gather(rows, |row, mark, cell| {
            dense.fill(row);
            dense.push_cell(mark, cell)
        })?;
        dense.fill(rows.len());
        Ok(dense)
    }

    fn fill(&mut self, rows: usize) {
        let fillers = self.marks.fill(rows);
        self.data.fill(fillers);
    }

    /// Some of the rows as an Arrow array of the column's type, and if wanted whether each of them names it.
    pub(crate) fn arrays(&self, rows: &Range<usize>, with_given: bool) -> Result<(ArrayRef, Option<ArrayRef>)> {
        self.dense(rows)?.into_own_arrays(with_given)
    }

    /// All of so many rows; without a copy where every row has an entry.
    pub(crate) fn into_arrays(mut self, rows: usize, with_given: bool) -> Result<(ArrayRef, Option<ArrayRef>)> {
        if self.late.is_some() || !self.marks.is_dense() {
            return self.arrays(&(0..rows), with_given);
        }
        self.fill(rows);
        self.into_own_arrays(with_given)
    }

    fn into_own_arrays(self, with_given: bool) -> Result<(ArrayRef, Option<ArrayRef>)> {
        let given = with_given.then(|| Arc::new(BooleanArray::new(self.marks.given(), None)) as ArrayRef);
        Ok((self.into_array()?, given))
    }

    /// The column, in which every row has an entry, as an Arrow array of its type (docs/TYPES.md). A column of nulls only
    /// becomes BOOLEAN nulls.
    fn into_array(self) -> Result<ArrayRef> {
        use ColumnType as T;
        let nulls = self.marks.nulls();
        let rows = self.marks.len();
        Ok(match (self.data, self.kind) {
            (Data::Boolean(values), _) => Arc::new(BooleanArray::new(values.into(), nulls)),
            (Data::Integer(values), Some(T::Short)) => Arc::new(Int16Array::new(narrow(&values)?, nulls)),
            (Data::Integer(values), Some(T::Int)) => Arc::new(Int32Array::new(narrow(&values)?, nulls)),
            (Data::Integer(values), Some(T::NaiveDate)) => Arc::new(Date32Array::new(narrow(&values)?, nulls)),
            (Data::Integer(values), Some(T::NaiveTime)) => Arc::new(Time64MicrosecondArray::new(values.into(), nulls)),
            (Data::Integer(values), Some(T::NaiveDatetime(_))) => {
                Arc::new(TimestampMicrosecondArray::new(values.into(), nulls))
            }
            (Data::Integer(values), Some(T::UtcDatetime(_))) => {
                Arc::new(TimestampMicrosecondArray::new(values.into(), nulls).with_timezone("UTC"))
            }
            (Data::Integer(values), _) => Arc::new(Int64Array::new(values.into(), nulls)),
            (Data::Decimal(values), column_type) => decimal_array(values, nulls, column_type)?,
            (Data::Double(values), Some(T::Float)) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "a declared FLOAT holds only values that 32 bits hold"
                )]
                let values = values.into_iter().map(|value| value as f32).collect::<Vec<_>>();
                Arc::new(Float32Array::new(values.into(), nulls))
            }
            (Data::Double(values), _) => Arc::new(Float64Array::new(values.into(), nulls)),
            (Data::Text { ends, bytes }, column_type) => text_array(ends, bytes, nulls, column_type),
            (Data::None, _) => Arc::new(BooleanArray::new_null(rows)),
        })
    }
}

/// Appends to a vector that will hold a whole transaction.
fn extend<T: Copy>(values: &mut Vec<T>, more: &[T]) {
    make_room(values, more.len());
    values.extend_from_slice(more);
}

/// Makes room for so many values more. Past `SMALL_BYTES` at once for `ROOM_BYTES`: pages that are never written take no
/// memory, and such a block goes back to the system when the transaction is written, instead of leaving a hole among
/// others. Larger ones grow by doubling, for which the system only maps their pages anew.
fn make_room<T>(values: &mut Vec<T>, more: usize) {
    let needed = values.len() + more;
    if needed > values.capacity() && needed * size_of::<T>() > SMALL_BYTES {
        let room = needed.max(2 * values.capacity()).max(ROOM_BYTES / size_of::<T>());
        values.reserve_exact(room - values.len());
    }
}

fn narrow<T: TryFrom<i64> + arrow::datatypes::ArrowNativeType>(values: &[i64]) -> Result<ScalarBuffer<T>> {
    let narrowed = values.iter().map(|value| T::try_from(*value).ok()).collect::<Option<Vec<_>>>();
    narrowed.map(Into::into).ok_or_else(|| Error::new(Code::HostBug, "put a number into a narrower column"))
}

fn decimal_array(values: Vec<i128>, nulls: Option<NullBuffer>, column_type: Option<ColumnType>) -> Result<ArrayRef> {
    let bug = || Error::new(Code::HostBug, format!("make a column of decimals of {column_type:?}"));
    let Some(ColumnType::Decimal { precision, scale }) = column_type else { return Err(bug()) };
    let scale = i8::try_from(scale).map_err(|error| bug().because(error))?;
    let array = Decimal128Array::new(values.into(), nulls).with_precision_and_scale(precision, scale);
    array.map(|array| Arc::new(array) as ArrayRef).map_err(|error| bug().because(error))
}

fn text_array(ends: Vec<i32>, bytes: Vec<u8>, nulls: Option<NullBuffer>, column_type: Option<ColumnType>) -> ArrayRef {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.extend(ends);
    let offsets = OffsetBuffer::new(offsets.into());
    let values = Buffer::from_vec(bytes);
    if column_type == Some(ColumnType::Binary) {
        return Arc::new(BinaryArray::new(offsets, values, nulls));
    }
    Arc::new(StringArray::new(offsets, values, nulls))
}

/// Types that differ only in what is remembered.
fn same_representation(from: ColumnType, to: ColumnType) -> bool {
    matches!((from, to), (ColumnType::Long { .. }, ColumnType::Long { .. }))
}

fn push_value(data: &mut Data, column_type: ColumnType, value: &Value<'_>) -> Result<()> {
    match (data, value) {
        (Data::Boolean(values), Value::Boolean(value)) => values.push(*value),
        (Data::Integer(values), Value::Number(Number::Long(value))) => values.push(*value),
        (Data::Double(values), Value::Number(Number::Double(value))) => values.push(*value),
        #[expect(clippy::cast_precision_loss, reason = "a DOUBLE column takes integers up to 2^53 only (`join`)")]
        (Data::Double(values), Value::Number(Number::Long(value))) => values.push(*value as f64),
        (Data::Decimal(values), Value::Number(number)) => values.push(units(number, column_type)?),
        (data @ Data::Text { .. }, value) => push_text(data, value)?,
        (data, value) => return Err(mixed(&format!("{value:?}"), data)),
    }
    Ok(())
}

/// The value in units of the column's scale, which is at least the number's own (`join`).
fn units(number: &Number<'_>, column_type: ColumnType) -> Result<i128> {
    let ColumnType::Decimal { scale: to, .. } = column_type else { return Err(no_units(column_type)) };
    match *number {
        Number::Long(value) => scaled(value.into(), 0, to),
        Number::Decimal { units, scale, .. } => scaled(units, scale, to),
        Number::Double(_) | Number::Text(_) => Err(no_units(column_type)),
    }
}

/// Units of one scale in those of another that is at least as large.
fn scaled(units: i128, scale: u8, to: u8) -> Result<i128> {
    let factor = to.checked_sub(scale).and_then(|more| 10i128.checked_pow(more.into()));
    let scaled = factor.and_then(|factor| units.checked_mul(factor));
    scaled.ok_or_else(|| Error::new(Code::HostBug, format!("give {units} units of scale {scale} the scale {to}")))
}

fn no_units(column_type: ColumnType) -> Error {
    Error::new(Code::HostBug, format!("make a number a {column_type}"))
}

fn push_text(data: &mut Data, value: &Value<'_>) -> Result<()> {
    match value {
        Value::Text(text) => data.push_cell(Cell::Text(text.as_bytes())),
        Value::Json(raw) => data.push_cell(Cell::Text(raw.as_bytes())),
        Value::Boolean(value) => data.push_cell(Cell::Text(if *value { b"true" } else { b"false" })),
        Value::Number(number) => data.push_cell(Cell::Text(number_text(number).as_bytes())),
        Value::Null => {
            data.push_empty();
            Ok(())
        }
    }
}

/// A number in a text column is written as its own type's widening would write it, so order does not matter.
fn number_text(number: &Number<'_>) -> String {
    match *number {
        Number::Long(value) => value.to_string(),
        Number::Double(value) => double_text(value),
        Number::Decimal { units, scale, .. } => units_text(units, scale),
        Number::Text(text) => text.to_owned(),
    }
}

fn push_converted(data: &mut Data, cell: Cell<'_>, from: ColumnType, to: ColumnType) -> Result<()> {
    match (cell, to) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a LONG becomes a DOUBLE only while every value is exact (`join`)"
        )]
        (Cell::Integer(value), ColumnType::Double) => data.push_cell(Cell::Double(value as f64)),
        (Cell::Integer(value), ColumnType::Decimal { .. }) => {
            data.push_cell(Cell::Decimal(units(&Number::Long(value), to)?))
        }
        (Cell::Decimal(value), ColumnType::Decimal { scale: wider, .. }) => {
            let ColumnType::Decimal { scale, .. } = from else { return Err(no_units(from)) };
            data.push_cell(Cell::Decimal(scaled(value, scale, wider)?))
        }
        _ => data.push_cell(Cell::Text(text_of(cell, from).as_bytes())),
    }
}

/// A value as the text it becomes in a STRING column.
pub(crate) fn text_of(cell: Cell<'_>, from: ColumnType) -> String {
    match (cell, from) {
        (Cell::Boolean(value), _) => value.to_string(),
        (Cell::Integer(days), ColumnType::NaiveDate) => {
            let mut text = String::with_capacity(10);
            moment_text(Moment::Date(i32::try_from(days).unwrap_or(0)), &mut text);
            text
        }
        (Cell::Integer(micros), ColumnType::UtcDatetime(Some(format)) | ColumnType::NaiveDatetime(Some(format))) => {
            let mut text = String::with_capacity(32);
            moment_text(Moment::Timestamp(micros, format), &mut text);
            text
        }
        (Cell::Integer(micros), ColumnType::UtcDatetime(None) | ColumnType::NaiveDatetime(None)) => {
            free_moment_text(micros, matches!(from, ColumnType::UtcDatetime(_)))
        }
        (Cell::Integer(micros), ColumnType::NaiveTime) => clock_text(micros),
        (Cell::Integer(value), _) => value.to_string(),
        (Cell::Decimal(units), ColumnType::Decimal { scale, .. }) => units_text(units, scale),
        (Cell::Decimal(units), _) => units.to_string(),
        (Cell::Double(value), ColumnType::Float) => float_text(value),
        (Cell::Double(value), _) => double_text(value),
        (Cell::Text(bytes), ColumnType::Binary) => BASE64_STANDARD.encode(bytes),
        (Cell::Text(bytes), _) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;

    fn column(values: &[&str]) -> Column {
        let mut column = Column::new(None);
        for raw in values {
            column.push(&Value::read(raw).unwrap(), true).unwrap();
        }
        column
    }

    fn texts(values: &[&str]) -> (String, Vec<Option<String>>) {
        let mut column = column(values);
        let found = column.column_type().map_or("none".to_owned(), |found| found.to_string());
        column.widen(ColumnType::String).unwrap();
        let rows = column.len();
        let (array, _) = column.into_arrays(rows, false).unwrap();
        let strings = array.as_any().downcast_ref::<StringArray>().unwrap();
        (found, strings.iter().map(|text| text.map(str::to_owned)).collect())
    }

    fn check(values: &[&str], column_type: &str, expected: &[&str]) {
        let (found, written) = texts(values);
        assert_eq!(found, column_type, "{values:?}");
        assert_eq!(written.iter().map(|text| text.as_deref().unwrap_or("NULL")).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn columns_widen_and_give_back_every_value() {
        check(&["1", "null", "2.5"], "DOUBLE", &["1", "NULL", "2.5"]);
        check(&["9007199254740993", "2.5"], "STRING", &["9007199254740993", "2.5"]);
        check(&["1", "9223372036854775808"], "DECIMAL(38,0)", &["1", "9223372036854775808"]);
        check(&["12345678901234567890.25", "7"], "DECIMAL(22,2)", &["12345678901234567890.25", "7"]);
        check(&["true", "\"true\""], "STRING", &["true", "true"]);
        check(&["\"2024-01-01\"", "\"x\""], "STRING", &["2024-01-01", "x"]);
        check(
            &["\"2024-01-01T00:00:00Z\"", "\"2024-01-01T00:00:00.0Z\""],
            "STRING",
            &["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.0Z"],
        );
        check(&["\"2024-01-01T01:00:00.50+02:00\""], "UTC_DATETIME[T2+02:00]", &["2024-01-01T01:00:00.50+02:00"]);
        check(&["{\"a\": 1}", "5"], "STRING", &["{\"a\": 1}", "5"]);
        check(&["null"], "none", &["NULL"]);
        check(&["\"\"", "null"], "STRING", &["", "NULL"]);
    }

    #[test]
    fn taking_back_and_padding_keep_rows_aligned() {
        let mut column = column(&["\"a\"", "\"bc\""]);
        column.pop();
        column.push(&Value::read("\"def\"").unwrap(), true).unwrap();
        column.pad(4);
        assert_eq!((column.cell(0), column.cell(1)), (Some(Cell::Text(b"a")), Some(Cell::Text(b"def"))));
        assert_eq!((column.mark(3), column.len(), column.cell(3)), (Mark::Absent, 4, None));
    }

    #[test]
    fn appending_keeps_values_and_marks() {
        let (mut first, second) = (column(&["\"a\"", "null"]), column(&["\"b\""]));
        first.append(2, &second).unwrap();
        assert_eq!(first.cell(2), Some(Cell::Text(b"b")));
        assert_eq!(first.mark(1), Mark::Null);
    }
}
