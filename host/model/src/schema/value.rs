//! Reads one JSON value: which type it has by itself and what it is worth. The rules are those of docs/TYPES.md.

mod number;
mod time;

pub use number::{Number, decimal_units, double, double_text, float, float_text, number, number_of_text, units_text};
pub use time::{
    Moment, clock_text, date_text, days, declared_moment, free_moment_text, moment, time_of_day, timestamp_text,
};

use std::borrow::Cow;

use super::{ColumnType, Timestamps};

/// A JSON value, looked at only as far as its type needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Boolean(bool),
    /// A number.
    Number(Number<'a>),
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// An object or array, as it was written but for blanks between its tokens.
    Json(&'a str),
}

/// A string that is no JSON string: an escape for half a surrogate pair, for example.
#[derive(Debug, thiserror::Error)]
#[error("the string {0} cannot be read as Unicode")]
pub struct BadString(String);

impl<'a> Value<'a> {
    /// Reads a value from its text, which is valid JSON without white space around it.
    pub fn read(raw: &'a str) -> Result<Self, BadString> {
        Ok(match raw.as_bytes().first() {
            Some(b'"') => Self::Text(unescape(raw)?),
            Some(b'{' | b'[') => Self::Json(raw),
            Some(b't') => Self::Boolean(true),
            Some(b'f') => Self::Boolean(false),
            Some(b'n') | None => Self::Null,
            Some(_) => Self::Number(number(raw)),
        })
    }

    /// The least type that holds the value by itself; none for null.
    pub fn column_type(&self, timestamps: Timestamps) -> Option<ColumnType> {
        Some(match self {
            Self::Null => return None,
            Self::Boolean(_) => ColumnType::Boolean,
            Self::Number(number) => number.column_type(),
            Self::Text(_) if timestamps == Timestamps::Text => ColumnType::String,
            Self::Text(text) => moment(text).map_or(ColumnType::String, |moment| moment.column_type(timestamps)),
            Self::Json(_) => ColumnType::Json,
        })
    }
}

fn unescape(raw: &str) -> Result<Cow<'_, str>, BadString> {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or("");
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw).map(Cow::Owned).map_err(|_| BadString(raw.chars().take(40).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_of(raw: &str, timestamps: Timestamps) -> String {
        let value = Value::read(raw).unwrap();
        value.column_type(timestamps).map_or("none".into(), |column_type| column_type.to_string())
    }

    #[test]
    fn every_kind_of_value_has_its_type() {
        for (raw, expected) in [
            ("null", "none"),
            ("true", "BOOLEAN"),
            ("0", "LONG[53]"),
            ("-0", "LONG[53]"),
            ("-0.0", "DOUBLE"),
            ("9007199254740992", "LONG[53]"),
            ("9007199254740993", "LONG"),
            ("-9223372036854775808", "LONG"),
            ("9223372036854775808", "DECIMAL(38,0)"),
            ("99999999999999999999999999999999999999", "DECIMAL(38,0)"),
            ("100000000000000000000000000000000000000", "STRING"),
            ("1.5", "DOUBLE"),
            ("1e3", "DOUBLE"),
            ("0.1", "DOUBLE"),
            ("1e400", "STRING"),
            ("1e-400", "STRING"),
            ("123456789.123456", "DOUBLE"),
            ("0.1234567890123456789012345", "DECIMAL(25,25)"),
            ("1234567890.123456789012345", "DECIMAL(25,15)"),
            ("\"\"", "STRING"),
            ("\"true\"", "STRING"),
            ("\"2024-02-29\"", "NAIVE_DATE"),
            ("\"2024-02-30\"", "STRING"),
            ("\"2024-01-01T00:00:00Z\"", "UTC_DATETIME"),
            ("\"2024-01-01 00:00:00.123\"", "NAIVE_DATETIME"),
            ("\"2024-01-01t00:00:00.123456000-05:30\"", "UTC_DATETIME"),
            ("\"2024-01-01T00:00:00.123456789Z\"", "STRING"),
            ("\"9999-12-31T23:59:59-01:00\"", "STRING"),
            ("{\"a\":1}", "JSON"),
            ("[]", "JSON"),
        ] {
            assert_eq!(type_of(raw, Timestamps::Infer), expected, "{raw}");
        }
    }

    #[test]
    fn a_format_may_be_asked_for_and_time_switched_off() {
        for (raw, exact) in [
            ("\"2024-02-29\"", "NAIVE_DATE"),
            ("\"2024-01-01T00:00:00Z\"", "UTC_DATETIME[T0Z]"),
            ("\"2024-01-01 00:00:00.123\"", "NAIVE_DATETIME[_3]"),
            ("\"2024-01-01T00:00:00.123456-05:30\"", "UTC_DATETIME[T6-05:30]"),
            ("\"2024-01-01t00:00:00Z\"", "STRING"),
            ("\"2024-01-01T00:00:00z\"", "STRING"),
            ("\"2024-01-01T00:00:00.1234560Z\"", "STRING"),
        ] {
            assert_eq!(type_of(raw, Timestamps::Exact), exact, "{raw}");
            assert_eq!(type_of(raw, Timestamps::Text), "STRING", "{raw}");
        }
    }

    #[test]
    fn strings_are_unescaped_and_half_a_surrogate_is_refused() {
        assert_eq!(Value::read(r#""a\u00e9\n""#).unwrap(), Value::Text("aé\n".into()));
        assert!(Value::read(r#""\ud800""#).is_err());
    }
}
