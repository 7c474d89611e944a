//! Copies users by keyset: the last change seen is the next page's cursor, and the next sync's too.

use elt_sdk::prelude::*;

/// Users in one answer of the source.
const PAGE: usize = 50;

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
        // The source has a cursor of its own (`scroll_param`), which skips users that share the last one's second.
        let window = Window::new("updatedAt").key("updated_at").overlap(Duration::ZERO).ordered();
        let mut window = window.resume(&state)?;
        let keyset = Keyset::new("updated_since", "updatedAt").inclusive(PAGE).start(window.since()?);

        for page in http.get("pagination/keyset").pages("data", keyset) {
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
