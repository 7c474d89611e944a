//! `host query`: SQL that reads, as a table, CSV or JSON lines.

use std::ops::ControlFlow;

use clap::{Args, ValueEnum};

use super::json::Object;
use super::screen::Screen;
use super::text::{self, Room};
use crate::options::DestinationOptions;
use model::error::Result;
use warehouse::{Column, RowSink, Value};

/// What can be typed after `host query`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The statement; tables are named CONNECTION.TABLE
    #[arg(value_name = "SQL")]
    sql: String,
    #[command(flatten)]
    destination: DestinationOptions,
    /// How rows are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people; long values are cut on a terminal
    Table,
    /// Comma-separated values with a header (RFC 4180); NULL is empty, an empty text is ""
    Csv,
    /// One JSON object a line
    Json,
}

/// Queries.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    let url = arguments.destination.in_force()?;
    match arguments.format {
        Format::Table => {
            let mut sink = TableSink::default();
            warehouse::query(&url, &arguments.sql, &mut sink)?;
            let _closed = screen.data(&sink.page(screen.room_for_data))?;
            if sink.is_cut {
                screen.people(&format!(
                    "Only the first {} are shown; --format csv and --format json give all of them.",
                    text::counted(ROWS_SHOWN as u64, "row", "rows")
                ));
            }
            Ok(())
        }
        Format::Csv | Format::Json => {
            let mut sink = StreamSink::new(arguments.format, *screen);
            warehouse::query(&url, &arguments.sql, &mut sink)?;
            sink.flush().map(|_closed| ())
        }
    }
}

/// A table must be held in memory to know its columns' widths, so it ends after this many rows.
const ROWS_SHOWN: usize = 10_000;

/// Keeps rows for a table.
#[derive(Default)]
struct TableSink {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    is_cut: bool,
}

impl RowSink for TableSink {
    fn columns(&mut self, columns: &[Column]) -> Result<()> {
        self.columns = columns.to_vec();
        Ok(())
    }

    fn row(&mut self, row: &[Value]) -> Result<ControlFlow<()>> {
        if self.rows.len() == ROWS_SHOWN {
            self.is_cut = true;
            return Ok(ControlFlow::Break(()));
        }
        self.rows.push(row.iter().map(|value| value.text().unwrap_or("NULL").to_owned()).collect());
        Ok(ControlFlow::Continue(()))
    }
}

impl TableSink {
    fn page(&self, room: Room) -> String {
        let titles: Vec<text::Column<'_>> = self
            .columns
            .iter()
            .map(|column| text::Column { title: &column.name, is_number: column.is_number })
            .collect();
        let rows = text::counted(self.rows.len() as u64, "row", "rows");
        format!("{}({rows})\n", text::table(&titles, &self.rows, room))
    }
}

/// Prints rows as they come.
struct StreamSink {
    format: Format,
    screen: Screen,
    columns: Vec<Column>,
    waiting: String,
}

impl StreamSink {
    /// Bytes put out at once.
    const CHUNK: usize = 64 * 1024;

    fn new(format: Format, screen: Screen) -> Self {
        Self { format, screen, columns: vec![], waiting: String::new() }
    }

    fn flush(&mut self) -> Result<ControlFlow<()>> {
        let closed = self.screen.data(&self.waiting);
        self.waiting.clear();
        closed
    }

    fn line(&self, row: &[Value]) -> String {
        match self.format {
            Format::Json => json_line(&self.columns, row),
            _ => row.iter().map(|value| value.text().map_or_else(String::new, csv)).collect::<Vec<_>>().join(","),
        }
    }
}

impl RowSink for StreamSink {
    fn columns(&mut self, columns: &[Column]) -> Result<()> {
        self.columns = columns.to_vec();
        if self.format == Format::Csv {
            let names: Vec<String> = columns.iter().map(|column| csv(&column.name)).collect();
            self.waiting = names.join(",") + "\r\n";
        }
        Ok(())
    }

    fn row(&mut self, row: &[Value]) -> Result<ControlFlow<()>> {
        let line = self.line(row);
        self.waiting.push_str(&line);
        self.waiting.push_str(if self.format == Format::Csv { "\r\n" } else { "\n" });
        if self.waiting.len() < Self::CHUNK {
            return Ok(ControlFlow::Continue(()));
        }
        self.flush()
    }
}

fn json_line(columns: &[Column], row: &[Value]) -> String {
    let put = |object: Object, (column, value): (&Column, &Value)| match value {
        Value::Json(text) => object.foreign(&column.name, Some(text)),
        other => object.put(&column.name, &other.json()),
    };
    columns.iter().zip(row).fold(Object::new(), put).finish()
}

/// A field of CSV: quoted where it must be, and an empty text too, which is not NULL.
fn csv(text: &str) -> String {
    if text.is_empty() || text.contains(['"', ',', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        ["id", "name", "tags"].map(|name| Column { name: name.into(), is_number: name == "id" }).to_vec()
    }

    fn row() -> Vec<Value> {
        vec![Value::Number("7".into()), Value::Text("a \"b\", c".into()), Value::Json("{\"z\":1,\n\"a\":[]}".into())]
    }

    #[test]
    fn csv_tells_null_from_an_empty_text() {
        assert_eq!(csv(""), "\"\"");
        assert_eq!(csv("a \"b\", c"), "\"a \"\"b\"\", c\"");
        let sink =
            StreamSink { format: Format::Csv, screen: Screen::detect(), columns: columns(), waiting: String::new() };
        assert_eq!(sink.line(&[Value::Null, Value::Text(String::new()), Value::Boolean(true)]), ",\"\",true");
    }

    #[test]
    fn json_keeps_the_order_of_columns_and_of_nested_fields() {
        let expected = r#"{"id":7,"name":"a \"b\", c","tags":{"z":1, "a":[]}}"#;
        assert_eq!(json_line(&columns(), &row()), expected);
    }

    #[test]
    fn a_table_says_how_many_rows_it_has() {
        let mut sink = TableSink::default();
        sink.columns(&columns()).unwrap();
        assert!(sink.row(&row()).unwrap().is_continue());
        let expected = r#"
 id   name       tags
──────────────────────────────────
  7   a "b", c   {"z":1,\n"a":[]}
(1 row)
"#;
        assert_eq!(format!("\n{}", sink.page(Room::Endless)), expected);
    }
}
