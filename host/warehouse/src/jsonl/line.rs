//! The lines of docs/formats/jsonl.md. Pure: bytes out of Arrow batches.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::Segment;
use model::schema::value::{Moment, clock_text, double_text, float_text, free_moment_text, moment_text, units_text};
use model::schema::{ColumnType, TableSchema};

/// The lines of one segment, one at a time: the truncate, then rows, then patches.
pub(super) struct RowLines<'a> {
    /// `"connection":…,"sequence":…,"table":…` of every line.
    head: String,
    segment: &'a Segment,
    names: Vec<String>,
    is_key: Vec<bool>,
    /// The rows are records that were set aside.
    are_rejected: bool,
    next: usize,
}

impl<'a> RowLines<'a> {
    pub(super) fn new(connection: &str, sequence: u64, table: &TableSchema, segment: &'a Segment) -> Self {
        let columns = segment.columns.iter();
        let name = |column: usize| table.columns.get(column).map_or("", |column| &column.name);
        let mut head = format!("\"connection\":{},\"sequence\":{sequence}", quoted(connection));
        let are_rejected = table.is_rejected();
        if !are_rejected {
            head.extend([",\"table\":", &quoted(&table.name)]);
        }
        Self {
            head,
            are_rejected,
            segment,
            names: columns.clone().map(|column| quoted(name(column.column)) + ":").collect(),
            is_key: columns.map(|column| table.key.contains(&column.column)).collect(),
            next: 0,
        }
    }

    /// Adds the next line; false if there is none.
    pub(super) fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let (segment, index) = (self.segment, self.next);
        let truncates = usize::from(segment.truncates);
        self.next += 1;
        if index < truncates {
            out.extend_from_slice(format!("{{\"type\":\"truncate\",{}}}\n", self.head).as_bytes());
            return true;
        }
        let row = index - truncates;
        if row < segment.rows.num_rows() {
            self.row(row, out);
            return true;
        }
        let patch = row - segment.rows.num_rows();
        if patch < segment.patches.num_rows() {
            self.patch(patch, out);
            return true;
        }
        false
    }

    fn begin(&self, kind: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",");
        out.extend_from_slice(self.head.as_bytes());
        out.extend_from_slice(b",\"row\":{");
    }

    /// A row that a delete followed is a delete: the reader may hold an older one.
    fn row(&self, row: usize, out: &mut Vec<u8>) {
        let batch = &self.segment.rows;
        let deleted = flag(batch, self.names.len(), row);
        self.begin(
            if self.are_rejected {
                "rejected"
            } else if deleted {
                "delete"
            } else {
                "upsert"
            },
            out,
        );
        self.fields(batch, row, out, |column| !deleted || self.is_key[column]);
    }

    fn patch(&self, row: usize, out: &mut Vec<u8>) {
        let (batch, columns) = (&self.segment.patches, self.names.len());
        let deleted = flag(batch, 2 * columns, row);
        self.begin(if deleted { "delete" } else { "update" }, out);
        self.fields(batch, row, out, |column| self.is_key[column] || (!deleted && flag(batch, columns + column, row)));
    }

    fn fields(&self, batch: &RecordBatch, row: usize, out: &mut Vec<u8>, is_given: impl Fn(usize) -> bool) {
        let mut separator: &[u8] = b"";
        for (column, (name, of)) in self.names.iter().zip(&self.segment.columns).enumerate() {
            if is_given(column) {
                out.extend_from_slice(separator);
                out.extend_from_slice(name.as_bytes());
                value(batch.column(column), of.column_type, row, out);
                separator = b",";
            }
        }
        out.extend_from_slice(b"}}\n");
    }
}

fn flag(batch: &RecordBatch, column: usize, row: usize) -> bool {
    let array = batch.columns().get(column).and_then(|array| array.as_any().downcast_ref::<BooleanArray>());
    array.is_some_and(|array| array.is_valid(row) && array.value(row))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn text(value: &str, out: &mut Vec<u8>) {
    // Writing into memory does not fail.
    let _infallible = serde_json::to_writer(out, value);
}

/// A value as JSON. Times are texts, as they came where the column remembers how; bytes are base64.
fn value(array: &ArrayRef, column_type: ColumnType, row: usize, out: &mut Vec<u8>) {
    use ColumnType as T;
    if array.is_null(row) {
        return out.extend_from_slice(b"null");
    }
    let number = |number: String, out: &mut Vec<u8>| out.extend_from_slice(number.as_bytes());
    match column_type {
        T::Boolean => number(array.as_boolean().value(row).to_string(), out),
        T::Short => number(array.as_primitive::<Int16Type>().value(row).to_string(), out),
        T::Int => number(array.as_primitive::<Int32Type>().value(row).to_string(), out),
        T::Long { .. } => number(array.as_primitive::<Int64Type>().value(row).to_string(), out),
        T::Decimal { scale, .. } => number(units_text(array.as_primitive::<Decimal128Type>().value(row), scale), out),
        T::Float => number(float_text(array.as_primitive::<Float32Type>().value(row).into()), out),
        T::Double => number(double_text(array.as_primitive::<Float64Type>().value(row)), out),
        T::NaiveDate => moment(Moment::Date(array.as_primitive::<Date32Type>().value(row)), out),
        T::NaiveTime => text(&clock_text(array.as_primitive::<Time64MicrosecondType>().value(row)), out),
        T::NaiveDatetime(format) | T::UtcDatetime(format) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            match format {
                Some(format) => moment(Moment::Timestamp(micros, format), out),
                None => text(&free_moment_text(micros, matches!(column_type, T::UtcDatetime(_))), out),
            }
        }
        T::Binary => text(&BASE64_STANDARD.encode(array.as_binary::<i32>().value(row)), out),
        T::Xml | T::String => text(array.as_string::<i32>().value(row), out),
        // JSON may have been written over several lines by the source, and a line must stay one.
        T::Json => match array.as_string::<i32>().value(row) {
            raw if raw.contains(['\n', '\r']) => number(raw.replace(['\n', '\r'], " "), out),
            raw => out.extend_from_slice(raw.as_bytes()),
        },
    }
}

fn moment(moment: Moment, out: &mut Vec<u8>) {
    let mut written = String::with_capacity(32);
    moment_text(moment, &mut written);
    text(&written, out);
}

/// A table's line: before its first row, and again whenever its columns change.
pub(super) fn schema(out: &mut Vec<u8>, (connection, sequence): (&str, u64), table: &TableSchema) {
    let columns = table
        .columns
        .iter()
        .map(|column| serde_json::json!({"name": column.name, "type": column.column_type.data_type().to_string()}));
    let key = table.key.iter().filter_map(|index| table.columns.get(*index)).map(|column| column.name.as_str());
    let line = serde_json::json!({
        "type": "schema", "connection": connection, "sequence": sequence, "table": table.name,
        "key": key.collect::<Vec<_>>(), "columns": columns.collect::<Vec<_>>(),
    });
    out.extend_from_slice(format!("{line}\n").as_bytes());
}

/// The line that ends a commit. The state is the connector's own JSON.
pub(super) fn commit(out: &mut Vec<u8>, (connection, sequence): (&str, u64), state: Option<&str>) {
    let state = state.unwrap_or("null").replace(['\n', '\r'], " ");
    let connection = quoted(connection);
    let line = format!(
        "{{\"type\":\"commit\",\"connection\":{connection},\"sequence\":{sequence},\"version\":1,\"state\":{state}}}\n"
    );
    out.extend_from_slice(line.as_bytes());
}
