//! Rules about what the source said and the connector did not do: pages that were never asked for, records that are marked as
//! deleted, tokens that stand in the state.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::digest::{Row, Rows, key_of, key_text};
use super::moments::{parameters, records_of};
use super::rule::{Broken, Tried, fail, skip};
use super::run::Run;
use super::stage::{Act, Asked};
use super::tables::{Tables, cut};
use model::{OperationKind, Table};
use sandbox::Sent;

/// A shorter text is in a later request by accident.
const MARK_BYTES_MIN: usize = 3;
/// A shorter text is no token.
const TOKEN_BYTES_MIN: usize = 8;

/// What an answer says about pages after it.
#[derive(Default)]
struct Says {
    /// The cursor or URL of the next page, and its name.
    next: Option<(String, String)>,
    /// In so many words that there is more, or that there is none.
    more: Option<(String, bool)>,
    total: Option<(String, u64)>,
}

/// Every page that the source names is asked for, in this sync or by its state in the next.
pub(super) fn copy_complete(run: &Run) -> Tried {
    let state = run.durable(None).1.unwrap_or_default();
    let mut lists: HashMap<String, (u64, usize)> = HashMap::new();
    let mut told = 0;
    for (at, asked) in run.asked.iter().enumerate() {
        let Some(answer) = asked.answer.as_ref().filter(|answer| answer.status < 300) else { continue };
        let records = records_of(answer);
        let list = lists.entry(list(&asked.request)).or_default();
        list.0 += records.len() as u64;
        list.1 = at;
        let says = says(asked);
        told += usize::from(says.next.is_some() || says.more.is_some() || says.total.is_some());
        if records.is_empty() && says.more.is_none() || matches!(says.more, Some((_, false))) {
            continue;
        }
        let Some((name, mark)) = &says.next else { continue };
        // What was asked for ahead and never looked at was not read.
        let mut read = run.asked[at + 1..].iter().filter(|later| later.answer.is_some());
        let is_sent = read.any(|later| sends(&later.request, mark));
        if !is_sent && !state.contains(mark.as_str()) {
            return fail(format!(
                "the answer to request {} ({}) names a next page, {name} {}, which no request asks for and the state does not keep",
                at + 1,
                asked.request.label(),
                cut(mark)
            ));
        }
    }
    for (records, last) in lists.values() {
        unfinished(&run.asked[*last], *records, state)?;
    }
    if told == 0 {
        skip("no answer tells whether there is more: that the last page is the last is not proved")
    } else {
        Ok(format!("{told} answers"))
    }
}

/// What the last answer of a list says about the whole of it.
fn unfinished(asked: &Asked, records: u64, state: &str) -> Result<(), Broken> {
    let (label, says) = (asked.request.label(), says(asked));
    // Whoever asks for one record looks at the newest, and copies nothing.
    if sizes(&asked.request).any(|(_, size)| size == 1) {
        return Ok(());
    }
    if let Some((name, true)) = &says.more
        && !says.next.as_ref().is_some_and(|(_, mark)| state.contains(mark.as_str()))
    {
        return fail(format!("the last answer to {label} says that there is more ({name}), and nobody asks for it"));
    }
    let here = asked.answer.as_ref().map_or(0, |answer| records_of(answer).len() as u64);
    let is_first = records == here && here > 0;
    if let Some((name, total)) = &says.total
        && is_first
        && *total > records
        && says.more.is_none()
    {
        return fail(format!(
            "the answer to {label} has {records} of {total} records ({name}), and nobody asks for the rest"
        ));
    }
    let silent = says.next.is_none() && says.more.is_none() && says.total.is_none();
    let full = sizes(&asked.request).find(|(_, size)| *size as u64 == here);
    if let (true, true, Some((name, value))) = (silent, is_first, full) {
        return fail(format!("the answer to {label} is full ({name}={value}), and nobody asks whether there is more"));
    }
    Ok(())
}

/// How many records a request asks for, where its answer does not say whether there are more.
pub(super) fn asked_size(asked: &Asked) -> Option<usize> {
    let says = says(asked);
    if says.next.is_some() || says.more.is_some() || says.total.is_some() {
        return None;
    }
    sizes(&asked.request).next().map(|(_, size)| size)
}

/// The parameters that say how many records are asked for.
fn sizes(request: &Sent) -> impl Iterator<Item = (String, usize)> {
    let sized = parameters(request).into_iter().filter(|(name, _)| is_size(name));
    sized.filter_map(|(name, value)| Some((name, value.parse().ok()?)))
}

fn is_size(name: &str) -> bool {
    let name = plain(name);
    ["limit", "size", "pagesize", "perpage", "count", "maxresults", "top", "first", "rows", "max", "take", "pagelimit"]
        .contains(&name.as_str())
}

/// A name without case and what joins its words.
fn plain(name: &str) -> String {
    name.rsplit('.')
        .next()
        .unwrap_or(name)
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .collect::<String>()
        .to_lowercase()
}

/// The list that a request asks for a part of: all but its numbers and cursors.
fn list(request: &Sent) -> String {
    let base = request.url.split(['?', '#']).next().unwrap_or_default();
    let own = parameters(request).into_iter().filter(|(name, _)| !is_place(name) && !name.starts_with("header "));
    let own: Vec<String> = own.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{} {base} {}", request.method, own.join("&"))
}

/// Whether a parameter says which part of a list is asked for.
fn is_place(name: &str) -> bool {
    let name = plain(name);
    [
        "cursor", "page", "offset", "skip", "start", "token", "after", "before", "from", "since", "marker", "key",
        "id", "continu",
    ]
    .iter()
    .any(|part| name.contains(part))
}

/// Whether a request holds a cursor, as it stands or as a part of a URL.
fn sends(request: &Sent, mark: &str) -> bool {
    let whole = request.label();
    whole.contains(mark)
        || parameters(request).iter().any(|(_, value)| value.contains(mark))
        || mark.split_once('?').is_some_and(|(_, query)| {
            let wanted: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            let held = parameters(request);
            !wanted.is_empty() && wanted.iter().all(|pair| held.contains(pair))
        })
}

fn says(asked: &Asked) -> Says {
    let mut says = Says::default();
    let Some(answer) = &asked.answer else { return says };
    if let Ok(Value::Object(fields)) = serde_json::from_slice(&answer.body) {
        note("", &fields, &mut says);
    }
    for (_, link) in answer.headers.iter().filter(|(name, _)| name == "link") {
        let next = link.split(',').find(|part| {
            let part = part.to_lowercase();
            part.contains("rel=\"next\"") || part.contains("rel=next") || part.contains("rel='next'")
        });
        if let Some(url) = next.and_then(|part| part.split(['<', '>']).nth(1)) {
            says.next = Some(("link".to_owned(), url.to_owned()));
        }
    }
    // A cursor that leads to the page it stands on is none.
    if says.next.as_ref().is_some_and(|(_, mark)| sends(&asked.request, mark)) {
        says.next = None;
    }
    says
}

fn note(path: &str, fields: &Map<String, Value>, says: &mut Says) {
    for (name, value) in fields {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let plain = plain(name);
        match value {
            Value::Object(fields) => note(&path, fields, says),
            Value::String(mark) if is_next(&plain, &path) && mark.len() >= MARK_BYTES_MIN => {
                says.next.get_or_insert_with(|| (path, mark.clone()));
            }
            Value::Bool(flag) => match plain.as_str() {
                "hasmore" | "hasnext" | "hasnextpage" | "more" | "moreavailable" | "truncated" | "istruncated" => {
                    says.more = Some((path, *flag))
                }
                "endofstream" | "endofresults" | "islast" | "last" | "done" | "complete" => {
                    says.more = Some((path, !flag))
                }
                _ => {}
            },
            Value::Number(number)
                if ["total", "totalcount", "totalrecords", "totalresults", "totalsize", "totalitems"]
                    .contains(&plain.as_str()) =>
            {
                says.total = number.as_u64().map(|total| (path, total));
            }
            _ => {}
        }
    }
}

/// Whether a field of an answer, by its name, leads to the next page.
fn is_next(plain: &str, path: &str) -> bool {
    let path = path.to_lowercase();
    let of_links = path.contains("next") && ["url", "href", "link", "uri", "after", "cursor", "token"].contains(&plain);
    // A token for the next sync is for the state; a token to log in is none.
    let other = ["sync", "delta", "prev", "access", "refresh"].iter().any(|word| plain.contains(word));
    !other
        && (plain.starts_with("next")
            || of_links
            || ["cursor", "endcursor", "continuation", "continuationtoken", "pagetoken"].contains(&plain))
}

/// Names of fields that mark a record as deleted, where they are true or hold a moment.
const TOMBSTONES: [&str; 8] =
    ["deleted", "isdeleted", "tombstone", "istombstone", "deletedat", "deletedon", "datedeleted", "isremoved"];

fn is_tombstone(record: &Row) -> bool {
    record.iter().any(|(name, value)| {
        let name: String = name.chars().filter(|letter| letter.is_alphanumeric()).collect::<String>().to_lowercase();
        TOMBSTONES.contains(&name.as_str())
            && match value {
                Value::Bool(flag) => *flag,
                Value::Number(number) => number.as_i64().is_some_and(|number| number != 0),
                Value::String(text) => !["", "false", "0", "no"].contains(&text.to_lowercase().as_str()),
                _ => false,
            }
    })
}

/// What the source marks as deleted is no row that lives.
pub(super) fn tombstones_deleted(run: &Run, tables: &Tables, declared: &[Table]) -> Tried {
    let mut marked = 0;
    for (at, asked) in run.asked.iter().enumerate() {
        let records = asked.answer.as_ref().map(records_of).unwrap_or_default();
        for record in records.iter().filter(|record| is_tombstone(record) || nested(record).any(is_tombstone)) {
            marked += 1;
            for table in declared.iter().filter(|table| !table.primary_key.is_empty()) {
                let alive = std::iter::once(record).chain(nested(record)).find_map(|record| {
                    let key = key_text(record, &table.primary_key);
                    let row = tables.row(&table.name, &key)?;
                    let others = record.iter().filter(|(name, _)| !table.primary_key.contains(name));
                    let is_it = is_tombstone(&row)
                        || others.into_iter().any(|(name, value)| row.get(name) == Some(value))
                        || row.len() == table.primary_key.len();
                    is_it.then_some(key)
                });
                if let Some(key) = alive {
                    let whole = Value::Object(record.clone()).to_string();
                    return fail(format!(
                        "request {} ({}) marks a record as deleted, and {} has it as a row, {key}: {}",
                        at + 1,
                        asked.request.label(),
                        table.name,
                        cut(&whole)
                    ));
                }
            }
        }
    }
    if marked == 0 {
        skip("no record of the source is marked as deleted")
    } else {
        Ok(format!("{marked} marked records"))
    }
}

fn nested(record: &Row) -> impl Iterator<Item = &Row> {
    record.values().filter_map(Value::as_object)
}

/// The key of a delete or update has the type that the record's has: otherwise it is another key.
pub(super) fn keys_alike(run: &Run, declared: &[Table]) -> Tried {
    let mut kinds: HashMap<(&str, &str), (&'static str, String)> = HashMap::new();
    let mut changes = 0;
    for rows in batches(run) {
        changes += usize::from(rows.kind != OperationKind::Upsert) * rows.lines.len();
        for row in rows.rows() {
            for column in key_of(&rows.table, declared) {
                let Some(value) = row.get(column) else { continue };
                let (kind, shown) = (kind(value), key_text(&row, key_of(&rows.table, declared)));
                let (known, first) = kinds.entry((&rows.table, column)).or_insert((kind, shown.clone()));
                if *known != kind {
                    return fail(format!(
                        "{column} of {} is {known} in {} and {kind} in {}",
                        rows.table,
                        cut(first),
                        cut(&shown)
                    ));
                }
            }
        }
    }
    Ok(format!("{} columns of keys, {changes} deletes and updates", kinds.len()))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        Value::Bool(_) => "a truth value",
        Value::Null => "null",
        Value::Array(_) | Value::Object(_) => "JSON",
    }
}

fn batches(run: &Run) -> impl Iterator<Item = &Rows> {
    run.steps.iter().filter_map(|step| match &step.act {
        Act::Batch(batch) => Some(batch.as_ref()),
        Act::Save(_) => None,
    })
}

/// A token that the source hands out is in no state: there it is kept in clear text.
pub(super) fn tokens_sealed(run: &Run) -> Tried {
    let mut tokens = HashSet::new();
    for asked in &run.asked {
        let Some(answer) = &asked.answer else { continue };
        if let Ok(value) = serde_json::from_slice::<Value>(&answer.body) {
            tokens_of(&value, &mut tokens);
        }
    }
    let states: Vec<(usize, &str)> = run.checkpoints().collect();
    for (name, token) in &tokens {
        if let Some((at, _)) = states.iter().find(|(_, state)| state.contains(token.as_str())) {
            return fail(format!(
                "the state saved {} has the source's {name} in it, in clear text (not shown here)",
                run.page(&run.steps[*at])
            ));
        }
    }
    if tokens.is_empty() { skip("the source hands out no token") } else { Ok(format!("{} tokens", tokens.len())) }
}

fn tokens_of(value: &Value, found: &mut HashSet<(String, String)>) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        let plain = plain(name);
        let is_token = [
            "accesstoken",
            "refreshtoken",
            "idtoken",
            "sessiontoken",
            "authtoken",
            "sessionid",
            "sessionkey",
            "jwt",
            "bearer",
            "apitoken",
            "token",
        ]
        .contains(&plain.as_str());
        match value {
            Value::String(text) if is_token && text.len() >= TOKEN_BYTES_MIN => {
                drop(found.insert((name.clone(), text.clone())))
            }
            Value::Object(_) => tokens_of(value, found),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbox::Answer;

    fn asked(query: &[(&str, &str)], body: &str) -> Asked {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = Sent { method: "GET".into(), url: "https://a.example/items".into(), query, ..Sent::default() };
        let answer = Answer { status: 200, body: body.as_bytes().into(), ..Answer::default() };
        Asked { request, answer: Some(answer) }
    }

    #[test]
    fn what_an_answer_says_of_the_next_page_is_understood() {
        let next =
            |body: &str| says(&asked(&[("cursor", "abc")], body)).next.map(|(name, mark)| format!("{name}={mark}"));
        assert_eq!(next(r#"{"items":[],"next_cursor":"def"}"#).as_deref(), Some("next_cursor=def"));
        assert_eq!(next(r#"{"paging":{"next":{"after":"123"}}}"#).as_deref(), Some("paging.next.after=123"));
        assert_eq!(
            next(r#"{"_links":{"next":{"href":"/items?page=2"}}}"#).as_deref(),
            Some("_links.next.href=/items?page=2")
        );
        assert_eq!(
            next(r#"{"data":{"pageInfo":{"endCursor":"Y3Vyc29y"}}}"#).as_deref(),
            Some("data.pageInfo.endCursor=Y3Vyc29y")
        );
        for body in [
            r#"{"next":null}"#,
            r#"{"next_cursor":"abc"}"#,
            r#"{"next_sync_token":"abcdef"}"#,
            r#"{"items":[{"next":"def"}]}"#,
        ] {
            assert_eq!(next(body), None, "{body}");
        }
        assert!(matches!(says(&asked(&[], r#"{"has_more":true}"#)).more, Some((_, true))));
        assert!(matches!(says(&asked(&[], r#"{"end_of_stream":true}"#)).more, Some((_, false))));
    }

    #[test]
    fn a_list_that_ends_too_early_is_told() {
        let ends = |query: &[(&str, &str)], body: &str| unfinished(&asked(query, body), 2, "{}").is_ok();
        let two = r#""items":[{"id":1},{"id":2}]"#;
        assert!(ends(&[("limit", "10")], &format!("{{{two}}}")));
        assert!(!ends(&[("limit", "2")], &format!("{{{two}}}")));
        assert!(!ends(&[("limit", "2")], &format!("{{{two},\"total\":3}}")));
        assert!(ends(&[("limit", "2")], &format!("{{{two},\"total\":2}}")));
        assert!(!ends(&[], &format!("{{{two},\"has_more\":true}}")));
        assert!(ends(&[("limit", "2")], &format!("{{{two},\"has_more\":false}}")));
    }

    #[test]
    fn marks_of_deleted_records_are_known() {
        let marked = |record: &str| is_tombstone(&serde_json::from_str(record).unwrap());
        for record in
            [r#"{"deleted":true}"#, r#"{"is_deleted":1}"#, r#"{"deletedAt":"2026-01-31"}"#, r#"{"IsDeleted":"true"}"#]
        {
            assert!(marked(record), "{record}");
        }
        for record in
            [r#"{"deleted":false}"#, r#"{"deleted_at":null}"#, r#"{"is_deleted":0}"#, r#"{"undeleted":true}"#, "{}"]
        {
            assert!(!marked(record), "{record}");
        }
    }
}
