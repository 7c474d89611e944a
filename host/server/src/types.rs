//! What goes over the API, in both directions: plain data, shared by the server and the commands that talk to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A part of a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// What to give as `after` for the next part; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What an error looks like: problem details (RFC 9457) with our code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemDetails {
    /// `urn:elt:error:` and the code.
    pub r#type: String,
    /// The code, with a page in docs/errors.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What failed and why.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// One event of a sync that is followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamEvent {
    /// `event`; `missed` where the reader was too slow; `end` is the last one.
    pub event: String,
    /// The event as JSON (docs/formats/events.md); how many were missed; the sync's outcome.
    pub data: String,
}

/// Who a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Identity {
    /// The tenant; absent for an operator's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The server's version.
    pub version: String,
}

/// What an operator decides for a tenant. What is left out has its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TenantSettings {
    /// Where the tenant's connections may write: `duckdb:` and `sqlite:` (files in the tenant's folder), `null:`, and
    /// `postgres://HOST:PORT/DATABASE` for a database; without /DATABASE any on that server.
    pub destinations: Vec<String>,
    /// `HOST` or `HOST:PORT` that connectors may reach although the address is private, also by plain http.
    pub allow_private: Vec<String>,
    /// `HOST` or `HOST:PORT` that connectors may speak plain http to.
    pub allow_http: Vec<String>,
    /// The most that the limits of a connection can be set to, such as `{"memory-bytes": "512MiB"}`; the others: their defaults.
    pub limits_max: BTreeMap<String, String>,
    /// What the tenant may use in all.
    pub quotas: Quotas,
}

impl Default for TenantSettings {
    fn default() -> Self {
        Self {
            destinations: ["duckdb:", "sqlite:", "null:"].map(str::to_owned).to_vec(),
            allow_private: Vec::new(),
            allow_http: Vec::new(),
            limits_max: BTreeMap::new(),
            quotas: Quotas::default(),
        }
    }
}

/// What a tenant may use in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// Syncs at one time; more wait.
    #[schema(maximum = 10000)]
    pub syncs_at_once: u32,
    /// Requests to sources a second, over all syncs; more wait.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub requests_per_second: Option<u32>,
    /// Seconds that connectors compute a day (UTC).
    #[schema(maximum = 1_000_000_000_000_u64)]
    pub cpu_seconds_per_day: Option<u64>,
    /// Rows made durable a day (UTC).
    #[schema(maximum = 1_000_000_000_000_000_u64)]
    pub rows_per_day: Option<u64>,
    /// Bytes of the files in the tenant's folder, looked at before every sync.
    #[schema(maximum = 1_000_000_000_000_000_u64)]
    pub disk_bytes: Option<u64>,
    /// Connections.
    #[schema(maximum = 1_000_000)]
    pub connections: u32,
    /// Versions of connectors of the tenant's own.
    #[schema(maximum = 10000)]
    pub connectors: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            syncs_at_once: 4,
            requests_per_second: None,
            cpu_seconds_per_day: None,
            rows_per_day: None,
            disk_bytes: None,
            connections: 10_000,
            connectors: 100,
        }
    }
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: String,
    /// What the operator decided for it.
    pub settings: TenantSettings,
    /// What it has used today.
    pub used_today: Used,
}

/// What a tenant has used of its quotas on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Used {
    /// Milliseconds that connectors computed.
    pub cpu_ms: u64,
    /// Rows made durable.
    pub rows: u64,
}

/// What a token is to be called.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewToken {
    /// What it is for.
    #[schema(max_length = 200)]
    pub note: String,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its name, to take it back by.
    pub id: String,
    /// What it is for.
    pub note: String,
    /// When it was made.
    pub created_at: String,
    /// The token itself, only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A version of a connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Connector {
    /// Its name, as it says itself.
    pub name: String,
    /// Its version, as it says itself.
    pub version: String,
    /// The SHA-256 of the component, in hex.
    pub digest: String,
    /// The component's size.
    pub bytes: u64,
    /// Whether it is the operator's, there for every tenant.
    pub shared: bool,
    /// When it was uploaded.
    pub uploaded_at: String,
    /// The fields of its configuration.
    pub fields: Vec<ConnectorField>,
    /// The hosts that it may reach: patterns, or `{field}` for what is in a field.
    pub hosts: Vec<String>,
}

/// A field of a connector's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectorField {
    /// The key.
    pub name: String,
    /// What to put there.
    pub help: String,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it is a secret: then nobody is shown it again.
    pub secret: bool,
    /// What it is when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// When a connection is synced. Times are UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// From the end of one sync's wait to the next, such as `15min`, `1h`. This or `cron`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// Minute, hour, day of the month, month, day of the week, such as `0 6 * * MON-FRI`. This or `every`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Up to how much later a sync begins, by chance, so that not everything begins at once. Default: a tenth of `every`,
    /// none for `cron`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<String>,
}

/// Which changes of the source the tables follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SchemaChange {
    /// New columns are added, types widen.
    Allow,
    /// Fields without a column are left out and noted.
    FreezeColumns,
    /// Types stay: a value of another type is a mismatch.
    FreezeTypes,
    /// Any change ends the sync.
    Fail,
}

/// What becomes of a value that does not fit a column of a fixed type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnMismatch {
    /// It ends the sync.
    #[default]
    Fail,
    /// The declared type is given up, and the column widens.
    Widen,
    /// NULL is stored instead, and noted.
    Null,
}

/// What becomes of rows that the source deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Deletes {
    /// They stay, marked by the column `_deleted`.
    #[default]
    Soft,
    /// They are removed.
    Hard,
}

/// What becomes of texts that look like dates and timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Timestamps {
    /// Columns of instants, timestamps and dates, as long as every value has one and the same format.
    #[default]
    Infer,
    /// They stay text.
    Text,
}

/// What becomes of a record that cannot be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnBadRecord {
    /// It ends the sync; everything up to the last checkpoint is durable.
    #[default]
    Fail,
    /// It is set aside in the table `_rejected`, and the sync goes on.
    Quarantine,
}

/// What becomes of a text that the destination cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnstorable {
    /// Its record is a bad one.
    #[default]
    Fail,
    /// U+FFFD stands in the place of each character, and that is noted.
    Replace,
}

/// A connection as its owner describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSettings {
    /// The connector's name.
    pub connector: String,
    /// The connector's version, by its digest; left out: the one uploaded last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The connector's configuration. Values are taken as they are: no `env:` or `file:`. Of secrets, `********` is shown, and
    /// stands for the value that is there already.
    #[serde(default)]
    pub configuration: BTreeMap<String, String>,
    /// Where rows go: `duckdb:FILE` or `sqlite:FILE` in the tenant's folder, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`,
    /// `null:`. The password is shown as `***`, which stands for the one that is there already.
    pub destination: String,
    /// When it is synced; left out: only when somebody starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// The tables to sync; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Limits other than the defaults, such as `{"memory-bytes": "64MiB"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,
    /// Secret fields that the connector may see themselves, if it asks to; of all others it gets a placeholder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<String>,
    /// The schema contract.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schema_change: Vec<SchemaChange>,
    /// What becomes of a value that does not fit a column of a fixed type.
    #[serde(default)]
    pub on_mismatch: OnMismatch,
    /// What becomes of a record that cannot be taken (docs/guides/bad-records.md).
    #[serde(default)]
    pub on_bad_record: OnBadRecord,
    /// What becomes of a text that the destination cannot hold: half a surrogate pair, NUL in some.
    #[serde(default)]
    pub on_unstorable: OnUnstorable,
    /// How many records are set aside in one sync; one more ends it. Left out: 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_max: Option<u64>,
    /// What becomes of rows that the source deleted.
    #[serde(default)]
    pub deletes: Deletes,
    /// How much of a table a truncate or a full refresh may delete, in percent of its rows; 100 lets it be emptied. Left out: any
    /// part of it, but not all. More ends the sync before the commit (`table-shrinks`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 100)]
    pub shrink_max: Option<u8>,
    /// Tables that keep every version of their rows from now on (docs/guides/history.md); `*`: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<String>,
    /// What becomes of texts that look like dates and timestamps.
    #[serde(default)]
    pub timestamps: Timestamps,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Connection {
    /// Its name: the schema of its tables.
    pub name: String,
    /// Its owner.
    pub tenant: String,
    /// What it is, without its secrets.
    pub settings: ConnectionSettings,
    /// Whether its schedule rests.
    pub paused: bool,
    /// When its next sync is due; absent: only when somebody starts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<String>,
    /// How many syncs in a row have failed for a reason that may pass.
    pub attempts: u32,
    /// Its latest sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<Sync>,
    /// When it was made.
    pub created_at: String,
    /// When it was changed last.
    pub updated_at: String,
}

/// A connection in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionSummary {
    /// Its name.
    pub name: String,
    /// Its connector.
    pub connector: String,
    /// Whether its schedule rests.
    pub paused: bool,
    /// When its next sync is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<String>,
    /// Its latest sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<Sync>,
}

/// What would become, or became, of something that is put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// `create`, `change` or `none`.
    pub action: Action,
    /// What is different, such as `configuration.api_key`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

/// What a put does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is new.
    Create,
    /// It becomes different.
    Change,
    /// It is as it was.
    None,
}

/// How a sync is to be started.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Start {
    /// From the beginning; rows that do not come back are deleted at the end.
    pub full_refresh: bool,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checked {
    /// The source can be reached and accepts the configuration.
    pub ok: bool,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<SyncError>,
}

/// A sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sync {
    /// Its name, also in the warehouse's table of syncs.
    pub id: String,
    /// Its connection.
    pub connection: String,
    /// Why it began.
    pub reason: Reason,
    /// Where it stands, or how it ended.
    pub outcome: SyncOutcome,
    /// Whether it began from the beginning.
    pub full_refresh: bool,
    /// When it was due.
    pub queued_at: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Rows made durable.
    pub rows: u64,
    /// Records that were set aside, in the table `_rejected`.
    #[serde(default)]
    pub rejected: u64,
    /// The code of its error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Its error; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<SyncError>,
}

/// Why a sync began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// It was due.
    Schedule,
    /// Somebody started it.
    Manual,
    /// The one before failed for a reason that may pass, or was interrupted.
    Retry,
}

/// Where a sync stands, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyncOutcome {
    /// It waits for its turn.
    Queued,
    /// It runs.
    Running,
    /// It finished: everything is durable.
    Succeeded,
    /// It failed; everything up to its last checkpoint is durable.
    Failed,
    /// Somebody cancelled it; everything up to its last checkpoint is durable.
    Cancelled,
    /// The server ended; everything up to the last checkpoint is durable, and it is due again.
    Interrupted,
}

/// An error of a sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SyncError {
    /// The code, with a page in docs/errors.
    pub code: String,
    /// Whose fault it is.
    pub fault: String,
    /// What failed and why.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
