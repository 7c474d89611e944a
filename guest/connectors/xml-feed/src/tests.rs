//! A feed that has changed replaces the table; one that has not costs one request.

use elt_sdk::testing::{Answer, Test};

use super::*;

fn feed() -> Test<Feed> {
    let feed = Test::new().configuration("base_url", "https://feeds.test").configuration("user", "shop");
    feed.configuration("password", "p")
}

#[test]
fn an_offer_is_a_row_and_the_etag_goes_into_the_state() {
    let xml = r#"<offers><offer id="7"><price>9.90</price><tag>new</tag></offer></offers>"#;
    let sync = feed().answers([Answer::status(200).header("etag", "\"v1\"").body(xml)]).update();
    assert_eq!(sync.result, Ok(()));
    let row = r#"upsert offers {"@id":"7","price":"9.90","tag":["new"]}"#;
    assert_eq!(sync.operations(), ["truncate offers", row, r#"checkpoint {"version":"\"v1\""}"#]);

    let next = feed().state(sync.state()).answers([Answer::status(304)]).update();
    assert_eq!((next.result.clone(), next.operations()), (Ok(()), Vec::new()));
    assert_eq!(next.asked[0].header("if-none-match").as_deref(), Some("\"v1\""));
}

#[test]
fn a_cut_feed_changes_nothing() {
    let sync = feed().answers([Answer::status(200).body("<offers><offer id='1'/><offer")]).update();
    assert!(sync.result.is_err() && sync.operations().is_empty());
}

#[test]
fn an_answer_that_is_no_feed_changes_nothing() {
    let other_names = r#"<n:offers xmlns:n="u"><n:offer id="7"/></n:offers>"#;
    for body in ["<error>busy</error>", other_names, "<offers/>", "busy", "", r#"{"error":"busy"}"#] {
        let sync = feed().answers([Answer::status(200).header("etag", "\"v2\"").body(body)]).update();
        assert!(sync.result.is_err() && sync.operations().is_empty(), "{body}");
    }
}
