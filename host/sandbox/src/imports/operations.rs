//! `operations`: rows on their way out of the sandbox.

use wasmtime::component::Resource;

use super::records::KeptRecords;
use super::{end, not_here, not_taken};
use crate::bindings::elt::connector::operations;
use crate::channel::{Operation, OperationSender};
use crate::instance::Guest;
use crate::world::Crossing;
use model::error::{Code, Error};
use model::schema::NameError;
use model::{Batch, OperationKind};

impl operations::Host for Guest {
    async fn write(&mut self, batches: Vec<operations::Batch>) -> wasmtime::Result<()> {
        let sender = self.writes("operations.write")?;
        for batch in batches {
            let kind = OperationKind::from(batch.kind);
            if kind == OperationKind::Truncate && !batch.rows.is_empty() {
                let message = format!("truncate table \"{}\": the batch has rows", batch.table);
                return Err(end(Error::new(Code::OperationInvalid, message)));
            }
            self.hand_over(&sender, Batch { table: batch.table, kind, rows: batch.rows }).await?;
        }
        Ok(())
    }

    async fn write_records(
        &mut self,
        table: String,
        kind: operations::Kind,
        records: Resource<KeptRecords>,
    ) -> wasmtime::Result<()> {
        let sender = self.writes("operations.write-records")?;
        let kind = OperationKind::from(kind);
        if kind == OperationKind::Truncate {
            let message = format!("truncate table \"{table}\" with records");
            return Err(end(Error::new(Code::OperationInvalid, message)));
        }
        let mut first = 0;
        // The same records may be written again and again: each time their copy is the connector's.
        while let Some((rows, count)) = {
            let (records, rows_max) = (self.resources.get(&records)?, self.limits.batch_rows_max);
            self.cpu.time().charged(|| records.batch(first, rows_max))
        } {
            self.hand_over(&sender, Batch { table: table.clone(), kind, rows }).await?;
            first += count;
        }
        Ok(())
    }
}

impl Guest {
    /// Where operations go, told how much memory the guest has by now.
    fn writes(&self, import: &str) -> wasmtime::Result<OperationSender> {
        self.wires.listener.memory(self.memory.peak_bytes as u64);
        self.wires.operations.clone().ok_or_else(|| not_here(import))
    }

    async fn hand_over(&mut self, sender: &OperationSender, batch: Batch) -> wasmtime::Result<()> {
        check_name(&batch.table).map_err(end)?;
        self.cpu.check().map_err(end)?;
        if let Some(world) = &self.wires.world {
            world.crossed(Crossing::Written(&batch));
        }
        sender.send(Operation::Batch(batch)).await.map_err(not_taken)
    }
}

/// Refuses a name before it waits anywhere: batches without rows have one too.
fn check_name(table: &str) -> Result<(), Error> {
    NameError::check(table).map_err(|error| {
        let shown = &table[..table.floor_char_boundary(200)];
        Error::new(Code::SchemaInvalid, format!("name the table {shown}…")).because(error)
    })
}
