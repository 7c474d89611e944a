//! Copies readings of many stations, several at a time. A station that fails is left for the next sync; when too many
//! do, the source has a problem, and the sync ends.

use elt_sdk::http::encode;
use elt_sdk::prelude::*;

const STATIONS_AT_ONCE: usize = 4;
/// So many failures without a success between them open the circuit.
const FAILURES_MAX: u32 = 3;

struct Stations;

impl Connector for Stations {
    const FIELDS: &[Field] = &[
        Field::required("base_url", "Where the API lives, https://api.example.com for instance."),
        Field::required("api_key", "The key the API asks for.").secret(),
    ];
    const HOSTS: &[&str] = &["{base_url}"];
    const RATE_LIMITS: &[RateLimit] = &[RateLimit::per_second(200)];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("stations", ["id"]), Table::new("readings", ["station", "at"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new(configuration.required("base_url")?).query("key", configuration.required("api_key")?);
        let stations = http.get("stations").page("stations")?;
        operations.upsert_page("stations", &stations)?;

        let mut lists = Vec::new();
        for station in stations.records() {
            let id = station.required("id")?;
            let after = state.slice(&id)?.get("at");
            lists.push((id, after));
        }
        let lists = lists.into_iter().map(|(id, after)| {
            let pages = http.get(format!("stations/{}/readings", encode(&id)));
            (id, pages.pages("readings", Keyset::new("after", "at").unique().more("more").start(after)))
        });

        let mut failures = 0;
        for (id, page) in parallel(STATIONS_AT_ONCE, lists) {
            match page {
                Ok(page) => {
                    failures = 0;
                    operations.upsert_page("readings", &page)?;
                    if let Some(last) = page.last() {
                        state.set(&id, json!({"at": last.required("at")?}))?;
                    }
                    operations.checkpoint(&state)?;
                }
                Err(error) => {
                    failures += 1;
                    warning!("station {id} is left for the next sync: {error}");
                    if failures >= FAILURES_MAX {
                        return Err(error.context(format_args!("{failures} stations failed in a row")));
                    }
                }
            }
        }
        Ok(())
    }
}

elt_sdk::export!(Stations);

#[cfg(test)]
mod tests;
