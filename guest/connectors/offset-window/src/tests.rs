//! The window of a sync, and where an interrupted one resumes.

use elt_sdk::testing::{Answer, Asked, Test};

use super::*;

fn orders() -> Test<Orders> {
    let orders = Test::new().configuration("api_key", "123").configuration("base_url", "https://api.test");
    orders.configuration("page_size", "2").serve(answer)
}

fn answer(asked: &Asked) -> Answer {
    let orders = [
        r#"{"id": 1, "updated_at": "2024-03-01T10:00:00Z", "total": 10.10}"#,
        r#"{"id": 2, "updated_at": "2024-03-01T13:30:00+01:00", "total": 5}"#,
        r#"{"id": 3, "updated_at": "2024-03-01T11:00:00Z", "total": null}"#,
    ];
    let offset = asked.query("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    let page: Vec<_> = orders.into_iter().skip(offset).take(2).collect();
    Answer::json(format!(r#"{{"orders": [{}], "total": 3}}"#, page.join(", ")))
}

#[test]
fn the_first_sync_reads_everything_and_remembers_the_newest_change() {
    let sync = orders().update();

    assert_eq!(sync.result, Ok(()));
    assert_eq!(
        sync.requests(),
        ["GET https://api.test/offset/orders?limit=2&offset=0", "GET https://api.test/offset/orders?limit=2&offset=2"]
    );
    assert_eq!(
        sync.operations(),
        [
            r#"upsert orders {"id": 1, "updated_at": "2024-03-01T10:00:00Z", "total": 10.10}"#,
            r#"upsert orders {"id": 2, "updated_at": "2024-03-01T13:30:00+01:00", "total": 5}"#,
            "checkpoint {}",
            r#"upsert orders {"id": 3, "updated_at": "2024-03-01T11:00:00Z", "total": null}"#,
            r#"checkpoint {"updated_at":"2024-03-01T12:30:00Z"}"#,
        ]
    );
}

#[test]
fn the_next_sync_reads_again_from_an_hour_before() {
    let sync = orders().state(r#"{"updated_at":"2024-03-01T12:30:00Z"}"#).update();

    assert_eq!(sync.asked[0].query("updated_since").as_deref(), Some("2024-03-01T11:30:00Z"));
    assert_eq!(sync.state(), Some(r#"{"updated_at":"2024-03-01T12:30:00Z"}"#));
}

#[test]
fn an_interrupted_sync_keeps_the_window_it_began_with() {
    let mut count = 0;
    let broken = orders().state(r#"{"updated_at":"2024-01-01T00:00:00Z"}"#).serve(move |asked| {
        count += 1;
        if count == 2 { Answer::status(503) } else { answer(asked) }
    });
    let sync = broken.update();

    assert_eq!(sync.result, Err(Error::transient("GET https://api.test/offset/orders: status 503")));
    assert_eq!(sync.state(), Some(r#"{"updated_at":"2024-01-01T00:00:00Z"}"#));
}

#[test]
fn an_order_without_a_change_date_arrives_and_one_of_the_future_moves_nothing() {
    let page = r#"{"orders": [{"id": 1}, {"id": 2, "updated_at": "2099-01-01T00:00:00Z"}], "total": 2}"#;
    let now: Timestamp = "2024-03-02T00:00:00Z".parse().unwrap();
    let sync = orders().now(now).answers([Answer::json(page)]).update();

    assert_eq!((sync.result.clone(), sync.upserts("orders").len()), (Ok(()), 2));
    assert_eq!(sync.state(), Some(r#"{"updated_at":"2024-03-02T00:00:00Z"}"#));
}
