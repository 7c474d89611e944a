//! The requests as GitHub wants them, and how it says that it has had enough of them.

use elt_sdk::testing::{Answer, Test};

use super::*;

fn issues() -> Test<Issues> {
    let issues = Test::new().configuration("owner", "octo").configuration("repository", "fine");
    issues.configuration("token", "t").now("2024-01-01T00:00:00Z".parse().unwrap())
}

fn page(updated_at: &str) -> Answer {
    Answer::json(format!(r#"[{{"id": 1, "updated_at": "{updated_at}"}}]"#))
}

#[test]
fn both_lists_are_read_along_the_link_and_since_their_last_change() {
    let link = r#"<https://api.github.com/repositories/1/issues?page=2>; rel="next""#;
    let answers = [page("2023-12-30T00:00:00Z").header("link", link), page("2023-12-31T00:00:00Z"), Answer::json("[]")];
    let sync = issues().state(r#"{"comments":"2023-01-01T00:00:00Z"}"#).answers(answers).update();
    assert_eq!(sync.result, Ok(()));
    let repository = "GET https://api.github.com/repos/octo/fine";
    let requests = [
        format!("{repository}/issues?state=all&sort=updated&direction=asc&per_page=100"),
        "GET https://api.github.com/repositories/1/issues?page=2".to_owned(),
        format!("{repository}/issues/comments?sort=updated&direction=asc&per_page=100&since=2023-01-01T00%3A00%3A00Z"),
    ];
    assert_eq!(sync.requests(), requests);
    assert_eq!(sync.asked[1].header("x-github-api-version").as_deref(), Some("2022-11-28"));
    assert_eq!(sync.state(), Some(r#"{"comments":"2023-01-01T00:00:00Z","issues":"2023-12-31T00:00:00Z"}"#));
}

#[test]
fn a_403_that_is_a_rate_limit_is_waited_out_and_another_is_a_refusal() {
    let over = |name: &str, value: &str| {
        let answer = Answer::status(403).header("x-ratelimit-remaining", "0").header(name, value);
        answer.body(r#"{"message": "API rate limit exceeded"}"#)
    };
    let only = |answer: Answer| issues().select(["comments"]).answers([answer, Answer::json("[]")]).update();
    let reset = only(over("x-ratelimit-reset", "1704067290"));
    assert_eq!((reset.result, reset.slept), (Ok(()), vec![Duration::from_secs(90)]));
    let secondary = only(over("retry-after", "60"));
    assert_eq!((secondary.result, secondary.slept), (Ok(()), vec![Duration::from_mins(1)]));
    let long = only(over("x-ratelimit-reset", "1704069000"));
    let message = "API rate limit exceeded";
    assert_eq!(long.result, Err(Error::rate_limited(message, Some(Duration::from_mins(30)))));
    assert!(matches!(only(Answer::status(403)).result, Err(Error::Authentication(_))));
}
