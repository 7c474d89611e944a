//! Copies users along the next page's URL, in the order of their changes: the state moves on with every page.

use elt_sdk::prelude::*;

struct Users;

impl Connector for Users {
    const FIELDS: &[Field] =
        &[Field::required("base_url", "Where the API lives, https://api.example.com for instance.")];
    const HOSTS: &[&str] = &["{base_url}"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("users", ["id"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new(configuration.required("base_url")?);
        let request = http.get("pagination/next_page_url").query("per_page", 50).query("order_by", "updatedAt");
        // The source gives users of that instant again, so that none of the same instant is missed.
        let window = Window::new("updatedAt").key("updated_at").overlap(Duration::ZERO).ordered();
        let mut window = window.resume(&state)?;
        let request = request.query_if("updated_since", window.since()?);

        for page in request.pages("data", NextUrl::new("next_page_url")) {
            let page = page?;
            operations.upsert_page("users", &page)?;
            window.advance(&page, &mut state)?;
            operations.checkpoint(&state)?;
        }
        Ok(())
    }
}

elt_sdk::export!(Users);

#[cfg(test)]
mod tests;
