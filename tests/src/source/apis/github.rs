//! GitHub, as its documentation has it: issues and comments by REST (`Link`, `since`), discussions by GraphQL.
//! Repository `octo/fine` is there; `octo/busy` is over its rate limit at first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::super::answer::Answer;
use super::Asked;

const TOKEN: &str = "ghp_good";
const ISSUES: u64 = 250;
const DISCUSSIONS: u64 = 230;

/// What it remembers.
#[derive(Debug, Default)]
pub(super) struct GitHub {
    /// Whether somebody asked the busy repository.
    busy: AtomicBool,
}

impl GitHub {
    pub(super) fn rest(&self, asked: &Asked<'_>, repository: (&str, &str), rest: &[&str]) -> Answer {
        if let Some(refusal) = refusal(asked) {
            return refusal;
        }
        if repository == ("octo", "busy") && !self.busy.swap(true, Ordering::Relaxed) {
            return over_the_limit();
        }
        match (repository, rest) {
            (("octo", "fine" | "busy"), ["issues"]) => page(asked, "issues", ISSUES),
            (("octo", "fine" | "busy"), ["issues", "comments"]) => page(asked, "comments", 120),
            _ => message(StatusCode::NOT_FOUND, "Not Found"),
        }
    }
}

fn message(status: StatusCode, text: &str) -> Answer {
    let url = "https://docs.github.com/rest";
    Answer::json(json!({"message": text, "documentation_url": url, "status": status.as_str()})).with_status(status)
}

fn refusal(asked: &Asked<'_>) -> Option<Answer> {
    (asked.bearer() != TOKEN).then(|| message(StatusCode::UNAUTHORIZED, "Bad credentials"))
}

/// The primary limit: 403, nothing remaining, and when that changes.
fn over_the_limit() -> Answer {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs());
    message(StatusCode::FORBIDDEN, "API rate limit exceeded for user ID 1.")
        .with_header("x-ratelimit-remaining", "0")
        .with_header("x-ratelimit-reset", (now + 1).to_string())
}

/// The n-th thing changed n minutes after midnight.
fn changed(number: u64) -> String {
    format!("2024-05-{:02}T{:02}:{:02}:00Z", 1 + number / 1440, number / 60 % 24, number % 60)
}

fn page(asked: &Asked<'_>, kind: &str, count: u64) -> Answer {
    let number = |name, default| asked.query.get(name).and_then(|value| value.parse().ok()).unwrap_or(default);
    let (page, per_page): (u64, u64) = (number("page", 1), number("per_page", 30).min(100));
    let since = asked.query.get("since").unwrap_or_default();
    // Without `sort=updated&direction=asc` GitHub sorts by creation, newest first.
    let mut numbers: Vec<u64> = (1..=count).filter(|number| changed(*number).as_str() >= since).collect();
    if (asked.query.get("sort"), asked.query.get("direction")) != (Some("updated"), Some("asc")) {
        numbers.reverse();
    }
    let from = usize::try_from((page - 1) * per_page).unwrap_or(usize::MAX).min(numbers.len());
    let size = usize::try_from(per_page).unwrap_or(usize::MAX);
    let items: Vec<Value> = numbers[from..].iter().take(size).map(|number| item(kind, *number)).collect();
    let more = numbers.len() > from + items.len();
    let answer = Answer::json(Value::Array(items));
    if !more {
        return answer;
    }
    let keep = ["state", "sort", "direction", "per_page", "since"];
    let query: Vec<_> = keep.iter().filter_map(|name| Some(format!("{name}={}", asked.query.get(name)?))).collect();
    let url = format!("{}{}?{}", asked.origin(), asked.path, query.join("&"));
    answer.with_header("link", format!("<{url}&page=1>; rel=\"first\", <{url}&page={}>; rel=\"next\"", page + 1))
}

fn item(kind: &str, number: u64) -> Value {
    let mut item = json!({"id": 1_000_000 + number, "updated_at": changed(number), "user": {"login": "octocat"}});
    if kind == "issues" {
        item["number"] = number.into();
        item["title"] = format!("Issue {number}").into();
        item["state"] = if number.is_multiple_of(2) { "open".into() } else { "closed".into() };
        if number.is_multiple_of(5) {
            item["pull_request"] = json!({"url": "https://api.github.com/pulls"});
        }
    }
    item
}

pub(super) fn graphql(asked: &Asked<'_>) -> Answer {
    if let Some(refusal) = refusal(asked) {
        return refusal;
    }
    let body = asked.json();
    let variables = &body["variables"];
    if variables["owner"] != "octo" || variables["name"] != "fine" {
        let message = "Could not resolve to a Repository with the name 'octo/gone'.";
        let error = json!({"type": "NOT_FOUND", "path": ["repository"], "message": message});
        return Answer::json(json!({"data": {"repository": null}, "errors": [error]}));
    }
    // Newest changes first, a hundred at a time.
    let from = variables["after"].as_str().and_then(|after| after.strip_prefix("cursor:")?.parse().ok()).unwrap_or(0);
    let end = DISCUSSIONS.min(from + 100);
    let nodes = (from..end).map(|place| {
        let number = DISCUSSIONS - place;
        json!({"id": format!("D_{number}"), "number": number, "updatedAt": changed(number), "author": null})
    });
    let info = json!({"hasNextPage": end < DISCUSSIONS, "endCursor": format!("cursor:{end}")});
    let discussions = json!({"nodes": nodes.collect::<Vec<_>>(), "pageInfo": info});
    Answer::json(json!({"data": {"repository": {"discussions": discussions}}}))
}
