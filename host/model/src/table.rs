//! Tables as a connector declares them, and the selection of tables for a sync.

use std::fmt;

/// A table of the connector's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The name as the connector gives it.
    pub name: String,
    /// The columns that identify a row; empty for a table without a key.
    pub primary_key: Vec<String>,
    /// Columns whose type is fixed.
    pub columns: Vec<Column>,
}

/// A column with a declared type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name as the connector gives it.
    pub name: String,
    /// The type its values must fit.
    pub data_type: DataType,
}

/// The types of columns, by the names of the field's connector SDKs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// true or false
    Boolean,
    /// 16-bit integer
    Short,
    /// 32-bit integer
    Int,
    /// 64-bit integer
    Long,
    /// Exact decimal of this precision and scale
    Decimal(u8, u8),
    /// 32-bit floating point
    Float,
    /// 64-bit floating point
    Double,
    /// Date
    NaiveDate,
    /// Time of day
    NaiveTime,
    /// Date and time without a zone
    NaiveDatetime,
    /// Instant
    UtcDatetime,
    /// Bytes
    Binary,
    /// XML text
    Xml,
    /// Text
    String,
    /// JSON text
    Json,
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Short => f.write_str("SHORT"),
            Self::Int => f.write_str("INT"),
            Self::Long => f.write_str("LONG"),
            Self::Decimal(precision, scale) => write!(f, "DECIMAL({precision},{scale})"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::NaiveDate => f.write_str("NAIVE_DATE"),
            Self::NaiveTime => f.write_str("NAIVE_TIME"),
            Self::NaiveDatetime => f.write_str("NAIVE_DATETIME"),
            Self::UtcDatetime => f.write_str("UTC_DATETIME"),
            Self::Binary => f.write_str("BINARY"),
            Self::Xml => f.write_str("XML"),
            Self::String => f.write_str("STRING"),
            Self::Json => f.write_str("JSON"),
        }
    }
}

/// Which tables a sync fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Every table.
    All,
    /// These, by the connector's names.
    Tables(Vec<String>),
}

impl Selection {
    /// No table.
    pub fn none() -> Self {
        Self::Tables(Vec::new())
    }

    /// Whether a table is part of it.
    pub fn contains(&self, table: &str) -> bool {
        match self {
            Self::All => true,
            Self::Tables(tables) => tables.iter().any(|name| name == table),
        }
    }
}
