//! `operations`: rows on their way out of the sandbox.

use wasmtime::component::Resource;

use super::records::KeptRecords;
use super::{end, ended, not_here};
use crate::bindings::elt::connector::operations;
use crate::channel::{Operation, OperationSender};
use crate::instance::Guest;
use crate::world::Crossing;
use model::error::{Code, Error};
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
        while let Some((rows, count)) = self.resources.get(&records)?.batch(first, self.limits.batch_rows_max) {
            self.hand_over(&sender, Batch { table: table.clone(), kind, rows }).await?;
            first += count;
        }
        Ok(())
    }
}

fn too_long(table: &str, bytes_max: usize) -> Error {
    let message = format!(
        "write a batch to table \"{table}\": with the secrets that its source repeats, it has more than {bytes_max} bytes (limit \
         call-bytes)"
    );
    Error::new(Code::LimitCallBytes, message).hint("The connector hands over fewer rows at one time.")
}

impl Guest {
    /// Where operations go, told how much memory the guest has by now.
    fn writes(&self, import: &str) -> wasmtime::Result<OperationSender> {
        self.wires.listener.memory(self.memory.peak_bytes as u64);
        self.wires.operations.clone().ok_or_else(|| not_here(import))
    }

    async fn hand_over(&mut self, sender: &OperationSender, batch: Batch) -> wasmtime::Result<()> {
        if let Some(world) = &self.wires.world {
            world.crossed(Crossing::Written(&batch));
        }
        let bytes_max = usize::try_from(self.limits.call_bytes_max).unwrap_or(usize::MAX);
        let Some(rows) = self.wires.secrets.put_back(batch.rows, bytes_max) else {
            return Err(end(too_long(&batch.table, bytes_max)));
        };
        let batch = Batch { rows, ..batch };
        sender.send(Operation::Batch(batch)).await.map_err(|_| ended())
    }
}
