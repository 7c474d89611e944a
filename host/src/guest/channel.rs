//! The ordered channel through which a guest's operations leave the sandbox. Bounded in bytes: that is the back-pressure.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::model::Batch;

/// One call of the guest, in the order made.
#[derive(Debug)]
pub enum Operation {
    /// Rows, or a truncate.
    Batch(Batch),
    /// A checkpoint with its state.
    Save(String),
    /// The guest waits until everything before is durable.
    Flush(oneshot::Sender<()>),
}

/// An operation that holds its share of the channel's room until it is dropped.
#[derive(Debug)]
pub struct Taken {
    /// What the guest did.
    pub operation: Operation,
    _room: Option<OwnedSemaphorePermit>,
}

/// The guest's end.
#[derive(Clone, Debug)]
pub struct OperationSender {
    sender: mpsc::Sender<Taken>,
    room: Arc<Semaphore>,
    room_bytes: usize,
}

/// The sync's end.
pub type OperationReceiver = mpsc::Receiver<Taken>;

/// The receiver is gone: the sync ended.
#[derive(Debug, thiserror::Error)]
#[error("the sync has ended")]
pub(super) struct Ended;

/// A channel that holds up to `room_bytes` of rows (one batch larger than that passes alone) and 1,024 operations.
pub fn operations(room_bytes: usize) -> (OperationSender, OperationReceiver) {
    let (sender, receiver) = mpsc::channel(1_024);
    let room_bytes = room_bytes.min(Semaphore::MAX_PERMITS);
    (OperationSender { sender, room: Arc::new(Semaphore::new(room_bytes)), room_bytes }, receiver)
}

impl OperationSender {
    /// Ends when operations are no longer taken. Does not keep the channel open.
    pub fn watch(&self) -> impl Future<Output = ()> + use<> {
        let sender = self.sender.downgrade();
        async move {
            // Held only while the guest still holds its own: the update ends first, and then this future is dropped.
            match sender.upgrade() {
                Some(sender) => sender.closed().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Sends an operation; waits while the channel has no room.
    pub(super) async fn send(&self, operation: Operation) -> Result<(), Ended> {
        let bytes = match &operation {
            Operation::Batch(batch) => batch.rows.len(),
            Operation::Save(state) => state.len(),
            Operation::Flush(_) => 0,
        };
        let permits = u32::try_from(bytes.min(self.room_bytes)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| Ended)?;
        self.sender.send(Taken { operation, _room: Some(room) }).await.map_err(|_| Ended)
    }
}
