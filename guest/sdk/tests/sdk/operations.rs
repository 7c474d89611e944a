//! Operations: their order, how many calls carry them, and rows that are not fit to travel.

use elt_sdk::RawValue;
use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, Sync, Test};

/// Runs `work` as a connector's `update`.
macro_rules! sync {
    (|$operations:ident| $work:expr) => {{
        struct Probe;
        impl Connector for Probe {
            fn schema(_: &Configuration) -> Result<Vec<Table>> {
                Ok(Vec::new())
            }
            fn update(_: &Configuration, _: State, $operations: &mut Operations) -> Result<()> {
                $work
            }
        }
        Test::<Probe>::new()
    }};
}

fn operations_of(sync: &Sync) -> Vec<String> {
    assert_eq!(sync.result, Ok(()));
    sync.operations()
}

#[test]
fn the_order_holds_over_tables_and_kinds_in_one_call() {
    let sync = sync!(|operations| {
        for id in 0..3 {
            operations.upsert("a", json!({"id": id}))?;
            operations.delete("b", json!({"id": id}))?;
        }
        operations.truncate("a")?;
        operations.update("a", json!({"id": 1, "x": null}))
    })
    .update();

    let expect = "upsert a {\"id\":0}|delete b {\"id\":0}|upsert a {\"id\":1}|delete b {\"id\":1}|\
        upsert a {\"id\":2}|delete b {\"id\":2}|truncate a|update a {\"id\":1,\"x\":null}";
    assert_eq!(operations_of(&sync).join("|"), expect);
    assert_eq!(sync.writes, 1);
}

#[test]
fn a_mebibyte_or_fifty_thousand_rows_make_a_call() {
    let big = sync!(|operations| {
        let text = "x".repeat(1023);
        (0..2049).try_for_each(|_| operations.upsert("a", json!({"t": text})))
    });
    assert_eq!(big.update().writes, 3);
    let many = sync!(|operations| (0..100_000).try_for_each(|_| operations.upsert("a", Record::from("{}"))));
    assert_eq!(many.update().writes, 2);
}

#[test]
fn raw_records_keep_their_bytes_on_one_line() {
    let sync = sync!(|operations| {
        operations.upsert("a", Record::from("{\r\n  \"n\": 1.0e2,\n  \"s\": \"\\n\"\n}\n"))?;
        let raw: Box<RawValue> = elt_sdk::serde_json::from_str("{\"big\": 123456789012345678901234567890,\n\"z\":-0}")?;
        operations.upsert("a", &raw)?;
        operations.upsert("a", raw)
    })
    .update();

    assert_eq!(
        operations_of(&sync),
        [
            "upsert a {    \"n\": 1.0e2,   \"s\": \"\\n\" } ",
            "upsert a {\"big\": 123456789012345678901234567890, \"z\":-0}",
            "upsert a {\"big\": 123456789012345678901234567890, \"z\":-0}",
        ]
    );
}

#[test]
fn a_row_that_is_no_object_is_refused_and_leaves_nothing_behind() {
    let sync = sync!(|operations| {
        operations.upsert("a", json!({"id": 1}))?;
        let error = operations.upsert("a", json!([1, 2])).unwrap_err();
        assert_eq!(error, Error::internal("table `a`: a row is no JSON object: [1,2]"));
        operations.upsert("a", json!({"id": 2}))
    });
    assert_eq!(operations_of(&sync.update()), ["upsert a {\"id\":1}", "upsert a {\"id\":2}"]);
}

#[test]
fn an_error_keeps_back_what_no_checkpoint_covers() {
    let sync = sync!(|operations| {
        operations.upsert("a", json!({"id": 1}))?;
        operations.checkpoint(&json!({"at": 1}))?;
        operations.upsert("a", json!({"id": 2}))?;
        Err(Error::source("gone"))
    })
    .update();
    assert_eq!(sync.result, Err(Error::source("gone")));
    assert_eq!(sync.operations(), ["upsert a {\"id\":1}", "checkpoint {\"at\":1}"]);
}

#[test]
fn a_checkpoint_is_an_object_and_a_flush_hands_over_first() {
    let sync = sync!(|operations| {
        assert!(operations.checkpoint(&"text").is_err());
        operations.upsert("a", json!({"id": 1}))?;
        operations.flush()
    })
    .update();
    assert_eq!((sync.writes, sync.flushes), (1, 1));
}

#[test]
fn tables_that_are_not_selected_are_dropped() {
    let sync = sync!(|operations| {
        assert!(operations.selects("a") && !operations.selects("b"));
        operations.truncate("b")?;
        operations.upsert("b", json!({"id": 1}))?;
        operations.upsert("a", json!({"id": 1}))
    });
    assert_eq!(operations_of(&sync.select(["a"]).update()), ["upsert a {\"id\":1}"]);
}

/// Two records, as a source sends them.
fn two() -> Answer {
    Answer::json("{\"items\":[{\"id\":1},\n{\"id\":\n2.0}],\"next\":null}")
}

#[test]
fn a_page_keeps_its_place_among_rows() {
    let sync = sync!(|operations| {
        let page = Client::new("https://api.test").get("x").page("items")?;
        operations.upsert("a", json!({"id": 0}))?;
        operations.upsert_page("a", &page)?;
        operations.delete("a", page.last().unwrap())?;
        operations.truncate("b")?;
        operations.upsert_page("b", &page)?;
        operations.checkpoint(&json!({}))
    });
    let sync = sync.answers([two()]).update();
    let expect = "upsert a {\"id\":0}|upsert a {\"id\":1}|upsert a {\"id\": 2.0}|delete a {\"id\": 2.0}|truncate b|\
        upsert b {\"id\":1}|upsert b {\"id\": 2.0}|checkpoint {}";
    assert_eq!(operations_of(&sync).join("|"), expect);
    // Row, page, delete and truncate, page.
    assert_eq!(sync.writes, 4);
}

#[test]
fn a_page_of_a_table_that_is_not_selected_or_without_records_is_not_written() {
    let sync = sync!(|operations| {
        let page = Client::new("https://api.test").get("x").page("items")?;
        operations.upsert("a", json!({"id": 0}))?;
        operations.upsert_page("b", &page)?;
        let empty = Client::new("https://api.test").get("y").page("items")?;
        operations.upsert_page("a", &empty)
    });
    let sync = sync.select(["a"]).answers([two(), Answer::json("{\"items\":[]}")]).update();
    assert_eq!(operations_of(&sync), ["upsert a {\"id\":0}"]);
    assert_eq!(sync.writes, 1);
}

#[test]
fn a_check_ends_at_the_first_page_that_has_records() {
    let sync = sync!(|operations| {
        for path in ["x", "y", "z"] {
            let page = Client::new("https://api.test").get(path).page("items")?;
            operations.upsert_page("a", &page)?;
        }
        Err(Error::source("a check goes no further than the first row"))
    });
    // One more request would be denied.
    assert_eq!(sync.answers([Answer::json("{\"items\":[]}"), two()]).check(), Ok(()));
}

#[test]
fn a_complete_list_replaces_a_table_or_nothing_happens() {
    let whole = sync!(|operations| {
        let table = String::from("teams");
        operations
            .reconcile(&table, |operations| (1..=2).try_for_each(|id| operations.upsert(&table, json!({"id": id}))))?;
        operations.checkpoint(&State::default())
    });
    let rows = ["truncate teams", r#"upsert teams {"id":1}"#, r#"upsert teams {"id":2}"#, "checkpoint {}"];
    assert_eq!(operations_of(&whole.update()), rows);

    let early =
        sync!(|operations| operations.reconcile("teams", |operations| operations.checkpoint(&State::default())));
    let early = early.update();
    let message = "no checkpoint before the list for `teams` is complete";
    assert_eq!((early.result.clone(), early.operations()), (Err(Error::internal(message)), Vec::new()));

    // An error that is caught leaves half a list, which must not become durable.
    let caught = sync!(|operations| {
        let _ = operations.reconcile("teams", |_| Err(Error::source("page 2 is gone")));
        Ok(())
    });
    let caught = caught.update();
    assert_eq!((caught.result.clone(), caught.operations()), (Err(Error::internal(message)), Vec::new()));
}

#[test]
fn a_record_can_be_a_part_of_a_row() {
    let sync = sync!(|operations| {
        let order = Record::from(r#"{"id": 7, "price": 1.10, "lines": [{"n": 1}]}"#);
        for line in order.list("lines")? {
            operations.upsert("lines", line.with("order", &order)?)?;
        }
        operations.upsert("orders", order.without("lines")?)
    });
    let rows = [
        r#"upsert lines {"n": 1,"order":{"id": 7, "price": 1.10, "lines": [{"n": 1}]}}"#,
        r#"upsert orders {"id":7,"price":1.10}"#,
    ];
    assert_eq!(operations_of(&sync.update()), rows);
}
