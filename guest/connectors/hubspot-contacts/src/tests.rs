//! One search after the other, each a part of what the one before could not reach.

use elt_sdk::testing::{Answer, Asked, Test};

use super::*;

fn contacts() -> Test<Contacts> {
    Test::new().configuration("token", "t").configuration("properties", "email")
}

fn page(changed: &[&str], after: Option<u64>) -> Answer {
    let first = after.unwrap_or_default();
    let rows = changed.iter().enumerate().map(|(id, changed)| {
        format!(r#"{{"id": "{}", "properties": {{"email": "e", "lastmodifieddate": "{changed}"}}, "createdAt": "c", "updatedAt": "u", "archived": false}}"#, first + id as u64)
    });
    let paging = after.map_or_else(String::new, |after| format!(r#", "paging": {{"next": {{"after": "{after}"}}}}"#));
    Answer::json(format!(r#"{{"results": [{}]{paging}}}"#, rows.collect::<Vec<_>>().join(",")))
}

#[test]
fn a_contact_is_its_properties_beside_its_other_fields() {
    let sync = contacts().answers([page(&["2024-01-01T00:00:00Z"], Some(1)), page(&[], None)]).update();
    assert_eq!(sync.result, Ok(()));
    let row = r#"{"archived":false,"createdAt":"c","email":"e","id":"1","lastmodifieddate":"2024-01-01T00:00:00Z","updatedAt":"u"}"#;
    assert_eq!(sync.upserts("contacts"), [row]);
    assert_eq!(sync.state(), Some(r#"{"lastmodifieddate":"2024-01-01T00:00:00Z"}"#));
    assert!(sync.asked.iter().all(Asked::idempotent));
    assert!(sync.asked[1].body().starts_with(r#"{"after":"1","filterGroups""#), "{}", sync.asked[1].body());
}

#[test]
fn past_ten_thousand_results_a_new_search_begins_at_the_last_change() {
    let (mut asked_for, mut total) = (0, 0);
    let sync = contacts().serve(move |asked| {
        asked_for = if asked.body().contains(r#""after""#) { asked_for + 200 } else { 0 };
        assert!(asked_for < 10_000, "HubSpot refuses this");
        total += 200;
        let changed = format!("2024-01-01T00:00:{:02}Z", total / 200);
        if total > 10_400 { page(&[], None) } else { page(&[&*changed; 200], Some(asked_for + 200)) }
    });
    let sync = sync.update();
    assert_eq!(sync.result, Ok(()));
    assert_eq!(sync.upserts("contacts").len(), 10_400);
    assert!(sync.asked[51].body().contains("2024-01-01T00:00:50Z"), "{}", sync.asked[51].body());
}

#[test]
fn an_instant_that_no_search_gets_past_is_an_error() {
    let mut after = 0;
    let sync = contacts().state(r#"{"lastmodifieddate":"2024-01-01T00:00:00Z"}"#).serve(move |_| {
        after += 200;
        page(&["2024-01-01T00:00:00Z"; 200], Some(after))
    });
    let error = sync.update().result.unwrap_err();
    assert!(error.message().contains("in one instant"), "{error}");
}
