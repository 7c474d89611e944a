//! The rules that a connector is verified against: each with a name, a line, and a section of docs/guides/verify.md.

use serde::Serialize;

/// Declares every rule once.
macro_rules! rules {
    ($($name:ident = $id:literal, $line:literal;)*) => {
        /// A rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each says its line")]
        pub enum Rule { $($name,)* }

        impl Rule {
            /// All of them, in the order in which they are checked and shown.
            pub const ALL: &'static [Rule] = &[$(Rule::$name,)*];

            /// Its stable name, which is also its section in docs/guides/verify.md.
            pub fn id(self) -> &'static str { match self { $(Self::$name => $id,)* } }

            /// The rule of this name.
            pub fn named(id: &str) -> Option<Self> { Self::ALL.iter().copied().find(|rule| rule.id() == id) }

            /// What it asks for, in one line.
            pub fn line(self) -> &'static str { match self { $(Self::$name => $line,)* } }
        }
    };
}

rules! {
    Succeeds = "succeeds", "check, schema and update succeed with this configuration";
    RecordsAreObjects = "records-are-objects", "every record is a JSON object";
    KeysPresent = "keys-present", "every record has its whole key";
    KeysUnique = "keys-unique", "no key stands for two different records in one sync";
    KeysAlike = "keys-alike", "a key has one JSON type in upserts, updates and deletes";
    CopyComplete = "copy-complete", "every page that the source names is asked for";
    TombstonesDeleted = "tombstones-deleted", "what the source marks as deleted is deleted, not a row";
    TablesDeclared = "tables-declared", "every table that gets rows is in the schema";
    NamesValid = "names-valid", "names of tables and columns fit every warehouse";
    SchemaMinimal = "schema-minimal", "the schema fixes no type that would be inferred anyway";
    StateTimestamps = "state-timestamps", "timestamps in the state are RFC 3339";
    LogQuiet = "log-quiet", "the log is a few lines a page, not one a record";
    SecretsHidden = "secrets-hidden", "no secret is in the log";
    TokensSealed = "tokens-sealed", "a token of the source is not in the state in clear text";
    MemoryFlat = "memory-flat", "memory does not grow with the number of pages";
    HostsDeclared = "hosts-declared", "the declared hosts are enough, and none too many";
    FieldsRequired = "fields-required", "a missing required field is a configuration error before any request";
    UnknownFields = "unknown-fields", "a field that it does not know changes nothing";
    CredentialsRefused = "credentials-refused", "refused credentials are an authentication error";
    Repeatable = "repeatable", "running twice from the start gives the same tables";
    Incremental = "incremental", "the next sync fetches less and changes nothing";
    CheckpointsHonest = "checkpoints-honest", "resuming from any checkpoint gives the same tables";
    TiesKept = "ties-kept", "the next sync asks again for the moment of the last record";
    EditsKept = "edits-kept", "what changes while pages are read comes with the next sync";
    LaterComplete = "later-complete", "a later sync brings all that is younger than what it goes on from";
    TablesApart = "tables-apart", "a table that was not selected is whole after a sync of all";
    FaultsSurvived = "faults-survived", "after any fault rows are right, at once or after the next sync";
    ErrorsTyped = "errors-typed", "a source that fails is not called a bug of the connector";
    LaterFaults = "later-faults", "a later sync survives any fault as the first one does";
    EmptyPages = "empty-pages", "an empty page in the middle is not the end";
    ShortPages = "short-pages", "a page with fewer records than asked for is not the end";
    NewColumns = "new-columns", "a field that is new at the source arrives";
    TypeChanges = "type-changes", "a number that arrives as text is not lost";
}

/// What came of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It is broken.
    Fail,
    /// It could not be tried, or does not apply.
    Skip,
}

/// A rule's verdict, and what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// What came of it.
    pub verdict: Verdict,
    /// What was tried, or the page, request and record that break it.
    pub evidence: String,
}

/// What is known after a rule was tried: `Ok` is what was tried.
pub(super) type Tried = Result<String, Broken>;

/// Why a rule does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Fail(String),
    Skip(String),
}

/// The rule is broken.
pub(super) fn fail<T>(evidence: impl Into<String>) -> Result<T, Broken> {
    Err(Broken::Fail(evidence.into()))
}

/// The rule cannot be tried.
pub(super) fn skip<T>(why: impl Into<String>) -> Result<T, Broken> {
    Err(Broken::Skip(why.into()))
}

impl Finding {
    pub(super) fn new(rule: Rule, tried: Tried) -> Self {
        let (verdict, evidence) = match tried {
            Ok(evidence) => (Verdict::Pass, evidence),
            Err(Broken::Fail(evidence)) => (Verdict::Fail, evidence),
            Err(Broken::Skip(evidence)) => (Verdict::Skip, evidence),
        };
        Self { rule, verdict, evidence }
    }
}
