//! Rules about the moment that a later sync asks from: whether what has the same timestamp, or changed while pages were read, can
//! still arrive.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde_json::Value;
use url::Url;

use super::rule::{Broken, Tried, fail, skip};
use super::run::Run;
use super::tables::{Tables, cut, key_of, key_text};
use super::trial::Trial;
use model::Table;
use sandbox::Sent;

/// The latest moment in one field of a table, and the rows that have it.
struct Latest {
    moment: Timestamp,
    /// By key, as it is shown and as the values that a request may hold.
    rows: Vec<(String, Vec<String>)>,
}

/// A moment that a request names.
struct Named {
    parameter: String,
    text: String,
    moment: Timestamp,
}

impl Trial<'_> {
    /// The moments that a request of the next sync names and none of the first one did.
    fn named<'r>(&self, next: &'r Run) -> Vec<(&'r Sent, Named)> {
        let before: Vec<(String, String)> =
            self.base.asked.iter().flat_map(|asked| parameters(&asked.request)).collect();
        let mut named = Vec::new();
        for asked in &next.asked {
            for (parameter, text) in parameters(&asked.request) {
                if let Some(moment) = moment(&text)
                    && !before.iter().any(|(name, value)| (name, value) == (&parameter, &text))
                {
                    named.push((&asked.request, Named { parameter, text, moment }));
                }
            }
        }
        named
    }

    /// A row at the very moment that the next sync asks from comes again: so do others of that moment that the source shows
    /// only later.
    pub(super) fn ties_kept(&self, next: &Run) -> Tried {
        succeeded(next)?;
        let latest = latest(&self.tables, self.declared);
        let mut again = Tables::default();
        next.apply(next.steps.len(), &mut again, self.declared);
        let named = self.named(next);
        let mut tied = 0;
        for (request, Named { parameter, text, moment }) in &named {
            // A key beside the moment says where to go on among the rows that share it.
            let others: Vec<(String, String)> = parameters(request);
            let goes_on = |key: &[String]| {
                key.iter().any(|part| others.iter().any(|(name, value)| name != parameter && value == part))
            };
            let there: Vec<_> = latest.iter().filter(|(_, latest)| latest.moment == *moment).collect();
            let is_kept = there.iter().any(|((table, _), latest)| {
                latest.rows.iter().any(|(key, parts)| goes_on(parts) || again.has(table, key))
            });
            if let (false, Some(((table, field), latest))) = (is_kept, there.first()) {
                let row = cut(latest.rows.first().map_or("", |(key, _)| key));
                return fail(format!(
                    "the next sync asks {} with {parameter}={text}, and the row of {table} whose {field} is just that ({row}) does not \
                     come again: nor does another of that moment which the source shows later",
                    request.label()
                ));
            }
            tied += usize::from(is_kept);
        }
        if named.is_empty() {
            skip("the next sync asks for no moment")
        } else {
            Ok(format!("{tied} of {} moments are a record's", named.len()))
        }
    }

    /// The next sync asks from a moment that no page of the first one was read after.
    pub(super) fn edits_kept(&self, next: &Run) -> Tried {
        succeeded(next)?;
        let Some(first) = self.base.first_asked_at.and_then(timestamp) else { return skip("it asks for nothing") };
        let latest = latest(&self.tables, self.declared);
        let named = self.named(next);
        for (request, Named { parameter, text, moment }) in &named {
            let is_of_a_record = latest.values().any(|latest| latest.moment == *moment);
            if *moment > first && !is_of_a_record {
                let late = moment.duration_since(first).as_secs();
                return fail(format!(
                    "the next sync asks {} with {parameter}={text}, {late} s after this one asked for its first page: what changed in \
                     between, behind the page being read, is in neither",
                    request.label()
                ));
            }
        }
        if named.is_empty() { skip("the next sync asks for no moment") } else { Ok(format!("{} moments", named.len())) }
    }
}

/// What a sync that fails asks from is another rule's business.
fn succeeded(next: &Run) -> Result<(), Broken> {
    if next.outcome.is_ok() { Ok(()) } else { skip("the next sync fails: see incremental") }
}

fn timestamp(since_1970: Duration) -> Option<Timestamp> {
    Timestamp::from_microsecond(i64::try_from(since_1970.as_micros()).ok()?).ok()
}

/// Names and values that a request holds: of its URL, its query and its body, as a form or as JSON.
fn parameters(request: &Sent) -> Vec<(String, String)> {
    let mut found = request.query.clone();
    if let Ok(url) = Url::parse(&request.url) {
        found.extend(url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())));
    }
    if let Ok(pairs) = serde_json::from_slice::<Vec<(String, String)>>(&request.body) {
        found.extend(pairs);
    } else if let Ok(body) = serde_json::from_slice::<Value>(&request.body) {
        scalars("", &body, &mut |name, text| found.push((name.to_owned(), text)));
    }
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
fn moment(text: &str) -> Option<Timestamp> {
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

/// The latest moments by table and field.
fn latest(tables: &Tables, declared: &[Table]) -> HashMap<(String, String), Latest> {
    let mut found: HashMap<(String, String), Latest> = HashMap::new();
    for (table, row) in tables.rows() {
        let key = key_of(table, declared);
        let shown = key_text(row, key);
        let mut parts = Vec::new();
        key.iter()
            .filter_map(|column| row.get(column))
            .for_each(|part| scalars("", part, &mut |_, text| parts.push(text)));
        for (name, value) in row {
            scalars(name, value, &mut |path, text| {
                let Some(moment) = moment(&text) else { return };
                let place = (table.to_owned(), path.to_owned());
                let latest = found.entry(place).or_insert_with(|| Latest { moment, rows: Vec::new() });
                if latest.moment < moment {
                    *latest = Latest { moment, rows: Vec::new() };
                }
                if latest.moment == moment {
                    latest.rows.push((shown.clone(), parts.clone()));
                }
            });
        }
    }
    found
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
            ["q=1", "since=2026-01-31T10:20:30Z"]
        );
        assert_eq!(found("https://a.example", r#"[["since","a b"]]"#), ["q=1", "since=a b"]);
        assert_eq!(
            found("https://a.example", r#"{"filter":{"after":["x",5]},"all":true}"#),
            ["q=1", "filter.after=x", "filter.after=5"]
        );
    }
}
