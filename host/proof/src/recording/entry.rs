//! The entries of a recording, as they stand in the file: one line of JSON each, some followed by bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use model::Selection;
use sandbox::{Call, Ending, Sent, Trouble};

/// The version of the format that is written. Every version ever written is read.
pub(super) const VERSION: u32 = 1;
/// What the first line of a recording says it is.
pub(super) const FORMAT: &str = "elt-recording";

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) format: String,
    pub(super) version: u32,
    /// The version of the host that made it.
    pub(super) host: String,
}

/// One thing that crossed between guest and world. `bytes` says how many bytes follow the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "lowercase")]
pub(super) enum Entry {
    /// A call of an export begins.
    Call {
        export: String,
        connector: String,
        component: String,
        configuration: BTreeMap<String, String>,
        state: Option<String>,
        /// None: all.
        tables: Option<Vec<String>>,
        /// In hex.
        seed: String,
    },
    /// A request; its body follows.
    Send { exchange: u64, request: Sent, bytes: u64 },
    /// An answer; what was read of its body follows. It stands where the guest had done with it.
    Answer { exchange: u64, status: u16, url: String, headers: Vec<(String, String)>, ending: Ending, bytes: u64 },
    /// There is no answer.
    Failure { exchange: u64, trouble: Trouble },
    /// The wall clock was read: nanoseconds since 1970.
    Wall { ns: u64 },
    /// The monotonic clock was read: nanoseconds.
    Monotonic { ns: u64 },
    /// A token was protected.
    Protect { placeholder: String },
    /// Rows of one batch follow.
    Write { table: String, kind: Kind, bytes: u64 },
    /// A checkpoint; its state follows.
    Save { bytes: u64 },
    /// The guest waited until all was durable.
    Flush {},
    /// A line of the guest's log.
    Log { level: Level, message: String },
    /// The call has ended; without an error it succeeded.
    End { code: Option<String>, message: Option<String> },
}

/// The kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Upsert,
    Update,
    Delete,
    Truncate,
}

/// The levels of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Fine,
    Info,
    Warning,
    Severe,
}

impl Entry {
    /// The beginning of a call.
    pub(super) fn call_of(call: &Call<'_>, seed: String) -> Self {
        Self::Call {
            export: call.export.to_owned(),
            connector: call.connector.to_owned(),
            component: call.component.to_owned(),
            configuration: call.configuration.0.clone(),
            state: call.state.map(ToOwned::to_owned),
            tables: match call.selection {
                Selection::All => None,
                Selection::Tables(tables) => Some(tables.clone()),
            },
            seed,
        }
    }

    /// How many bytes follow its line, where it has some.
    pub(super) fn bytes_mut(&mut self) -> Option<&mut u64> {
        match self {
            Self::Send { bytes, .. }
            | Self::Answer { bytes, .. }
            | Self::Write { bytes, .. }
            | Self::Save { bytes } => Some(bytes),
            _ => None,
        }
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl From<model::OperationKind> for Kind {
    fn from(from: model::OperationKind) -> Self {
        use model::OperationKind;
        match from {
            OperationKind::Upsert => Self::Upsert,
            OperationKind::Update => Self::Update,
            OperationKind::Delete => Self::Delete,
            OperationKind::Truncate => Self::Truncate,
        }
    }
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
        }
    }
}

impl From<model::LogLevel> for Level {
    fn from(from: model::LogLevel) -> Self {
        use model::LogLevel;
        match from {
            LogLevel::Fine => Self::Fine,
            LogLevel::Info => Self::Info,
            LogLevel::Warning => Self::Warning,
            LogLevel::Severe => Self::Severe,
        }
    }
}
