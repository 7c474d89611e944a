//! Replaces a table by the source's export in CSV: rows that are gone there are marked as deleted here.

use elt_sdk::prelude::*;

struct Export;

impl Connector for Export {
    const FIELDS: &[Field] =
        &[Field::required("base_url", "Where the API lives, https://api.example.com for instance.")];
    const HOSTS: &[&str] = &["{base_url}"];

    /// Values in CSV are texts; what is more than that is declared.
    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        let users = Table::new("users", ["id"]);
        Ok(vec![users.column("createdAt", DataType::UtcDatetime).column("updatedAt", DataType::UtcDatetime)])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let http = Client::new(configuration.required("base_url")?);
        let exported_at = Timestamp::now();
        let rows = http.get("export/csv").stream().send()?.rows(Csv::new().expect(["id"]))?;

        operations.truncate("users")?;
        let mut count = 0;
        for row in rows {
            operations.upsert("users", row?)?;
            count += 1;
        }
        // One checkpoint, at the end: half an export is none.
        info!("{count} users exported at {exported_at}");
        state.set("exported_at", exported_at)?;
        operations.checkpoint(&state)
    }
}

elt_sdk::export!(Export);

#[cfg(test)]
mod tests;
