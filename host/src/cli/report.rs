//! What came out of a sync, for people: the summary at the end, failures, samples of a trial run. Pure.

use std::fmt::Write as _;

use super::text::{self, Paint, Room, counted, numbers, words};
use crate::options;
use model::error::{Error, Fault};
use stream::{Note, NoteKind, Outcome, Report, Sample, TableReport};
use warehouse::DestinationUrl;

/// What the report must know beyond the sync's result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting<'a> {
    /// The destination as typed.
    pub(super) destination: &'a str,
    /// What to add to another command so that it means the same warehouse.
    pub(super) destination_flag: &'a str,
    /// Nothing was written.
    pub(super) dry_run: bool,
    /// The sync started from another state than the destination's (`--state`, `--full-refresh`).
    pub(super) state_given: bool,
    /// Colours of stderr.
    pub(super) paint: Paint,
    /// Room for tables.
    pub(super) room: Room,
}

/// Names of new columns shown in full; more are counted.
const COLUMNS_SHOWN: usize = 6;

/// The summary of a sync that had begun, whatever its outcome.
pub(super) fn summary(report: &Report, setting: &Setting<'_>) -> String {
    let mut page = format!("\n{}\n", headline(report, setting));
    if report.requests > 0 || !report.tables.is_empty() || matches!(report.outcome, Outcome::Succeeded) {
        page.push_str(&details(report, setting));
    }
    match &report.outcome {
        Outcome::Failed(error) => {
            let _infallible = write!(page, "\n{}{}", failure(error, setting.paint), what_stands(report, setting));
        }
        Outcome::Succeeded | Outcome::LimitRows => page.push_str(&what_next(report, setting)),
    }
    page
}

/// The numbers.
fn details(report: &Report, setting: &Setting<'_>) -> String {
    let mut page = "\n".to_owned();
    if !report.tables.is_empty() {
        page.push_str(&tables(&report.tables, setting.room));
        for table in &report.tables {
            page.push_str(&schema_changes(table));
        }
        for note in &report.notes {
            page.push_str(&noted(note));
        }
        page.push('\n');
    }
    if !report.without_operations.is_empty() {
        let names: Vec<String> = report.without_operations.iter().map(|name| text::printable(name)).collect();
        let _infallible = writeln!(page, " nothing came for {}\n", list(&names));
    }
    for (name, value) in facts(report, setting) {
        let _infallible = writeln!(page, " {} {value}", setting.paint.dim(&format!("{name:<14}")));
    }
    page
}

fn headline(report: &Report, setting: &Setting<'_>) -> String {
    let paint = setting.paint;
    let outcome = match &report.outcome {
        Outcome::Succeeded => paint.green("succeeded"),
        Outcome::LimitRows => paint.green("stopped at its row limit"),
        Outcome::Failed(error) if matches!(error.fault(), Fault::Signal(_)) => paint.yellow("was interrupted"),
        Outcome::Failed(_) => paint.red("failed"),
    };
    let target =
        if setting.dry_run { "nothing written (--dry-run)".to_owned() } else { text::printable(setting.destination) };
    let (subject, time) = (paint.bold(&report.connection), text::duration(report.duration));
    format!("Sync of {subject} {outcome} after {time}: {} -> {target}", text::printable(&report.connector))
}

/// One of a table's numbers.
type Count = fn(&TableReport) -> u64;

fn tables(reports: &[TableReport], room: Room) -> String {
    let any = |count: Count| reports.iter().any(|table| count(table) > 0);
    let mut columns: Vec<(&str, Count)> = vec![
        ("upserted", |table| table.upserted),
        ("updated", |table| table.updated),
        ("deleted", |table| table.deleted),
    ];
    let rare: [(&str, Count); 5] = [
        ("rejected", |table| table.rejected),
        ("truncated", |table| table.truncated),
        ("ignored", |table| table.ignored),
        ("swept", |table| table.swept),
        ("key seen again", |table| table.repeated_keys),
    ];
    columns.extend(rare.into_iter().filter(|(_, count)| any(*count)));
    if reports.iter().any(|table| table.history) {
        let versions: [(&str, Count); 2] =
            [("new versions", |table| table.versions_begun), ("ended versions", |table| table.versions_ended)];
        columns.extend(versions);
    }
    columns.push(("rows now", |table| table.rows_now));
    let titles: Vec<_> =
        std::iter::once(words("table")).chain(columns.iter().map(|(title, _)| numbers(title))).collect();
    let rows: Vec<Vec<String>> = reports
        .iter()
        .map(|table| {
            let counts = columns.iter().map(|(_, count)| text::number(count(table)));
            std::iter::once(table.table.clone()).chain(counts).collect()
        })
        .collect();
    text::table(&titles, &rows, room)
}

/// A line each for what is new in a table's columns and what was widened.
fn schema_changes(table: &TableReport) -> String {
    let name = text::printable(&table.table);
    let mut lines = String::new();
    let added: Vec<String> =
        table.new_columns.iter().map(|(column, kind)| format!("{} {kind}", text::printable(column))).collect();
    let news = match (table.is_new, added.is_empty()) {
        (true, true) => format!(" {name} is new\n"),
        (true, false) => format!(" {name} is new: {}\n", list(&added)),
        (false, true) => String::new(),
        (false, false) => format!(" {name} has new columns: {}\n", list(&added)),
    };
    lines.push_str(&news);
    let widened: Vec<String> = table
        .widened_columns
        .iter()
        .map(|(column, before, now)| format!("{} {before} to {now}", text::printable(column)))
        .collect();
    if !widened.is_empty() {
        let _infallible = writeln!(lines, " {name} has widened columns: {}", list(&widened));
    }
    if table.history_is_new {
        let _infallible = writeln!(lines, " {name} keeps its history from now on: its rows are the first versions");
    }
    lines
}

/// A line for values that the schema contract kept out.
fn noted(note: &Note) -> String {
    let (table, column) = (text::printable(&note.table), text::printable(&note.column));
    let values = counted(note.values, "value", "values");
    let first = format!("(first: {} in record {})", text::printable(&note.first_value), note.first_record);
    match note.kind {
        NoteKind::Nulled => format!(" {table}: {values} did not fit {column} and became NULL {first}\n"),
        NoteKind::Replaced => {
            format!(" {table}: {values} of {column} have U+FFFD for what the destination cannot hold {first}\n")
        }
        NoteKind::LeftOut => format!(" {table}: {values} of the field {column} were left out {first}\n"),
    }
}

fn list(items: &[String]) -> String {
    match items.len().checked_sub(COLUMNS_SHOWN) {
        None | Some(0) => items.join(", "),
        Some(more) => format!("{} and {} more", items[..COLUMNS_SHOWN].join(", "), text::number(more as u64)),
    }
}

/// Rows of every kind that a sync made durable.
fn rows(report: &Report) -> u64 {
    report.tables.iter().map(|table| table.upserted + table.updated + table.deleted).sum()
}

fn facts(report: &Report, setting: &Setting<'_>) -> Vec<(&'static str, String)> {
    let mut facts = vec![("started from", state(report.state_before.as_deref(), "no state: everything is fetched"))];
    if !setting.dry_run {
        facts.push(("state now", state(report.state_after.as_deref(), "none")));
    }
    let mut requests = counted(report.requests, "request", "requests");
    if report.retries > 0 {
        let _infallible = write!(requests, " ({})", counted(report.retries, "retry", "retries"));
    }
    facts.push(("source", format!("{requests}, {} received", text::bytes(report.response_bytes))));
    let mut speed = text::rate(rows(report), report.duration).unwrap_or_else(|| "0 rows/s".to_owned());
    if let Some(first) = report.first_row_after {
        let _infallible = write!(speed, ", first row after {}", text::duration(first));
    }
    facts.push(("speed", speed));
    let checkpoints = counted(report.checkpoints, "checkpoint", "checkpoints");
    facts.push(("durable", format!("{checkpoints} in {}", counted(report.commits, "commit", "commits"))));
    facts.push(("guest memory", format!("{} at most", text::bytes(report.guest_memory_peak_bytes))));
    facts
}

fn state(state: Option<&str>, none: &str) -> String {
    state.map_or_else(|| none.to_owned(), |_| text::state(state))
}

/// What a sync that did not finish leaves behind.
fn what_stands(report: &Report, setting: &Setting<'_>) -> String {
    if setting.dry_run {
        return String::new();
    }
    let after = report.state_after.as_deref();
    let text = match (report.commits, after) {
        (0, _) if setting.state_given => "The last checkpoint stands: this sync changed nothing.".to_owned(),
        (0, Some(_)) => format!(
            "The last checkpoint stands: this sync changed nothing, and the next one starts from {}.",
            text::state(after)
        ),
        (0, None) => {
            "Nothing was written; there is no checkpoint yet, so the next sync starts from the beginning.".to_owned()
        }
        (_, after) => format!(
            "The last checkpoint stands: {} of this sync are durable, and the next sync goes on from {}.",
            counted(rows(report), "row", "rows"),
            after.map_or_else(|| "there".to_owned(), |_| text::state(after))
        ),
    };
    format!("  {text}\n")
}

fn what_next(report: &Report, setting: &Setting<'_>) -> String {
    let flag = setting.destination_flag;
    if setting.dry_run {
        return "\nNothing was written. Leave out --dry-run to load the tables.\n".to_owned();
    }
    let Some(table) = report.tables.iter().max_by_key(|table| table.rows_now) else {
        return "\nNo rows: nothing has changed since the last sync.\n".to_owned();
    };
    let table_name = text::printable(&table.table);
    let parts = match setting.destination.parse::<DestinationUrl>() {
        // Nothing that could be looked into.
        Ok(DestinationUrl::JsonLines | DestinationUrl::Null) => return String::new(),
        Ok(url) => url.table_name(&report.connection, &table_name),
        Err(_) => Vec::new(),
    };
    let parts: Vec<String> = parts.iter().map(|part| text::identifier(part)).collect();
    let name = parts.join(".");
    let living = match table.deleted + table.truncated + table.swept {
        _ if table.history => " WHERE _active",
        0 => "",
        _ => " WHERE NOT _deleted",
    };
    let sql = options::shell_word(&format!("SELECT * FROM {name}{living} LIMIT 10"));
    format!("\nLook at the data:\n  host tables{flag}\n  host query{flag} {sql}\n")
}

/// A failure: code, whose fault, the chain of causes, what to do, where to read more.
pub(super) fn failure(error: &Error, paint: Paint) -> String {
    let code = error.code();
    let what = match error.fault() {
        Fault::Signal(_) => paint.yellow(&format!("stopped[{code}]")),
        fault => format!("{} (fault: {fault})", paint.red(&format!("error[{code}]"))),
    };
    let mut page = format!("{what}: {}\n", indented(&error.chain()));
    if let Some(advice) = error.advice() {
        let _infallible = writeln!(page, "  {} {}", paint.bold("what to do:"), indented(advice));
    }
    if !matches!(error.fault(), Fault::Signal(_)) {
        let _infallible = writeln!(page, "  {} docs/errors/{code}.md", paint.dim("more:"));
    }
    page
}

/// Foreign text of several lines, harmless, each line after the first indented.
fn indented(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(text::printable).collect::<Vec<_>>().join("\n    ")
}

/// The first records of each table and the types inferred from them: what a trial run puts out.
pub(super) fn samples(samples: &[Sample], room: Room) -> String {
    let mut page = String::new();
    for sample in samples {
        let key = if sample.primary_key.is_empty() {
            "no key".to_owned()
        } else {
            format!("key: {}", sample.primary_key.join(", "))
        };
        let _infallible = writeln!(page, "{} ({})\n", text::printable(&sample.table), text::printable(&key));
        let rows: Vec<Vec<String>> =
            sample.columns.iter().map(|(name, kind)| vec![name.clone(), kind.clone()]).collect();
        page.push_str(&text::table(&[words("column"), words("type")], &rows, room));
        let _infallible = match sample.records.len() {
            1 => writeln!(page, "\nthe first record:"),
            several => writeln!(page, "\nthe first {several} records:"),
        };
        for record in &sample.records {
            let _infallible = writeln!(page, "{}", text::printable(record));
        }
        page.push('\n');
    }
    page
}

#[cfg(test)]
mod tests;
