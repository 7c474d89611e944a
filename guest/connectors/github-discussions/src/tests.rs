//! Newest changes first, down to what is known; and errors that come with status 200.

use elt_sdk::testing::{Answer, Test};

use super::*;

fn discussions() -> Test<Discussions> {
    let discussions = Test::new().configuration("owner", "octo").configuration("repository", "fine");
    discussions.configuration("token", "t").now("2024-02-01T00:00:00Z".parse().unwrap())
}

fn page(days: &[u32], next: bool) -> Answer {
    let nodes: Vec<_> =
        days.iter().map(|day| format!(r#"{{"id": "D{day}", "updatedAt": "2024-01-{day:02}T00:00:00Z"}}"#)).collect();
    let info = format!(r#""pageInfo": {{"hasNextPage": {next}, "endCursor": "c{}"}}"#, days.len());
    Answer::json(format!(
        r#"{{"data": {{"repository": {{"discussions": {{"nodes": [{}], {info}}}}}}}}}"#,
        nodes.join(",")
    ))
}

#[test]
fn the_first_sync_reads_all_and_the_next_one_down_to_what_it_knows() {
    let sync = discussions().answers([page(&[9, 8], true), page(&[7], false)]).update();
    assert_eq!((sync.result.clone(), sync.upserts("discussions").len()), (Ok(()), 3));
    let way =
        r#"{"updated_at_pages":{"cursor":"c2","newest":"2024-01-09T00:00:00Z","started":"2024-02-01T00:00:00Z"}}"#;
    assert_eq!(sync.checkpoints(), [way, r#"{"updated_at":"2024-01-09T00:00:00Z"}"#]);
    assert!(sync.asked[1].body().ends_with(r#""variables":{"after":"c2","name":"fine","owner":"octo"}}"#));

    let next = discussions().state(sync.state()).answers([page(&[11, 9, 8], true), page(&[1], false)]).update();
    assert_eq!(next.result, Ok(()));
    assert_eq!(
        (next.upserts("discussions").len(), next.state()),
        (3, Some(r#"{"updated_at":"2024-01-11T00:00:00Z"}"#))
    );
}

#[test]
fn a_repository_that_is_not_there_is_an_error_though_the_status_is_200() {
    let error = r#"{"data": {"repository": null}, "errors": [{"type": "NOT_FOUND", "message": "Could not resolve"}]}"#;
    let sync = discussions().answers([Answer::json(error)]).update();
    let message = "POST https://api.github.com/graphql: status 200: NOT_FOUND: Could not resolve";
    assert_eq!(sync.result, Err(Error::source(message)));
}
