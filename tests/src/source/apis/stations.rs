//! Weather stations and the readings of each, behind an API key in the query; some stations are broken.

use axum::http::StatusCode;
use serde_json::json;

use super::super::answer::{Answer, Query};

const STATIONS: u64 = 12;
const PAGE: u64 = 20;

/// So many of the stations, the first ones, cannot be read.
#[derive(Debug)]
pub(super) struct Stations {
    pub(super) broken: u64,
}

impl Stations {
    pub(super) fn list(query: &Query) -> Answer {
        if let Some(refusal) = refusal(query) {
            return refusal;
        }
        let stations = (0..STATIONS).map(|id| json!({"id": format!("st {id}"), "height": 100 * id}));
        Answer::json(json!({"stations": stations.collect::<Vec<_>>()}))
    }

    pub(super) fn readings(&self, id: &str, query: &Query) -> Answer {
        if let Some(refusal) = refusal(query) {
            return refusal;
        }
        let Some(number) = id.strip_prefix("st%20").and_then(|number| number.parse::<u64>().ok()) else {
            return Answer::error(StatusCode::NOT_FOUND, "not_found", "there is no such station");
        };
        if number < self.broken {
            return Answer::error(StatusCode::UNPROCESSABLE_ENTITY, "broken", "the station sends nonsense");
        }
        // Station n has 10 n readings.
        let after = query.get("after").and_then(|after| after.parse().ok()).unwrap_or(0);
        let end = (10 * number).min(after + PAGE);
        let readings = (after + 1..=end).map(|at| json!({"station": format!("st {number}"), "at": at, "celsius": 0.5}));
        Answer::json(json!({"readings": readings.collect::<Vec<_>>(), "more": end < 10 * number}))
    }
}

fn refusal(query: &Query) -> Option<Answer> {
    let good = query.get("key") == Some("123");
    (!good).then(|| Answer::error(StatusCode::UNAUTHORIZED, "unauthorized", "the API key is wrong"))
}
