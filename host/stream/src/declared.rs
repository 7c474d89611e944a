//! Values of columns whose type the connector declared: what fits, and how it is stored. Pure.

use base64::Engine as _;

use super::column::Cell;
use model::schema::ColumnType;
use model::schema::value::{Moment, Number, Value, days, decimal_units, moment, time_of_day};

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
/// Numbers may also be given as strings: many sources do so for decimals.
pub(crate) fn accept(column_type: ColumnType, value: &Value<'_>, raw: &str) -> Option<Accepted> {
    use ColumnType as T;
    Some(match column_type {
        T::Boolean => Accepted::Boolean(boolean(value)?),
        T::Short => Accepted::Integer(i16::try_from(integer(value)?).ok()?.into()),
        T::Int => Accepted::Integer(i32::try_from(integer(value)?).ok()?.into()),
        T::Long { .. } => Accepted::Integer(integer(value)?),
        T::Decimal { precision, scale } => Accepted::Decimal(decimal(value, raw, precision, scale)?),
        T::Float => Accepted::Double(float(value)?),
        T::Double => Accepted::Double(double(value)?),
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

fn boolean(value: &Value<'_>) -> Option<bool> {
    if let Value::Boolean(value) = value { Some(*value) } else { None }
}

fn integer(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Number(Number::Long(value)) => Some(*value),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn double(value: &Value<'_>) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "only integers up to 2^53, which are exact")]
        Value::Number(Number::Long(value)) if value.unsigned_abs() <= 1 << 53 => Some(*value as f64),
        Value::Number(Number::Double(value)) => Some(*value),
        _ => None,
    }
}

/// A FLOAT holds what its 32 bits give back: the shortest text of both widths is the same.
fn float(value: &Value<'_>) -> Option<f64> {
    let value = double(value)?;
    #[expect(clippy::cast_possible_truncation, reason = "the next line refuses what was cut")]
    let narrow = value as f32;
    (format!("{narrow:e}") == format!("{value:e}")).then_some(f64::from(narrow))
}

fn decimal(value: &Value<'_>, raw: &str, precision: u8, scale: u8) -> Option<i128> {
    let units = match value {
        Value::Number(_) => decimal_units(raw, scale)?,
        Value::Text(text) if is_number(text) => decimal_units(text, scale)?,
        _ => return None,
    };
    (units.unsigned_abs() < 10u128.pow(u32::from(precision.min(38)))).then_some(units)
}

fn is_number(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text)
        .is_ok_and(|raw| raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit()))
}

/// Every RFC 3339 format is read, and a fraction of more than 6 digits only if the rest are zeros. A `UTC_DATETIME`
/// needs an offset, a `NAIVE_DATETIME` has none.
fn instant(column_type: ColumnType, text: &str) -> Option<i64> {
    let text = without_spare_zeros(text);
    match (moment(&text)?, column_type) {
        (Moment::Timestamp(micros, format), ColumnType::UtcDatetime(_)) if format.offset.is_some() => Some(micros),
        (Moment::Timestamp(micros, format), ColumnType::NaiveDatetime(_)) if format.offset.is_none() => Some(micros),
        (Moment::Date(days), ColumnType::NaiveDatetime(_)) => Some(i64::from(days) * 86_400_000_000),
        _ => None,
    }
}

fn without_spare_zeros(text: &str) -> std::borrow::Cow<'_, str> {
    let Some(fraction) = text.get(20..) else { return text.into() };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if text.as_bytes().get(19) != Some(&b'.') || digits <= 6 || !fraction[6..digits].bytes().all(|byte| byte == b'0') {
        return text.into();
    }
    format!("{}{}", &text[..26], &fraction[digits..]).into()
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
            (T::Long { exact: false }, "1.5", None),
            (T::Boolean, "1", None),
            (decimal, "123.45", Some(Accepted::Decimal(12345))),
            (decimal, "\"-1.5\"", Some(Accepted::Decimal(-150))),
            (decimal, "1234.5", None),
            (decimal, "1.234", None),
            (decimal, "\"x\"", None),
            (T::Double, "9007199254740993", None),
            (T::Float, "0.1", Some(Accepted::Double(f64::from(0.1f32)))),
            (T::Float, "0.123456789", None),
            (T::NaiveDate, "\"2024-02-30\"", None),
            (T::NaiveTime, "\"01:00:00.5\"", integer(3_600_500_000)),
            (utc, "\"1970-01-01T00:00:01.000000000Z\"", integer(1_000_000)),
            (utc, "\"1970-01-01T00:00:01.000000001Z\"", None),
            (utc, "\"1970-01-01T00:00:01\"", None),
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
