//! `host rejected`: the records of a connection that were set aside: looking at them, taking them again, deleting them.

use std::ops::ControlFlow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, Subcommand, ValueEnum};

use super::json::Object;
use super::screen::Screen;
use super::{reset, state, text};
use crate::options::{DestinationOptions, LimitOptions};
use model::error::{Code, Error, Result};
use model::schema::SchemaContract;
use model::{OnUnstorable, RecordRules};
use stream::Retry;
use warehouse::{Access, DestinationUrl, RejectedRecord};

/// What can be typed after `host rejected`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the records that were set aside, with the reason of each
    List(List),
    /// Takes them again as if they came now; those that still cannot be taken stay set aside
    Retry(Again),
    /// Deletes them
    Drop(Drop),
}

#[derive(Args, Debug)]
struct Which {
    #[command(flatten)]
    destination: DestinationOptions,
    /// The connection (default: the only one)
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Those of this table only
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Those of this sync only
    #[arg(long, value_name = "ID")]
    sync: Option<String>,
}

#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    which: Which,
    /// Prints one JSON object a record and line
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct Again {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    limits: LimitOptions,
    /// What becomes of a value that does not fit a column of a fixed type
    #[arg(long, value_enum, default_value_t = OnMismatch::Fail, value_name = "HOW")]
    on_mismatch: OnMismatch,
    /// What becomes of a text that the destination cannot hold
    #[arg(long, value_enum, default_value_t = Unstorable::Fail, value_name = "HOW")]
    on_unstorable: Unstorable,
    /// Texts that look like dates and timestamps stay text, as with `host run --timestamps text`
    #[arg(long)]
    timestamps_are_text: bool,
}

#[derive(Args, Debug)]
struct Drop {
    #[command(flatten)]
    which: Which,
    /// Does not ask
    #[arg(short, long)]
    yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnMismatch {
    /// Its record stays set aside
    Fail,
    /// The declared type is given up, and the column widens
    Widen,
    /// NULL is stored instead
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Unstorable {
    /// Its record stays set aside
    Fail,
    /// U+FFFD stands in the place of each character
    Replace,
}

/// Bytes of records that are taken or deleted in one transaction.
const BYTES_MAX: usize = 64 << 20;

/// Lists, takes again or deletes.
pub(super) fn run(arguments: &Arguments, screen: &Screen) -> Result<()> {
    match &arguments.command {
        Command::List(list) => show(list, screen),
        Command::Retry(again) => retry(again, screen),
        Command::Drop(drop) => delete(drop, screen),
    }
}

impl Which {
    /// The warehouse, and the connection meant.
    fn open(&self) -> Result<(DestinationUrl, String)> {
        let url = self.destination.in_force()?;
        let mut warehouse = warehouse::warehouse(&url, Access::Read)?;
        let row = state::connection(&mut *warehouse, self.connection.as_deref())?;
        Ok((url, row.connection))
    }

    fn means(&self, record: &RejectedRecord) -> bool {
        self.table.as_ref().is_none_or(|table| *table == record.table)
            && self.sync.as_ref().is_none_or(|sync| *sync == record.sync)
    }

    /// The records meant beyond the first so many, as many as one transaction takes.
    fn some(&self, url: &DestinationUrl, connection: &str, mut skipped: usize) -> Result<Vec<RejectedRecord>> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        warehouse::rejected(url, connection, &mut |record| {
            if !self.means(&record) {
                return Ok(ControlFlow::Continue(()));
            }
            if skipped > 0 {
                skipped -= 1;
                return Ok(ControlFlow::Continue(()));
            }
            bytes += record.record.len();
            records.push(record);
            Ok(if bytes >= BYTES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(records)
    }
}

fn show(list: &List, screen: &Screen) -> Result<()> {
    let (url, connection) = list.which.open()?;
    let mut count = 0u64;
    warehouse::rejected(&url, &connection, &mut |record| {
        if !list.which.means(&record) {
            return Ok(ControlFlow::Continue(()));
        }
        count += 1;
        let line = if list.json { for_programs(&record) } else { for_people(&record) };
        screen.data(&(line + "\n"))
    })?;
    if count == 0 {
        screen.people(&format!("{connection} has no records that were set aside."));
    }
    Ok(())
}

fn for_people(record: &RejectedRecord) -> String {
    let bytes = text::printable(&String::from_utf8_lossy(&record.record));
    format!(
        "{} {} record {} ({})\n  {}\n  {}",
        text::printable(&record.sync),
        text::printable(&record.table),
        record.position,
        text::printable(&record.operation),
        text::printable(&record.reason),
        bytes.chars().take(500).collect::<String>()
    )
}

fn for_programs(record: &RejectedRecord) -> String {
    Object::new()
        .put("sync", &record.sync)
        .put("table", &record.table)
        .put("position", &record.position)
        .put("operation", &record.operation)
        .put("reason", &record.reason)
        .put("record", &BASE64_STANDARD.encode(&record.record))
        .finish()
}

fn retry(again: &Again, screen: &Screen) -> Result<()> {
    let (url, connection) = again.which.open()?;
    let on_mismatch = match again.on_mismatch {
        OnMismatch::Fail => model::schema::OnMismatch::Fail,
        OnMismatch::Widen => model::schema::OnMismatch::Widen,
        OnMismatch::Null => model::schema::OnMismatch::Null,
    };
    let on_unstorable = match again.on_unstorable {
        Unstorable::Fail => OnUnstorable::Fail,
        Unstorable::Replace => OnUnstorable::Replace,
    };
    let retry = Retry {
        limits: again.limits.in_force()?,
        timestamps: !again.timestamps_are_text,
        contract: SchemaContract { on_mismatch, ..SchemaContract::default() },
        records: RecordRules { on_unstorable, ..RecordRules::default() },
    };
    let (mut taken, mut kept) = (0u64, 0usize);
    loop {
        let records = again.which.some(&url, &connection, kept)?;
        if records.is_empty() {
            break;
        }
        let settled = stream::settle(&url, &connection, (records, Some(&retry)))?;
        for rejection in &settled.kept {
            screen.people(&text::printable(&super::progress::set_aside(rejection)));
        }
        taken += settled.settled;
        kept += settled.kept.len();
    }
    let (records, left) = (text::counted(taken, "record", "records"), text::number(kept as u64));
    screen.people(&format!("{records} of {connection} were taken, {left} stay set aside."));
    Ok(())
}

fn delete(arguments: &Drop, screen: &Screen) -> Result<()> {
    let (url, connection) = arguments.which.open()?;
    let mut count = 0u64;
    loop {
        let records = arguments.which.some(&url, &connection, 0)?;
        if records.is_empty() {
            break;
        }
        if count == 0 && !arguments.yes {
            let some = text::counted(records.len() as u64, "record", "records");
            let question = format!("Delete {some} or more of \"{connection}\" that were set aside from {url}?");
            if !reset::is_confirmed(&question, *screen)? {
                screen.people("Nothing was deleted.");
                return Ok(());
            }
        }
        let settled = stream::settle(&url, &connection, (records, None))?;
        if settled.settled == 0 {
            return Err(Error::new(Code::HostBug, "delete records that were set aside"));
        }
        count += settled.settled;
    }
    screen.people(&format!("Deleted {} of {connection}.", text::counted(count, "record", "records")));
    Ok(())
}
