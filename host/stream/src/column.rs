//! One column of a buffer: values in typed vectors that become an Arrow array without a copy, and widen in place.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::marks::{Mark, Marks};
use model::schema::value::{
    Moment, Number, Value, clock_text, date_text, double_text, float_text, free_moment_text, moment, timestamp_text,
    units_text,
};
use model::schema::{ColumnType, Timestamps};

/// What a vector of a transaction takes once it is not small. The host has the C library's allocator ask the system for
/// blocks of this size, and give them back when they are freed.
pub const ROOM_BYTES: usize = 2 << 20;
/// Up to here a vector grows as any other: there may be thousands of columns.
const SMALL_BYTES: usize = 64 << 10;
/// Whole numbers up to here are exact as a LONG and as a DOUBLE: 2^53.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Why a column has not every value that was put into it. It never becomes an array then: better no rows than wrong ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unkept {
    /// Arrow's offsets have 32 bits.
    #[error("the texts of a column have more than 2 GiB in one transaction")]
    TooLong,
    /// The types were joined before, so this is a mistake of this program.
    #[error("a value is not of the type of its column")]
    Mismatch,
    /// The same of an array.
    #[error("an array cannot be made of a column")]
    NoArray,
}

/// Values of one column, one for each row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    /// The type of the values; none while there are only nulls.
    kind: Option<ColumnType>,
    marks: Marks,
    data: Data,
    /// The first value that could not be kept.
    unkept: Option<Unkept>,
}

/// The values themselves; rows without one hold a zero.
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

    fn push_empty(&mut self) -> Result<(), Unkept> {
        match self {
            Self::None => {}
            Self::Boolean(values) => values.push(false),
            Self::Integer(values) => values.push(0),
            Self::Decimal(values) => values.push(0),
            Self::Double(values) => values.push(0.0),
            Self::Text { ends, bytes } => ends.push(end(bytes)?),
        }
        Ok(())
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
                bytes.truncate(ends.last().map_or(0, |end| end.unsigned_abs() as usize));
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

    fn push_cell(&mut self, cell: Cell<'_>) -> Result<(), Unkept> {
        match (self, cell) {
            (Self::Boolean(values), Cell::Boolean(value)) => values.push(value),
            (Self::Integer(values), Cell::Integer(value)) => values.push(value),
            (Self::Decimal(values), Cell::Decimal(value)) => values.push(value),
            (Self::Double(values), Cell::Double(value)) => values.push(value),
            (Self::Text { ends, bytes }, Cell::Text(value)) => {
                bytes.extend_from_slice(value);
                ends.push(end(bytes)?);
            }
            _ => return Err(Unkept::Mismatch),
        }
        Ok(())
    }
}

impl Cell<'_> {
    /// Hashes the cell of a key, whose column may widen while its table is filled (`ColumnType::join_key`): equal numbers hash
    /// alike whichever type holds them.
    pub(crate) fn hash_key(self, column_type: Option<ColumnType>, state: &mut impl Hasher) {
        match self {
            Self::Boolean(value) => value.hash(state),
            Self::Integer(value) => value.hash(state),
            Self::Text(value) => value.hash(state),
            Self::Decimal(mut units) => {
                let mut scale = if let Some(ColumnType::Decimal { scale, .. }) = column_type { scale } else { 0 };
                while scale > 0 && units % 10 == 0 {
                    (units, scale) = (units / 10, scale - 1);
                }
                match i64::try_from(units) {
                    Ok(whole) if scale == 0 => whole.hash(state),
                    _ => (units, scale).hash(state),
                }
            }
            #[expect(clippy::cast_possible_truncation, reason = "whole numbers up to 2^53 are exact as both")]
            Self::Double(value) if value.fract() == 0.0 && value.abs() <= EXACT_MAX => (value as i64).hash(state),
            Self::Double(value) => value.to_bits().hash(state),
        }
    }
}

/// Offsets are 32 bits.
fn end(bytes: &[u8]) -> Result<i32, Unkept> {
    i32::try_from(bytes.len()).map_err(|_| Unkept::TooLong)
}

fn slice<'a>(ends: &[i32], bytes: &'a [u8], row: usize) -> Option<&'a [u8]> {
    let from = if row == 0 { 0 } else { usize::try_from(*ends.get(row - 1)?).ok()? };
    bytes.get(from..usize::try_from(*ends.get(row)?).ok()?)
}

impl Column {
    /// An empty column of the type that the table has so far.
    pub(crate) fn new(column_type: Option<ColumnType>) -> Self {
        let data = column_type.map_or(Data::None, |column_type| Data::of(column_type, 0));
        Self { kind: column_type, marks: Marks::default(), data, unkept: None }
    }

    pub(crate) fn column_type(&self) -> Option<ColumnType> {
        self.kind
    }

    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn mark(&self, row: usize) -> Mark {
        self.marks.get(row)
    }

    /// The value of a row, if it has one.
    pub(crate) fn cell(&self, row: usize) -> Option<Cell<'_>> {
        if self.mark(row) == Mark::Value { self.data.cell(row) } else { None }
    }

    /// Adds rows without a value until there are `rows`.
    pub(crate) fn pad(&mut self, rows: usize) {
        while self.marks.len() < rows {
            self.push_empty(Mark::Absent);
        }
    }

    pub(crate) fn push_empty(&mut self, mark: Mark) {
        self.marks.push(mark);
        let pushed = self.data.push_empty();
        self.note(pushed);
    }

    /// Remembers that a value could not be kept.
    fn note(&mut self, pushed: Result<(), Unkept>) {
        if let Err(unkept) = pushed {
            self.unkept.get_or_insert(unkept);
        }
    }

    /// Takes back the last row.
    pub(crate) fn pop(&mut self) {
        self.marks.pop();
        self.data.pop();
    }

    /// Adds a value; widens the column where it must. `timestamps`: what becomes of strings that look like time.
    pub(crate) fn push(&mut self, value: &Value<'_>, timestamps: Timestamps) {
        let (Some(joined), moment) = self.joined(value, timestamps) else { return self.push_empty(Mark::Null) };
        self.widen(joined);
        self.marks.push(Mark::Value);
        let pushed = match (&mut self.data, moment) {
            (data @ Data::Integer(_), Some(Moment::Date(days))) => data.push_cell(Cell::Integer(days.into())),
            (data @ Data::Integer(_), Some(Moment::Timestamp { micros, .. })) => data.push_cell(Cell::Integer(micros)),
            (data, _) => push_value(data, joined, value),
        };
        self.note(pushed);
    }

    /// The type that this column would have with a value, none for null; and what the value is as time.
    pub(crate) fn joined(&self, value: &Value<'_>, timestamps: Timestamps) -> (Option<ColumnType>, Option<Moment>) {
        let moment = match value {
            Value::Text(text) if timestamps != Timestamps::Text && self.may_become_time() => moment(text),
            _ => None,
        };
        // A column that was made under the rule of instants goes on so.
        let keeps_instants = self.kind.is_some_and(ColumnType::keeps_instants);
        let timestamps = if keeps_instants { Timestamps::Infer } else { timestamps };
        let own = match moment {
            Some(moment) => Some(moment.column_type(timestamps)),
            None => value.column_type(Timestamps::Text),
        };
        (own.map(|own| self.kind.map_or(own, |column_type| column_type.join(own))), moment)
    }

    /// A column that is text already need not look whether a string is time.
    fn may_become_time(&self) -> bool {
        self.kind != Some(ColumnType::String)
    }

    /// Adds a cell of a column of the same type.
    pub(crate) fn push_cell(&mut self, mark: Mark, cell: Option<Cell<'_>>) {
        match cell {
            Some(cell) => {
                self.marks.push(mark);
                let pushed = self.data.push_cell(cell);
                self.note(pushed);
            }
            None => self.push_empty(mark),
        }
    }

    /// Adds a value that a declared column accepted.
    pub(crate) fn push_declared(&mut self, cell: Cell<'_>) {
        self.push_cell(Mark::Value, Some(cell));
    }

    /// Converts every value to a wider type, as the warehouse would.
    pub(crate) fn widen(&mut self, to: ColumnType) {
        if self.kind == Some(to) {
            return;
        }
        let from = self.kind.replace(to);
        let Some(from) = from else {
            self.data = Data::of(to, self.marks.len());
            return;
        };
        if same_representation(from, to) {
            return;
        }
        let before = std::mem::replace(&mut self.data, Data::of(to, 0));
        let mut all = Ok(());
        for (row, mark) in self.marks.iter().enumerate() {
            let pushed = match before.cell(row).filter(|_| mark == Mark::Value) {
                Some(cell) => push_converted(&mut self.data, cell, from, to),
                None => self.data.push_empty(),
            };
            all = all.and(pushed);
        }
        self.note(all);
    }

    /// Adds all rows of another column of the same type.
    pub(crate) fn append(&mut self, other: &Self) {
        self.marks.append(&other.marks);
        self.unkept = self.unkept.or(other.unkept);
        let appended = match (&mut self.data, &other.data) {
            (Data::Boolean(own), Data::Boolean(more)) => extend(own, more),
            (Data::Integer(own), Data::Integer(more)) => extend(own, more),
            (Data::Decimal(own), Data::Decimal(more)) => extend(own, more),
            (Data::Double(own), Data::Double(more)) => extend(own, more),
            (Data::Text { ends, bytes }, Data::Text { ends: more_ends, bytes: more_bytes }) => {
                append_texts((ends, bytes), (more_ends, more_bytes))
            }
            (own, Data::None) => (0..other.len()).try_for_each(|_| own.push_empty()),
            _ => Err(Unkept::Mismatch),
        };
        self.note(appended);
    }

    /// Whether each row names this column.
    pub(crate) fn given(&self) -> ArrayRef {
        Arc::new(BooleanArray::new(self.marks.given(), None))
    }

    /// The column as an Arrow array of its type (docs/TYPES.md). A column of nulls only becomes BOOLEAN nulls.
    pub(crate) fn into_array(self) -> Result<ArrayRef, Unkept> {
        use ColumnType as T;
        if let Some(unkept) = self.unkept {
            return Err(unkept);
        }
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
            (Data::Text { ends, bytes }, column_type) => text_array(ends, bytes, nulls, column_type)?,
            (Data::None, _) => Arc::new(BooleanArray::new_null(rows)),
        })
    }
}

/// Appends to a vector that will hold a whole transaction.
fn extend<T: Copy>(values: &mut Vec<T>, more: &[T]) -> Result<(), Unkept> {
    make_room(values, more.len());
    values.extend_from_slice(more);
    Ok(())
}

fn append_texts(
    (ends, bytes): (&mut Vec<i32>, &mut Vec<u8>),
    (more_ends, more_bytes): (&[i32], &[u8]),
) -> Result<(), Unkept> {
    let shift = end(bytes)?;
    // The last end is the greatest.
    more_ends.last().map_or(Some(shift), |last| last.checked_add(shift)).ok_or(Unkept::TooLong)?;
    make_room(ends, more_ends.len());
    ends.extend(more_ends.iter().map(|end| end + shift));
    extend(bytes, more_bytes)
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

fn narrow<T: TryFrom<i64> + arrow::datatypes::ArrowNativeType>(values: &[i64]) -> Result<ScalarBuffer<T>, Unkept> {
    let narrow = values.iter().map(|value| T::try_from(*value).map_err(|_| Unkept::Mismatch));
    Ok(narrow.collect::<Result<Vec<_>, _>>()?.into())
}

fn decimal_array(
    values: Vec<i128>,
    nulls: Option<NullBuffer>,
    column_type: Option<ColumnType>,
) -> Result<ArrayRef, Unkept> {
    let Some(ColumnType::Decimal { precision, scale }) = column_type else { return Err(Unkept::NoArray) };
    let scale = i8::try_from(scale).map_err(|_| Unkept::NoArray)?;
    let typed = Decimal128Array::new(values.into(), nulls).with_precision_and_scale(precision, scale);
    Ok(Arc::new(typed.map_err(|_| Unkept::NoArray)?))
}

fn text_array(
    ends: Vec<i32>,
    bytes: Vec<u8>,
    nulls: Option<NullBuffer>,
    column_type: Option<ColumnType>,
) -> Result<ArrayRef, Unkept> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.extend(ends);
    let offsets = OffsetBuffer::new(offsets.into());
    let values = Buffer::from_vec(bytes);
    if column_type == Some(ColumnType::Binary) {
        return Ok(Arc::new(BinaryArray::new(offsets, values, nulls)));
    }
    Ok(Arc::new(StringArray::new(offsets, values, nulls)))
}

/// Types that differ only in what is remembered.
fn same_representation(from: ColumnType, to: ColumnType) -> bool {
    matches!((from, to), (ColumnType::Long { .. }, ColumnType::Long { .. })) || from.without_format() == to
}

fn push_value(data: &mut Data, column_type: ColumnType, value: &Value<'_>) -> Result<(), Unkept> {
    match (data, value) {
        (data @ Data::Boolean(_), Value::Boolean(value)) => data.push_cell(Cell::Boolean(*value)),
        (data @ Data::Integer(_), Value::Number(Number::Long(value))) => data.push_cell(Cell::Integer(*value)),
        (data @ Data::Double(_), Value::Number(Number::Double(value))) => data.push_cell(Cell::Double(*value)),
        #[expect(clippy::cast_precision_loss, reason = "a DOUBLE column takes integers up to 2^53 only (`join`)")]
        (data @ Data::Double(_), Value::Number(Number::Long(value))) => data.push_cell(Cell::Double(*value as f64)),
        (data @ Data::Decimal(_), Value::Number(number)) => data.push_cell(Cell::Decimal(units(number, column_type)?)),
        (data @ Data::Text { .. }, value) => push_text(data, value),
        _ => Err(Unkept::Mismatch),
    }
}

/// The value in units of the column's scale, which is at least the number's own (`join`).
fn units(number: &Number<'_>, column_type: ColumnType) -> Result<i128, Unkept> {
    let ColumnType::Decimal { scale: to, .. } = column_type else { return Err(Unkept::Mismatch) };
    let (units, scale) = match *number {
        Number::Long(value) => (i128::from(value), 0),
        Number::Decimal { units, scale, .. } => (units, scale),
        Number::Double(_) | Number::Text(_) => return Err(Unkept::Mismatch),
    };
    rescaled(units, scale, to)
}

/// Units of one scale in those of a finer one.
fn rescaled(units: i128, from: u8, to: u8) -> Result<i128, Unkept> {
    let finer = to.checked_sub(from).and_then(|digits| 10i128.checked_pow(digits.into()));
    finer.and_then(|finer| units.checked_mul(finer)).ok_or(Unkept::Mismatch)
}

fn push_text(data: &mut Data, value: &Value<'_>) -> Result<(), Unkept> {
    match value {
        Value::Text(text) => data.push_cell(Cell::Text(text.as_bytes())),
        Value::Json(raw) => data.push_cell(Cell::Text(raw.as_bytes())),
        Value::Boolean(value) => data.push_cell(Cell::Text(if *value { b"true" } else { b"false" })),
        Value::Number(number) => data.push_cell(Cell::Text(number.text().as_bytes())),
        Value::Null => data.push_empty(),
    }
}

fn push_converted(data: &mut Data, cell: Cell<'_>, from: ColumnType, to: ColumnType) -> Result<(), Unkept> {
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
            let ColumnType::Decimal { scale, .. } = from else { return Err(Unkept::Mismatch) };
            data.push_cell(Cell::Decimal(rescaled(value, scale, wider)?))
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
            date_text(days, &mut text);
            text
        }
        (Cell::Integer(micros), ColumnType::UtcDatetime(Some(format)) | ColumnType::NaiveDatetime(Some(format))) => {
            let mut text = String::with_capacity(32);
            timestamp_text(micros, format, &mut text);
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
        // All but BINARY is Unicode.
        (Cell::Text(bytes), _) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests;
