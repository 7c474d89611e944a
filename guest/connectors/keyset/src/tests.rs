//! Users who share an instant with the last one of a page are not missed.

use elt_sdk::testing::{Answer, Test};

use super::*;

fn page(instants: &[u32]) -> Answer {
    let users = instants
        .iter()
        .enumerate()
        .map(|(id, minute)| format!(r#"{{"id": {id}, "updatedAt": "2024-01-01T00:{minute:02}:00Z"}}"#));
    Answer::json(format!(r#"{{"data": [{}], "scroll_param": null}}"#, users.collect::<Vec<_>>().join(",")))
}

fn users() -> Test<Users> {
    Test::new().configuration("base_url", "https://api.test")
}

#[test]
fn the_last_change_is_the_cursor_of_the_next_page_and_the_next_sync() {
    let sync = users().answers([page(&[1, 2]), page(&[2, 3]), page(&[3])]).update();
    assert_eq!(sync.result, Ok(()));
    let asked: Vec<_> = sync.asked.iter().map(|asked| asked.query("updated_since")).collect();
    let at = |minute: u32| Some(format!("2024-01-01T00:{minute:02}:00Z"));
    assert_eq!(asked, [None, at(2), at(3)]);

    let next = users().state(sync.state()).answers([page(&[3])]).update();
    assert_eq!((next.result, next.asked.len()), (Ok(()), 1));
}

#[test]
fn a_page_of_one_instant_is_an_error_and_not_the_end() {
    let sync = users().answers([page(&[1, 5]), page(&[5; PAGE])]).update();
    assert!(
        sync.result.unwrap_err().message().ends_with("a page is full of records with one and the same `updatedAt`")
    );
}
