//! What the server says, as an error of ours: SQLSTATEs sorted into codes, each with what to do about it.

use std::error::Error as _;
use std::io::ErrorKind;

use postgres::error::SqlState;

use super::copy::WrongArray;
use crate::sql::SYSTEM;
use model::error::{Code, Error};

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server refused it, or cannot be reached any more.
    #[error("{0}")]
    Postgres(#[from] postgres::Error),
    /// The connection broke while rows were sent.
    #[error("{0}")]
    Sending(std::io::Error),
    #[error("{0}")]
    Array(#[from] WrongArray),
    /// The sync has ended.
    #[error("the session was given up")]
    Ended,
}

impl Failure {
    /// The server's or the connection's own error.
    fn postgres(&self) -> Option<&postgres::Error> {
        match self {
            Self::Postgres(error) => Some(error),
            // `CopyInWriter` wraps it.
            Self::Sending(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
            Self::Array(_) | Self::Ended => None,
        }
    }

    fn state(&self) -> Option<&SqlState> {
        self.postgres().and_then(postgres::Error::code)
    }

    /// Whether the session is over.
    pub(super) fn is_lost(&self) -> bool {
        match self.postgres() {
            Some(error) => match error.code() {
                Some(state) => ends_session(state),
                None => error.is_closed() || has_io_error(error),
            },
            None => matches!(self, Self::Sending(_)),
        }
    }

    /// Whether another transaction was first.
    pub(super) fn is_conflict(&self) -> bool {
        let Some(error) = self.postgres().and_then(postgres::Error::as_db_error) else { return false };
        let state = error.code();
        // Of the rows themselves a key is unique only where a sync is right about them; in the catalogs the other one was
        // first.
        let in_catalog = || matches!(error.schema(), Some("pg_catalog" | SYSTEM));
        CONFLICTS.contains(state)
            || (*state == SqlState::UNIQUE_VIOLATION && in_catalog())
            || error.message().contains("tuple concurrently")
    }
}

const CONFLICTS: &[SqlState] = &[
    SqlState::T_R_SERIALIZATION_FAILURE,
    SqlState::T_R_DEADLOCK_DETECTED,
    SqlState::LOCK_NOT_AVAILABLE,
    SqlState::DUPLICATE_SCHEMA,
    SqlState::DUPLICATE_TABLE,
    SqlState::DUPLICATE_OBJECT,
];

/// The server's own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct ServerError(String);

impl ServerError {
    pub(super) fn of(error: &postgres::Error) -> Self {
        /// A detail can be a whole row.
        const DETAIL_CHARACTERS_MAX: usize = 300;
        let Some(refusal) = error.as_db_error() else {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            return Self(text);
        };
        let mut text = format!("{} (SQLSTATE {})", refusal.message(), refusal.code().code());
        if let Some(detail) = refusal.detail() {
            text.push_str(". ");
            text.extend(detail.chars().take(DETAIL_CHARACTERS_MAX));
        }
        Self(text)
    }
}

/// Makes an error out of a failure while the warehouse is open. `what` completes "failed to …".
pub(super) fn failed(what: impl Into<String>) -> impl FnOnce(Failure) -> Error {
    let what = what.into();
    move |failure| {
        let (code, hint) = if failure.is_lost() {
            (Code::WarehouseUnreachable, LOST)
        } else {
            failure.state().map_or((Code::DestinationFailed, ""), |state| classify(state, &failure))
        };
        let error = Error::new(code, what);
        let error = match failure.postgres() {
            Some(error_of_server) => error.because(ServerError::of(error_of_server)),
            None => error.because(failure),
        };
        if hint.is_empty() { error } else { error.hint(hint) }
    }
}

/// Makes an error out of a failure to connect; `whole` names the database without a password.
pub(super) fn failed_to_connect(whole: &str, error: postgres::Error) -> Error {
    let failure = Failure::Postgres(error);
    let (code, hint) = match failure.state() {
        Some(state) => classify(state, &failure),
        None => match failure.postgres() {
            Some(error) if has_io_error(error) => (Code::WarehouseUnreachable, UNREACHABLE),
            Some(error) if error.to_string().contains("TLS") => (Code::WarehouseUnreachable, TLS),
            Some(error) if is_about_login(error) => (Code::WarehouseLogin, LOGIN),
            _ => (Code::WarehouseUnreachable, UNREACHABLE),
        },
    };
    let made = Error::new(code, format!("connect to the warehouse {whole}"));
    let made = if hint.is_empty() { made } else { made.hint(hint) };
    match failure.postgres() {
        Some(error) => made.because(ServerError::of(error)),
        None => made.because(failure),
    }
}

/// The client itself refuses where the server wants a password and none is given.
fn is_about_login(error: &postgres::Error) -> bool {
    let text = ServerError::of(error).0;
    ["password", "authentication"].iter().any(|word| text.contains(word))
}

fn has_io_error(error: &postgres::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() != ErrorKind::InvalidData) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn ends_session(state: &SqlState) -> bool {
    state.code().starts_with("08")
        || [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            SqlState::IDLE_SESSION_TIMEOUT,
        ]
        .contains(state)
}

const UNREACHABLE: &str = "Check host and port, that the server runs, and that a firewall lets this machine through.";
const TLS: &str = "Check that the server speaks TLS, and with sslmode=verify-full that its certificate is for this host's name \
                   and that this machine (or the file of sslrootcert) trusts it.";
const LOST: &str = "What was committed stands: run again, and the sync goes on from there.";
const BUSY: &str = "The server takes no more connections, or is starting or stopping: run again later.";
const LOGIN: &str = "Check user and password, and what pg_hba.conf of the server allows this user from this machine.";
const NO_DATABASE: &str = "Make it first (CREATE DATABASE …), or name another in the URL.";
const FORBIDDEN: &str = "The user must own the tables, and may need GRANT CREATE, TEMPORARY ON DATABASE … TO … for schemas \
                         and temporary tables.";
const READ_ONLY: &str = "Connect to the primary server: this one, or this user's transactions, can only read.";
const DISK_FULL: &str =
    "Free some room on the server and run again: what was committed stands, the sync goes on from there.";
const LOCKED: &str = "Another session holds a lock on the tables: wait until it has ended, or end it, and run again.";
const COLUMNS: &str = "A table in Postgres has at most 1,600 columns, and fewer where many of them hold texts. Select fewer \
                       fields in the connector, or nest them in a JSON object.";
const TOO_BIG: &str = "In Postgres a row without its long texts has 8 kB at most, and a primary key about 2.7 kB. Select fewer \
                       fields in the connector, or choose a shorter key.";
/// Why a text does not fit.
pub(super) const NUL_TEXT: &str = "Postgres cannot hold the character NUL in text";
const NUL: &str = "Postgres cannot hold the character NUL in text: remove it in the connector.";
const DEPENDENT: &str = "A view or another table depends on it: drop that first, and make it again afterwards.";
const MEMORY: &str = "The server has not enough memory for this statement. Commit more often, or write narrower rows.";

fn classify(state: &SqlState, failure: &Failure) -> (Code, &'static str) {
    let is = |states: &[SqlState]| states.contains(state);
    if is(&[SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION]) {
        (Code::WarehouseLogin, LOGIN)
    } else if is(&[SqlState::INVALID_CATALOG_NAME]) {
        (Code::DestinationInvalid, NO_DATABASE)
    } else if is(&[SqlState::TOO_MANY_CONNECTIONS, SqlState::CANNOT_CONNECT_NOW]) {
        (Code::WarehouseUnreachable, BUSY)
    } else if is(&[SqlState::INSUFFICIENT_PRIVILEGE]) {
        (Code::WarehouseUnwritable, FORBIDDEN)
    } else if is(&[SqlState::READ_ONLY_SQL_TRANSACTION]) || failure.to_string().contains("during recovery") {
        (Code::WarehouseUnwritable, READ_ONLY)
    } else if is(&[SqlState::DISK_FULL]) {
        (Code::DiskFull, DISK_FULL)
    } else if is(&[SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED]) {
        (Code::WarehouseInUse, LOCKED)
    } else if is(&[SqlState::TOO_MANY_COLUMNS]) {
        (Code::LimitColumns, COLUMNS)
    } else if is(&[SqlState::CHARACTER_NOT_IN_REPERTOIRE, SqlState::UNTRANSLATABLE_CHARACTER]) {
        (Code::ValueMismatch, NUL)
    } else if is(&[SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED]) {
        (Code::WarehouseCorrupted, "")
    } else {
        (Code::DestinationFailed, other_hint(state))
    }
}

fn other_hint(state: &SqlState) -> &'static str {
    let is = |states: &[SqlState]| states.contains(state);
    if is(&[SqlState::PROGRAM_LIMIT_EXCEEDED]) {
        TOO_BIG
    } else if is(&[SqlState::DEPENDENT_OBJECTS_STILL_EXIST, SqlState::FEATURE_NOT_SUPPORTED]) {
        DEPENDENT
    } else if is(&[SqlState::OUT_OF_MEMORY]) {
        MEMORY
    } else {
        ""
    }
}
