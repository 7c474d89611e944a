//! Values of columns whose type the connector declared: what fits, and how it is stored. Pure.

use std::borrow::Cow;

use base64::Engine as _;

use super::column::Cell;
use model::schema::ColumnType;
use model::schema::value::{
    Moment, Number, Value, days, decimal_units, declared_moment, double, float, number_of_text, time_of_day,
};

/// A value as a declared column stores it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Accepted {
    Boolean(bool),
    Integer(i64),
    Decimal(i128),
    Double(f64),
    Text(Vec<u8>),
}

impl Accepted {
    pub(crate) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Boolean(value) => Cell::Boolean(*value),
            Self::Integer(value) => Cell::Integer(*value),
            Self::Decimal(value) => Cell::Decimal(*value),
            Self::Double(value) => Cell::Double(*value),
            Self::Text(value) => Cell::Text(value),
        }
    }
}

/// The value (not null) as the declared type stores it; none if it does not fit without loss. `raw` is its JSON text.
/// Numbers and booleans may also be given as strings: CSV and XML have nothing else.
pub(crate) fn accept(column_type: ColumnType, value: &Value<'_>, raw: &str) -> Option<Accepted> {
    use ColumnType as T;
    Some(match column_type {
        T::Boolean => Accepted::Boolean(boolean(value)?),
        T::Short => Accepted::Integer(i16::try_from(integer(value, raw)?).ok()?.into()),
        T::Int => Accepted::Integer(i32::try_from(integer(value, raw)?).ok()?.into()),
        T::Long { .. } => Accepted::Integer(integer(value, raw)?),
        T::Decimal { precision, scale } => Accepted::Decimal(decimal(&number(value, raw)?, precision, scale)?),
        T::Float => Accepted::Double(float(&number(value, raw)?)?.into()),
        T::Double => Accepted::Double(double(&number(value, raw)?)?),
        T::NaiveDate => Accepted::Integer(days(text(value)?)?.into()),
        T::NaiveTime => Accepted::Integer(time_of_day(text(value)?)?),
        T::NaiveDatetime(_) | T::UtcDatetime(_) => Accepted::Integer(instant(column_type, text(value)?)?),
        T::Binary => Accepted::Text(base64::engine::general_purpose::STANDARD.decode(text(value)?).ok()?),
        T::Xml => Accepted::Text(text(value)?.as_bytes().to_vec()),
        T::String => Accepted::Text(match value {
            Value::Text(text) => text.as_bytes().to_vec(),
            _ => raw.as_bytes().to_vec(),
        }),
        T::Json => Accepted::Text(raw.as_bytes().to_vec()),
    })
}

fn text<'a>(value: &'a Value<'_>) -> Option<&'a str> {
    if let Value::Text(text) = value { Some(text) } else { None }
}

/// Python and spreadsheets write `True` and `TRUE`.
fn boolean(value: &Value<'_>) -> Option<bool> {
    match value {
        Value::Boolean(value) => Some(*value),
        Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A number as JSON has it, also where it is in a string.
fn number<'a>(value: &Value<'_>, raw: &'a str) -> Option<Cow<'a, str>> {
    match value {
        Value::Number(_) => Some(Cow::Borrowed(raw)),
        Value::Text(text) => number_of_text(text).map(Cow::Owned),
        _ => None,
    }
}

/// A whole number, however it is written: `7.0`, `1e3`.
fn integer(value: &Value<'_>, raw: &str) -> Option<i64> {
    match value {
        Value::Number(Number::Long(value)) => Some(*value),
        _ => i64::try_from(decimal_units(&number(value, raw)?, 0)?).ok(),
    }
}

fn decimal(raw: &str, precision: u8, scale: u8) -> Option<i128> {
    let units = decimal_units(raw, scale)?;
    (units.unsigned_abs() < 10u128.checked_pow(precision.into())?).then_some(units)
}

/// Every RFC 3339 form is read. A `UTC_DATETIME` needs an offset, a `NAIVE_DATETIME` has none.
fn instant(column_type: ColumnType, text: &str) -> Option<i64> {
    match (declared_moment(text)?, column_type) {
        (Moment::Timestamp { micros, is_utc, .. }, ColumnType::UtcDatetime(_)) => is_utc.then_some(micros),
        (Moment::Timestamp { micros, is_utc, .. }, ColumnType::NaiveDatetime(_)) => (!is_utc).then_some(micros),
        (Moment::Date(days), ColumnType::NaiveDatetime(_)) => Some(i64::from(days) * 86_400_000_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(column_type: ColumnType, raw: &str) -> Option<Accepted> {
        accept(column_type, &Value::read(raw).unwrap(), raw)
    }

    #[test]
    fn what_fits_is_stored_and_what_does_not_is_refused() {
        use ColumnType as T;
        let decimal = T::Decimal { precision: 5, scale: 2 };
        let utc = T::UtcDatetime(None);
        let integer = |value| Some(Accepted::Integer(value));
        for (column_type, raw, expected) in [
            (T::Short, "32767", integer(32767)),
            (T::Short, "32768", None),
            (T::Int, "\"12\"", integer(12)),
            (T::Short, "\"-32769\"", None),
            (T::Int, "\"+12.0\"", integer(12)),
            (T::Int, "\"007\"", integer(7)),
            (T::Int, "\"\"", None),
            (T::Int, "true", None),
            (T::Long { exact: false }, "1.5", None),
            (T::Long { exact: false }, "7.0", integer(7)),
            (T::Long { exact: false }, "1e3", integer(1_000)),
            (T::Long { exact: false }, "-0", integer(0)),
            (T::Long { exact: false }, "-0.0", integer(0)),
            (T::Long { exact: false }, "\"9.223372036854775807e18\"", integer(i64::MAX)),
            (T::Long { exact: false }, "9223372036854775808", None),
            (T::Boolean, "1", None),
            (T::Boolean, "\"true\"", Some(Accepted::Boolean(true))),
            (T::Boolean, "\"False\"", Some(Accepted::Boolean(false))),
            (T::Boolean, "\"yes\"", None),
            (decimal, "123.45", Some(Accepted::Decimal(12345))),
            (decimal, "\"-1.5\"", Some(Accepted::Decimal(-150))),
            (decimal, "1234.5", None),
            (decimal, "1.234", None),
            (decimal, "\"x\"", None),
            (decimal, "\".5\"", Some(Accepted::Decimal(50))),
            (decimal, "\"1e2\"", Some(Accepted::Decimal(10_000))),
            (T::Double, "9007199254740993", None),
            (T::Double, "1152921504606846976", Some(Accepted::Double(1_152_921_504_606_846_976.0))),
            (T::Double, "\"1.5\"", Some(Accepted::Double(1.5))),
            (T::Double, "\"1e400\"", None),
            (T::Double, "\"NaN\"", None),
            (T::Float, "\"0.1\"", Some(Accepted::Double(f64::from(0.1f32)))),
            (T::Float, "0.10000000149011612", Some(Accepted::Double(f64::from(0.1f32)))),
            (T::Float, "0.1", Some(Accepted::Double(f64::from(0.1f32)))),
            (T::Float, "0.123456789", None),
            (T::NaiveDate, "\"2024-02-30\"", None),
            (T::NaiveTime, "\"01:00:00.5\"", integer(3_600_500_000)),
            (utc, "\"1970-01-01T00:00:01.000000000Z\"", integer(1_000_000)),
            (utc, "\"1970-01-01T00:00:01.000000001Z\"", None),
            (utc, "\"1970-01-01T00:00:01\"", None),
            (utc, "\"1970-01-01t00:00:01z\"", integer(1_000_000)),
            (utc, "\"1970-01-01 02:00:01.0+02:00\"", integer(1_000_000)),
            (utc, "\"1970-01-01\"", None),
            (utc, "\"9999-12-31T23:59:59-00:01\"", None),
            (T::NaiveDatetime(None), "\"1970-01-01 00:00:01.50\"", integer(1_500_000)),
            (T::NaiveDatetime(None), "\"1970-01-01T00:00:01Z\"", None),
            (T::NaiveDatetime(None), "\"1970-01-02\"", integer(86_400_000_000)),
            (T::Binary, "\"aGk=\"", Some(Accepted::Text(b"hi".to_vec()))),
            (T::Binary, "\"?\"", None),
            (T::String, "1.50", Some(Accepted::Text(b"1.50".to_vec()))),
            (T::Json, "\"a\"", Some(Accepted::Text(b"\"a\"".to_vec()))),
        ] {
            assert_eq!(accepts(column_type, raw), expected, "{column_type} {raw}");
        }
    }
}
