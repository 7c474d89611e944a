//! Copies customers and charges from Stripe: whole lists at first, afterwards the events that changed them.

use elt_sdk::pagination::Pagination;
use elt_sdk::prelude::*;

/// Stripe forgets events after 30 days.
const EVENTS_KEPT: Duration = Duration::from_hours(24 * 29);
const TABLES: [(&str, &str); 2] = [("customers", "customer."), ("charges", "charge.")];

struct Stripe;

impl Connector for Stripe {
    const FIELDS: &[Field] = &[
        Field::required("api_key", "A restricted key that may read customers, charges and events.").secret(),
        Field::optional("base_url", "Where the API lives.").default("https://api.stripe.com"),
    ];
    const HOSTS: &[&str] = &["{base_url}"];
    const RATE_LIMITS: &[RateLimit] = &[RateLimit::per_second(25)];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(TABLES.map(|(table, _)| Table::new(table, ["id"])).into())
    }

    /// `{"event": …, "at": …}`: the last event that was applied; while the lists are read, `{"from": event, "table": last id}`.
    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new(configuration.required("base_url")?)
            .bearer_auth(configuration.required("api_key")?)
            .header("Stripe-Version", "2025-09-30.clover");
        let at: Option<i64> = state.parse("at")?;
        match (state.get("event"), at) {
            (Some(event), Some(at)) if Timestamp::now() - EVENTS_KEPT < Timestamp::from_unix_seconds(at) => {
                changes(&http, event, &mut state, operations)
            }
            _ => lists(&http, state, operations),
        }
    }
}

/// Writes whole lists. The newest event is looked up before: what changes meanwhile is applied by the next sync.
fn lists(http: &Client, mut state: State, operations: &mut Operations) -> Result<()> {
    if state.get("from").is_none() {
        let newest = http.get("v1/events").query("limit", 1).page("data")?;
        let newest = newest.first().map_or_else(|| "{}".to_owned(), |event| event.json().to_owned());
        state = State::default();
        state.set("from", newest)?;
    }
    for (table, _) in TABLES {
        let after = Keyset::new("starting_after", "id").more("has_more").start(state.get(table));
        for page in http.get(format!("v1/{table}")).query("limit", 100).pages("data", after) {
            let page = page?;
            operations.upsert_page(table, &page)?;
            if let Some(last) = page.last() {
                state.set(table, last.required("id")?)?;
            }
            operations.checkpoint(&state)?;
        }
    }
    let from = state.get_or("from", "{}");
    let from = Record::from(from.as_str());
    let mut done = State::default();
    done.set("event", from.get("id"))?;
    done.set("at", from.get("created").and_then(|at| at.parse::<i64>().ok()))?;
    operations.checkpoint(&done)
}

/// Applies the events since `event`, oldest first.
fn changes(http: &Client, event: String, state: &mut State, operations: &mut Operations) -> Result<()> {
    for page in http.get("v1/events").query("limit", 100).pages("data", Newer { start: event }) {
        let page = page?;
        let mut events: Vec<Record> = page.records().collect();
        events.reverse();
        for event in &events {
            let Event { kind, data } = event.parse()?;
            let object = Record::from(data.object);
            let Some((table, _)) = TABLES.iter().find(|(_, prefix)| kind.starts_with(prefix)) else { continue };
            // `charge.dispute.created` is about a dispute, not a charge.
            if object.get("object").is_none_or(|object| !table.starts_with(&object)) {
                continue;
            }
            if kind.ends_with(".deleted") {
                operations.delete(table, object)?;
            } else {
                operations.upsert(table, object)?;
            }
        }
        if let Some(newest) = events.last() {
            state.set("event", newest.required("id")?)?;
            state.set("at", newest.value("created"))?;
        }
        operations.checkpoint(state)?;
    }
    Ok(())
}

/// An event as far as it matters here.
#[derive(elt_sdk::serde::Deserialize)]
#[serde(crate = "elt_sdk::serde")]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(elt_sdk::serde::Deserialize)]
#[serde(crate = "elt_sdk::serde")]
struct Data<'a> {
    #[serde(borrow)]
    object: &'a elt_sdk::RawValue,
}

/// Pages towards the present: Stripe lists newest first, and `ending_before` gives the page just before an object.
struct Newer {
    start: String,
}

impl Pagination for Newer {
    fn start(&self) -> Option<String> {
        Some(self.start.clone())
    }

    fn next(&mut self, page: &Page) -> Result<Option<String>> {
        let newest = page.first().filter(|_| page.get("has_more").as_deref() == Some("true"));
        newest.map(|event| event.required("id")).transpose()
    }

    fn apply(&self, request: Request, cursor: &str) -> Request {
        request.query("ending_before", cursor)
    }
}

elt_sdk::export!(Stripe);

#[cfg(test)]
mod tests;
