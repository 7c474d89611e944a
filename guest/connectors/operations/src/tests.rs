//! The stream of operations, word for word.

use elt_sdk::testing::Test;

use super::*;

#[test]
fn every_kind_of_operation_comes_in_order() {
    let sync = Test::<Planets>::new().configuration("rows", "2").update();

    assert_eq!(sync.result, Ok(()));
    assert_eq!(
        sync.operations(),
        [
            "truncate planets",
            r#"upsert planets {"id":1,"name":"Planet 1"}"#,
            r#"upsert planets {"id":2,"name":"Planet 2"}"#,
            "checkpoint {}",
            r#"update planets {"id":1,"name":"Mercury"}"#,
            r#"delete planets {"id":2}"#,
            r#"checkpoint {"syncs":1}"#,
        ]
    );
    assert_eq!(sync.writes, 2);
}

#[test]
fn the_next_sync_counts_on() {
    let first = Test::<Planets>::new().update();
    let next = Test::<Planets>::new().state(first.state()).update();

    assert_eq!(next.upserts("planets").len(), 10);
    assert_eq!(next.state(), Some(r#"{"syncs":2}"#));
}

#[test]
fn a_check_needs_no_source() {
    assert_eq!(Test::<Planets>::new().check(), Ok(()));
}
