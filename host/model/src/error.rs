//! Errors as a person meets them: what failed, whose fault it is, what to do, and a code with a page in docs/errors.

use std::borrow::Cow;
use std::fmt;

/// Who has to act. The exit status of the process follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The command line or the user's configuration.
    Configuration,
    /// The connector's code.
    Connector,
    /// The system the connector reads from.
    Source,
    /// The warehouse.
    Destination,
    /// A limit of the sandbox was reached.
    Limit,
    /// The host itself: a bug.
    Host,
    /// Nobody: the sync was asked to stop by a signal of this number.
    Signal(u8),
}

impl Fault {
    /// The exit status (documented in docs/errors/README.md): 1 host bug, 2 usage or configuration, 3 connector or
    /// source, 4 destination, 5 limit, 128 + n for signal n.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Host => 1,
            Self::Configuration => 2,
            Self::Connector | Self::Source => 3,
            Self::Destination => 4,
            Self::Limit => 5,
            Self::Signal(number) => 128u8.saturating_add(number),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "configuration",
            Self::Connector => "connector",
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Limit => "limit",
            Self::Host => "host",
            Self::Signal(_) => "signal",
        })
    }
}

/// Declares every code once: the variant, its text, whose fault it is.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $fault:expr;)*) => {
        /// What went wrong, as a stable name. Each has a page `docs/errors/<code>.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in the order of the list.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The stable text, `lower-case-with-hyphens`.
            pub fn as_str(self) -> &'static str { match self { $(Self::$name => $text,)* } }

            /// Whose fault it is.
            pub fn fault(self) -> Fault { match self { $(Self::$name => $fault,)* } }
        }
    };
}

codes! {
    /// The command line cannot be understood.
    Usage = "usage", Fault::Configuration;
    /// A connector's files cannot be written.
    ScaffoldFailed = "scaffold-failed", Fault::Configuration;
    /// A connector cannot be built.
    BuildFailed = "build-failed", Fault::Connector;
    /// The component's file does not exist or cannot be read.
    ComponentMissing = "component-missing", Fault::Configuration;
    /// The file is not WebAssembly.
    ComponentNotWasm = "component-not-wasm", Fault::Connector;
    /// The file is a core module, not a component.
    ComponentCoreModule = "component-core-module", Fault::Connector;
    /// The component implements another world.
    ComponentWrongWorld = "component-wrong-world", Fault::Connector;
    /// The component was made for another version of the contract.
    ComponentVersion = "component-version", Fault::Connector;
    /// The component is truncated, corrupted or uses features the sandbox has off.
    ComponentInvalid = "component-invalid", Fault::Connector;
    /// The configuration file does not exist or cannot be read.
    ConfigurationMissing = "configuration-missing", Fault::Configuration;
    /// The configuration is not a flat JSON object of strings.
    ConfigurationInvalid = "configuration-invalid", Fault::Configuration;
    /// A required field is missing or empty.
    ConfigurationFieldMissing = "configuration-field-missing", Fault::Configuration;
    /// The connector refused the configuration.
    ConfigurationRejected = "configuration-rejected", Fault::Configuration;
    /// The source refused the credentials.
    AuthenticationFailed = "authentication-failed", Fault::Configuration;
    /// The connector asked for an address it may not reach.
    EgressDenied = "egress-denied", Fault::Configuration;
    /// The connector wants to see a secret, and the operator has not agreed.
    SecretNotExposed = "secret-not-exposed", Fault::Configuration;
    /// The key that seals tokens cannot be read, made or understood.
    SecretKeyInvalid = "secret-key-invalid", Fault::Configuration;
    /// A state file or a saved state is not what it should be.
    StateInvalid = "state-invalid", Fault::Configuration;
    /// A recording cannot be written or read.
    RecordingInvalid = "recording-invalid", Fault::Configuration;
    /// The connector does something else than in the recording.
    RecordingDiffers = "recording-differs", Fault::Connector;
    /// The connector breaks rules of `host verify`.
    RulesBroken = "rules-broken", Fault::Connector;
    /// A table was selected that the connector does not have.
    TableUnknown = "table-unknown", Fault::Configuration;
    /// The source could not be reached, or failed in a way that may pass.
    SourceUnavailable = "source-unavailable", Fault::Source;
    /// The source asks to be left alone for longer than the host waits.
    SourceRateLimited = "source-rate-limited", Fault::Source;
    /// The source answered with something the connector cannot use.
    SourceError = "source-error", Fault::Source;
    /// The connector reported a fault of its own.
    ConnectorFailed = "connector-failed", Fault::Connector;
    /// The connector broke: a panic, an illegal instruction, memory out of bounds.
    ConnectorTrapped = "connector-trapped", Fault::Connector;
    /// `describe` or `schema` answered with something that cannot be.
    SchemaInvalid = "schema-invalid", Fault::Connector;
    /// A record is not a JSON object.
    RecordInvalid = "record-invalid", Fault::Connector;
    /// A record lacks its primary key.
    RecordKeyMissing = "record-key-missing", Fault::Connector;
    /// A primary key's value has another type than before.
    RecordKeyType = "record-key-type", Fault::Connector;
    /// A record was written to a table that was not selected, or an operation cannot be done on its table.
    OperationInvalid = "operation-invalid", Fault::Connector;
    /// A value does not fit the declared type of its column.
    ValueMismatch = "value-mismatch", Fault::Connector;
    /// A text has a character that the destination cannot hold.
    ValueUnstorable = "value-unstorable", Fault::Source;
    /// A truncate or a full refresh would delete more of a table than it may.
    TableShrinks = "table-shrinks", Fault::Source;
    /// More bad records than are set aside in one sync.
    LimitRejected = "limit-rejected", Fault::Limit;
    /// The component's file has too many bytes.
    LimitComponent = "limit-component", Fault::Limit;
    /// The source's schema changed and the connection's schema contract does not allow it.
    SchemaChanged = "schema-changed", Fault::Source;
    /// The guest wanted more memory than it may have.
    LimitMemory = "limit-memory", Fault::Limit;
    /// The guest computed too long.
    LimitCpu = "limit-cpu", Fault::Limit;
    /// The sync took too long.
    LimitTime = "limit-time", Fault::Limit;
    /// The connector had too many tokens protected.
    LimitSecrets = "limit-secrets", Fault::Limit;
    /// A row has too many bytes.
    LimitRowBytes = "limit-row-bytes", Fault::Limit;
    /// A batch has too many rows or bytes.
    LimitBatch = "limit-batch", Fault::Limit;
    /// A record is nested too deeply.
    LimitDepth = "limit-depth", Fault::Limit;
    /// Too many columns in a table.
    LimitColumns = "limit-columns", Fault::Limit;
    /// Too many tables.
    LimitTables = "limit-tables", Fault::Limit;
    /// A state has too many bytes.
    LimitState = "limit-state", Fault::Limit;
    /// Too many requests in one sync.
    LimitRequests = "limit-requests", Fault::Limit;
    /// A request is too large.
    LimitRequestSize = "limit-request-size", Fault::Limit;
    /// An answer is too large, or all of them together are.
    LimitResponseSize = "limit-response-size", Fault::Limit;
    /// Too many handles at one time.
    LimitHandles = "limit-handles", Fault::Limit;
    /// Too much was handed over in one call.
    LimitCallBytes = "limit-call-bytes", Fault::Limit;
    /// The component takes too long or too much memory to compile.
    LimitCompile = "limit-compile", Fault::Limit;
    /// The destination's URL cannot be understood.
    DestinationInvalid = "destination-invalid", Fault::Configuration;
    /// The warehouse refused user or password.
    WarehouseLogin = "warehouse-login", Fault::Configuration;
    /// The warehouse's server cannot be reached, or the connection to it was lost.
    WarehouseUnreachable = "warehouse-unreachable", Fault::Destination;
    /// The warehouse cannot be written.
    WarehouseUnwritable = "warehouse-unwritable", Fault::Destination;
    /// The warehouse's file is not a warehouse, or damaged.
    WarehouseCorrupted = "warehouse-corrupted", Fault::Destination;
    /// Another process has the warehouse open.
    WarehouseInUse = "warehouse-in-use", Fault::Destination;
    /// No room left.
    DiskFull = "disk-full", Fault::Destination;
    /// Another sync of the same connection has taken over.
    FencedOff = "fenced-off", Fault::Destination;
    /// The warehouse refused a statement.
    DestinationFailed = "destination-failed", Fault::Destination;
    /// The query could not be run.
    QueryFailed = "query-failed", Fault::Configuration;
    /// A request to the server cannot be understood.
    RequestInvalid = "request-invalid", Fault::Configuration;
    /// A request to the server without a token, or with one that is not valid.
    TokenInvalid = "token-invalid", Fault::Configuration;
    /// The server has nothing of that name, as far as the token reaches.
    NotFound = "not-found", Fault::Configuration;
    /// What was asked for does not go with what is there.
    Conflict = "conflict", Fault::Configuration;
    /// The operator does not let the tenant write there.
    DestinationDenied = "destination-denied", Fault::Configuration;
    /// A tenant has used up a quota.
    LimitQuota = "limit-quota", Fault::Limit;
    /// The server is asked for more at one time than it takes, or is about to end.
    ServerBusy = "server-busy", Fault::Limit;
    /// No server answers.
    ServerUnreachable = "server-unreachable", Fault::Configuration;
    /// A key file cannot be used, or is not the one that something was sealed with.
    KeyInvalid = "key-invalid", Fault::Configuration;
    /// The server's store is none, is damaged, or was written by a newer host.
    StoreInvalid = "store-invalid", Fault::Configuration;
    /// The server's store cannot be read or written.
    StoreFailed = "store-failed", Fault::Configuration;
    /// Stopped by Ctrl-C.
    Interrupted = "interrupted", Fault::Signal(2);
    /// Stopped by SIGTERM.
    Terminated = "terminated", Fault::Signal(15);
    /// A bug of the host.
    HostBug = "host-bug", Fault::Host;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error with its code. The message completes "failed to …"; the chain of sources says why.
#[derive(Debug, thiserror::Error)]
#[error("failed to {message}")]
pub struct Error {
    code: Code,
    message: Box<str>,
    hint: Option<Box<str>>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A cause of which the text is left.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Rewritten {
    text: Box<str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error in what was typed or set: `message` completes "failed to …".
pub fn usage(message: impl Into<String>) -> Error {
    Error::new(Code::Usage, message)
}

impl Error {
    /// An error of this code; `message` completes "failed to …".
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into().into_boxed_str(), hint: None, source: None }
    }

    /// Says what to do about it, as a sentence.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into().into_boxed_str());
        self
    }

    /// Says why, by the error underneath. The message must not repeat it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.code.fault()
    }

    /// What to do about it, where there is something to do.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The same error with its texts rewritten. Where any changes, the causes keep their texts only.
    #[must_use]
    pub fn rewritten(self, rewrite: &dyn Fn(&str) -> Cow<'_, str>) -> Self {
        let mut causes = Vec::new();
        let mut cause = std::error::Error::source(&self);
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        let own = [Some(&*self.message), self.hint.as_deref()].into_iter().flatten();
        if own.chain(causes.iter().map(String::as_str)).all(|text| matches!(rewrite(text), Cow::Borrowed(_))) {
            return self;
        }
        let written = |text: &str| rewrite(text).into_owned().into_boxed_str();
        let chained = |source, text: &String| {
            let source: Option<Box<dyn std::error::Error + Send + Sync>> = source;
            Some(Box::new(Rewritten { text: written(text), source }) as _)
        };
        Self {
            code: self.code,
            message: written(&self.message),
            hint: self.hint.as_deref().map(written),
            source: causes.iter().rev().fold(None, chained),
        }
    }

    /// The message and its causes, one after another, separated by ": ".
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_an_error_is_rewritten() {
        let cause = Error::new(Code::Usage, "read s3cret").because("no s3cret here");
        let error = Error::new(Code::SourceError, "show s3cret").hint("Hide s3cret.").because(cause);
        let error = error.rewritten(&|text| Cow::Owned(text.replace("s3cret", "*")));
        assert_eq!(error.chain(), "failed to show *: failed to read *: no * here");
        assert_eq!((error.code(), error.advice()), (Code::SourceError, Some("Hide *.")));
    }
}
