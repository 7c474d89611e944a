//! What becomes of a ticket, of its comments, and of those that are deleted.

use elt_sdk::testing::{Answer, Test};

use super::*;

fn helpdesk(changes: &str) -> Test<Helpdesk> {
    let page = Answer::json(format!(r#"{{"changes": [{changes}], "next": "7"}}"#));
    let end = Answer::json(r#"{"changes": [], "next": null}"#);
    Test::new().configuration("base_url", "https://api.test").answers([page, end])
}

#[test]
fn comments_become_a_table_and_deletions_operations() {
    let sync = helpdesk(
        r#"{"id": 1, "subject": "a", "comments": [{"id": 5, "text": "x"}, {"id": 6, "deleted": true}]},
           {"id": 2, "deleted": true, "comments": [{"id": 7}]}"#,
    );
    let sync = sync.update();
    assert_eq!(sync.result, Ok(()));
    let operations = [
        r#"upsert comments {"id": 5, "text": "x","ticket_id":1}"#,
        r#"delete comments {"id": 6, "deleted": true,"ticket_id":1}"#,
        r#"upsert tickets {"id":1,"subject":"a"}"#,
        r#"delete comments {"id": 7,"ticket_id":2}"#,
        r#"delete tickets {"id":2}"#,
        r#"checkpoint {"since":"7"}"#,
        r#"checkpoint {"since":"7"}"#,
    ];
    assert_eq!(sync.operations(), operations);
}

#[test]
fn the_next_sync_asks_since_the_last_change() {
    let sync = helpdesk("").state(r#"{"since":"7"}"#).update();
    assert_eq!(sync.requests()[0], "GET https://api.test/tickets/changes?since=7");
}

#[test]
fn a_ticket_without_an_id_is_the_sources_fault() {
    assert_eq!(helpdesk("{}").update().result, Err(Error::source("a ticket has no `id`")));
}
