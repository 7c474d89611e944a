//! Rows in Postgres's binary COPY format, straight from Arrow arrays.
//!
//! The format is documented with COPY: a header, then for each row the number of fields and each field with its length, and
//! a trailer. Values are what the types' own `recv` functions read: instants count from 2000, decimals in groups of four
//! digits.

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType,
};

use model::schema::ColumnType;

/// Bytes handed to the connection at once.
const CHUNK: usize = 64 << 10;
const DAYS_1970_TO_2000: i32 = 10_957;
const MICROS_1970_TO_2000: i64 = 946_684_800_000_000;

/// A column that is not of the type it is said to be.
#[derive(Debug, thiserror::Error)]
#[error("column {0} is {1}, which is not how values of type {2} arrive")]
pub(crate) struct WrongArray(pub(super) usize, pub(super) arrow::datatypes::DataType, pub(super) ColumnType);

/// A column, ready to be read by row.
pub(super) struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Boolean(&'a BooleanArray),
    Short(&'a PrimitiveArray<Int16Type>),
    Int(&'a PrimitiveArray<Int32Type>),
    Long(&'a PrimitiveArray<Int64Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>, u8),
    Float(&'a PrimitiveArray<Float32Type>),
    Double(&'a PrimitiveArray<Float64Type>),
    Date(&'a PrimitiveArray<Date32Type>),
    Time(&'a PrimitiveArray<Time64MicrosecondType>),
    Instant(&'a PrimitiveArray<TimestampMicrosecondType>),
    Binary(&'a BinaryArray),
    Text(&'a StringArray),
}

impl<'a> Values<'a> {
    fn of(array: &'a dyn Array, column_type: ColumnType) -> Option<Self> {
        use ColumnType as T;
        Some(match column_type {
            T::Boolean => Self::Boolean(array.as_boolean_opt()?),
            T::Short => Self::Short(array.as_primitive_opt()?),
            T::Int => Self::Int(array.as_primitive_opt()?),
            T::Long { .. } => Self::Long(array.as_primitive_opt()?),
            T::Decimal { scale, .. } => Self::Decimal(array.as_primitive_opt()?, scale),
            T::Float => Self::Float(array.as_primitive_opt()?),
            T::Double => Self::Double(array.as_primitive_opt()?),
            T::NaiveDate => Self::Date(array.as_primitive_opt()?),
            T::NaiveTime => Self::Time(array.as_primitive_opt()?),
            T::NaiveDatetime(_) | T::UtcDatetime(_) => Self::Instant(array.as_primitive_opt()?),
            T::Binary => Self::Binary(array.as_binary_opt()?),
            T::Xml | T::String | T::Json => Self::Text(array.as_string_opt()?),
        })
    }

    /// Writes a value that is not null, with its length.
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Boolean(array) => field(out, &[u8::from(array.value(row))]),
            Self::Short(array) => field(out, &array.value(row).to_be_bytes()),
            Self::Int(array) => field(out, &array.value(row).to_be_bytes()),
            Self::Long(array) => field(out, &array.value(row).to_be_bytes()),
            Self::Decimal(array, scale) => decimal(array.value(row), *scale, out),
            Self::Float(array) => field(out, &array.value(row).to_be_bytes()),
            Self::Double(array) => field(out, &array.value(row).to_be_bytes()),
            Self::Date(array) => field(out, &(array.value(row) - DAYS_1970_TO_2000).to_be_bytes()),
            Self::Time(array) => field(out, &array.value(row).to_be_bytes()),
            Self::Instant(array) => field(out, &(array.value(row) - MICROS_1970_TO_2000).to_be_bytes()),
            Self::Binary(array) => field(out, array.value(row)),
            Self::Text(array) => field(out, array.value(row).as_bytes()),
        }
    }
}

impl<'a> Column<'a> {
    pub(super) fn of(array: &'a dyn Array, column_type: ColumnType) -> Option<Self> {
        Some(Self { nulls: array.nulls(), values: Values::of(array, column_type)? })
    }

    /// Writes a value with its length.
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(&(-1i32).to_be_bytes());
        } else {
            self.values.write(row, out);
        }
    }
}

/// A row's bytes are bounded by a limit far below what 32 bits count.
fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The digits in groups of four on both sides of the point, without groups of zeros at either end.
fn decimal(units: i128, scale: u8, out: &mut Vec<u8>) {
    const GROUP: u128 = 10_000;
    /// 38 digits on both sides of the point: ten groups and one that the point cuts.
    const GROUPS_MAX: usize = 11;
    let mut groups = [0u16; GROUPS_MAX];
    let (mut length, mut left) = (0, units.unsigned_abs());
    let mut push = |group: u128| {
        if let Some(place) = groups.get_mut(length) {
            *place = u16::try_from(group).unwrap_or(0);
            length += 1;
        }
    };
    let odd = u32::from(scale % 4);
    if odd > 0 {
        let unit = 10u128.pow(odd);
        push(left % unit * 10u128.pow(4 - odd));
        left /= unit;
    }
    while left > 0 {
        push(left % GROUP);
        left /= GROUP;
    }
    let fraction_groups = usize::from(scale.div_ceil(4));
    let used = groups.get(..length).unwrap_or_default();
    let top = used.iter().rposition(|group| *group > 0).map_or(0, |place| place + 1);
    let bottom = used.iter().position(|group| *group > 0).unwrap_or(top);
    let digits = used.get(bottom..top).unwrap_or_default();
    let small = |number: usize| i16::try_from(number).unwrap_or(0);
    let weight = if digits.is_empty() { 0 } else { small(top) - small(fraction_groups) - 1 };
    let sign: u16 = if units < 0 && !digits.is_empty() { 0x4000 } else { 0 };
    out.extend_from_slice(&i32::from(8 + 2 * small(digits.len())).to_be_bytes());
    out.extend_from_slice(&small(digits.len()).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&u16::from(scale).to_be_bytes());
    for group in digits.iter().rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// Writes every row; `send` takes the bytes in pieces.
pub(super) fn write<E: From<WrongArray>>(
    rows: &RecordBatch,
    types: impl Iterator<Item = ColumnType>,
    mut send: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut columns: Vec<Column<'_>> = Vec::with_capacity(rows.num_columns());
    for (index, (array, column_type)) in rows.columns().iter().zip(types).enumerate() {
        let wrong = || WrongArray(index, array.data_type().clone(), column_type);
        columns.push(Column::of(array.as_ref(), column_type).ok_or_else(wrong)?);
    }
    // The signature, then flags and the length of an extension: neither is used.
    let mut out = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    let fields = i16::try_from(columns.len()).unwrap_or(i16::MAX).to_be_bytes();
    for row in 0..rows.num_rows() {
        out.extend_from_slice(&fields);
        for column in &columns {
            column.write(row, &mut out);
        }
        if out.len() >= CHUNK {
            send(&out)?;
            out.clear();
        }
    }
    out.extend_from_slice(&(-1i16).to_be_bytes());
    send(&out)
}

/// The first text with a NUL in it, as its column and row: Postgres has none of those.
pub(super) fn find_nul(rows: &RecordBatch) -> Option<(usize, usize)> {
    rows.columns().iter().enumerate().find_map(|(column, array)| {
        let texts = array.as_string_opt::<i32>()?;
        // One look at all bytes: the answer is almost always no.
        if !texts.values().contains(&0) {
            return None;
        }
        let row = (0..texts.len()).find(|row| !texts.is_null(*row) && texts.value(*row).contains('\0'))?;
        Some((column, row))
    })
}

#[cfg(test)]
mod tests {
    use super::decimal;

    fn written(units: i128, scale: u8) -> (i16, u16, Vec<u16>) {
        let mut out = Vec::new();
        decimal(units, scale, &mut out);
        let words: Vec<u16> = out[4..].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        assert_eq!((usize::from(words[0]), words[3]), (words.len() - 4, u16::from(scale)));
        (words[1].cast_signed(), words[2], words[4..].to_vec())
    }

    #[test]
    fn decimals_are_groups_of_four_digits() {
        assert_eq!(written(0, 2), (0, 0, vec![]));
        assert_eq!(written(1, 0), (0, 0, vec![1]));
        assert_eq!(written(-12_345, 2), (0, 0x4000, vec![123, 4500]));
        assert_eq!(written(5, 5), (-2, 0, vec![5000]));
        assert_eq!(written(100_000_000, 0), (2, 0, vec![1]));
        assert_eq!(written(10i128.pow(38) - 1, 38).2, [&[9999; 9][..], &[9900]].concat());
        assert_eq!(written(10i128.pow(38) - 1, 37), (0, 0, [&[9][..], &[9999; 9], &[9000]].concat()));
    }
}
