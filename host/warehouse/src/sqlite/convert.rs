//! What a value is in SQLite, and how one of a column type becomes one of a wider type: exact, or not at all.
//!
//! A declared type only lends SQLite an affinity, by the words in it. `TEXT` wins over the words before it, so that texts
//! which look like numbers (decimals, JSON) stay the texts they are; so does `BLOB`, which leaves every value alone, where a
//! column of affinity REAL would turn -0 into 0. The first word tells people what the values mean.

use crate::sql::ddl::literal;
use model::schema::ColumnType;

/// The function that gives a stored value back as its exact text: `_elt_text(value, column type)`.
pub(super) const TEXT_OF: &str = "_elt_text";
/// The function that turns a stored instant into microseconds since 1970.
pub(super) const MICROS_OF: &str = "_elt_micros";

/// The declared type of a column.
pub(super) fn sqlite_type(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Boolean => "BOOLEAN",
        ColumnType::Short | ColumnType::Int | ColumnType::Long { .. } => "INTEGER",
        ColumnType::Decimal { .. } => "DECIMAL TEXT",
        ColumnType::Float | ColumnType::Double => "REAL BLOB",
        ColumnType::NaiveDate => "DATE TEXT",
        ColumnType::NaiveTime => "TIME TEXT",
        ColumnType::NaiveDatetime(_) => "DATETIME TEXT",
        ColumnType::UtcDatetime(_) => "TIMESTAMP TEXT",
        ColumnType::Binary => "BLOB",
        ColumnType::Xml | ColumnType::String => "TEXT",
        ColumnType::Json => "JSON TEXT",
    }
}

/// The SQL expression that turns `value`, an expression of type `from`, into type `to` without loss; none where the
/// lattice has no such step. NULL stays NULL.
pub(super) fn expression(value: &str, from: ColumnType, to: ColumnType) -> Option<String> {
    use ColumnType::{Decimal, Double, Int, Long, Short, String};
    if sqlite_type(from) == sqlite_type(to) {
        return Some(value.to_owned());
    }
    match (from, to) {
        (Short | Int | Long { .. }, String) | (Long { .. }, Decimal { .. }) => Some(format!("CAST({value} AS TEXT)")),
        (Long { exact: true }, Double) => Some(format!("CAST({value} AS REAL)")),
        (_, String) => Some(text(value, from)),
        _ => None,
    }
}

/// SQLite's own cast of a REAL has 15 digits, and of a BOOLEAN gives 0 and 1.
fn text(value: &str, from: ColumnType) -> String {
    match from {
        ColumnType::Decimal { .. } | ColumnType::NaiveDate | ColumnType::Json => value.to_owned(),
        _ => format!("{TEXT_OF}({value}, {})", literal(&from.to_string())),
    }
}
