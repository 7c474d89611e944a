//! Events behind an answer of status 200 that now and then says "throttled".

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::super::answer::{Answer, Query};

const EVENTS: u64 = 500;

/// Counts requests: every third is one too many.
#[derive(Debug, Default)]
pub(super) struct Throttled(AtomicU64);

impl Throttled {
    pub(super) fn events(&self, query: &Query) -> Answer {
        if self.0.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
            return Answer::json(json!({"error": "throttled", "wait_ms": 20}));
        }
        let number = |name, default| query.get(name).and_then(|value| value.parse().ok()).unwrap_or(default);
        let (after, limit): (u64, u64) = (number("after_id", 0), number("limit", 100));
        let events = (after + 1..=EVENTS.min(after + limit)).map(|id| json!({"id": id, "kind": "click"}));
        Answer::json(json!({"events": events.collect::<Vec<_>>()}))
    }
}
