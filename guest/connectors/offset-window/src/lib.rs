//! Copies orders by offset, again from a little before the last change it saw: late changes are not missed.

use elt_sdk::prelude::*;

struct Orders;

impl Connector for Orders {
    const FIELDS: &[Field] = &[
        Field::required("api_key", "The key the API asks for.").secret(),
        Field::required("base_url", "Where the API lives, https://api.example.com for instance."),
        Field::optional("page_size", "Orders in one answer.").default("100"),
        Field::optional("overlap_minutes", "How far back from the last change to read again.").default("60"),
    ];
    const HOSTS: &[&str] = &["{base_url}"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("orders", ["id"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let overlap = Duration::from_mins(configuration.parse("overlap_minutes")?);
        let mut window = Window::new("updated_at").overlap(overlap).resume(&state)?;

        let http =
            Client::new(configuration.required("base_url")?).header("api_key", configuration.required("api_key")?);
        let request = http.get("offset/orders").query_if("updated_since", window.since()?);
        let offset = Offset::new("offset", "limit", configuration.parse("page_size")?).total("total");

        for page in request.pages("orders", offset) {
            let page = page?;
            operations.upsert_page("orders", &page)?;
            // Orders come in no order of time: until the last page, a resumed sync begins where this one began.
            window.advance(&page, &mut state)?;
            operations.checkpoint(&state)?;
        }
        Ok(())
    }
}

elt_sdk::export!(Orders);

#[cfg(test)]
mod tests;
