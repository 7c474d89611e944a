//! Waits for what a source makes ready on order: a report, an export. Asks for its status until it is done.

use std::time::Duration;

use super::request::Request;
use crate::error::{Error, Result};
use crate::imports;
use crate::json::{self, Path};
use crate::record::{Record, start_of};

/// What the status of an order is called, and how patient to be. The waits are the host's; an answer's `Retry-After` is
/// kept to. Status 202 always means that it is not ready.
///
/// ```
/// # use elt_sdk::testing::{self, Answer};
/// use elt_sdk::prelude::*;
///
/// # let mut asked = 0;
/// # testing::serve(move |request| { asked += 1; match (request.method(), asked) {
/// #     ("POST", _) => Answer::json(r#"{"id": "r1"}"#),
/// #     (_, 2) => Answer::json(r#"{"status": "RUNNING"}"#),
/// #     _ => Answer::json(r#"{"status": "DONE", "url": "/files/r1"}"#),
/// # }});
/// fn report(http: &Client, state: &mut State, operations: &mut Operations) -> Result<String> {
///     if state.get("report").is_none() {
///         let ordered = http.post("reports").json(&json!({"kind": "orders"})).send()?.record()?;
///         state.set("report", ordered.required("id")?)?;
///         operations.checkpoint(state)?; // a sync that is interrupted goes on waiting for this one
///     }
///     let status = http.get(format!("reports/{}", state.get_or("report", "")));
///     let done = status.poll(&Poll::new("status", ["DONE"]).fails(["FAILED", "CANCELLED"]))?;
///     state.remove("report");
///     done.required("url")
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use = "it is for Request::poll"]
pub struct Poll {
    field: Option<Path>,
    done: Vec<String>,
    failed: Vec<String>,
    every: Option<Duration>,
    within: Duration,
}

/// The first wait; the next ones are half as long again each, up to `EVERY_MAX`.
const EVERY_MIN: Duration = Duration::from_secs(1);
const EVERY_MAX: Duration = Duration::from_secs(30);

impl Poll {
    /// It is ready where the answer's `field`, a name or a JSON pointer, is one of `done`, in whatever case. Every other
    /// value means that it is under way.
    pub fn new<const N: usize>(field: &str, done: [&str; N]) -> Self {
        Self { field: Some(Path::new(field)), done: done.map(str::to_owned).into(), ..Self::accepted() }
    }

    /// It is ready where the answer has another status than 202.
    pub fn accepted() -> Self {
        Self { field: None, done: Vec::new(), failed: Vec::new(), every: None, within: Duration::from_hours(1) }
    }

    /// These values mean that it will never be ready: a source error.
    pub fn fails<const N: usize>(mut self, failed: [&str; N]) -> Self {
        self.failed = failed.map(str::to_owned).into();
        self
    }

    /// Asks so often, instead of after 1 s at first and every 30 s in the end.
    pub fn every(mut self, every: Duration) -> Self {
        self.every = Some(every.max(Duration::from_millis(100)));
        self
    }

    /// Waits so long in all, instead of an hour; then it is a transient error.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Asks until it is ready, and gives the answer that says so.
    pub(super) fn wait(&self, request: &Request) -> Result<Record<'static>> {
        let (mut waited, mut pause) = (Duration::ZERO, self.every.unwrap_or(EVERY_MIN));
        loop {
            let answer = request.clone().send()?.error_for_status()?;
            let (place, accepted, retry_after) = (answer.name(), answer.status() == 202, answer.retry_after());
            let body = if accepted { String::new() } else { answer.text()? };
            if !accepted && self.is_ready(&body).map_err(|error| error.context(&place))? {
                return Ok(Record::from(body));
            }
            let wait = retry_after.filter(|wait| !wait.is_zero()).unwrap_or(pause);
            if waited + wait > self.within {
                let problem = format_args!("{place}: it is not ready after {} s", waited.as_secs());
                return Err(Error::transient(problem));
            }
            imports::sleep(wait);
            waited += wait;
            pause = self.every.unwrap_or_else(|| (pause * 3 / 2).min(EVERY_MAX));
        }
    }

    fn is_ready(&self, body: &str) -> Result<bool> {
        let Some(field) = &self.field else {
            return Ok(true);
        };
        let status = json::search(body, field)?.and_then(json::text);
        let missing =
            || Error::source(format_args!("there is no `{field}` to tell whether it is ready: {}", start_of(body)));
        let status = status.ok_or_else(missing)?;
        let is_one = |of: &[String]| of.iter().any(|value| value.eq_ignore_ascii_case(&status));
        if is_one(&self.failed) {
            return Err(Error::source(format_args!("it will not be ready, `{field}` is {status}: {}", start_of(body))));
        }
        Ok(is_one(&self.done))
    }
}
