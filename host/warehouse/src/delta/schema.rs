//! A table's columns as Delta Lake's metadata says them.

use super::log::{Action, Format, Metadata, Protocol, Snapshot, now_ms};
use super::scratch::Column;

/// The feature that a reader must know for timestamps without a zone.
const NAIVE_TIMESTAMPS: &str = "timestampNtz";

/// The schema of a table, as JSON.
pub(super) fn text(columns: &[Column]) -> String {
    let field = |column: &Column| serde_json::json!({"name": column.name, "type": kind(&column.kind), "nullable": true, "metadata": {}});
    let fields: Vec<serde_json::Value> = columns.iter().map(field).collect();
    serde_json::json!({"type": "struct", "fields": fields}).to_string()
}

/// Delta's name of a type of DuckDB's. What Delta does not have is text there.
fn kind(kind: &str) -> String {
    match kind {
        "BOOLEAN" => "boolean",
        "SMALLINT" => "short",
        "INTEGER" => "integer",
        "BIGINT" => "long",
        "FLOAT" => "float",
        "DOUBLE" => "double",
        "DATE" => "date",
        "TIMESTAMP" => "timestamp_ntz",
        "TIMESTAMP WITH TIME ZONE" => "timestamp",
        "BLOB" => "binary",
        decimal if decimal.starts_with("DECIMAL") => return decimal.to_lowercase(),
        _ => "string",
    }
    .to_owned()
}

/// What the log of a table has to say of its columns before anything else; nothing if it says so already.
pub(super) fn actions(before: Option<&Snapshot>, table: &str, columns: &[Column]) -> Vec<Action> {
    let mut actions = Vec::new();
    let needs_feature = columns.iter().any(|column| column.kind == "TIMESTAMP");
    let has_feature = |snapshot: &Snapshot| {
        snapshot.protocol.reader_features.iter().flatten().any(|feature| feature == NAIVE_TIMESTAMPS)
    };
    if before.is_none_or(|before| needs_feature && !has_feature(before)) {
        actions.push(Action::Protocol(protocol(needs_feature)));
    }
    let schema_string = text(columns);
    if before.is_none_or(|before| before.metadata.schema_string != schema_string) {
        let metadata = match before {
            Some(before) => Metadata { schema_string, ..before.metadata.clone() },
            None => Metadata {
                id: new_id(),
                name: Some(table.to_owned()),
                description: None,
                format: Format { provider: "parquet".to_owned(), options: Some(std::collections::BTreeMap::new()) },
                schema_string,
                partition_columns: Vec::new(),
                created_time: Some(now_ms()),
                configuration: Some(std::collections::BTreeMap::new()),
            },
        };
        actions.push(Action::MetaData(Box::new(metadata)));
    }
    actions
}

/// The least that readers and writers must know. The features besides the one that is needed are those which version 2 of
/// the writer's protocol had without naming them.
fn protocol(naive_timestamps: bool) -> Protocol {
    if !naive_timestamps {
        return Protocol { min_reader_version: 1, min_writer_version: 2, reader_features: None, writer_features: None };
    }
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    Protocol {
        min_reader_version: 3,
        min_writer_version: 7,
        reader_features: names(&[NAIVE_TIMESTAMPS]),
        writer_features: names(&[NAIVE_TIMESTAMPS, "appendOnly", "invariants"]),
    }
}

/// A random UUID (version 4).
fn new_id() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | 4 << 76 | 2 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
