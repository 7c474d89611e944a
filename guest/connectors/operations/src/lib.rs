//! Every kind of operation on a table of its own making, the same ones each time; there is no source to set up.

use elt_sdk::prelude::*;

struct Planets;

impl Connector for Planets {
    const FIELDS: &[Field] = &[Field::optional("rows", "How many rows to write.").default("10")];

    fn schema(_: &Configuration) -> Result<Vec<Table>> {
        Ok(vec![Table::new("planets", ["id"])])
    }

    fn update(
        configuration: &Configuration,
        mut state: State,
        operations: &mut Operations,
    ) -> Result<()> {
        let rows: u64 = configuration.parse("rows")?;
        let run = state.parse_or("run", 0)? + 1;

        operations.truncate("planets")?;
        for id in 1..=rows {
            operations.upsert(
                "planets",
                json!({"id": id, "name": format!("Planet {id}"), "run": run}),
            )?;
        }
        operations.checkpoint(&state)?;

        operations.update("planets", json!({"id": 1, "name": "Mercury"}))?;
        operations.delete("planets", json!({"id": rows}))?;
        info!("run {run}: {rows} planets, the first renamed, the last deleted");
        state.set("run", run)?;
        operations.checkpoint(&state)
    }
}

elt_sdk::export!(Planets);
