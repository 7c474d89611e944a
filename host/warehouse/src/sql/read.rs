//! Looking at a warehouse without a sync: tables, connections and their states; setting a state; forgetting a connection.

use super::catalog::{self, Catalog, SYSTEM, natural};
use super::ddl::{SYNCS, quoted};
use super::engine::{Engine, failed};
use super::transaction;
use crate::{ConnectionRow, Dropped, StateRow, TableColumn, TableInfo, Warehouse};
use model::error::{Code, Error, Result};
use model::schema::{ACTIVE, TableSchema};

impl<E: Engine> Warehouse for E {
    fn tables(&mut self) -> Result<Vec<TableInfo>> {
        let mut found = Vec::new();
        let has_history = has_history(self)?;
        for row in self.connections()? {
            for table in (Catalog { engine: self, schema: &row.connection }).tables(has_history)? {
                found.push(table_info(self, &row.connection, table)?);
            }
        }
        Ok(found)
    }

    fn connections(&mut self) -> Result<Vec<ConnectionRow>> {
        let census = self.census(&[SYSTEM]).map_err(failed::<E>("read the list of tables"))?;
        if census.is_empty() {
            return Ok(Vec::new());
        }
        let mut catalog = Catalog { engine: self, schema: SYSTEM };
        catalog.check_format()?;
        catalog.connections().map_err(failed::<E>("read the connections"))
    }

    fn states(&mut self, connection: &str) -> Result<Vec<StateRow>> {
        let states = Catalog { engine: self, schema: connection }.states();
        states.map_err(failed::<E>("read the history of states"))
    }

    fn set_state(&mut self, connection: &str, state: Option<String>, committed_at_us: i64) -> Result<u64> {
        transaction(self, |engine| {
            let mut catalog = Catalog { engine, schema: connection };
            let row = catalog.connection().map_err(failed::<E>("read the connection"))?.unwrap_or_default();
            let row = ConnectionRow {
                fence: row.fence + 1,
                sequence: row.sequence + 1,
                state,
                committed_at_us: Some(committed_at_us.max(row.committed_at_us.unwrap_or(0) + 1)),
                // Rows that a full refresh has not seen yet may lie before or behind the new state.
                refresh: None,
                ..row
            };
            if catalog.set_state(&row).map_err(failed::<E>("save the state"))? {
                return Ok(row.sequence);
            }
            Err(Error::new(Code::FencedOff, "set the state: a sync took over at the same time")
                .hint("Run it again when no sync of the connection is under way."))
        })
    }

    fn reset(&mut self, connection: &str) -> Result<Dropped> {
        transaction(self, |engine| drop_all(engine, connection))
    }
}

fn has_history<E: Engine>(engine: &mut E) -> Result<bool> {
    let census = engine.census(&[SYSTEM]).map_err(failed::<E>("read the list of tables"))?;
    Ok(catalog::has_history(&census))
}

fn table_info<E: Engine>(engine: &mut E, schema: &str, table: TableSchema) -> Result<TableInfo> {
    let name = engine.table(schema, &table.name);
    let extent = engine.extent(schema, &table).map_err(failed::<E>(format!("count the rows of {name}")))?;
    let key = table.key;
    let columns = table.columns.into_iter().enumerate().map(|(index, column)| TableColumn {
        source_name: column.source_name,
        name: column.name,
        column_type: column.column_type,
        declared: column.declared,
        is_key: key.contains(&index),
    });
    Ok(TableInfo {
        connection: schema.to_owned(),
        name: table.name,
        source_name: table.source_name,
        rows: extent.live,
        deleted_rows: extent.deleted,
        versions: table.history.then_some(extent.rows),
        columns: columns.collect(),
        synced_at_us: extent.synced_at_us,
    })
}

/// How many rows that are not deleted a table has, those of the transaction under way among them.
pub(super) fn live<E: Engine>(engine: &mut E, schema: &str, table: &TableSchema) -> Result<u64> {
    let name = engine.table(schema, &table.name);
    engine.live(schema, table).map_err(failed::<E>(format!("count the rows of {name}")))
}

/// How many rows that are not deleted each table has.
pub(super) fn count<E: Engine>(engine: &mut E, schema: &str, tables: &[TableSchema]) -> Result<Vec<u64>> {
    /// Tables counted by one statement.
    const TABLES_MAX: usize = 100;
    let mut counts = Vec::with_capacity(tables.len());
    for some in tables.chunks(TABLES_MAX) {
        let one = |(index, table): (usize, &TableSchema)| {
            let name = engine.table(schema, &table.name);
            if table.history {
                return format!("SELECT {index} AS i, count(*) AS n FROM {name} WHERE {}", quoted(ACTIVE));
            }
            format!("SELECT {index} AS i, {}", engine.count_live(&name))
        };
        let all: Vec<String> = some.iter().enumerate().map(one).collect();
        let sql = format!("SELECT n FROM ({}) AS counts ORDER BY i", all.join(" UNION ALL "));
        let rows = engine.query(&sql, &[]).map_err(failed::<E>("count the rows of the tables"))?;
        counts.extend(rows.iter().map(|row| natural(row, 0)));
    }
    Ok(counts)
}

fn drop_all<E: Engine>(engine: &mut E, schema: &str) -> Result<Dropped> {
    let has_history = has_history(engine)?;
    let mut catalog = Catalog { engine, schema };
    let tables: Vec<String> = catalog.tables(has_history)?.into_iter().map(|table| table.name).collect();
    catalog.forget(has_history).map_err(failed::<E>("forget the state"))?;
    let names: Vec<&str> = tables.iter().map(String::as_str).chain([SYNCS]).collect();
    engine.drop_tables(schema, &names).map_err(failed::<E>(format!("drop the tables of {}", quoted(schema))))?;
    let sql = engine.drop_schema(schema);
    let bare = !sql.is_empty() && engine.is_bare(schema).map_err(failed::<E>("look for what else is in the schema"))?;
    if bare {
        engine.run(&sql).map_err(failed::<E>(format!("drop the schema {}", quoted(schema))))?;
    }
    Ok(Dropped { tables, schema: bare })
}
