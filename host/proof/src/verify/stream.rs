//! Rules about what one sync wrote: records, keys, tables, states, log, memory, hosts.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use url::Url;

use super::digest::{Line, Row, Rows, key_of, key_text};
use super::moments::moment;
use super::rule::{Tried, fail, skip};
use super::run::Run;
use super::stage::{Act, Step};
use super::tables::cut;
use model::{Configuration, DataType, Description, LogLevel, OperationKind, Table};

/// Growth of memory that says nothing.
const MEMORY_NOISE_BYTES: u64 = 256 << 10;
/// The longest name that every warehouse takes.
const NAME_BYTES_MAX: usize = 63;
const SYSTEM_COLUMNS: [&str; 3] = ["_synced_at", "_deleted", "_row_id"];

fn batches(run: &Run) -> impl Iterator<Item = (&Step, &Rows)> {
    run.steps.iter().filter_map(|step| match &step.act {
        Act::Batch(batch) => Some((step, batch.as_ref())),
        Act::Save(_) => None,
    })
}

fn rows(run: &Run) -> impl Iterator<Item = (&Step, &Rows, Row)> {
    batches(run).flat_map(|(step, batch)| batch.rows().map(move |row| (step, batch, row)))
}

pub(super) fn records_are_objects(run: &Run) -> Tried {
    let mut count = 0_u64;
    for (step, batch) in batches(run) {
        if let Some(text) = &batch.broken {
            return fail(format!("a record of {} {}: {}", batch.table, run.page(step), cut(text)));
        }
        count += batch.lines.len() as u64;
    }
    Ok(format!("{count} records"))
}

pub(super) fn keys_present(run: &Run, declared: &[Table]) -> Tried {
    let mut count = 0_u64;
    for (step, batch, row) in rows(run) {
        let lacking = key_of(&batch.table, declared).iter().find(|column| row.get(*column).is_none_or(Value::is_null));
        if let Some(column) = lacking {
            let record = Value::Object(row.clone()).to_string();
            return fail(format!("\"{column}\" of {} is missing {}: {}", batch.table, run.page(step), cut(&record)));
        }
        count += 1;
    }
    Ok(format!("{count} records"))
}

pub(super) fn keys_unique(run: &Run, declared: &[Table]) -> Tried {
    let mut seen: HashMap<(&str, u128), (&Step, &Rows, &Line)> = HashMap::new();
    for (step, batch) in batches(run) {
        if batch.kind == OperationKind::Truncate {
            seen.retain(|(table, _), _| *table != batch.table);
        }
        let key = key_of(&batch.table, declared);
        if batch.kind != OperationKind::Upsert || key.is_empty() {
            continue;
        }
        for line in &batch.lines {
            let Some(before) = seen.insert((&batch.table, line.key), (step, batch, line)) else { continue };
            let (at, rows, known) = before;
            // Pages that begin with the last record of the one before bring the same again.
            if known.row == line.row || only_moments_differ(&rows.row(known), &batch.row(line)) {
                continue;
            }
            let key = key_text(&batch.row(line), key);
            let (first, again) = (run.page(at), run.page(step));
            return fail(format!("{} {key} was written {first} and again, otherwise, {again}", batch.table));
        }
    }
    Ok(format!("{} keys", seen.len()))
}

/// One record, seen at two moments: by a clock of the source or of the connector.
fn only_moments_differ(one: &Row, other: &Row) -> bool {
    let is_moment = |value: Option<&Value>| match value {
        Some(Value::String(text)) => moment(text).is_some(),
        Some(Value::Number(number)) => moment(&number.to_string()).is_some(),
        _ => false,
    };
    let names = one.keys().chain(other.keys());
    names
        .into_iter()
        .all(|name| one.get(name) == other.get(name) || (is_moment(one.get(name)) && is_moment(other.get(name))))
}

pub(super) fn tables_declared(run: &Run, declared: &[Table]) -> Tried {
    let names: HashSet<&str> = declared.iter().map(|table| table.name.as_str()).collect();
    match batches(run).find(|(_, batch)| !names.contains(batch.table.as_str())) {
        Some((step, batch)) => {
            fail(format!("{} gets rows {}, and the schema has {names:?}", batch.table, run.page(step)))
        }
        None => Ok(format!("{} tables", names.len())),
    }
}

pub(super) fn names_valid(run: &Run, declared: &[Table]) -> Tried {
    let mut tables: BTreeMap<String, HashSet<String>> = BTreeMap::new();
    for table in declared {
        tables.entry(table.name.clone()).or_default().extend(table.primary_key.iter().cloned());
    }
    for (_, batch, row) in rows(run) {
        tables.entry(batch.table.clone()).or_default().extend(row.into_iter().map(|(name, _)| name));
    }
    if let Some(fault) = names_fault(tables.keys()) {
        return fail(format!("tables: {fault}"));
    }
    for (table, columns) in &tables {
        let fault = columns
            .iter()
            .find(|name| SYSTEM_COLUMNS.iter().any(|system| name.eq_ignore_ascii_case(system)))
            .map(|name| format!("\"{name}\" is a column of the host's own"));
        if let Some(fault) = fault.or_else(|| names_fault(columns.iter())) {
            return fail(format!("columns of {table}: {fault}"));
        }
    }
    Ok(format!("{} names", tables.len() + tables.values().map(HashSet::len).sum::<usize>()))
}

fn names_fault<'a>(names: impl Iterator<Item = &'a String>) -> Option<String> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for name in names {
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Some(format!("{name:?} is no name"));
        }
        if name.len() > NAME_BYTES_MAX {
            return Some(format!("\"{}\" has more than {NAME_BYTES_MAX} bytes", cut(name)));
        }
        if let Some(other) = seen.insert(name.to_lowercase(), name).filter(|other| *other != name) {
            return Some(format!("\"{name}\" and \"{other}\" differ in case only"));
        }
    }
    None
}

/// A declared type is of use where a record does not show it. One that every value has anyway is a list of columns kept by
/// hand, which is wrong as soon as the source changes.
pub(super) fn schema_minimal(run: &Run, declared: &[Table]) -> Tried {
    let mut values: HashMap<(String, String), Vec<Value>> = HashMap::new();
    for table in declared {
        for column in &table.columns {
            values.insert((table.name.clone(), column.name.clone()), Vec::new());
        }
    }
    for (_, batch, row) in rows(run) {
        for (name, value) in row {
            if let Some(values) = values.get_mut(&(batch.table.clone(), name)) {
                values.push(value);
            }
        }
    }
    for (table, column) in declared.iter().flat_map(|table| table.columns.iter().map(move |column| (table, column))) {
        let there = values.get(&(table.name.clone(), column.name.clone())).map_or(&[][..], Vec::as_slice);
        let mut known = there.iter().filter(|value| !value.is_null()).peekable();
        if known.peek().is_some() && known.all(|value| shows(value, column.data_type)) {
            return fail(format!(
                "{}.{} is declared {}, which its values show",
                table.name, column.name, column.data_type
            ));
        }
    }
    Ok(format!("{} declared columns", values.len()))
}

fn shows(value: &Value, data_type: DataType) -> bool {
    match data_type {
        DataType::Boolean => value.is_boolean(),
        DataType::Long => value.is_i64(),
        DataType::Double => value.is_f64(),
        DataType::Json => value.is_object() || value.is_array(),
        // A text that looks like a time would be inferred as one, so to declare it a text can be meant.
        DataType::String => {
            value.as_str().is_some_and(|text| !text.starts_with(|letter: char| letter.is_ascii_digit()))
        }
        _ => false,
    }
}

pub(super) fn state_timestamps(run: &Run) -> Tried {
    let mut found = 0_u64;
    for (at, state) in run.checkpoints() {
        let Ok(json) = serde_json::from_str::<Value>(state) else { continue };
        let mut wrong = None;
        texts(&json, &mut |text| {
            if looks_like_time(text) {
                found += 1;
                if text.parse::<jiff::Timestamp>().is_err() {
                    wrong.get_or_insert_with(|| text.to_owned());
                }
            }
        });
        if let Some(text) = wrong {
            return fail(format!("the state saved {} has \"{}\"", run.page(&run.steps[at]), cut(&text)));
        }
    }
    Ok(format!("{found} timestamps"))
}

fn texts(value: &Value, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, visit)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, visit)),
        _ => {}
    }
}

/// `2026-01-31` or `31/01/2026` and then a time of day, in whatever way.
fn looks_like_time(text: &str) -> bool {
    let shape: String = text.chars().take(16).map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    let date = shape.starts_with("9999-99-99") || shape.starts_with("9999/99/99") || shape.starts_with("99/99/9999");
    date && shape.get(11..16) == Some("99:99")
}

pub(super) fn log_quiet(run: &Run) -> Tried {
    const LINES_MAX: usize = 20;
    const LINES_A_REQUEST_MAX: usize = 5;
    let (lines, requests) = (run.logs.len(), run.asked.len());
    let shown = run.logs.iter().filter(|(level, _)| *level != LogLevel::Fine).count();
    let seen = format!("{lines} lines, {shown} of them shown, for {requests} requests");
    if lines > LINES_MAX + LINES_A_REQUEST_MAX * requests {
        let last = run.logs.last().map_or("", |(_, line)| line);
        return fail(format!("{seen}; the last: {}", cut(last)));
    }
    Ok(seen)
}

pub(super) fn secrets_hidden(run: &Run, secrets: &[String]) -> Tried {
    if secrets.is_empty() {
        return skip("the connector has no secret field that is filled in");
    }
    let error = run.outcome.as_ref().err().map(model::error::Error::chain);
    let told = run.logs.iter().map(|(_, line)| line.as_str()).chain(error.as_deref());
    for line in told {
        // What the host hides it calls `[secret:…]`: to hide it is the host's part, not to say it the connector's.
        if line.contains("[secret:") || secrets.iter().any(|secret| line.contains(secret.as_str())) {
            return fail(format!("a log line has a secret in it (not shown here), {} lines in all", run.logs.len()));
        }
    }
    Ok(format!("{} lines", run.logs.len()))
}

pub(super) fn memory_flat(run: &Run) -> Tried {
    let Some((received, peak)) = run.memory.last().copied() else { return skip("nothing was written") };
    let half = run.memory.iter().find(|(so_far, _)| *so_far >= received / 2).copied().unwrap_or((received, peak));
    let (bytes, growth) = (received - half.0, peak.saturating_sub(half.1));
    let seen = format!("{growth} bytes more in the second half, which brought {bytes} bytes");
    if growth > MEMORY_NOISE_BYTES && growth > bytes / 2 {
        return fail(seen);
    }
    if bytes < 2 * MEMORY_NOISE_BYTES {
        return skip(format!("the source sent {received} bytes, too few to tell"));
    }
    Ok(seen)
}

pub(super) fn hosts_declared(run: &Run, description: &Description, configuration: &Configuration) -> Tried {
    let asked: Vec<(String, String)> = run
        .asked
        .iter()
        .filter_map(|asked| Some((Url::parse(&asked.request.url).ok()?.host_str()?.to_owned(), asked.request.label())))
        .collect();
    let patterns: Vec<(&str, String)> =
        description.hosts.iter().map(|pattern| (pattern.as_str(), resolved(pattern, configuration))).collect();
    if let Some((host, label)) = asked.iter().find(|(host, _)| !patterns.iter().any(|(_, known)| covers(known, host))) {
        return fail(format!("{host} is not declared ({label})"));
    }
    let idle = patterns.iter().find(|(_, known)| !asked.iter().any(|(host, _)| covers(known, host)));
    match idle {
        Some((pattern, _)) if !asked.is_empty() => {
            fail(format!("\"{pattern}\" is declared, and no request went there"))
        }
        _ => Ok(format!("{} patterns, {} requests", patterns.len(), asked.len())),
    }
}

/// A pattern with the hosts of fields put in.
fn resolved(pattern: &str, configuration: &Configuration) -> String {
    let mut text = pattern.to_owned();
    for (name, value) in &configuration.0 {
        let host = Url::parse(value).ok().and_then(|url| url.host_str().map(ToOwned::to_owned));
        text = text.replace(&format!("{{{name}}}"), &host.unwrap_or_else(|| value.clone()));
    }
    text.to_lowercase()
}

fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => pattern == host || pattern.rsplit_once(':').is_some_and(|(name, _)| name == host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_times_are_told_from_others() {
        for text in ["2026-01-31T10:20:30Z", "2026-01-31 10:20", "31/01/2026 10:20:30"] {
            assert!(looks_like_time(text), "{text}");
        }
        for text in ["2026-01-31", "after-1000", "10:20", "", "2026-01-31T", "é026-01-31 10:20"] {
            assert!(!looks_like_time(text), "{text}");
        }
    }

    #[test]
    fn patterns_cover_hosts() {
        let configuration =
            Configuration([("base".into(), "http://127.0.0.1:80/x".into()), ("shop".into(), "a".into())].into());
        for (pattern, host, covered) in [
            ("{base}", "127.0.0.1", true),
            ("{shop}.example.com", "a.example.com", true),
            ("{shop}.example.com", "b.example.com", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
        ] {
            assert_eq!(covers(&resolved(pattern, &configuration), host), covered, "{pattern} {host}");
        }
    }

    #[test]
    fn names_that_a_warehouse_takes_for_one_are_found() {
        let fault =
            |names: &[&str]| names_fault(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>().iter());
        assert_eq!(fault(&["id", "name"]), None);
        assert!(fault(&["id", "ID"]).unwrap().contains("case"));
        assert!(fault(&[""]).is_some() && fault(&["a\nb"]).is_some() && fault(&["x".repeat(64).as_str()]).is_some());
    }
}
