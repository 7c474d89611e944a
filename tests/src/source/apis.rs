//! The small APIs that the connectors of this repository were written for: each with its own pagination, credentials and
//! way to say no. Those of GitHub, Stripe and HubSpot answer as their documentation says.

mod github;
mod helpdesk;
mod hubspot;
mod items;
mod oauth;
mod products;
mod stations;
mod stripe;
mod throttled;

use axum::http::HeaderMap;
use serde_json::Value;

use super::answer::{Answer, Query};
use super::options::Options;

/// A request as the APIs see it.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a Query,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

impl Asked<'_> {
    /// A header's value; empty where it is absent.
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn bearer(&self) -> &str {
        self.header("authorization").strip_prefix("Bearer ").unwrap_or_default()
    }

    /// The body as JSON; null where it is none.
    fn json(&self) -> Value {
        serde_json::from_slice(self.body).unwrap_or_default()
    }

    /// `http://127.0.0.1:PORT` as the client called it.
    fn origin(&self) -> String {
        format!("http://{}", self.header("host"))
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Apis {
    github: github::GitHub,
    items: items::Items,
    oauth: oauth::OAuth,
    throttled: throttled::Throttled,
    stations: stations::Stations,
    contacts: hubspot::Contacts,
    version: u64,
}

impl Apis {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            github: github::GitHub::default(),
            items: items::Items::new(options),
            oauth: oauth::OAuth::default(),
            throttled: throttled::Throttled::default(),
            stations: stations::Stations { broken: options.broken_stations },
            contacts: hubspot::Contacts { count: options.contacts },
            version: options.version,
        }
    }

    /// The answer of the API that lives at this path, if one does.
    pub(super) fn answer(&self, asked: &Asked<'_>) -> Option<Answer> {
        let steps: Vec<&str> = asked.path.split('/').skip(1).collect();
        Some(match steps.as_slice() {
            ["oauth", "token"] => self.oauth.token(asked),
            ["oauth", "projects"] => self.oauth.projects(asked),
            ["items", below @ ..] => self.items.answer(asked, below),
            ["items.csv"] => self.items.export(asked, "csv"),
            ["items.ndjson"] => self.items.export(asked, "ndjson"),
            ["items.xml"] => self.items.export(asked, "xml"),
            ["events"] => self.throttled.events(asked.query),
            ["stations"] => stations::Stations::list(asked.query),
            ["stations", id, "readings"] => self.stations.readings(id, asked.query),
            ["products"] => products::page(asked.query),
            ["feed", "offers.xml"] => products::feed(asked, self.version),
            ["tickets", "changes"] => helpdesk::changes(asked.query, self.version),
            ["repos", owner, name, rest @ ..] => self.github.rest(asked, (owner, name), rest),
            ["graphql"] => github::graphql(asked),
            ["v1", rest @ ..] => stripe::answer(asked, rest, self.version),
            ["crm", "v3", "objects", "contacts", "search"] => self.contacts.search(asked),
            _ => return None,
        })
    }
}
