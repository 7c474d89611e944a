//! `checkpoint`: marks in the stream of operations.

use tokio::sync::oneshot;

use super::{end, ended, not_here, not_taken};
use crate::bindings::elt::connector::checkpoint;
use crate::channel::Operation;
use crate::instance::Guest;
use crate::world::Crossing;
use model::error::{Code, Error};

impl checkpoint::Host for Guest {
    async fn save(&mut self, state: String) -> wasmtime::Result<()> {
        let sender = self.wires.operations.clone().ok_or_else(|| not_here("checkpoint.save"))?;
        if state.len() as u64 > self.limits.state_bytes_max {
            let message =
                format!("save a state of {} bytes (limit state-bytes: {})", state.len(), self.limits.state_bytes_max);
            let hint = "A state holds cursors, not records; raise the limit with --limit state-bytes=… if it must.";
            return Err(end(Error::new(Code::LimitState, message).hint(hint)));
        }
        let read = || serde_json::from_str::<serde::de::IgnoredAny>(&state);
        if let Err(error) = self.cpu.time().charged(read) {
            let message = "save a state that is not JSON";
            return Err(end(Error::new(Code::ConnectorFailed, message).because(error)));
        }
        if let Some(world) = &self.wires.world {
            world.crossed(Crossing::Saved(&state));
        }
        sender.send(Operation::Save(state)).await.map_err(not_taken)
    }

    async fn flush(&mut self) -> wasmtime::Result<()> {
        let sender = self.wires.operations.clone().ok_or_else(|| not_here("checkpoint.flush"))?;
        if let Some(world) = &self.wires.world {
            world.crossed(Crossing::Flushed);
        }
        let (done, durable) = oneshot::channel();
        sender.send(Operation::Flush(done)).await.map_err(not_taken)?;
        durable.await.map_err(|_| ended())
    }
}
