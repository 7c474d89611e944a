//! Stripe, as its documentation has it: lists from newest to oldest by `starting_after` and `ending_before`, events, errors.

use std::time::SystemTime;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::super::answer::Answer;
use super::Asked;

const CUSTOMERS: u64 = 230;
const CHARGES: u64 = 120;

/// Events happen now: the connector knows that Stripe forgets them after 30 days.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

/// In version 2 customer 7 has another name, customer 8 is deleted and charge 121 is new: events 41 to 160, with many
/// that are about something else.
pub(super) fn answer(asked: &Asked<'_>, path: &[&str], version: u64) -> Answer {
    if asked.bearer() != "rk_test_good" {
        let message = format!("Invalid API Key provided: {}", asked.bearer());
        return error(StatusCode::UNAUTHORIZED, &json!({"message": message, "type": "invalid_request_error"}));
    }
    match path {
        ["customers"] => list(asked, &(1..=CUSTOMERS).rev().map(|id| customer(id, "")).collect::<Vec<_>>()),
        ["charges"] => list(asked, &(1..=CHARGES).rev().map(charge).collect::<Vec<_>>()),
        ["events"] => list(asked, &events(if version > 1 { 160 } else { 40 })),
        _ => {
            let message = format!("Unrecognized request URL (GET: {})", asked.path);
            error(StatusCode::NOT_FOUND, &json!({"message": message, "type": "invalid_request_error"}))
        }
    }
}

fn error(status: StatusCode, error: &Value) -> Answer {
    Answer::json(json!({ "error": error })).with_status(status)
}

fn customer(id: u64, name: &str) -> Value {
    json!({"id": format!("cus_{id:04}"), "object": "customer", "name": format!("Customer {id}{name}"), "livemode": false})
}

fn charge(id: u64) -> Value {
    json!({"id": format!("ch_{id:04}"), "object": "charge", "amount": 100 * id, "currency": "eur"})
}

/// Newest first.
fn events(count: u64) -> Vec<Value> {
    let event = |number: u64| {
        let (kind, object) = match number {
            50 => ("customer.updated", customer(7, ", of old")),
            60 => ("customer.deleted", json!({"id": "cus_0008", "object": "customer", "deleted": true})),
            70 => ("charge.dispute.created", json!({"id": "du_1", "object": "dispute"})),
            150 => ("charge.succeeded", charge(121)),
            155 => ("customer.updated", customer(7, ", renamed")),
            _ => ("product.updated", json!({"id": "prod_1", "object": "product"})),
        };
        json!({"id": format!("evt_{number:04}"), "object": "event", "type": kind, "created": now(), "data": {"object": object}})
    };
    (1..=count).rev().map(event).collect()
}

/// A page of a list that stands newest first.
fn list(asked: &Asked<'_>, all: &[Value]) -> Answer {
    let limit = asked.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10_usize).clamp(1, 100);
    let place = |id: &str| all.iter().position(|item| item["id"] == id);
    let missing = |name: &str, id: &str| {
        let message = format!("No such object: '{id}'");
        let problem =
            json!({"code": "resource_missing", "message": message, "param": name, "type": "invalid_request_error"});
        error(StatusCode::BAD_REQUEST, &problem)
    };
    let (from, end, more) = match (asked.query.get("starting_after"), asked.query.get("ending_before")) {
        (Some(id), _) => {
            let Some(place) = place(id) else { return missing("starting_after", id) };
            let end = all.len().min(place + 1 + limit);
            (place + 1, end, end < all.len())
        }
        // The page just before that object: towards the newest.
        (None, Some(id)) => {
            let Some(place) = place(id) else { return missing("ending_before", id) };
            let from = place.saturating_sub(limit);
            (from, place, from > 0)
        }
        (None, None) => (0, all.len().min(limit), all.len() > limit),
    };
    Answer::json(json!({"object": "list", "data": &all[from..end], "has_more": more, "url": asked.path}))
}
