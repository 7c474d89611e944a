//! Records that cannot be taken: which they are, how many are set aside, and what is written of them. Pure.

use model::error::{Code, Error, Result};
use model::{OnBadRecord, OperationKind, RecordRules};

use super::buffer::Log;
use super::column::Cell;
use model::schema::{ColumnType, REJECTED_COLUMNS};

/// A record that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The connector's name of the table it was meant for.
    pub table: String,
    /// Its number among the table's records in this sync, from 1 on.
    pub position: u64,
    /// Why it could not be taken: the error's code and chain.
    pub reason: String,
}

/// What a sync sets aside.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) rules: RecordRules,
    sync: String,
    count: u64,
    /// Those that nobody was told of yet.
    pub(crate) untold: Vec<Rejection>,
}

/// Whether an error is about one record, so that the others can be taken without it.
fn is_of_one_record(code: Code) -> bool {
    matches!(
        code,
        Code::RecordInvalid
            | Code::RecordKeyMissing
            | Code::RecordKeyType
            | Code::ValueMismatch
            | Code::ValueUnstorable
            | Code::LimitRowBytes
            | Code::LimitDepth
    )
}

/// How to go on after such an error, as the beginning of a hint.
pub(crate) fn advice(code: Code) -> &'static str {
    match code {
        Code::ValueUnstorable => {
            "Store U+FFFD in their place with --on-unstorable replace, or set such records aside with --on-bad-record \
             quarantine (docs/guides/bad-records.md). "
        }
        code if is_of_one_record(code) => {
            "To go on without it, set such records aside: --on-bad-record quarantine (docs/guides/bad-records.md). "
        }
        _ => "",
    }
}

impl Rejected {
    pub(crate) fn new(rules: RecordRules, sync: String) -> Self {
        Self { rules, sync, count: 0, untold: Vec::new() }
    }

    /// Lets a bad record be set aside, with its reason, or returns why the sync ends.
    pub(crate) fn admit(&mut self, rejection: Rejection, error: Error) -> Result<Rejection> {
        if self.rules.on_bad_record == OnBadRecord::Fail || !is_of_one_record(error.code()) {
            return Err(error);
        }
        if self.count >= self.rules.rejected_max {
            let message = format!("set more than {} records aside (--rejected-max)", self.rules.rejected_max);
            return Err(Error::new(Code::LimitRejected, message)
                .hint(
                    "So many bad records are hardly an accident: look at them with `host rejected list` and mend the source \
                     or the connector, or raise the limit with --rejected-max.",
                )
                .because(error));
        }
        self.count += 1;
        // Names in the text may hold what not every destination does.
        let reason = format!("{}: {}", error.code(), error.chain()).replace('\0', "\u{fffd}");
        Ok(Rejection { reason, ..rejection })
    }

    /// Adds the row of a rejected record.
    pub(crate) fn write(&self, log: &mut Log, rejection: &Rejection, kind: OperationKind, record: &[u8]) {
        let more =
            [Cell::Text(operation(kind).as_bytes()), Cell::Text(rejection.reason.as_bytes()), Cell::Text(record)];
        let key = key(&self.sync, &rejection.table, rejection.position);
        push(log, OperationKind::Upsert, key.into_iter().chain(more));
    }
}

/// Adds the deletion of a rejected record's row.
pub(crate) fn forget(log: &mut Log, sync: &str, table: &str, position: u64) {
    push(log, OperationKind::Delete, key(sync, table, position).into_iter());
}

fn key<'a>(sync: &'a str, table: &'a str, position: u64) -> [Cell<'a>; 3] {
    [Cell::Text(sync.as_bytes()), Cell::Text(table.as_bytes()), Cell::Integer(position.cast_signed())]
}

fn push<'a>(log: &mut Log, kind: OperationKind, cells: impl Iterator<Item = Cell<'a>>) {
    for ((index, (_, data_type)), cell) in REJECTED_COLUMNS.iter().enumerate().zip(cells) {
        log.buffer.column(index, ColumnType::declared(*data_type)).push_declared(cell);
    }
    log.buffer.end_row();
    log.kinds.push(kind);
}

/// The text of a kind of operation.
pub(crate) fn operation(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Upsert => "upsert",
        OperationKind::Update => "update",
        OperationKind::Delete => "delete",
        OperationKind::Truncate => "truncate",
    }
}
