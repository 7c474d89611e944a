//! What a connector writes: operations on tables, in order, and the checkpoints between them.

mod buffer;

use serde::Serialize;

use crate::bindings::elt::connector::{operations::Kind, types};
use crate::error::{Error, Result};
use crate::imports;
use crate::pagination::Page;
use crate::record::Row;
use buffer::Buffer;

/// The stream of operations of one sync. They are applied in the order of the calls, over all tables and kinds.
///
/// Rows are collected (1 MiB) and handed over together; a checkpoint and the end of `update` hand over the rest. A row
/// is a [`Record`](crate::record::Record) as the source sent it, or anything that serialises to a JSON object. Operations on a table that this
/// sync does not select are dropped.
///
/// ```
/// use elt_sdk::prelude::*;
///
/// fn write(operations: &mut Operations, state: &State) -> Result<()> {
///     operations.truncate("people")?;
///     operations.upsert("people", json!({"id": 1, "name": "Ada", "born": 1815}))?;
///     operations.update("people", json!({"id": 1, "name": "Ada Lovelace"}))?;
///     operations.delete("people", json!({"id": 2}))?;
///     operations.checkpoint(state)
/// }
/// ```
#[derive(Debug)]
pub struct Operations {
    buffer: Buffer,
    selection: types::Selection,
    probe: Option<Probe>,
    /// Tables whose complete list is being written.
    incomplete: Vec<String>,
}

/// A dry run, for a check: nothing is written, the first operation that needed the source ends it.
#[derive(Debug)]
struct Probe {
    ended: bool,
}

impl Operations {
    pub(crate) fn new(selection: types::Selection) -> Self {
        Self { buffer: Buffer::default(), selection, probe: None, incomplete: Vec::new() }
    }

    /// Operations that write nothing and end the connector's work at the first row or checkpoint.
    pub(crate) fn probe() -> Self {
        Self { probe: Some(Probe { ended: false }), ..Self::new(types::Selection::All) }
    }

    /// Whether the dry run came as far as a row or a checkpoint.
    pub(crate) fn probe_ended(&self) -> bool {
        self.probe.as_ref().is_some_and(|probe| probe.ended)
    }

    /// Whether this sync fills `table`. Ask before work whose rows would be dropped.
    pub fn selects(&self, table: impl AsRef<str>) -> bool {
        match &self.selection {
            types::Selection::All => true,
            types::Selection::Tables(tables) => tables.iter().any(|selected| selected == table.as_ref()),
        }
    }

    /// Replaces the whole row of that key, or adds it; columns absent from `row` become NULL.
    pub fn upsert(&mut self, table: impl AsRef<str>, row: impl Row) -> Result<()> {
        self.push(table, Kind::Upsert, row)
    }

    /// [`upsert`](Self::upsert) for each record of a page, as the source sent it. The cheapest way to write a page: its
    /// records never enter the connector, the host takes them out of the answer.
    pub fn upsert_page(&mut self, table: impl AsRef<str>, page: &Page) -> Result<()> {
        let Some(records) = page.kept() else { return Ok(()) };
        self.go_on()?;
        let table = table.as_ref();
        if self.selects(table) {
            self.buffer.hand_over();
            imports::write_records(table, Kind::Upsert, records);
        }
        Ok(())
    }

    /// [`upsert`](Self::upsert) for each of `rows`.
    pub fn upsert_all(&mut self, table: impl AsRef<str>, rows: impl IntoIterator<Item: Row>) -> Result<()> {
        rows.into_iter().try_for_each(|row| self.upsert(&table, row))
    }

    /// Changes the columns in `row` of the row with its key; without such a row the host ignores and counts it.
    pub fn update(&mut self, table: impl AsRef<str>, row: impl Row) -> Result<()> {
        self.push(table, Kind::Update, row)
    }

    /// Marks the row with that key as deleted; `row` needs the key alone.
    pub fn delete(&mut self, table: impl AsRef<str>, row: impl Row) -> Result<()> {
        self.push(table, Kind::Delete, row)
    }

    /// Marks every row of `table` that was written before as deleted; a later upsert of a key brings its row back.
    pub fn truncate(&mut self, table: impl AsRef<str>) -> Result<()> {
        let table = table.as_ref();
        if self.probe.is_none() && self.selects(table) {
            self.buffer.truncate(table);
        }
        Ok(())
    }

    /// Writes a complete list, and marks the rows of `table` that it does not contain as deleted: for sources that show
    /// only what is left. `list` writes it, all pages of it; no checkpoint is made before its end, and an error deletes
    /// nothing.
    ///
    /// ```
    /// # use elt_sdk::testing::{self, Answer};
    /// use elt_sdk::prelude::*;
    ///
    /// # testing::serve(|_| Answer::json(r#"{"teams": [{"id": 1}]}"#));
    /// fn teams(http: &Client, state: &State, operations: &mut Operations) -> Result<()> {
    ///     operations.reconcile("teams", |operations| {
    ///         for page in http.get("teams").pages("teams", NextUrl::new("next")) {
    ///             operations.upsert_page("teams", &page?)?;
    ///         }
    ///         Ok(())
    ///     })?;
    ///     operations.checkpoint(state)
    /// }
    /// ```
    pub fn reconcile(&mut self, table: impl AsRef<str>, list: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.truncate(&table)?;
        self.incomplete.push(table.as_ref().to_owned());
        // After an error it stays incomplete: whoever catches it makes no checkpoint.
        list(self)?;
        self.incomplete.pop();
        Ok(())
    }

    /// Marks a place to resume from: `state`, a JSON object, becomes durable together with every row written before
    /// it, and the next sync is given the last durable one. Cheap: once a page is right.
    pub fn checkpoint(&mut self, state: &impl Serialize) -> Result<()> {
        self.go_on()?;
        self.complete()?;
        let text = serde_json::to_string(state).map_err(Error::internal)?;
        if !text.starts_with('{') {
            return Err(Error::internal("the state of a checkpoint is no JSON object"));
        }
        self.buffer.hand_over();
        imports::save(&text);
        Ok(())
    }

    /// Returns when everything up to the last checkpoint is durable. Only for sources that must be told so.
    pub fn flush(&mut self) -> Result<()> {
        self.go_on()?;
        self.buffer.hand_over();
        imports::flush();
        Ok(())
    }

    /// The end of a successful `update`.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.complete()?;
        self.buffer.hand_over();
        Ok(())
    }

    /// Whether no list of [`reconcile`](Self::reconcile) is incomplete.
    fn complete(&self) -> Result<()> {
        self.incomplete.last().map_or(Ok(()), |table| {
            Err(Error::internal(format_args!("no checkpoint before the list for `{table}` is complete")))
        })
    }

    fn push(&mut self, table: impl AsRef<str>, kind: Kind, row: impl Row) -> Result<()> {
        self.go_on()?;
        let table = table.as_ref();
        if self.selects(table) { self.buffer.push(table, kind, row) } else { Ok(()) }
    }

    /// Ends a dry run by an error, which the connector's `?` carries out.
    fn go_on(&mut self) -> Result<()> {
        match &mut self.probe {
            None => Ok(()),
            Some(probe) => {
                probe.ended = true;
                Err(Error::internal("the check has seen enough"))
            }
        }
    }
}
