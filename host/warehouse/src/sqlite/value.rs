//! Values as SQLite holds them: decimals, dates and times are texts, of which those of dates and instants sort by time.

use arrow::array::{
    Array, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, TimeUnit};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rusqlite::types::ValueRef;

use model::schema::value::{
    Moment, clock_text, date_text, double_text, float_text, free_moment_text, moment, time_of_day, timestamp_text,
    units_text,
};
use model::schema::{ColumnType, Offset, TimeFormat};

/// A text, or a type of value, that is none this program writes.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadValue {
    #[error("\"{0}\" is not a value that this program wrote")]
    Stored(String),
    #[error("there is no way to store {0}")]
    Type(DataType),
}

/// A column of a batch, to be bound value by value.
pub(super) enum Cells<'a> {
    Boolean(&'a BooleanArray),
    Short(&'a Int16Array),
    Int(&'a Int32Array),
    Long(&'a Int64Array),
    Float(&'a Float32Array),
    Double(&'a Float64Array),
    Decimal(&'a Decimal128Array, u8),
    Date(&'a Date32Array),
    Time(&'a Time64MicrosecondArray),
    Timestamp(&'a TimestampMicrosecondArray, bool),
    Binary(&'a BinaryArray),
    Text(&'a StringArray),
}

/// The text of the last value of a column that had to be written: `_synced_at` is the same in every row.
#[derive(Default)]
pub(super) struct Written {
    micros: Option<i64>,
    text: String,
}

impl<'a> Cells<'a> {
    pub(super) fn new(array: &'a dyn Array) -> Result<Self, BadValue> {
        Ok(match array.data_type() {
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Int16 => Self::Short(array.as_primitive()),
            DataType::Int32 => Self::Int(array.as_primitive()),
            DataType::Int64 => Self::Long(array.as_primitive()),
            DataType::Float32 => Self::Float(array.as_primitive()),
            DataType::Float64 => Self::Double(array.as_primitive()),
            DataType::Decimal128(_, scale) => {
                let scale = u8::try_from(*scale).map_err(|_| BadValue::Type(array.data_type().clone()))?;
                Self::Decimal(array.as_primitive(), scale)
            }
            DataType::Date32 => Self::Date(array.as_primitive()),
            DataType::Time64(TimeUnit::Microsecond) => Self::Time(array.as_primitive()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => Self::Timestamp(array.as_primitive(), zone.is_some()),
            DataType::Binary => Self::Binary(array.as_binary()),
            DataType::Utf8 => Self::Text(array.as_string()),
            other => return Err(BadValue::Type(other.clone())),
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Boolean(array) => array,
            Self::Short(array) => array,
            Self::Int(array) => array,
            Self::Long(array) => array,
            Self::Float(array) => array,
            Self::Double(array) => array,
            Self::Decimal(array, _) => array,
            Self::Date(array) => array,
            Self::Time(array) => array,
            Self::Timestamp(array, _) => array,
            Self::Binary(array) => array,
            Self::Text(array) => array,
        }
    }

    /// The value of a row as it is stored.
    pub(super) fn get<'b>(&'b self, row: usize, written: &'b mut Written) -> ValueRef<'b> {
        if self.array().is_null(row) {
            return ValueRef::Null;
        }
        match self {
            Self::Boolean(array) => ValueRef::Integer(array.value(row).into()),
            Self::Short(array) => ValueRef::Integer(array.value(row).into()),
            Self::Int(array) => ValueRef::Integer(array.value(row).into()),
            Self::Long(array) => ValueRef::Integer(array.value(row)),
            Self::Float(array) => ValueRef::Real(array.value(row).into()),
            Self::Double(array) => ValueRef::Real(array.value(row)),
            Self::Binary(array) => ValueRef::Blob(array.value(row)),
            Self::Text(array) => ValueRef::Text(array.value(row).as_bytes()),
            Self::Decimal(array, scale) => written.write(|text| *text = units_text(array.value(row), *scale)),
            Self::Date(array) => written.write(|text| date_text(array.value(row).into(), text)),
            Self::Time(array) => {
                // The time of a day of which nobody asks: six digits of a fraction, as instants have.
                written.write(|text| {
                    instant_text(array.value(row), false, text);
                    text.drain(.."1970-01-01T".len());
                })
            }
            Self::Timestamp(array, is_utc) => {
                let micros = array.value(row);
                if written.micros != Some(micros) {
                    written.write(|text| instant_text(micros, *is_utc, text));
                    written.micros = Some(micros);
                }
                ValueRef::Text(written.text.as_bytes())
            }
        }
    }
}

impl Written {
    fn write(&mut self, write: impl FnOnce(&mut String)) -> ValueRef<'_> {
        self.text.clear();
        write(&mut self.text);
        ValueRef::Text(self.text.as_bytes())
    }
}

/// A timestamp as it is stored: `2024-02-29T12:00:00.000000`, instants with `Z`.
pub(super) fn instant_text(micros: i64, is_utc: bool, out: &mut String) {
    let offset = is_utc.then_some(Offset::Zulu);
    timestamp_text(micros, TimeFormat { separator: 'T', fraction_digits: 6, offset }, out);
}

/// Reads a stored timestamp: microseconds since 1970.
pub(super) fn micros(text: &str) -> Result<i64, BadValue> {
    /// The calendar repeats itself.
    const ERA_YEARS: i64 = 400;
    const ERA_MICROS: i64 = 146_097 * 86_400 * 1_000_000;
    if let Some(Moment::Timestamp { micros, .. }) = moment(text) {
        return Ok(micros);
    }
    // Of programs that did not leave instants outside of years 1 to 9999 in UTC to be text.
    let outside = || {
        let (year, rest) = text.split_once('-')?;
        let year: i64 = year.parse().ok()?;
        let like = 2_000 + year.rem_euclid(ERA_YEARS);
        match moment(&format!("{like}-{rest}"))? {
            Moment::Timestamp { micros, .. } => Some(micros + (year - like) / ERA_YEARS * ERA_MICROS),
            Moment::Date(_) => None,
        }
    };
    outside().ok_or_else(|| BadValue::Stored(text.to_owned()))
}

/// A stored value of a type as its exact text, by the rules of docs/TYPES.md; none for NULL.
pub(super) fn text(stored: ValueRef<'_>, column_type: ColumnType) -> Result<Option<String>, BadValue> {
    Ok(Some(match (stored, column_type) {
        (ValueRef::Null, _) => return Ok(None),
        (ValueRef::Integer(value), ColumnType::Boolean) => (value != 0).to_string(),
        (ValueRef::Integer(value), _) => value.to_string(),
        (ValueRef::Real(value), ColumnType::Float) => float_text(value),
        (ValueRef::Real(value), _) => double_text(value),
        (ValueRef::Blob(bytes), _) => BASE64_STANDARD.encode(bytes),
        (ValueRef::Text(bytes), _) => match std::str::from_utf8(bytes) {
            Ok(text) => stored_text(text, column_type)?,
            Err(_) => return Err(BadValue::Stored(String::from_utf8_lossy(bytes).into_owned())),
        },
    }))
}

fn stored_text(stored: &str, column_type: ColumnType) -> Result<String, BadValue> {
    Ok(match column_type {
        ColumnType::NaiveTime => clock_text(time_of_day(stored).ok_or_else(|| BadValue::Stored(stored.to_owned()))?),
        ColumnType::NaiveDatetime(None) => free_moment_text(micros(stored)?, false),
        ColumnType::UtcDatetime(None) => free_moment_text(micros(stored)?, true),
        ColumnType::NaiveDatetime(Some(format)) | ColumnType::UtcDatetime(Some(format)) => {
            let mut text = String::with_capacity(32);
            timestamp_text(micros(stored)?, format, &mut text);
            text
        }
        _ => stored.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{instant_text, micros};

    #[test]
    fn instants_outside_of_four_digit_years_are_read_again() {
        for us in
            [0, -1, 253_402_300_799_999_999, 253_402_300_800_000_000, -62_135_596_800_000_001, 300_000_000_000_000_000]
        {
            let mut text = String::new();
            instant_text(us, true, &mut text);
            assert_eq!(micros(&text).unwrap(), us, "{text}");
        }
        assert!(micros("yesterday").is_err());
    }
}
