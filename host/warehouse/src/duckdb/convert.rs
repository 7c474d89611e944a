//! How a value of one column type becomes one of a wider type, as a SQL expression: exact, or not at all.
//!
//! Pure. Nothing here depends on the session's time zone or on functions that need ICU: instants are shifted as numbers
//! of microseconds and rendered as timestamps without a zone.

use model::schema::{ColumnType, Offset, TimeFormat};

/// DuckDB's type for a column type.
pub(super) fn duckdb_type(column_type: ColumnType) -> String {
    match column_type {
        ColumnType::Boolean => "BOOLEAN".to_owned(),
        ColumnType::Short => "SMALLINT".to_owned(),
        ColumnType::Int => "INTEGER".to_owned(),
        ColumnType::Long { .. } => "BIGINT".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("DECIMAL({precision},{scale})"),
        ColumnType::Float => "FLOAT".to_owned(),
        ColumnType::Double => "DOUBLE".to_owned(),
        ColumnType::NaiveDate => "DATE".to_owned(),
        ColumnType::NaiveTime => "TIME".to_owned(),
        ColumnType::NaiveDatetime(_) => "TIMESTAMP".to_owned(),
        ColumnType::UtcDatetime(_) => "TIMESTAMPTZ".to_owned(),
        ColumnType::Binary => "BLOB".to_owned(),
        ColumnType::Xml | ColumnType::String => "VARCHAR".to_owned(),
        ColumnType::Json => "JSON".to_owned(),
    }
}

/// The SQL expression that turns `value`, an expression of type `from`, into type `to` without loss; none where the
/// lattice has no such step. NULL stays NULL.
pub(super) fn expression(value: &str, from: ColumnType, to: ColumnType) -> Option<String> {
    use ColumnType::{Decimal, Double, Float, Int, Long, Short, String};
    if duckdb_type(from) == duckdb_type(to) {
        return Some(value.to_owned());
    }
    match (from, to) {
        (_, String) => Some(text(value, from)),
        (Short, Int | Long { .. }) | (Int, Long { .. }) | (Short | Int | Long { exact: true } | Float, Double) => {
            Some(cast(value, to))
        }
        (Short | Int | Long { .. } | Decimal { .. }, Decimal { precision, scale }) => {
            let (whole, fraction) = digits(from)?;
            (whole <= precision - scale && fraction <= scale).then(|| cast(value, to))
        }
        _ => None,
    }
}

fn cast(value: &str, to: ColumnType) -> String {
    format!("CAST({value} AS {})", duckdb_type(to))
}

/// Digits before and after the point that a number of this type may have.
fn digits(number: ColumnType) -> Option<(u8, u8)> {
    match number {
        ColumnType::Short => Some((5, 0)),
        ColumnType::Int => Some((10, 0)),
        ColumnType::Long { exact: true } => Some((16, 0)),
        ColumnType::Long { exact: false } => Some((19, 0)),
        ColumnType::Decimal { precision, scale } => Some((precision.checked_sub(scale)?, scale)),
        _ => None,
    }
}

/// The value as text: the bytes it came as where the type remembers them, otherwise the text that `schema::value` gives
/// it, so that it does not matter whether a column is widened before its rows are written or after. For floating point
/// that is the engine's own cast.
fn text(value: &str, from: ColumnType) -> String {
    match from {
        ColumnType::Decimal { precision, scale } => decimal_text(value, precision, scale),
        ColumnType::NaiveDate => format!("strftime({value}, '%Y-%m-%d')"),
        ColumnType::NaiveDatetime(Some(format)) => timestamp_text(value, format),
        ColumnType::UtcDatetime(Some(format)) => timestamp_text(&local(value, format), format),
        ColumnType::NaiveDatetime(None) => free_timestamp_text(value, ""),
        ColumnType::UtcDatetime(None) => free_timestamp_text(&format!("make_timestamp(epoch_us({value}))"), "Z"),
        ColumnType::Binary => format!("to_base64({value})"),
        ColumnType::Float | ColumnType::Double => {
            format!("regexp_replace({}, '\\.0$', '')", cast(value, ColumnType::String))
        }
        _ => cast(value, ColumnType::String),
    }
}

/// The number without zeros at the end of its fraction, and with a digit before the point: `.500` is no JSON.
fn decimal_text(value: &str, precision: u8, scale: u8) -> String {
    let plain = format!("CAST({value} AS VARCHAR)");
    if scale == 0 {
        return plain;
    }
    let whole = if precision == scale { format!("regexp_replace({plain}, '^(-?)\\.', '\\10.')") } else { plain };
    format!("rtrim(rtrim({whole}, '0'), '.')")
}

/// The local time an instant was written in, as a timestamp without a zone.
fn local(value: &str, format: TimeFormat) -> String {
    let shift_us = format.offset.map_or(0, Offset::east_minutes) * 60_000_000;
    format!("make_timestamp(epoch_us({value}) + ({shift_us}))")
}

fn timestamp_text(value: &str, format: TimeFormat) -> String {
    let offset = format.offset.map(|offset| offset.to_string()).unwrap_or_default();
    let (separator, digits) = (format.separator, format.fraction_digits);
    match digits {
        0 => format!("strftime({value}, '%Y-%m-%d{separator}%H:%M:%S{offset}')"),
        // `%f` is always six digits, and the fraction is the end of the text.
        1..=5 => format!(
            "left(strftime({value}, '%Y-%m-%d{separator}%H:%M:%S.%f'), {}) || '{offset}'",
            i16::from(digits) - 6
        ),
        _ => format!("strftime({value}, '%Y-%m-%d{separator}%H:%M:%S.%f{offset}')"),
    }
}

/// For columns that were declared and read any format: RFC 3339 with as many fraction digits as are not zero.
fn free_timestamp_text(value: &str, offset: &str) -> String {
    format!("rtrim(rtrim(strftime({value}, '%Y-%m-%dT%H:%M:%S.%f'), '0'), '.') || '{offset}'")
}
