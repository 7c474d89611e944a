//! What a source may do to one request, as it looks once the host's retries are used up.

use std::sync::Arc;

use serde_json::{Map, Value};

use sandbox::{Answer, Ending, Given, Trouble, TroubleKind};

/// A way for one request to go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// This status, with an error of the source as its body.
    Status(u16),
    /// 429 with `Retry-After`.
    RetryLater,
    /// The source asks for a longer wait than the host waits.
    RateLimited,
    /// No answer in time.
    Timeout,
    /// No connection.
    NoConnection,
    /// The body breaks off in the middle.
    CutBody,
    /// The body stops in the middle, until the host waits no longer.
    SlowBody,
    /// The body is cut in the middle and says that it is whole.
    InvalidJson,
    /// A page of HTML, with status 200.
    Html,
    /// Nothing at all, with status 200.
    EmptyBody,
    /// An error of the source as JSON, with status 200.
    ErrorBody,
    /// Each list of records is cut to its first half, as by a source that gives fewer than it is asked for.
    ShortPage,
    /// Each list of records has so many: the last one again and again, as by a source that gives as many as it is asked for.
    FullPage(usize),
    /// The lists in the answer are empty, the rest of it is as it was.
    EmptyPage,
    /// The answer to the request before, again.
    RepeatedPage,
    /// Every record has one more field.
    NewColumn,
    /// Numbers and truth values of records are text, but for these fields.
    TypeChange(Arc<[String]>),
}

/// The faults after which rows must be right, at once or after the next sync.
pub(super) const BREAKING: [Fault; 18] = [
    Fault::Status(404),
    Fault::Status(400),
    Fault::Status(403),
    Fault::Status(410),
    Fault::Status(429),
    Fault::Status(500),
    Fault::Status(503),
    Fault::RetryLater,
    Fault::RateLimited,
    Fault::Timeout,
    Fault::NoConnection,
    Fault::CutBody,
    Fault::SlowBody,
    Fault::InvalidJson,
    Fault::Html,
    Fault::EmptyBody,
    Fault::ErrorBody,
    Fault::RepeatedPage,
];

/// The faults that are tried once more as ones that last: whoever asks the same again meets them again.
pub(super) const LASTING: [Fault; 3] = [Fault::Status(500), Fault::Timeout, Fault::InvalidJson];

/// The field that [`Fault::NewColumn`] adds.
pub(super) const NEW_COLUMN: &str = "a_new_column_of_verify";

impl Fault {
    /// What happened, for people.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Status(status) => format!("status {status}"),
            Self::RetryLater => "status 429 with Retry-After".into(),
            Self::RateLimited => "a rate limit longer than the host waits".into(),
            Self::Timeout => "no answer in time".into(),
            Self::NoConnection => "no connection".into(),
            Self::CutBody => "a body that breaks off".into(),
            Self::SlowBody => "a body that stops until the time is up".into(),
            Self::InvalidJson => "half a body with status 200".into(),
            Self::Html => "a page of HTML with status 200".into(),
            Self::EmptyBody => "an empty body with status 200".into(),
            Self::ErrorBody => "an error in JSON with status 200".into(),
            Self::ShortPage => "half a page".into(),
            Self::FullPage(size) => format!("a page of {size}"),
            Self::EmptyPage => "an empty page".into(),
            Self::RepeatedPage => "the page before once more".into(),
            Self::NewColumn => "a new field in every record".into(),
            Self::TypeChange(_) => "numbers as text".into(),
        }
    }

    /// What the guest gets instead of `good`; `before` is the answer before it.
    pub(super) fn applied(&self, good: &Answer, before: Option<&Answer>) -> Given {
        let trouble = |kind, message: &str, retry_after_ms| {
            Given::Failure(Trouble { kind, message: message.to_owned(), retry_after_ms, at_send: false })
        };
        match self {
            Self::Status(status) => refused(good, *status, &[]),
            Self::RetryLater => refused(good, 429, &[("retry-after", "1")]),
            Self::RateLimited => trouble(TroubleKind::RateLimited, "the source asks to wait 3600 s", Some(3_600_000)),
            Self::Timeout => trouble(TroubleKind::Timeout, "no answer in time", None),
            Self::NoConnection => trouble(TroubleKind::Connect, "could not connect", None),
            Self::CutBody => broken(good, TroubleKind::Protocol, "the body broke off"),
            Self::SlowBody => broken(good, TroubleKind::Timeout, "the body stopped"),
            Self::InvalidJson => Given::Answer(half(good)),
            Self::Html => {
                let body: &[u8] = b"<!DOCTYPE html><html><body>Down for maintenance</body></html>";
                let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
                Given::Answer(Answer { body: Arc::from(body), headers, ..good.clone() })
            }
            Self::EmptyBody => Given::Answer(Answer { body: Arc::from(&b""[..]), ..good.clone() }),
            Self::ErrorBody => {
                let body: &[u8] = br#"{"error": {"code": "internal", "message": "something went wrong, for a test"}}"#;
                Given::Answer(Answer { body: Arc::from(body), headers: vec![json()], ..good.clone() })
            }
            Self::ShortPage => of_lists(good, &|items| items.truncate(items.len().div_ceil(2))),
            Self::FullPage(size) => of_lists(good, &|items| {
                if let Some(last) = items.last().cloned() {
                    items.resize(items.len().max(*size), last);
                }
            }),
            Self::EmptyPage => changed(good, &mut |value| {
                if let Value::Array(items) = value
                    && items.iter().all(Value::is_object)
                {
                    items.clear();
                }
            }),
            Self::RepeatedPage => Given::Answer(before.unwrap_or(good).clone()),
            Self::NewColumn => of_records(good, &mut |record| {
                record.insert(NEW_COLUMN.to_owned(), Value::String("new".to_owned()));
            }),
            Self::TypeChange(kept) => of_records(good, &mut |record| {
                for (_, value) in record.iter_mut().filter(|(name, _)| !kept.contains(name)) {
                    if value.is_number() || value.is_boolean() {
                        *value = Value::String(value.to_string());
                    }
                }
            }),
        }
    }
}

fn json() -> (String, String) {
    ("content-type".to_owned(), "application/json".to_owned())
}

/// The answer with half of its body.
fn half(good: &Answer) -> Answer {
    Answer { body: Arc::from(&good.body[..good.body.len() / 2]), ..good.clone() }
}

fn broken(good: &Answer, kind: TroubleKind, message: &str) -> Given {
    let trouble = Trouble { kind, message: message.to_owned(), retry_after_ms: None, at_send: false };
    Given::Answer(Answer { ending: Ending::Broken(trouble), ..half(good) })
}

fn refused(good: &Answer, status: u16, headers: &[(&str, &str)]) -> Given {
    let body: &[u8] = br#"{"error": "refused, for a test"}"#;
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let headers = std::iter::once(json()).chain(headers).collect();
    Given::Answer(Answer { status, headers, body: Arc::from(body), ending: Ending::Whole, url: good.url.clone() })
}

/// The answer with a change to each value of its JSON, outer ones first; an answer that is no JSON stays.
fn changed(good: &Answer, change: &mut dyn FnMut(&mut Value)) -> Given {
    let Ok(mut json) = serde_json::from_slice::<Value>(&good.body) else { return Given::Answer(good.clone()) };
    walk(&mut json, change);
    Given::Answer(Answer { body: json.to_string().into_bytes().into(), ..good.clone() })
}

fn walk(value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    change(value);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| walk(field, change)),
        _ => {}
    }
}

/// The answer with a change to each of its lists of objects, but for those within records.
fn of_lists(good: &Answer, change: &dyn Fn(&mut Vec<Value>)) -> Given {
    fn lists(value: &mut Value, change: &dyn Fn(&mut Vec<Value>)) {
        match value {
            Value::Array(items) if items.iter().all(Value::is_object) => change(items),
            Value::Object(fields) => fields.values_mut().for_each(|field| lists(field, change)),
            _ => {}
        }
    }
    let Ok(mut json) = serde_json::from_slice::<Value>(&good.body) else { return Given::Answer(good.clone()) };
    lists(&mut json, change);
    Given::Answer(Answer { body: json.to_string().into_bytes().into(), ..good.clone() })
}

/// The answer with a change to each of its records.
fn of_records(good: &Answer, change: &mut dyn FnMut(&mut Map<String, Value>)) -> Given {
    changed(good, &mut |value| each_record(value, change))
}

/// The records among the parts of an answer: the objects in its lists.
fn each_record(value: &mut Value, then: &mut dyn FnMut(&mut Map<String, Value>)) {
    if let Value::Array(items) = value {
        items.iter_mut().filter_map(Value::as_object_mut).for_each(then);
    }
}

/// Whether an answer has such a record.
pub(super) fn has_record(answer: &Answer, is_wanted: &dyn Fn(&Map<String, Value>) -> bool) -> bool {
    let mut found = false;
    if let Ok(mut json) = serde_json::from_slice::<Value>(&answer.body) {
        walk(&mut json, &mut |value| each_record(value, &mut |record| found |= is_wanted(record)));
    }
    found
}

/// How many records the longest list of an answer has.
pub(super) fn records_max(answer: &Answer) -> usize {
    let mut most = 0;
    if let Ok(mut json) = serde_json::from_slice::<Value>(&answer.body) {
        walk(&mut json, &mut |value| {
            if let Value::Array(items) = value
                && items.iter().all(Value::is_object)
            {
                most = most.max(items.len());
            }
        });
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(fault: &Fault, good: &str) -> String {
        let good = Answer { status: 200, body: good.as_bytes().into(), ..Answer::default() };
        match fault.applied(&good, None) {
            Given::Answer(answer) => String::from_utf8_lossy(&answer.body).into_owned(),
            _ => panic!("no answer"),
        }
    }

    #[test]
    fn pages_are_changed_where_their_records_are() {
        let good = r#"{"next":"b","items":[{"id":1},{"id":2,"tags":["x"]}]}"#;
        assert_eq!(body(&Fault::EmptyPage, good), r#"{"items":[],"next":"b"}"#);
        assert!(body(&Fault::NewColumn, good).matches(NEW_COLUMN).count() == 2);
        let typed = r#"{"total":2,"items":[{"id":1,"price":1.5,"paid":true,"at":{"x":1}}]}"#;
        let kept = Arc::from(["id".to_owned()]);
        let changed = r#"{"items":[{"at":{"x":1},"id":1,"paid":"true","price":"1.5"}],"total":2}"#;
        assert_eq!(body(&Fault::TypeChange(kept), typed), changed);
        assert_eq!(body(&Fault::FullPage(3), r#"[{"id":1},{"id":2}]"#), r#"[{"id":1},{"id":2},{"id":2}]"#);
        assert_eq!(body(&Fault::ShortPage, good), r#"{"items":[{"id":1}],"next":"b"}"#);
        assert_eq!(body(&Fault::EmptyPage, "no json"), "no json");
        assert_eq!(body(&Fault::InvalidJson, "0123456789"), "01234");
    }
}
