//! Copies events from a source that complains in the body of a 200: the request is sent again when the source has caught
//! its breath.

use elt_sdk::prelude::*;

struct Events;

impl Connector for Events {
    const FIELDS: &[Field] = &[
        Field::required("base_url", "Where the API lives, https://api.example.com for instance."),
        Field::optional("page_size", "Events in one answer.").default("100"),
    ];
    const HOSTS: &[&str] = &["{base_url}"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("events", ["id"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new(configuration.required("base_url")?).judge(judge);
        let request = http.get("events").query("limit", configuration.parse::<u32>("page_size")?);

        for page in request.pages("events", Keyset::new("after_id", "id").start(state.get("id"))) {
            let page = page?;
            operations.upsert_page("events", &page)?;
            if let Some(last) = page.last() {
                state.set("id", last.required("id")?)?;
            }
            operations.checkpoint(&state)?;
        }
        Ok(())
    }
}

/// `{"error": "throttled", "wait_ms": 50}` passes, another `error` does not.
fn judge(answer: &Response, body: &str) -> Result<()> {
    // Errors are short; a page of events need not be searched for one.
    let body = Record::from(if body.len() < 1000 { body } else { "{}" });
    let wait = body.get("wait_ms").and_then(|wait| wait.parse().ok()).map(Duration::from_millis);
    match body.get("error").as_deref() {
        None => Ok(()),
        Some("throttled") => Err(Error::rate_limited(format_args!("{} throttles", answer.url()), wait)),
        Some(error) => Err(Error::source(error)),
    }
}

elt_sdk::export!(Events);

#[cfg(test)]
mod tests;
