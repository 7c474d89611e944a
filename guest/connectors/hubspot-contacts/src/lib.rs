//! Copies HubSpot contacts by the search API, in the order of their changes: a search gives at most 10,000 results, so the
//! next one begins where it ended.

use elt_sdk::RawValue;
use elt_sdk::prelude::*;
use elt_sdk::serde_json;
use std::collections::BTreeMap;

const PAGE: usize = 200;
/// A search leads no further.
const RESULTS_MAX: usize = 10_000;

struct Contacts;

impl Connector for Contacts {
    const FIELDS: &[Field] = &[
        Field::required("token", "The access token of a private app that may read contacts.").secret(),
        Field::optional("properties", "The contact properties to copy, separated by commas.")
            .default("email,firstname,lastname,phone,company,createdate"),
        Field::optional("base_url", "Where the API lives.").default("https://api.hubapi.com"),
    ];
    const HOSTS: &[&str] = &["{base_url}"];
    const RATE_LIMITS: &[RateLimit] = &[RateLimit::per_second(5)];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("contacts", ["id"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new(configuration.required("base_url")?).bearer_auth(configuration.required("token")?);
        let mut properties: Vec<&str> = configuration.required("properties")?.split(',').map(str::trim).collect();
        properties.push("lastmodifieddate");

        loop {
            let window = Window::new("/properties/lastmodifieddate").key("lastmodifieddate").overlap(Duration::ZERO);
            let mut window = window.ordered().resume(&state)?;
            let since = window.since()?.unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned());
            let search = json!({
                "filterGroups": [{"filters": [{"propertyName": "lastmodifieddate", "operator": "GTE", "value": since}]}],
                "sorts": [{"propertyName": "lastmodifieddate", "direction": "ASCENDING"}],
                "properties": properties,
                "limit": PAGE,
            });
            let request = http.post("crm/v3/objects/contacts/search").json(&search).idempotent(true);
            let mut more = false;
            let after = Cursor::new("after", "/paging/next/after").in_body();
            for page in request.pages("results", after).limit(RESULTS_MAX / PAGE) {
                let page = page?;
                page.records().try_for_each(|contact| write(&contact, operations))?;
                window.advance(&page, &mut state)?;
                operations.checkpoint(&state)?;
                more = page.cursor().is_some();
            }
            if !more {
                return Ok(());
            }
            if state.get("lastmodifieddate").as_deref() == Some(&since) {
                let message =
                    "more than 10,000 contacts changed in one instant; the search API does not lead past them";
                return Err(Error::source(message));
            }
        }
    }
}

/// Writes a contact, its properties beside its other fields.
fn write(contact: &Record, operations: &mut Operations) -> Result<()> {
    let mut fields: BTreeMap<&str, &RawValue> = contact.parse()?;
    let properties = fields.remove("properties").ok_or_else(|| Error::source("a contact has no `properties`"))?;
    let mut row: BTreeMap<&str, &RawValue> = serde_json::from_str(properties.get())?;
    row.extend(fields);
    operations.upsert("contacts", row)
}

elt_sdk::export!(Contacts);

#[cfg(test)]
mod tests;
