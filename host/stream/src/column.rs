//! One column of a buffer: values in typed vectors that become an Arrow array without a copy, and widen in place.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::marks::{Mark, Marks};
use model::schema::ColumnType;
use model::schema::value::{
    Moment, Number, Value, clock_text, double_text, float_text, free_moment_text, moment, moment_text, units_text,
};

/// What a vector of a transaction takes once it is not small. The host has the C library's allocator ask the system for
/// blocks of this size, and give them back when they are freed.
pub const ROOM_BYTES: usize = 2 << 20;
/// Up to here a vector grows as any other: there may be thousands of columns.
const SMALL_BYTES: usize = 64 << 10;

/// Values of one column, one for each row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    /// The type of the values; none while there are only nulls.
    kind: Option<ColumnType>,
    marks: Marks,
    data: Data,
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

    fn push_empty(&mut self) {
        match self {
            Self::None => {}
            Self::Boolean(values) => values.push(false),
            Self::Integer(values) => values.push(0),
            Self::Decimal(values) => values.push(0),
            Self::Double(values) => values.push(0.0),
            Self::Text { ends, bytes } => ends.push(end(bytes)),
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
                bytes.truncate(ends.last().map_or(0, |end| usize::try_from(*end).unwrap_or(0)));
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

    fn push_cell(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Boolean(values), Cell::Boolean(value)) => values.push(value),
            (Self::Integer(values), Cell::Integer(value)) => values.push(value),
            (Self::Decimal(values), Cell::Decimal(value)) => values.push(value),
            (Self::Double(values), Cell::Double(value)) => values.push(value),
            (Self::Text { ends, bytes }, Cell::Text(value)) => {
                bytes.extend_from_slice(value);
                ends.push(end(bytes));
            }
            (data, _) => data.push_empty(),
        }
    }
}

/// Offsets are 32 bits; a buffer is cut long before (`Policy`), and a row's text is bounded by a limit.
fn end(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

fn slice<'a>(ends: &[i32], bytes: &'a [u8], row: usize) -> Option<&'a [u8]> {
    let from = if row == 0 { 0 } else { usize::try_from(*ends.get(row - 1)?).ok()? };
    bytes.get(from..usize::try_from(*ends.get(row)?).ok()?)
}

impl Column {
    /// An empty column of the type that the table has so far.
    pub(crate) fn new(column_type: Option<ColumnType>) -> Self {
        let data = column_type.map_or(Data::None, |column_type| Data::of(column_type, 0));
        Self { kind: column_type, marks: Marks::default(), data }
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
        self.data.push_empty();
    }

    /// Takes back the last row.
    pub(crate) fn pop(&mut self) {
        self.marks.pop();
        self.data.pop();
    }

    /// Adds a value; widens the column where it must. `time`: strings may become time.
    pub(crate) fn push(&mut self, value: &Value<'_>, time: bool) {
        let joined = self.joined(value, time);
        self.push_joined(value, joined);
    }

    /// Adds a value if the column need not widen for it; returns whether it did.
    pub(crate) fn push_narrow(&mut self, value: &Value<'_>, time: bool) -> bool {
        let joined = self.joined(value, time);
        let fits = joined.0.is_none() || joined.0 == self.kind;
        if fits {
            self.push_joined(value, joined);
        }
        fits
    }

    fn push_joined(&mut self, value: &Value<'_>, joined: (Option<ColumnType>, Option<Moment>)) {
        let (Some(joined), moment) = joined else { return self.push_empty(Mark::Null) };
        self.widen(joined);
        self.marks.push(Mark::Value);
        match (&mut self.data, moment) {
            (Data::Integer(values), Some(Moment::Date(days))) => values.push(days.into()),
            (Data::Integer(values), Some(Moment::Timestamp(micros, _))) => values.push(micros),
            (data, _) => push_value(data, joined, value),
        }
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
    pub(crate) fn push_cell(&mut self, mark: Mark, cell: Option<Cell<'_>>) {
        match cell {
            Some(cell) => {
                self.marks.push(mark);
                self.data.push_cell(cell);
            }
            None => self.push_empty(mark),
        }
    }

    /// Adds a value that a declared column accepted.
    pub(crate) fn push_declared(&mut self, cell: Cell<'_>) {
        self.marks.push(Mark::Value);
        self.data.push_cell(cell);
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
        for (row, mark) in self.marks.iter().enumerate() {
            match before.cell(row).filter(|_| mark == Mark::Value) {
                Some(cell) => push_converted(&mut self.data, cell, from, to),
                None => self.data.push_empty(),
            }
        }
    }

    /// Adds all rows of another column of the same type.
    pub(crate) fn append(&mut self, other: &Self) {
        self.marks.append(&other.marks);
        match (&mut self.data, &other.data) {
            (Data::Boolean(own), Data::Boolean(more)) => extend(own, more),
            (Data::Integer(own), Data::Integer(more)) => extend(own, more),
            (Data::Decimal(own), Data::Decimal(more)) => extend(own, more),
            (Data::Double(own), Data::Double(more)) => extend(own, more),
            (Data::Text { ends, bytes }, Data::Text { ends: more_ends, bytes: more_bytes }) => {
                let shift = end(bytes);
                make_room(ends, more_ends.len());
                ends.extend(more_ends.iter().map(|end| end.saturating_add(shift)));
                extend(bytes, more_bytes);
            }
            (own, _) => (0..other.len()).for_each(|_| own.push_empty()),
        }
    }

    /// Whether each row names this column.
    pub(crate) fn given(&self) -> ArrayRef {
        Arc::new(BooleanArray::new(self.marks.given(), None))
    }

    /// The column as an Arrow array of its type (docs/TYPES.md). A column of nulls only becomes BOOLEAN nulls.
    pub(crate) fn into_array(self) -> ArrayRef {
        use ColumnType as T;
        let nulls = self.marks.nulls();
        let rows = self.marks.len();
        match (self.data, self.kind) {
            (Data::Boolean(values), _) => Arc::new(BooleanArray::new(values.into(), nulls)),
            (Data::Integer(values), Some(T::Short)) => Arc::new(Int16Array::new(narrow(&values), nulls)),
            (Data::Integer(values), Some(T::Int)) => Arc::new(Int32Array::new(narrow(&values), nulls)),
            (Data::Integer(values), Some(T::NaiveDate)) => Arc::new(Date32Array::new(narrow(&values), nulls)),
            (Data::Integer(values), Some(T::NaiveTime)) => Arc::new(Time64MicrosecondArray::new(values.into(), nulls)),
            (Data::Integer(values), Some(T::NaiveDatetime(_))) => {
                Arc::new(TimestampMicrosecondArray::new(values.into(), nulls))
            }
            (Data::Integer(values), Some(T::UtcDatetime(_))) => {
                Arc::new(TimestampMicrosecondArray::new(values.into(), nulls).with_timezone("UTC"))
            }
            (Data::Integer(values), _) => Arc::new(Int64Array::new(values.into(), nulls)),
            (Data::Decimal(values), column_type) => decimal_array(values, nulls, column_type),
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
        }
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

fn narrow<T: TryFrom<i64> + Default + arrow::datatypes::ArrowNativeType>(values: &[i64]) -> ScalarBuffer<T> {
    values.iter().map(|value| T::try_from(*value).unwrap_or_default()).collect::<Vec<_>>().into()
}

fn decimal_array(values: Vec<i128>, nulls: Option<NullBuffer>, column_type: Option<ColumnType>) -> ArrayRef {
    let array = Decimal128Array::new(values.into(), nulls);
    let Some(ColumnType::Decimal { precision, scale }) = column_type else { return Arc::new(array) };
    let scale = i8::try_from(scale).unwrap_or(0);
    match array.clone().with_precision_and_scale(precision, scale) {
        Ok(typed) => Arc::new(typed),
        Err(_) => Arc::new(array),
    }
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

fn push_value(data: &mut Data, column_type: ColumnType, value: &Value<'_>) {
    match (data, value) {
        (Data::Boolean(values), Value::Boolean(value)) => values.push(*value),
        (Data::Integer(values), Value::Number(Number::Long(value))) => values.push(*value),
        (Data::Double(values), Value::Number(Number::Double(value))) => values.push(*value),
        #[expect(clippy::cast_precision_loss, reason = "a DOUBLE column takes integers up to 2^53 only (`join`)")]
        (Data::Double(values), Value::Number(Number::Long(value))) => values.push(*value as f64),
        (Data::Decimal(values), Value::Number(number)) => values.push(units(number, column_type)),
        (data @ Data::Text { .. }, value) => push_text(data, value),
        (data, _) => data.push_empty(),
    }
}

/// The value in units of the column's scale, which is at least the number's own (`join`).
fn units(number: &Number<'_>, column_type: ColumnType) -> i128 {
    let ColumnType::Decimal { scale: to, .. } = column_type else { return 0 };
    match *number {
        Number::Long(value) => i128::from(value) * 10i128.pow(u32::from(to)),
        Number::Decimal { units, scale, .. } => units * 10i128.pow(u32::from(to.saturating_sub(scale))),
        Number::Double(_) | Number::Text(_) => 0,
    }
}

fn push_text(data: &mut Data, value: &Value<'_>) {
    match value {
        Value::Text(text) => data.push_cell(Cell::Text(text.as_bytes())),
        Value::Json(raw) => data.push_cell(Cell::Text(raw.as_bytes())),
        Value::Boolean(value) => data.push_cell(Cell::Text(if *value { b"true" } else { b"false" })),
        Value::Number(number) => data.push_cell(Cell::Text(number_text(number).as_bytes())),
        Value::Null => data.push_empty(),
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

fn push_converted(data: &mut Data, cell: Cell<'_>, from: ColumnType, to: ColumnType) {
    match (cell, to) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a LONG becomes a DOUBLE only while every value is exact (`join`)"
        )]
        (Cell::Integer(value), ColumnType::Double) => data.push_cell(Cell::Double(value as f64)),
        (Cell::Integer(value), ColumnType::Decimal { .. }) => {
            data.push_cell(Cell::Decimal(units(&Number::Long(value), to)));
        }
        (Cell::Decimal(value), ColumnType::Decimal { scale: wider, .. }) => {
            let scale = if let ColumnType::Decimal { scale, .. } = from { scale } else { wider };
            data.push_cell(Cell::Decimal(value * 10i128.pow(u32::from(wider.saturating_sub(scale)))));
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
            column.push(&Value::read(raw).unwrap(), true);
        }
        column
    }

    fn texts(values: &[&str]) -> (String, Vec<Option<String>>) {
        let mut column = column(values);
        let found = column.column_type().map_or("none".to_owned(), |found| found.to_string());
        column.widen(ColumnType::String);
        let array = column.into_array();
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
        column.push(&Value::read("\"def\"").unwrap(), true);
        column.pad(4);
        assert_eq!((column.cell(0), column.cell(1)), (Some(Cell::Text(b"a")), Some(Cell::Text(b"def"))));
        assert_eq!((column.mark(3), column.len(), column.cell(3)), (Mark::Absent, 4, None));
    }

    #[test]
    fn appending_keeps_values_and_marks() {
        let (mut first, second) = (column(&["\"a\"", "null"]), column(&["\"b\""]));
        first.append(&second);
        assert_eq!(first.cell(2), Some(Cell::Text(b"b")));
        assert_eq!(first.mark(1), Mark::Null);
    }
}
