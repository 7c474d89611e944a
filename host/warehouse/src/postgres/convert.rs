//! How a value of one column type becomes one of a wider type, as a SQL expression: exact, or not at all.
//!
//! Pure. Nothing here depends on the session's settings: instants are shifted to UTC by name and rendered as timestamps
//! without a zone.

use model::schema::{ColumnType, Offset, TimeFormat};

/// Postgres's type for a column type. JSON is `json`, which keeps the text; `jsonb` would not.
pub(super) fn postgres_type(column_type: ColumnType) -> String {
    match column_type {
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Short => "smallint".to_owned(),
        ColumnType::Int => "integer".to_owned(),
        ColumnType::Long { .. } => "bigint".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("numeric({precision},{scale})"),
        ColumnType::Float => "real".to_owned(),
        ColumnType::Double => "double precision".to_owned(),
        ColumnType::NaiveDate => "date".to_owned(),
        ColumnType::NaiveTime => "time".to_owned(),
        ColumnType::NaiveDatetime(_) => "timestamp".to_owned(),
        ColumnType::UtcDatetime(_) => "timestamptz".to_owned(),
        ColumnType::Binary => "bytea".to_owned(),
        ColumnType::Xml | ColumnType::String => "text".to_owned(),
        ColumnType::Json => "json".to_owned(),
    }
}

/// The SQL expression that turns `value`, an expression of type `from`, into type `to` without loss; none where the
/// lattice has no such step. NULL stays NULL.
pub(super) fn expression(value: &str, from: ColumnType, to: ColumnType) -> Option<String> {
    use ColumnType::{Decimal, Double, Float, Int, Long, Short, String};
    if postgres_type(from) == postgres_type(to) {
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
    format!("CAST({value} AS {})", postgres_type(to))
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
/// it, so that it does not matter whether a column is widened before its rows are written or after.
fn text(value: &str, from: ColumnType) -> String {
    match from {
        ColumnType::Decimal { .. } => format!("CAST(trim_scale({value}) AS text)"),
        ColumnType::NaiveDate => format!("to_char({value}, 'YYYY-MM-DD')"),
        ColumnType::NaiveDatetime(Some(format)) => timestamp_text(value, format),
        ColumnType::UtcDatetime(Some(format)) => timestamp_text(&local(value, format), format),
        ColumnType::NaiveDatetime(None) => free_timestamp_text(value, ""),
        ColumnType::UtcDatetime(None) => free_timestamp_text(&utc(value), "Z"),
        // Postgres breaks the lines of base64.
        ColumnType::Binary => format!("translate(encode({value}, 'base64'), E'\\n', '')"),
        ColumnType::Float => positional_text(value, "1e6", &cast(value, ColumnType::String)),
        ColumnType::Double => positional_text(value, "1e15", &shortest_text(value)),
        _ => cast(value, ColumnType::String),
    }
}

/// Postgres writes numbers from `exponent_from` on with an exponent, the host only from 1e16 on. Its shortest text is taken
/// apart as a decimal then, which is exact.
fn positional_text(value: &str, exponent_from: &str, otherwise: &str) -> String {
    let plain = cast(value, ColumnType::String);
    format!(
        "CASE WHEN abs({value}) >= {exponent_from} AND abs({value}) < 1e16 \
         THEN CAST(CAST({plain} AS numeric) AS text) ELSE {otherwise} END"
    )
}

/// A decimal that lies in the middle between two floats stands for the even one, but Postgres never writes it, and a longer one
/// instead. That happens from 2^54 to about 1e40, where such decimals can have fewer digits: there 15 and 16 digits are tried.
fn shortest_text(value: &str) -> String {
    let plain = cast(value, ColumnType::String);
    let tried = |digits: usize| {
        let format = format!("9.{}EEEE", "9".repeat(digits - 1));
        let written = |decimal: &str| format!("ltrim(to_char(CAST({decimal} AS numeric), '{format}'))");
        // Twice: what rounds up to a power of ten comes out as 10e+22 the first time.
        let text = written(&written(&plain));
        format!("WHEN {} = {value} THEN regexp_replace({text}, '\\.?0+e', 'e')", cast(&text, ColumnType::Double))
    };
    format!(
        "CASE WHEN abs({value}) >= 1e16 AND abs({value}) < 1e41 THEN CASE {} {} ELSE {plain} END ELSE {plain} END",
        tried(15),
        tried(16)
    )
}

fn utc(value: &str) -> String {
    format!("({value} AT TIME ZONE 'UTC')")
}

/// The local time an instant was written in, as a timestamp without a zone.
fn local(value: &str, format: TimeFormat) -> String {
    let shift_minutes = format.offset.map_or(0, Offset::east_minutes);
    format!("({} + make_interval(mins => {shift_minutes}))", utc(value))
}

fn timestamp_text(value: &str, format: TimeFormat) -> String {
    let offset = format.offset.map(|offset| format!(" || '{offset}'")).unwrap_or_default();
    let (separator, digits) = (format.separator, format.fraction_digits);
    match digits {
        0 => format!("to_char({value}, 'YYYY-MM-DD\"{separator}\"HH24:MI:SS'){offset}"),
        // `US` is always six digits, and the fraction is the end of the text.
        1..=5 => format!("left({}, {}){offset}", micros_text(value, separator), i16::from(digits) - 6),
        _ => micros_text(value, separator) + &offset,
    }
}

fn micros_text(value: &str, separator: char) -> String {
    format!("to_char({value}, 'YYYY-MM-DD\"{separator}\"HH24:MI:SS.US')")
}

/// For columns that were declared and read any format: RFC 3339 with as many fraction digits as are not zero.
fn free_timestamp_text(value: &str, offset: &str) -> String {
    format!("rtrim(rtrim({}, '0'), '.') || '{offset}'", micros_text(value, 'T'))
}
