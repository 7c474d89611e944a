//! Two tables, their order, the selection, and several requests in flight.

use elt_sdk::testing::{Answer, Asked, Test};

use super::*;

fn billing() -> Test<Billing> {
    let billing = Test::new().configuration("api_key", "123").configuration("base_url", "https://api.test");
    billing.configuration("page_size", "2").serve(answer)
}

fn answer(asked: &Asked) -> Answer {
    let page = |records: &str, next: &str| Answer::json(format!(r#"{{"data": [{records}], "next": {next}}}"#));
    match (asked.path(), asked.query("page").as_deref()) {
        ("/customers", None) => page(r#"{"id": 1}, {"id": "a/b"}"#, r#""https://api.test/customers?page=2""#),
        ("/customers", _) => page(r#"{"id": 3}"#, "null"),
        ("/customers/1/invoices", None) => page(r#"{"id": 10}"#, r#""https://api.test/customers/1/invoices?page=2""#),
        ("/customers/1/invoices", _) => page(r#"{"id": 11, "customer_id": "one"}"#, "null"),
        ("/customers/a%2Fb/invoices", _) => page(r#"{"id": 20, "total": 1.50}"#, "null"),
        _ => page("", "null"),
    }
}

#[test]
fn invoices_follow_their_customers_and_carry_their_ids() {
    let sync = billing().update();

    assert_eq!(sync.result, Ok(()));
    assert_eq!(
        sync.operations(),
        [
            r#"upsert customers {"id": 1}"#,
            r#"upsert customers {"id": "a/b"}"#,
            r#"upsert invoices {"id": 10,"customer_id":1}"#,
            r#"upsert invoices {"id": 11, "customer_id": "one"}"#,
            r#"upsert invoices {"id": 20, "total": 1.50,"customer_id":"a/b"}"#,
            r#"checkpoint {"next":"customers?page=2"}"#,
            r#"upsert customers {"id": 3}"#,
            "checkpoint {}",
        ]
    );
    assert_eq!(sync.writes, 3, "one call for each page of customers, one for the invoices of all of its customers");
}

#[test]
fn several_customers_are_asked_for_at_once() {
    let sync = billing().update();

    assert_eq!(
        sync.requests()[1..5],
        [
            "GET https://api.test/customers?page=2",
            "GET https://api.test/customers/1/invoices",
            "GET https://api.test/customers/a%2Fb/invoices",
            "GET https://api.test/customers/1/invoices?page=2",
        ]
    );
}

#[test]
fn a_sync_resumes_at_the_page_it_came_to() {
    let sync = billing().state(r#"{"next":"https://api.test/customers?page=2"}"#).update();

    assert_eq!(sync.operations(), [r#"upsert customers {"id": 3}"#, "checkpoint {}"]);
}

#[test]
fn only_selected_tables_are_asked_for_and_written() {
    let customers = billing().select(["customers"]).update();
    assert!(customers.requests().iter().all(|request| !request.contains("invoices")));
    assert_eq!(customers.upserts("customers").len(), 3);

    let invoices = billing().select(["invoices"]).update();
    assert_eq!(invoices.upserts("customers").len(), 0);
    assert_eq!(invoices.upserts("invoices").len(), 3);
}

#[test]
fn a_failure_below_a_customer_ends_the_sync_at_the_last_checkpoint() {
    let sync = billing()
        .serve(|asked| if asked.path() == "/customers/3/invoices" { Answer::status(500) } else { answer(asked) })
        .update();

    assert_eq!(sync.result, Err(Error::transient("GET https://api.test/customers/3/invoices: status 500")));
    assert_eq!(sync.state(), Some(r#"{"next":"customers?page=2"}"#));
}
