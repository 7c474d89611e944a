//! Lists at first, then events, oldest first; and what an old state is worth.

use elt_sdk::testing::{Answer, Asked, Test};

use super::*;

fn stripe() -> Test<Stripe> {
    Test::new().configuration("api_key", "rk").now("2024-01-02T00:00:00Z".parse().unwrap())
}

fn list(data: &str, more: bool) -> Answer {
    Answer::json(format!(r#"{{"object": "list", "data": [{data}], "has_more": {more}}}"#))
}

fn event(id: u32, kind: &str, object: &str) -> String {
    format!(r#"{{"id": "evt_{id}", "created": 1704067200, "type": "{kind}", "data": {{"object": {object}}}}}"#)
}

#[test]
fn lists_are_read_after_a_look_at_the_newest_event() {
    let sync = stripe().serve(|asked: &Asked| match (asked.path(), asked.query("starting_after").as_deref()) {
        ("/v1/events", _) => list(&event(9, "x", "{}"), true),
        ("/v1/customers", None) => list(r#"{"id": "cus_2"}"#, true),
        ("/v1/customers", Some("cus_2")) => list(r#"{"id": "cus_1"}"#, false),
        _ => list(r#"{"id": "ch_1"}"#, false),
    });
    let sync = sync.update();
    assert_eq!(sync.result, Ok(()));
    assert_eq!(sync.requests()[0], "GET https://api.stripe.com/v1/events?limit=1");
    assert_eq!((sync.upserts("customers").len(), sync.upserts("charges").len()), (2, 1));
    assert_eq!(sync.state(), Some(r#"{"at":1704067200,"event":"evt_9"}"#));

    // Broken off after the customers: the event and the place in the list are kept.
    let middle = stripe().state(sync.checkpoints()[1]).serve(|asked| {
        assert_ne!(asked.path(), "/v1/events");
        list("", false)
    });
    assert_eq!(middle.update().state(), Some(r#"{"at":1704067200,"event":"evt_9"}"#));
}

#[test]
fn events_are_applied_from_the_oldest_to_the_newest() {
    let pages = [
        list(
            &[
                event(3, "customer.deleted", r#"{"id": "cus_1", "object": "customer"}"#),
                event(2, "customer.updated", r#"{"id": "cus_1", "object": "customer"}"#),
            ]
            .join(","),
            true,
        ),
        list(
            &[
                event(5, "charge.dispute.created", r#"{"id": "du_1", "object": "dispute"}"#),
                event(4, "charge.succeeded", r#"{"id": "ch_1", "object": "charge"}"#),
            ]
            .join(","),
            false,
        ),
    ];
    let sync = stripe().state(r#"{"event":"evt_1","at":1704067200}"#).answers(pages).update();
    assert_eq!(sync.result, Ok(()));
    let before: Vec<_> = sync.asked.iter().map(|asked| asked.query("ending_before").unwrap()).collect();
    assert_eq!(before, ["evt_1", "evt_3"]);
    let operations = [
        r#"upsert customers {"id": "cus_1", "object": "customer"}"#,
        r#"delete customers {"id": "cus_1", "object": "customer"}"#,
        r#"checkpoint {"at":1704067200,"event":"evt_3"}"#,
        r#"upsert charges {"id": "ch_1", "object": "charge"}"#,
        r#"checkpoint {"at":1704067200,"event":"evt_5"}"#,
    ];
    assert_eq!(sync.operations(), operations);
}

#[test]
fn a_state_older_than_stripes_memory_is_not_trusted() {
    let sync = stripe().state(r#"{"event":"evt_1","at":1600000000}"#).serve(|_| list("", false)).update();
    assert_eq!(sync.result, Ok(()));
    assert_eq!(sync.requests()[0], "GET https://api.stripe.com/v1/events?limit=1");
    assert_eq!(sync.state(), Some("{}"));
}
