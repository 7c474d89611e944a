//! The ordered channel through which a guest's operations leave the sandbox. It holds so many bytes, and no row of a
//! transaction before the one ahead of it is on its way to the destination: that is the back-pressure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    turn: Option<OwnedSemaphorePermit>,
    _room: OwnedSemaphorePermit,
}

impl Taken {
    /// Whether a transaction is full with this checkpoint. What the guest does next waits until this is dropped, so that
    /// it is never further ahead of what is durable than the transaction being written and the next one.
    pub fn fills_a_transaction(&self) -> bool {
        self.turn.is_some()
    }
}

/// How far a guest may be ahead.
#[derive(Clone, Copy, Debug)]
pub struct Lead {
    /// Bytes of rows that the channel holds; one batch larger than that passes alone.
    pub channel_bytes: usize,
    /// Rows that fill a transaction; it ends at the next checkpoint.
    pub rows: u64,
    /// Bytes of rows that fill a transaction.
    pub bytes: u64,
}

/// The guest's end.
#[derive(Clone, Debug)]
pub struct OperationSender {
    sender: mpsc::Sender<Taken>,
    room: Arc<Semaphore>,
    turn: Arc<Semaphore>,
    sent: Arc<Sent>,
    lead: Lead,
}

/// What was sent since a transaction was full.
#[derive(Debug, Default)]
struct Sent {
    rows: AtomicU64,
    bytes: AtomicU64,
}

/// The sync's end.
pub type OperationReceiver = mpsc::Receiver<Taken>;

/// The receiver is gone: the sync ended.
#[derive(Debug, thiserror::Error)]
#[error("the sync has ended")]
pub(super) struct Ended;

/// A channel that holds up to 1,024 operations, within these bounds.
pub fn operations(lead: Lead) -> (OperationSender, OperationReceiver) {
    let (sender, receiver) = mpsc::channel(1_024);
    let lead = Lead { channel_bytes: lead.channel_bytes.min(Semaphore::MAX_PERMITS), ..lead };
    let (room, turn) = (Arc::new(Semaphore::new(lead.channel_bytes)), Arc::new(Semaphore::new(1)));
    (OperationSender { sender, room, turn, sent: Arc::default(), lead }, receiver)
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

    /// Sends an operation; waits while there is no room.
    pub(super) async fn send(&self, operation: Operation) -> Result<(), Ended> {
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| Ended)?;
        let turn = self.fills_a_transaction(&operation).then_some(turn);
        let bytes = match &operation {
            Operation::Batch(batch) => batch.rows.len(),
            Operation::Save(state) => state.len(),
            Operation::Flush(_) => 0,
        };
        let permits = u32::try_from(bytes.min(self.lead.channel_bytes)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| Ended)?;
        self.sender.send(Taken { operation, turn, _room: room }).await.map_err(|_| Ended)
    }

    /// Counts an operation, and starts anew at a checkpoint behind enough rows.
    fn fills_a_transaction(&self, operation: &Operation) -> bool {
        let Sent { rows, bytes } = &*self.sent;
        match operation {
            Operation::Batch(batch) => {
                rows.fetch_add(lines(&batch.rows), Ordering::Relaxed);
                bytes.fetch_add(batch.rows.len() as u64, Ordering::Relaxed);
                false
            }
            Operation::Save(_) => {
                let is_full =
                    rows.load(Ordering::Relaxed) >= self.lead.rows || bytes.load(Ordering::Relaxed) >= self.lead.bytes;
                if is_full {
                    rows.store(0, Ordering::Relaxed);
                    bytes.store(0, Ordering::Relaxed);
                }
                is_full
            }
            Operation::Flush(_) => false,
        }
    }
}

/// Lines of a text, in pieces whose count fits a byte: the compiler makes vector instructions of that.
fn lines(text: &[u8]) -> u64 {
    let ends: u64 =
        text.chunks(255).map(|piece| u64::from(piece.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>())).sum();
    ends + u64::from(text.last().is_some_and(|byte| *byte != b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OperationKind;

    const LEAD: Lead = Lead { channel_bytes: 1 << 20, rows: 3, bytes: 1_000 };

    fn rows(text: &str) -> Operation {
        Operation::Batch(Batch { table: "t".into(), kind: OperationKind::Upsert, rows: text.into() })
    }

    /// Whether it is sent without anybody taking anything.
    async fn passes(sender: &OperationSender, operation: Operation) -> bool {
        tokio::select! {
            biased;
            sent = sender.send(operation) => sent.is_ok(),
            () = tokio::task::yield_now() => false,
        }
    }

    #[tokio::test]
    async fn rows_wait_until_the_full_transaction_before_them_is_handed_over() {
        for (text, fills) in [("{}\n{}\n", false), ("{}\n{}\n{}", true), (&*format!("{:1000}", "{}"), true)] {
            let (sender, mut receiver) = operations(LEAD);
            assert!(passes(&sender, rows(text)).await && passes(&sender, Operation::Save("1".into())).await);
            assert_eq!(passes(&sender, rows("{}\n")).await, !fills, "{text:?}");
            assert!(!receiver.recv().await.unwrap().fills_a_transaction());
            let checkpoint = receiver.recv().await.unwrap();
            assert_eq!(checkpoint.fills_a_transaction(), fills);
            assert_eq!(passes(&sender, rows("{}\n")).await, !fills);
            drop(checkpoint);
            // The next transaction is counted from here on.
            assert!(passes(&sender, rows("{}\n")).await && passes(&sender, Operation::Save("2".into())).await);
            assert_eq!(passes(&sender, rows("{}\n")).await, fills, "{text:?}");
        }
    }

    #[tokio::test]
    async fn who_waits_is_told_that_the_sync_has_ended() {
        let (sender, receiver) = operations(LEAD);
        assert!(passes(&sender, rows("{}\n{}\n{}\n")).await && passes(&sender, Operation::Save("1".into())).await);
        drop(receiver);
        assert!(sender.send(rows("{}\n")).await.is_err());
    }

    #[test]
    fn lines_are_counted_with_and_without_an_end() {
        for (text, expected) in [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("\n\n", 2)] {
            assert_eq!(lines(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(lines(&vec![b'\n'; 100_000]), 100_000);
    }
}
