//! `operations`: rows on their way out of the sandbox.

use super::{end, ended, not_here};
use crate::error::{Code, Error};
use crate::guest::bindings::elt::connector::operations;
use crate::guest::channel::Operation;
use crate::guest::instance::Guest;
use crate::guest::world::Crossing;
use crate::model::{Batch, OperationKind};

impl operations::Host for Guest {
    async fn write(&mut self, batches: Vec<operations::Batch>) -> wasmtime::Result<()> {
        let sender = self.wires.operations.clone().ok_or_else(|| not_here("operations.write"))?;
        self.wires.listener.memory(self.memory.peak_bytes as u64);
        for batch in batches {
            let kind = OperationKind::from(batch.kind);
            if kind == OperationKind::Truncate && !batch.rows.is_empty() {
                let message = format!("truncate table \"{}\": the batch has rows", batch.table);
                return Err(end(Error::new(Code::OperationInvalid, message)));
            }
            let batch = Batch { table: batch.table, kind, rows: batch.rows };
            if let Some(world) = &self.wires.world {
                world.crossed(Crossing::Written(&batch));
            }
            sender.send(Operation::Batch(batch)).await.map_err(|_| ended())?;
        }
        Ok(())
    }
}
