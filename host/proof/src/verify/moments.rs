//! Rules about the moment that a later sync asks from: whether what has the same timestamp, or changed while pages were read, can
//! still arrive.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use url::Url;

use super::digest::{Row, key_of, key_text};
use super::rule::{Broken, Tried, fail, skip};
use super::run::Run;
use super::stage::{Act, Script};
use super::tables::cut;
use super::trial::{LATER, Trial, known};
use model::{OperationKind, Table};
use sandbox::{Answer, Sent};

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Rows that share the latest moment, of which it is looked whether one comes again.
const TIED_MAX: usize = 1_000;

/// The moments of one field of a table.
#[derive(Default)]
pub(super) struct Field {
    /// In the order in which their records were written.
    moments: Vec<Timestamp>,
    latest: Timestamp,
    /// The rows that have the latest: by key, as it is shown and as the values that a request may hold.
    rows: Vec<(String, Vec<String>)>,
}

/// Fields with moments in them, by table and path.
pub(super) type Fields = HashMap<(String, String), Field>;

/// A moment that a request names.
struct Named {
    parameter: String,
    text: String,
    moment: Timestamp,
}

impl Trial<'_> {
    /// The moments that a request of the next sync names and none of the first one did.
    fn named<'r>(&self, next: &'r Run) -> Vec<(&'r Sent, Named)> {
        let before: HashSet<(String, String)> =
            self.base.asked.iter().flat_map(|asked| parameters(&asked.request)).collect();
        let mut named = Vec::new();
        for asked in &next.asked {
            for (parameter, text) in parameters(&asked.request) {
                if before.contains(&(parameter.clone(), text.clone())) {
                    continue;
                }
                for (text, moment) in moments_in(&text) {
                    named.push((&asked.request, Named { parameter: parameter.clone(), text, moment }));
                }
            }
        }
        named
    }

    /// A row at the very moment that the next sync asks from comes again: so do others of that moment that the source shows
    /// only later.
    pub(super) fn ties_kept(&self, next: &Run) -> Tried {
        succeeded(next)?;
        let pages = self.page_ties()?;
        let fields = self.fields();
        let again = next.tables();
        let named = self.named(next);
        let mut tied = 0;
        for (request, named) in &named {
            let Named { parameter, text, moment } = named;
            let there: Vec<_> = fields.iter().filter(|(_, field)| field.latest == *moment).collect();
            let is_kept = there.iter().any(|((table, _), field)| {
                field.rows.iter().any(|(key, parts)| goes_on(request, text, parts) || again.has(table, key))
            });
            if let (false, Some(((table, field), latest))) = (is_kept, there.first()) {
                let row = cut(latest.rows.first().map_or("", |(key, _)| key));
                return fail(format!(
                    "the next sync asks {} with {parameter}={text}, and the row of {table} whose {field} is just that ({row}) does not \
                     come again: nor does another of that moment which the source shows later",
                    request.label()
                ));
            }
            self.begins_in_time(request, named)?;
            tied += usize::from(is_kept);
        }
        if named.is_empty() && pages == 0 {
            skip("the next sync asks for no moment")
        } else {
            Ok(format!("{tied} of {} moments are a record's, {pages} pages go on from one", named.len()))
        }
    }

    /// A sync that asks from a little after the last record it has seen passes over what the source shows between.
    fn begins_in_time(&self, request: &Sent, named: &Named) -> Result<(), Broken> {
        let Named { parameter, text, moment } = named;
        let Some(first) = self.base.first_asked_at.and_then(timestamp) else { return Ok(()) };
        let known = self.fields().iter().filter(|(_, field)| field.latest <= first);
        let Some(((table, field), last)) = known.max_by_key(|(place, field)| (field.latest, (*place).clone())) else {
            return Ok(());
        };
        let after = moment.duration_since(last.latest);
        if !after.is_positive() || after > DAY || *moment >= first || self.moves_with_the_clock(parameter, text) {
            return Ok(());
        }
        fail(format!(
            "the next sync asks {} with {parameter}={text}, {after:#} after the last {field} of {table}: what the source shows \
             between is never asked for",
            request.label()
        ))
    }

    /// Whether the connector's clock is where a moment comes from: then it is another one on another day.
    fn moves_with_the_clock(&self, parameter: &str, text: &str) -> bool {
        let other = self.run(None, Script { later: LATER, ..self.bounded() });
        let Some(state) = other.durable(None).1 else { return true };
        let next = self.run_from(Some(state));
        next.unanswered.is_some()
            || other.outcome.is_err()
            || !self
                .named(&next)
                .iter()
                .any(|(_, named)| (named.parameter.as_str(), named.text.as_str()) == (parameter, text))
    }

    /// How many pages go on from a moment of the page before; fails where others of that moment are passed over.
    fn page_ties(&self) -> Result<usize, Broken> {
        let asked = &self.base.asked;
        let mut tied = 0;
        for pair in asked.windows(2) {
            let [this, next] = pair else { continue };
            let (Some(page), Some(after)) = (&this.answer, &next.answer) else { continue };
            let (records, following) = (records_of(page), records_of(after));
            let Some(last) = records.last() else { continue };
            let before: HashSet<(String, String)> = parameters(&this.request).into_iter().collect();
            let new: Vec<(String, String)> =
                parameters(&next.request).into_iter().filter(|pair| !before.contains(pair)).collect();
            let goes_on_from = |value: &Value| {
                scalar(value)
                    .and_then(|text| moment(&text).map(|_| text))
                    .filter(|text| new.iter().any(|(_, new)| new.contains(text)))
            };
            let Some((field, text)) = last.iter().find_map(|(name, value)| Some((name, goes_on_from(value)?))) else {
                continue;
            };
            tied += 1;
            let keys: Vec<String> = self
                .subject
                .declared
                .iter()
                .flat_map(|table| &table.primary_key)
                .filter(|key| *key != field)
                .filter_map(|key| scalar(last.get(key)?))
                .collect();
            let is_kept = following.iter().any(|record| record.get(field) == last.get(field))
                || goes_on(&next.request, &text, &keys);
            if is_kept {
                continue;
            }
            let mut seen = HashSet::new();
            let all = self.base.asked.iter().filter_map(|asked| asked.answer.as_ref()).flat_map(records_of);
            let has_ties = all.filter_map(|record| scalar(record.get(field)?)).any(|moment| !seen.insert(moment));
            if has_ties {
                return fail(format!(
                    "{} goes on after {field}={text} of the last record before it: records share a {field}, and others of that one \
                     are passed over",
                    next.request.label()
                ));
            }
        }
        Ok(tied)
    }

    /// The next sync asks from a moment that no page of the first one was read after.
    pub(super) fn edits_kept(&self, next: &Run) -> Tried {
        succeeded(next)?;
        let Some(first) = self.base.first_asked_at.and_then(timestamp) else { return skip("it asks for nothing") };
        let fields = self.fields();
        let named = self.named(next);
        let pages = self
            .base
            .asked
            .iter()
            .filter(|asked| asked.answer.as_ref().is_some_and(|answer| !records_of(answer).is_empty()));
        let has_pages = pages.count() > 1;
        for (request, Named { parameter, text, moment }) in &named {
            let of_records: Vec<_> = fields.iter().filter(|(_, field)| field.latest == *moment).collect();
            let late = moment.duration_since(first);
            let is_epoch = text.bytes().all(|byte| byte.is_ascii_digit());
            if late.is_positive() && of_records.is_empty() && !(is_epoch && late > DAY) {
                return fail(format!(
                    "the next sync asks {} with {parameter}={text}, {} s after this one asked for its first page: what changed in \
                     between, behind the page being read, is in neither",
                    request.label(),
                    late.as_secs()
                ));
            }
            let unordered = of_records.iter().all(|(_, field)| !field.is_ordered());
            if let (true, true, Some(((table, field), _))) = (has_pages, unordered, of_records.first()) {
                return fail(format!(
                    "the next sync asks {} with {parameter}={text}, the latest {field} of {table}, whose pages are in no order of \
                     time: a row that changes behind the page being read, before one that is read later, is in neither sync",
                    request.label()
                ));
            }
        }
        if named.is_empty() { skip("the next sync asks for no moment") } else { Ok(format!("{} moments", named.len())) }
    }

    /// What the sync after the first one does not see by its nature, for the evidence.
    pub(super) fn not_seen(&self, next: &Run) -> &'static str {
        let has_less = next.rows() < self.base.rows();
        if has_less && self.named(next).is_empty() {
            "; edits to older rows never arrive: it goes on from a position"
        } else {
            ""
        }
    }

    /// The moment that the next sync asks from, where everything that there is is younger.
    pub(super) fn goes_back_behind_all(&self, next: &Run) -> Option<String> {
        let named = self.named(next);
        let found = named.iter().find(|(_, named)| {
            self.fields().values().any(|field| {
                let since = field.latest.duration_since(named.moment);
                since.is_positive() && since <= 32 * DAY && field.moments.iter().all(|moment| *moment >= named.moment)
            })
        });
        found.map(|(_, named)| format!("{}={}", named.parameter, named.text))
    }

    /// A sync from the middle of what there is, as one that comes after half of it.
    pub(super) fn later_sync(&self) -> Result<Later, Broken> {
        let Some(state) = self.last_state() else { return skip("it keeps no state: every sync is a full copy") };
        let Some((state, from, places)) = self.state_of_middle(state) else {
            return skip("no moment of a record is in its state: what a sync between brings is not proved");
        };
        let run = self.run_from(Some(&state));
        known(&run)?;
        Ok(Later { state, from, places, run })
    }

    /// The last state with the latest moment put back to one in the middle, where that is, and the fields that it is of.
    fn state_of_middle(&self, state: &str) -> Option<(String, Timestamp, Vec<(String, String)>)> {
        let mut json: Value = serde_json::from_str(state).ok()?;
        let mut found: Option<(Timestamp, Vec<(String, String)>)> = None;
        each_scalar(&mut json, &mut |value| {
            let Some(at) = scalar(value).and_then(|text| moment(&text)) else { return };
            let places: Vec<(String, String)> =
                self.fields().iter().filter(|(_, field)| field.latest == at).map(|(place, _)| place.clone()).collect();
            let Some(first) = places.iter().min() else { return };
            let mut moments = self.fields()[first].moments.clone();
            moments.sort_unstable();
            let middle = moments[moments.len() / 2];
            if middle < at
                && let Some(like) = spelled_like(value, middle)
            {
                *value = like;
                found.get_or_insert((middle, places));
            }
        });
        found.map(|(middle, places)| (json.to_string(), middle, places))
    }

    /// All that is younger than the moment which a later sync goes on from comes with it.
    pub(super) fn later_complete(&self, later: &Result<Later, Broken>) -> Tried {
        let Later { from, places, run, .. } = later.as_ref().map_err(Clone::clone)?;
        if let Err(error) = &run.outcome {
            return fail(format!("a sync from {from} ended with [{}] {}", error.code(), cut(&error.chain())));
        }
        let came = run.tables();
        let (mut brought, mut nulls) = (0, None);
        for (table, row) in self.tables.rows() {
            let of_table = || places.iter().filter(|(name, _)| name == table);
            if of_table().next().is_none() {
                continue;
            }
            let moments: Vec<Option<Timestamp>> = of_table().map(|(_, path)| at_path(&row, path)).collect();
            let key = key_text(&row, key_of(table, &self.subject.declared));
            let is_there = came.has(table, &key);
            brought += usize::from(is_there);
            if !is_there && moments.iter().all(|moment| moment.is_some_and(|moment| moment > *from)) {
                return fail(format!(
                    "a sync that goes on from {from} does not bring the row of {table} with {}, which is younger",
                    cut(&key)
                ));
            }
            if !is_there && moments.iter().all(Option::is_none) {
                nulls.get_or_insert_with(|| (table.to_owned(), key));
            }
        }
        if let Some((table, key)) = nulls {
            let field = &places[0].1;
            return fail(format!(
                "the row of {table} with {} has no {field}, by which later syncs ask: new rows like it never come",
                cut(&key)
            ));
        }
        Ok(format!("{brought} rows from {from} on"))
    }

    /// The fields of the first run with moments in them.
    pub(super) fn fields(&self) -> &Fields {
        self.fields.get_or_init(|| fields(self.base, &self.subject.declared))
    }
}

/// A sync that goes on from the middle of what there is.
pub(super) struct Later {
    pub(super) state: String,
    from: Timestamp,
    /// The fields whose moment its state holds.
    places: Vec<(String, String)>,
    pub(super) run: Arc<Run>,
}

impl Field {
    /// Whether records came in the order of this moment, one way or the other.
    fn is_ordered(&self) -> bool {
        self.moments.is_sorted() || self.moments.iter().rev().is_sorted()
    }
}

/// Whether a request names, beside a moment, a record that shares it: it goes on among those behind that one.
fn goes_on(request: &Sent, moment: &str, parts: &[String]) -> bool {
    let others: Vec<String> = parameters(request).into_iter().map(|(_, value)| value.replace(moment, " ")).collect();
    let is_named = |value: &str, part: &str| {
        value == part
            || value
                .split(|letter: char| !letter.is_alphanumeric() && letter != '-' && letter != '_')
                .any(|word| word == part)
    };
    parts.iter().any(|part| others.iter().any(|value| is_named(value, part)))
}

/// The records of an answer: those of its longest list.
pub(super) fn records_of(answer: &Answer) -> Vec<Row> {
    fn longest(value: &Value) -> Option<&Vec<Value>> {
        match value {
            Value::Array(items) if items.iter().all(Value::is_object) => Some(items),
            Value::Object(fields) => fields.values().filter_map(longest).max_by_key(|items| items.len()),
            _ => None,
        }
    }
    let Ok(value) = serde_json::from_slice::<Value>(&answer.body) else { return Vec::new() };
    let records = longest(&value).into_iter().flatten();
    records.filter_map(Value::as_object).cloned().collect()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn each_scalar(value: &mut Value, then: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each_scalar(item, then)),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_scalar(field, then)),
        Value::String(_) | Value::Number(_) => then(value),
        Value::Null | Value::Bool(_) => {}
    }
}

/// A moment in the spelling of another; none where that is not a usual one.
fn spelled_like(like: &Value, moment: Timestamp) -> Option<Value> {
    let text = scalar(like)?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let spelled = match (digits, text.len()) {
        (true, 10) => moment.as_second().to_string(),
        (true, 13) => moment.as_millisecond().to_string(),
        (false, 10) => moment.strftime("%Y-%m-%d").to_string(),
        (false, _) if text.ends_with('Z') => moment.to_string(),
        (false, 19) => moment.strftime(&format!("%Y-%m-%d{}%H:%M:%S", &text[10..11])).to_string(),
        _ => return None,
    };
    match like {
        Value::Number(_) => Some(Value::Number(spelled.parse::<i64>().ok()?.into())),
        _ => Some(Value::String(spelled)),
    }
}

/// The moment at a path of a row.
fn at_path(row: &Row, path: &str) -> Option<Timestamp> {
    let mut found = None;
    for (name, value) in row {
        scalars(name, value, &mut |here, text| {
            if here == path {
                found = found.or_else(|| moment(&text));
            }
        });
    }
    found
}

/// What a sync that fails asks from is another rule's business.
fn succeeded(next: &Run) -> Result<(), Broken> {
    if next.outcome.is_ok() { Ok(()) } else { skip("the next sync fails: see incremental") }
}

fn timestamp(since_1970: Duration) -> Option<Timestamp> {
    Timestamp::from_microsecond(i64::try_from(since_1970.as_micros()).ok()?).ok()
}

/// Names and values that a request holds: of its path, its query, its header fields and its body, as a form, as JSON or as text.
pub(super) fn parameters(request: &Sent) -> Vec<(String, String)> {
    let mut found = request.query.clone();
    if let Ok(url) = Url::parse(&request.url) {
        found.extend(url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())));
        let parts = url.path_segments().into_iter().flatten();
        let decoded = parts.map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned());
        found.extend(decoded.map(|part| ("path".to_owned(), part)));
    }
    found.extend(request.headers.iter().map(|(name, value)| (format!("header {name}"), value.clone())));
    if let Ok(pairs) = serde_json::from_slice::<Vec<(String, String)>>(&request.body) {
        found.extend(pairs);
    } else if let Ok(body) = serde_json::from_slice::<Value>(&request.body) {
        scalars("", &body, &mut |name, text| found.push((name.to_owned(), text)));
    } else if let Ok(text) = std::str::from_utf8(&request.body) {
        found.push(("body".to_owned(), text.to_owned()));
    }
    found.retain(|(_, value)| !value.is_empty());
    found
}

/// Calls `each` with the path and the text of each string and number.
fn scalars(path: &str, value: &Value, each: &mut dyn FnMut(&str, String)) {
    match value {
        Value::String(text) => each(path, text.clone()),
        Value::Number(number) => each(path, number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| scalars(path, item, each)),
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                scalars(&path, field, each);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// The moment that a text is: a timestamp or date as in RFC 3339 (UTC where it names no offset), or seconds or milliseconds since
/// 1970 of this age.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    if text.len() < 10 || !text.as_bytes()[0].is_ascii_digit() {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        return match text.len() {
            10 => Timestamp::from_second(number).ok(),
            13 => Timestamp::from_millisecond(number).ok(),
            _ => None,
        };
    }
    let zoned = |datetime: DateTime| datetime.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse::<Timestamp>().ok().or_else(|| {
        zoned(if text.len() == 10 { text.parse::<Date>().ok()?.into() } else { text.parse::<DateTime>().ok()? })
    })
}

/// The moments in a text, each as it stands there: the whole text, or parts of it, as in the query of a query language.
fn moments_in(text: &str) -> Vec<(String, Timestamp)> {
    const SPELLED_BYTES_MAX: usize = 35;
    if let Some(moment) = moment(text) {
        return vec![(text.to_owned(), moment)];
    }
    if let Ok(zoned) = jiff::fmt::rfc2822::parse(text) {
        return vec![(text.to_owned(), zoned.timestamp())];
    }
    let bytes = text.as_bytes();
    let is_part = |byte: &u8| byte.is_ascii_digit() || b"-:.TtZz+ ".contains(byte);
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let begins = bytes[at].is_ascii_digit() && (at == 0 || !bytes[at - 1].is_ascii_alphanumeric());
        let length = bytes[at..].iter().take(SPELLED_BYTES_MAX).take_while(|byte| is_part(byte)).count();
        let ends = |length: &usize| bytes.get(at + length).is_none_or(|byte| !byte.is_ascii_alphanumeric());
        let longest = (10..=length).rev().filter(ends).find_map(|length| {
            let part = text.get(at..at + length)?;
            Some((part, moment(part)?))
        });
        match longest.filter(|_| begins) {
            Some((part, moment)) => {
                found.push((part.to_owned(), moment));
                at += part.len();
            }
            None => at += 1,
        }
    }
    found
}

/// The moments of all records written, by table and field.
fn fields(run: &Run, declared: &[Table]) -> Fields {
    let mut found = Fields::new();
    for step in &run.steps {
        let Act::Batch(batch) = &step.act else { continue };
        if !matches!(batch.kind, OperationKind::Upsert | OperationKind::Update) {
            continue;
        }
        let key = key_of(&batch.table, declared);
        for row in batch.rows() {
            note(&mut found, &batch.table, &row, key);
        }
    }
    found
}

fn note(found: &mut Fields, table: &str, row: &Row, key: &[String]) {
    let mut there: Vec<(String, Timestamp)> = Vec::new();
    for (name, value) in row {
        scalars(name, value, &mut |path, text| there.extend(moment(&text).map(|moment| (path.to_owned(), moment))));
    }
    for (path, moment) in there {
        let field = found.entry((table.to_owned(), path)).or_default();
        if field.moments.is_empty() || field.latest < moment {
            field.latest = moment;
            field.rows.clear();
        }
        field.moments.push(moment);
        if field.latest == moment && field.rows.len() < TIED_MAX {
            let mut parts = Vec::new();
            key.iter()
                .filter_map(|column| row.get(column))
                .for_each(|part| scalars("", part, &mut |_, text| parts.push(text)));
            field.rows.push((key_text(row, key), parts));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_usual_spelling() {
        let second = Timestamp::from_second(1_769_854_830).unwrap();
        for text in [
            "2026-01-31T10:20:30Z",
            "2026-01-31T11:20:30+01:00",
            "2026-01-31T10:20:30",
            "2026-01-31 10:20:30",
            "1769854830",
            "1769854830000",
        ] {
            assert_eq!(moment(text), Some(second), "{text}");
        }
        assert_eq!(moment("2026-01-31"), Some("2026-01-31T00:00:00Z".parse().unwrap()));
        for text in ["", "12", "rec_1769854830", "17698548301", "2026-13-31", "after-199000", "2026-01-31T10:20:30Z!"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }

    #[test]
    fn moments_are_found_in_the_middle_of_a_text() {
        let texts = |text: &str| moments_in(text).into_iter().map(|(text, _)| text).collect::<Vec<_>>();
        assert_eq!(texts("SELECT Id FROM A WHERE At >= 2026-01-31T10:20:30Z AND Id > 'x'"), ["2026-01-31T10:20:30Z"]);
        assert_eq!(texts("project = A and updated >= \"2026-01-31 10:20\""), ["2026-01-31 10:20"]);
        assert_eq!(texts("{ rows(since: 1769854830) { id } }"), ["1769854830"]);
        assert_eq!(texts("updated:>=2026-01-31..2026-02-01"), ["2026-01-31", "2026-02-01"]);
        assert_eq!(texts("Sat, 31 Jan 2026 10:20:30 GMT").len(), 1);
        for text in ["", "v2026-01-31x", "a 17698548301", "10.1.2.3", "number 42"] {
            assert_eq!(texts(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn parameters_are_those_of_url_query_and_body() {
        let sent = |url: &str, body: &str| Sent {
            url: url.into(),
            query: vec![("q".into(), "1".into())],
            body: body.into(),
            ..Sent::default()
        };
        let found = |url, body| {
            parameters(&sent(url, body)).into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(
            found("https://a.example/x?since=2026-01-31T10%3A20%3A30Z", ""),
            ["q=1", "since=2026-01-31T10:20:30Z", "path=x"]
        );
        assert_eq!(found("https://a.example", r#"[["since","a b"]]"#), ["q=1", "since=a b"]);
        assert_eq!(
            found("https://a.example", r#"{"filter":{"after":["x",5]},"all":true}"#),
            ["q=1", "filter.after=x", "filter.after=5"]
        );
    }
}
