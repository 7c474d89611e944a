//! The API that leads astray: `GET /notes/FLAVOUR?limit=&offset=&updated_since=&updated_after=&q=`, at most ten notes in one answer,
//! which says nothing of what comes after it.
//!
//! Flavours: `plain`, sorted by `updated_at` and `id`; `mixed`, sorted by `id`; `nulls`, where each seventh has never been updated;
//! `feed`, where each tenth has been deleted; `login`, which hands out a token.

use serde_json::{Value, json};

use super::answer::{Answer, Query};

const NOTES: i64 = 60;
const LIMIT_MAX: u64 = 10;
/// 2024-01-01T00:00:00Z; every four notes share an instant.
const FIRST_UPDATE: i64 = 1_704_067_200;
/// How far `id` goes in one step through time, so that neither order is the other.
const STRIDE: i64 = 7;

/// The answer at a flavour.
pub(super) fn answer(flavour: &str, query: &Query) -> Answer {
    if flavour == "login" {
        return Answer::json(json!({"session_token": "tok-0123456789abcdef"}));
    }
    page(flavour, query).unwrap_or_else(|refusal| refusal)
}

fn page(flavour: &str, query: &Query) -> Result<Answer, Answer> {
    let limit = query.number("limit", LIMIT_MAX, 1, 1_000)?.min(LIMIT_MAX);
    let offset = query.number("offset", 0, 0, u64::MAX)?;
    let searched = query.get("q").and_then(|text| text.strip_prefix("notes where updated_at > "));
    let since = query.get("updated_since").map(instant).transpose()?.unwrap_or(i64::MIN);
    let after = query.get("updated_after").or(searched).map(instant).transpose()?.unwrap_or(i64::MIN);
    let is_asked = |at: Option<i64>| match at {
        Some(at) => at >= since && at > after,
        None => since == i64::MIN && after == i64::MIN,
    };
    let mut notes: Vec<(Option<i64>, i64)> =
        (1..=NOTES).map(|id| (updated(flavour, id), id)).filter(|(at, _)| is_asked(*at)).collect();
    if flavour != "mixed" {
        notes.sort_unstable();
    }
    let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let page: Vec<Value> =
        notes.iter().skip(place(offset)).take(place(limit)).map(|(at, id)| note(flavour, *at, *id)).collect();
    let count = page.len() as u64;
    Ok(Answer { records: count, ..Answer::json(json!({"notes": page})) })
}

fn updated(flavour: &str, id: i64) -> Option<i64> {
    let is_never = flavour == "nulls" && id % 7 == 0;
    (!is_never).then(|| FIRST_UPDATE + id * STRIDE % NOTES / 4 * 60)
}

fn note(flavour: &str, at: Option<i64>, id: i64) -> Value {
    let at = at.and_then(|at| jiff::Timestamp::from_second(at).ok()).map(|at| at.to_string());
    let mut note = json!({"id": id, "text": format!("note {id}"), "updated_at": at});
    if flavour == "feed" {
        note["deleted"] = (id % 10 == 0).into();
    }
    note
}

fn instant(text: &str) -> Result<i64, Answer> {
    let instant: jiff::Timestamp =
        text.parse().map_err(|_| Answer::bad_request(&format!("{text:?} is no RFC 3339 timestamp")))?;
    Ok(instant.as_second())
}
