//! A feed of changed tickets, each with its comments inside; deletions are changes too.

use serde_json::json;

use super::super::answer::{Answer, Query};

/// Version 1 has three tickets; version 2 deletes a comment and a ticket and adds a comment.
pub(super) fn changes(query: &Query, version: u64) -> Answer {
    let comment = |id: u64, deleted: bool| json!({"id": id, "text": format!("comment {id}"), "deleted": deleted});
    let mut changes = vec![
        json!({"id": 1, "subject": "one", "comments": [comment(1, false), comment(2, false)]}),
        json!({"id": 2, "subject": "two", "deleted": false, "comments": [comment(1, false)]}),
        json!({"id": 3, "subject": "three", "comments": []}),
    ];
    if version > 1 {
        changes.push(json!({"id": 1, "subject": "one, again", "comments": [comment(1, true), comment(2, false), comment(3, false)]}));
        changes.push(json!({"id": 2, "subject": "two", "deleted": true, "comments": [comment(1, false)]}));
    }
    let since = query.get("since").and_then(|since| since.parse().ok()).unwrap_or(0_usize).min(changes.len());
    let page: Vec<_> = changes[since..].iter().take(2).cloned().collect();
    // With nothing more there is no next place; where one was given it stays good for later.
    let next = (!page.is_empty()).then(|| (since + page.len()).to_string());
    Answer::json(json!({"changes": page, "next": next}))
}
