//! What a sync tells programs, one JSON object a line. docs/formats/events.md describes every event.

use std::time::Duration;

use super::{Event, LogLevel, Note, NoteKind, Outcome, Rejection, Report, Sample, TableReport};
use model::error::Fault;
use model::json::{self, Object};
use model::schema::SchemaChange;

/// The version of the format. It grows when a field changes its meaning or goes; new fields and events may come any time.
const VERSION: u8 = 1;

/// This moment in RFC 3339 with milliseconds.
pub fn now() -> String {
    time(jiff::Timestamp::now())
}

/// A moment in RFC 3339 with milliseconds.
pub fn time(at: jiff::Timestamp) -> String {
    format!("{at:.3}")
}

/// The text of a level.
pub fn level_text(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Fine => "fine",
        LogLevel::Info => "info",
        LogLevel::Warning => "warning",
        LogLevel::Severe => "severe",
    }
}

fn begin(event: &str, at: &str) -> Object {
    Object::new().put("event", event).put("version", &VERSION).put("at", at)
}

/// One event's line, without its end.
pub fn line(event: &Event, at: &str) -> String {
    let object = match event {
        Event::Started { connection, connector, destination, state } => begin("started", at)
            .put("connection", connection)
            .put("connector", connector)
            .put("destination", destination)
            .foreign("state", state.as_deref()),
        Event::Log { level, message } => begin("log", at).put("level", level_text(*level)).put("message", message),
        Event::Notice { level, message } => {
            begin("notice", at).put("level", level_text(*level)).put("message", message)
        }
        Event::Rejected(Rejection { table, position, reason }) => {
            begin("rejected", at).put("table", table).put("position", position).put("reason", reason)
        }
        Event::SchemaChanged { table, column, change, data_type } => begin("schema_changed", at)
            .put("change", change_text(change))
            .put("table", table)
            .put("column", column)
            .put("type_before", &type_before(change))
            .put("type", data_type),
        Event::Committed { sequence, rows, state, duration } => begin("committed", at)
            .put("sequence", sequence)
            .put("rows", rows)
            .foreign("state", state.as_deref())
            .put("duration_ms", &milliseconds(*duration)),
    };
    object.finish()
}

fn change_text(change: &SchemaChange) -> &'static str {
    match change {
        SchemaChange::NewTable { .. } => "new_table",
        SchemaChange::NewColumn { .. } => "new_column",
        SchemaChange::Widened { .. } => "widened",
        SchemaChange::HistoryBegun { .. } => "history_begun",
    }
}

fn type_before(change: &SchemaChange) -> Option<String> {
    match change {
        SchemaChange::Widened { from, .. } => Some(from.data_type().to_string()),
        SchemaChange::NewTable { .. } | SchemaChange::NewColumn { .. } | SchemaChange::HistoryBegun { .. } => None,
    }
}

/// Milliseconds with three decimals.
#[expect(clippy::cast_precision_loss, reason = "microseconds of 285 years are exact in 53 bits")]
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// The last line: the report.
pub fn report(report: &Report, destination: &str, at: &str) -> String {
    let (outcome, error) = match &report.outcome {
        Outcome::Succeeded => ("succeeded", None),
        Outcome::LimitRows => ("limit_rows", None),
        Outcome::Failed(error) if matches!(error.fault(), Fault::Signal(_)) => ("interrupted", Some(error)),
        Outcome::Failed(error) => ("failed", Some(error)),
    };
    begin("report", at)
        .put("outcome", outcome)
        .raw("error", &error.map_or_else(|| "null".to_owned(), json::error))
        .put("sync", &report.id)
        .put("connection", &report.connection)
        .put("connector", &report.connector)
        .put("destination", destination)
        .raw("tables", &json::list(report.tables.iter().map(table)))
        .put("tables_without_operations", &report.without_operations)
        .put("requests", &report.requests)
        .put("retries", &report.retries)
        .put("response_bytes", &report.response_bytes)
        .put("checkpoints", &report.checkpoints)
        .put("commits", &report.commits)
        .put("duration_ms", &milliseconds(report.duration))
        .put("first_row_after_ms", &report.first_row_after.map(milliseconds))
        .put("committed_after_ms", &report.committed_after.map(milliseconds))
        .put("guest_memory_peak_bytes", &report.guest_memory_peak_bytes)
        .put("destination_memory_bytes", &report.destination_memory_bytes)
        .foreign("state_before", report.state_before.as_deref())
        .foreign("state_after", report.state_after.as_deref())
        .raw("notes", &json::list(report.notes.iter().map(note)))
        .raw("samples", &json::list(report.samples.iter().map(sample)))
        .finish()
}

fn table(table: &TableReport) -> String {
    let widened = |(name, before, now): &(String, String, String)| {
        Object::new().put("name", name).put("type_before", before).put("type", now).finish()
    };
    Object::new()
        .put("table", &table.table)
        .put("upserted", &table.upserted)
        .put("updated", &table.updated)
        .put("deleted", &table.deleted)
        .put("truncated", &table.truncated)
        .put("rejected", &table.rejected)
        .put("ignored", &table.ignored)
        .put("swept", &table.swept)
        .put("history", &table.history)
        .put("versions_begun", &table.versions_begun)
        .put("versions_ended", &table.versions_ended)
        .put("repeated_keys", &table.repeated_keys)
        .put("rows_now", &table.rows_now)
        .put("is_new", &table.is_new)
        .raw("new_columns", &json::list(table.new_columns.iter().map(column)))
        .raw("widened_columns", &json::list(table.widened_columns.iter().map(widened)))
        .finish()
}

fn column((name, kind): &(String, String)) -> String {
    Object::new().put("name", name).put("type", kind).finish()
}

fn note(note: &Note) -> String {
    let kind = match note.kind {
        NoteKind::Nulled => "nulled",
        NoteKind::LeftOut => "left_out",
        NoteKind::Replaced => "replaced",
    };
    Object::new()
        .put("table", &note.table)
        .put("column", &note.column)
        .put("kind", kind)
        .put("values", &note.values)
        .put("first_record", &note.first_record)
        .put("first_value", &note.first_value)
        .finish()
}

fn sample(sample: &Sample) -> String {
    Object::new()
        .put("table", &sample.table)
        .put("primary_key", &sample.primary_key)
        .raw("columns", &json::list(sample.columns.iter().map(column)))
        .put("records", &sample.records)
        .finish()
}

#[cfg(test)]
mod tests;
