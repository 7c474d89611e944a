//! HubSpot's search for contacts, as its documentation has it: by POST, 200 at a time, 10,000 in all for one search.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::super::answer::Answer;
use super::Asked;

const RESULTS_MAX: u64 = 10_000;

/// The contacts that can be found.
#[derive(Debug)]
pub(super) struct Contacts {
    pub(super) count: u64,
}

impl Contacts {
    pub(super) fn search(&self, asked: &Asked<'_>) -> Answer {
        if asked.bearer() != "pat-good" {
            let message = "Authentication credentials not found. This API supports OAuth 2.0 authentication.";
            return problem(StatusCode::UNAUTHORIZED, "INVALID_AUTHENTICATION", message);
        }
        if asked.method != "POST" {
            return problem(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "search by POST");
        }
        let body = asked.json();
        let limit = body["limit"].as_u64().unwrap_or(10);
        let after = body["after"].as_str().and_then(|after| after.parse().ok()).unwrap_or(0);
        if limit > 200 || after + limit > RESULTS_MAX {
            let message = "There was a problem with the request. The search is limited to 10,000 results.";
            return problem(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message);
        }
        let filter = &body["filterGroups"][0]["filters"][0];
        if (filter["propertyName"].as_str(), filter["operator"].as_str()) != (Some("lastmodifieddate"), Some("GTE")) {
            return problem(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", "this test knows one filter");
        }
        let since = filter["value"].as_str().unwrap_or_default();
        let first = (1..=self.count).find(|id| changed(*id).as_str() >= since).unwrap_or(self.count + 1);
        let total = self.count + 1 - first;
        let end = total.min(after + limit);
        let results: Vec<Value> = (first + after..first + end).map(|id| contact(id, &body["properties"])).collect();
        let mut answer = json!({"total": total, "results": results});
        if end < total {
            answer["paging"] = json!({"next": {"after": end.to_string(), "link": "?after"}});
        }
        Answer::json(answer)
    }
}

fn problem(status: StatusCode, category: &str, message: &str) -> Answer {
    let id = "a43683b0-5717-4ceb-80b4-104d02915d8c";
    Answer::json(json!({"status": "error", "message": message, "correlationId": id, "category": category}))
        .with_status(status)
}

/// Three contacts a second, so that searches begin in the middle of an instant.
fn changed(id: u64) -> String {
    let second = id / 3;
    format!("2024-06-01T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

fn contact(id: u64, properties: &Value) -> Value {
    let mut values = serde_json::Map::new();
    for name in properties.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let value = match name {
            "lastmodifieddate" => json!(changed(id)),
            "email" => json!(format!("c{id}@example.com")),
            _ => Value::Null,
        };
        values.insert(name.to_owned(), value);
    }
    json!({"id": id.to_string(), "properties": values, "createdAt": "2024-01-01T00:00:00Z", "updatedAt": changed(id), "archived": false})
}
