//! What the catalog holds of one connection, as values: for engines whose catalog has to be carried somewhere else.

use super::catalog::{self, Catalog, SYSTEM};
use super::ddl;
use super::engine::{Engine, Scalar, failed};
use crate::{ConnectionRow, StateRow};
use model::error::Result;
use model::schema::TableSchema;

/// A connection's entries in the catalog.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Portrait {
    /// Its row; the fence is 0 where no sync was ever opened.
    pub(crate) row: ConnectionRow,
    /// The states of its last commits, the newest first.
    pub(crate) states: Vec<StateRow>,
    /// Its tables, in the order in which they were made.
    pub(crate) tables: Vec<TableSchema>,
}

impl Portrait {
    /// Reads a connection's entries.
    pub(crate) fn of<E: Engine>(engine: &mut E, connection: &str) -> Result<Self> {
        const READ: &str = "read the warehouse's catalog";
        let mut catalog = Catalog { engine, schema: connection };
        let row = catalog.connection().map_err(failed::<E>(READ))?;
        let states = catalog.states().map_err(failed::<E>(READ))?;
        // Where a catalog is carried, no table keeps its history.
        let tables = catalog.tables(false)?;
        let nobody = || ConnectionRow { connection: connection.to_owned(), ..ConnectionRow::default() };
        Ok(Self { row: row.unwrap_or_else(nobody), states, tables })
    }

    /// Makes the catalog of an engine that has none yet.
    pub(crate) fn make_catalog<E: Engine>(engine: &mut E) -> Result<()> {
        let sql = catalog::create(engine);
        engine.run(&sql).map_err(failed::<E>(format!("make the schema {SYSTEM}")))
    }

    /// Writes the entries into a catalog that has none of this connection.
    pub(crate) fn hang<E: Engine>(&self, engine: &mut E) -> Result<()> {
        let hung = Catalog { engine, schema: &self.row.connection }.add(&self.row, &self.states, &self.tables);
        hung.map_err(failed::<E>("write the warehouse's catalog"))
    }

    /// Makes the connection's schema with an empty `_syncs`.
    pub(crate) fn make_schema<E: Engine>(&self, engine: &mut E) -> Result<()> {
        let sql = ddl::create_connection(engine, &self.row.connection);
        engine.run(&sql).map_err(failed::<E>("make the schema of the connection"))
    }

    /// Makes the connection's tables, all of them empty.
    pub(crate) fn make_tables<E: Engine>(&self, engine: &mut E) -> Result<()> {
        let sql = ddl::migrate(engine, &self.row.connection, &[], &self.tables)?;
        engine.run(&sql).map_err(failed::<E>("make the tables of the connection"))
    }

    /// Notes that there is a connection of this name, of which nothing else needs to be known.
    pub(crate) fn note_name<E: Engine>(engine: &mut E, connection: &str) -> Result<()> {
        let sql = format!(
            "INSERT INTO {} (connection, fence, sequence) VALUES ($1, 0, 0)",
            engine.table(SYSTEM, "connections")
        );
        let noted = engine.execute(&sql, &[Scalar::Text(connection.to_owned())]);
        noted.map(drop).map_err(failed::<E>("write the warehouse's catalog"))
    }
}
