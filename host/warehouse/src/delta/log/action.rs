//! The actions of a Delta log, as lines of JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use model::error::{Code, Error, Result};

type Map = BTreeMap<String, Option<String>>;

/// A file with rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::delta) struct Add {
    /// Relative to the table's folder, percent-encoded.
    pub(in crate::delta) path: String,
    #[serde(default)]
    pub(in crate::delta) partition_values: Option<Map>,
    pub(in crate::delta) size: i64,
    /// Milliseconds since 1970.
    pub(in crate::delta) modification_time: i64,
    pub(in crate::delta) data_change: bool,
    /// A JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::delta) stats: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::delta) tags: Option<Map>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::delta) deletion_vector: Option<serde_json::Value>,
}

/// A file that was taken out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::delta) struct Remove {
    pub(in crate::delta) path: String,
    /// Milliseconds since 1970.
    #[serde(default)]
    pub(in crate::delta) deletion_timestamp: Option<i64>,
    pub(in crate::delta) data_change: bool,
    #[serde(default)]
    pub(in crate::delta) extended_file_metadata: Option<bool>,
    #[serde(default)]
    pub(in crate::delta) partition_values: Option<Map>,
    #[serde(default)]
    pub(in crate::delta) size: Option<i64>,
}

/// What a table is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::delta) struct Metadata {
    pub(in crate::delta) id: String,
    #[serde(default)]
    pub(in crate::delta) name: Option<String>,
    #[serde(default)]
    pub(in crate::delta) description: Option<String>,
    pub(in crate::delta) format: Format,
    /// A JSON object.
    pub(in crate::delta) schema_string: String,
    pub(in crate::delta) partition_columns: Vec<String>,
    /// Milliseconds since 1970.
    #[serde(default)]
    pub(in crate::delta) created_time: Option<i64>,
    #[serde(default)]
    pub(in crate::delta) configuration: Option<Map>,
}

/// Of which kind its files are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::delta) struct Format {
    pub(in crate::delta) provider: String,
    #[serde(default)]
    pub(in crate::delta) options: Option<Map>,
}

/// What a program must know to read or write the table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::delta) struct Protocol {
    pub(in crate::delta) min_reader_version: i32,
    pub(in crate::delta) min_writer_version: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::delta) reader_features: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::delta) writer_features: Option<Vec<String>>,
}

/// The last transaction of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::delta) struct Transaction {
    pub(in crate::delta) app_id: String,
    pub(in crate::delta) version: i64,
    /// Milliseconds since 1970.
    #[serde(default)]
    pub(in crate::delta) last_updated: Option<i64>,
}

/// One change of a table.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::delta) enum Action {
    Add(Box<Add>),
    Remove(Remove),
    MetaData(Box<Metadata>),
    Protocol(Protocol),
    Txn(Transaction),
    /// One that changes nothing of what a table holds.
    Other,
}

/// A line: one of the members is there. A checkpoint's rows have the others as null.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    add: Option<Add>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove: Option<Remove>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta_data: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<Protocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    txn: Option<Transaction>,
}

impl Action {
    /// Reads a line.
    pub(super) fn parse(line: &str) -> serde_json::Result<Self> {
        Ok(match serde_json::from_str(line)? {
            Line { add: Some(add), .. } => Self::Add(Box::new(add)),
            Line { remove: Some(remove), .. } => Self::Remove(remove),
            Line { meta_data: Some(metadata), .. } => Self::MetaData(Box::new(metadata)),
            Line { protocol: Some(protocol), .. } => Self::Protocol(protocol),
            Line { txn: Some(transaction), .. } => Self::Txn(transaction),
            _ => Self::Other,
        })
    }

    /// The action as a line.
    pub(super) fn line(&self) -> Result<String> {
        let line = match self.clone() {
            Self::Add(add) => Line { add: Some(*add), ..Line::default() },
            Self::Remove(remove) => Line { remove: Some(remove), ..Line::default() },
            Self::MetaData(metadata) => Line { meta_data: Some(*metadata), ..Line::default() },
            Self::Protocol(protocol) => Line { protocol: Some(protocol), ..Line::default() },
            Self::Txn(transaction) => Line { txn: Some(transaction), ..Line::default() },
            Self::Other => Line::default(),
        };
        serde_json::to_string(&line).map_err(|error| Error::new(Code::HostBug, "write an action").because(error))
    }
}

/// The first line of a version: who made it. No two are the same.
pub(super) fn commit_info(operation: &str) -> String {
    serde_json::json!({"commitInfo": {
        "timestamp": now_ms(),
        "operation": operation,
        "operationParameters": {},
        "engineInfo": concat!("elt-host/", env!("CARGO_PKG_VERSION")),
        "txnId": format!("{:032x}", fastrand::u128(..)),
    }})
    .to_string()
}

/// Milliseconds since 1970.
pub(in crate::delta) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
