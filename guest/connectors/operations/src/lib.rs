//! Every kind of operation on one table, the same ones at every sync; there is no source to set up.

use elt_sdk::prelude::*;

struct Planets;

impl Connector for Planets {
    const FIELDS: &[Field] = &[Field::optional("rows", "How many rows to write.").default("10")];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("planets", ["id"])])
    }

    fn update(configuration: &Configuration, mut state: State, operations: &mut Operations) -> Result<()> {
        let rows: u64 = configuration.parse("rows")?;
        let syncs = state.parse_or("syncs", 0)? + 1;

        operations.truncate("planets")?;
        for id in 1..=rows {
            operations.upsert("planets", json!({"id": id, "name": format!("Planet {id}")}))?;
        }
        operations.checkpoint(&state)?;

        operations.update("planets", json!({"id": 1, "name": "Mercury"}))?;
        operations.delete("planets", json!({"id": rows}))?;
        state.set("syncs", syncs)?;
        info!("sync {syncs}: {rows} planets, the first renamed, the last deleted");
        operations.checkpoint(&state)
    }
}

elt_sdk::export!(Planets);

#[cfg(test)]
mod tests;
