//! A connector that writes down how the SDK tells the records of a page apart: `tests/tests/it/splitter.rs` runs it as a
//! component and natively, and compares.

use elt_sdk::prelude::*;

/// Asks for so many pages, and writes a row for each record in them, or for what is wrong with the page.
pub struct Splitter;

impl Connector for Splitter {
    const FIELDS: &[Field] =
        &[Field::required("base_url", "Where the pages are."), Field::required("pages", "How many there are.")];
    const HOSTS: &[&str] = &["{base_url}"];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("records", ["page", "place"]).column("text", DataType::String)])
    }

    fn update(configuration: &Configuration, state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new(configuration.required("base_url")?);
        for number in 0..configuration.parse::<u32>("pages")? {
            match http.get("pages").query("number", number).page("items") {
                Ok(page) => {
                    for (place, record) in page.records().enumerate() {
                        let row = json!({"page": number, "place": place, "text": record.json()});
                        operations.upsert("records", row)?;
                    }
                }
                Err(error) => {
                    operations.upsert("records", json!({"page": number, "place": -1, "text": error.message()}))?;
                }
            }
        }
        operations.checkpoint(&state)
    }
}

elt_sdk::export!(Splitter);
