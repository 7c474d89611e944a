//! What a query of a warehouse gives: columns, rows, and values as a person or a JSON reader wants to see them.

use std::ops::ControlFlow;

use model::error::Result;

/// A column of a query's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Whether values are numbers: for the alignment of a printed table.
    pub is_number: bool,
}

/// Takes the rows of a query, one by one.
pub trait RowSink {
    /// The columns; called once, before the first row.
    fn columns(&mut self, columns: &[Column]) -> Result<()>;

    /// A row; `Break` ends the query.
    fn row(&mut self, row: &[Value]) -> Result<ControlFlow<()>>;
}

/// A value. Its text is what a table or CSV shows; the variant says how JSON writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// true or false.
    Boolean(bool),
    /// A number, as JSON writes it.
    Number(String),
    /// Text, and whatever else JSON has no notation for.
    Text(String),
    /// JSON text: a JSON column, a list, a struct or a map.
    Json(String),
}

impl Value {
    /// The value as a table or CSV shows it; none for NULL.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Null => None,
            Self::Boolean(true) => Some("true"),
            Self::Boolean(false) => Some("false"),
            Self::Number(text) | Self::Text(text) | Self::Json(text) => Some(text),
        }
    }

    /// The value as JSON.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Boolean(value) => (*value).into(),
            // A number that this JSON library cannot hold exactly stays exact as text.
            Self::Number(text) => number(text).unwrap_or_else(|| text.as_str().into()),
            Self::Text(text) => text.as_str().into(),
            Self::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
        }
    }
}

fn number(text: &str) -> Option<serde_json::Value> {
    let parsed: serde_json::Number = text.parse().ok()?;
    let is_exact = parsed.is_i64() || parsed.is_u64() || text.bytes().filter(u8::is_ascii_digit).count() <= 17;
    is_exact.then_some(serde_json::Value::Number(parsed))
}
