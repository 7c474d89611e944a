//! Copies the records of the CDS demo API into the table `cds_records`, page by page behind a cursor.

use elt_sdk::prelude::*;

struct Cds;

impl Connector for Cds {
    const FIELDS: &[Field] = &[
        Field::required("api_key", "The key the API asks for.").secret(),
        Field::optional("base_url", "Where the API lives.")
            .default("https://sdk-demo-api-dot-internal-sales.uc.r.appspot.com"),
        Field::optional("page_size", "Records in one answer.").default("100"),
    ];
    const HOSTS: &[&str] = &["{base_url}"];
    const NAME: Option<&str> = Some("cds");

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("cds_records", ["record_id"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http =
            Client::new(configuration.required("base_url")?).header("api_key", configuration.required("api_key")?);
        let request = http.get("cds_data").query("page_size", configuration.parse::<u32>("page_size")?);
        let cursor = Cursor::new("cursor", "next_cursor").start(state.get("next_cursor"));

        let mut records = 0;
        for page in request.pages("cds_records", cursor) {
            let page = page?;
            operations.upsert_page("cds_records", &page)?;
            // The last page has no cursor: the next sync begins with that page again.
            state.set("next_cursor", page.place())?;
            operations.checkpoint(&state)?;
            fine!("{} records", page.len());
            records += page.len();
        }
        info!("{records} records in all");
        Ok(())
    }
}

elt_sdk::export!(Cds);

#[cfg(test)]
mod tests;
