//! Orders that a source makes ready: how often it is asked, and how it ends.

use std::cell::RefCell;

use elt_sdk::prelude::*;
use elt_sdk::testing::{Answer, Sync, Test};

thread_local! {
    static POLL: RefCell<Option<Poll>> = const { RefCell::new(None) };
}

/// Waits as the test says.
struct Report;

impl Connector for Report {
    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(Vec::new())
    }

    fn update(_: &Configuration, _: State, operations: &mut Operations) -> Result<()> {
        let poll = POLL.take().unwrap();
        let done = Client::new("https://api.test").get("report").poll(&poll)?;
        operations.upsert("x", done)
    }
}

fn wait(poll: Poll, answers: impl IntoIterator<Item = Answer>) -> Sync {
    POLL.set(Some(poll));
    Test::<Report>::new().answers(answers).update()
}

fn status(status: &str) -> Answer {
    Answer::json(format!(r#"{{"job":{{"status":"{status}"}}}}"#))
}

#[test]
fn a_report_is_waited_for_until_it_is_ready() {
    let poll = Poll::new("/job/status", ["DONE", "OK"]).fails(["FAILED"]);
    let sync = wait(poll.clone(), [status("queued"), status("running").header("Retry-After", "7"), status("done")]);
    assert_eq!((&sync.result, sync.upserts("x")), (&Ok(()), vec![r#"{"job":{"status":"done"}}"#]));
    assert_eq!(sync.slept, [Duration::from_secs(1), Duration::from_secs(7)]);

    let sync =
        wait(poll.clone().every(Duration::from_secs(2)), (0..3).map(|_| status("running")).chain([status("OK")]));
    assert_eq!(sync.slept, [Duration::from_secs(2); 3]);

    let sync = wait(Poll::accepted(), [Answer::status(202), Answer::status(202), Answer::json("{}")]);
    assert_eq!((sync.result, sync.slept.len()), (Ok(()), 2));
}

#[test]
fn a_report_that_fails_or_is_never_ready_is_an_error_that_says_so() {
    let poll = Poll::new("/job/status", ["DONE"]).fails(["FAILED"]);
    let sync = wait(poll.clone(), [status("running"), status("failed")]);
    let message = "GET https://api.test/report: status 200: it will not be ready, `/job/status` is failed: ";
    assert!(matches!(sync.result, Err(Error::Source(text)) if text.starts_with(message)));

    let sync = wait(poll.clone().within(Duration::from_mins(10)), (0..99).map(|_| status("running")));
    assert!(matches!(sync.result, Err(Error::Transient(_))));
    let waited: Duration = sync.slept.iter().sum();
    assert!(waited > Duration::from_mins(9) && waited <= Duration::from_mins(10));

    assert!(matches!(wait(poll.clone(), [Answer::json("{}")]).result, Err(Error::Source(_))));
    assert!(matches!(wait(poll, [Answer::status(404)]).result, Err(Error::Source(_))));
}
