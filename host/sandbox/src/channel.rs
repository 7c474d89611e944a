//! The ordered channel through which a guest's operations leave the sandbox. It holds so many bytes, and few rows of a
//! transaction before the one ahead of it is durable: that is the back-pressure.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use model::error::Error;
use model::{Account, Batch, Hold};

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
    turn: Option<Turn>,
    _room: OwnedSemaphorePermit,
    _held: Hold,
}

/// Kept until a full transaction is durable: until then the guest goes on for a few rows only.
#[derive(Debug)]
pub struct Turn(OwnedSemaphorePermit);

impl Turn {
    /// That transaction will never be durable: the guest is told that the sync has ended when it would go further.
    pub fn lose(self) {
        self.0.semaphore().close();
    }
}

impl Taken {
    /// Some if a transaction is full with this checkpoint.
    pub fn turn(&mut self) -> Option<Turn> {
        self.turn.take()
    }
}

/// A number of rows, and of their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// How many.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
}

impl Load {
    /// Counts more of them.
    pub fn add(&mut self, more: Self) {
        self.rows += more.rows;
        self.bytes += more.bytes;
    }

    /// Whether there are as many rows or as many bytes.
    pub fn reaches(self, other: Self) -> bool {
        self.rows >= other.rows || self.bytes >= other.bytes
    }
}

/// How far a guest may be ahead.
#[derive(Clone, Debug)]
pub struct Lead {
    /// Bytes of operations that the channel holds; one larger than that passes alone.
    pub channel_bytes: u32,
    /// What operations are charged to while they wait.
    pub account: Account,
    /// What fills a transaction; it ends at the next checkpoint.
    pub full: Load,
    /// What may follow a full transaction before that is durable, at most.
    pub ahead: Load,
}

/// The guest's end.
#[derive(Clone, Debug)]
pub struct OperationSender {
    sender: mpsc::Sender<Taken>,
    room: Arc<Semaphore>,
    turn: Arc<Semaphore>,
    /// What was sent since a transaction was full.
    sent: Arc<Mutex<Load>>,
    lead: Lead,
}

/// The sync's end.
pub type OperationReceiver = mpsc::Receiver<Taken>;

/// Why an operation is not taken.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// The receiver is gone: the sync ended.
    Ended,
    /// It takes more memory than there is.
    Memory(Error),
}

/// What an operation takes besides its bytes.
const OPERATION_BYTES: usize = 256;

/// A channel that holds up to 1,024 operations, within these bounds.
pub fn operations(lead: Lead) -> (OperationSender, OperationReceiver) {
    let (sender, receiver) = mpsc::channel(1_024);
    let (room, turn) = (Arc::new(Semaphore::new(lead.channel_bytes as usize)), Arc::new(Semaphore::new(1)));
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

    /// Sends an operation; waits while there is no room, or while it would be too far ahead.
    pub(super) async fn send(&self, operation: Operation) -> Result<(), NotTaken> {
        let turn = self.turn(&operation).await?;
        let bytes = OPERATION_BYTES
            + match &operation {
                Operation::Batch(batch) => batch.rows.len() + batch.table.len(),
                Operation::Save(state) => state.len(),
                Operation::Flush(_) => 0,
            };
        let most = self.lead.channel_bytes;
        let permits = u32::try_from(bytes).map_or(most, |bytes| bytes.min(most));
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| NotTaken::Ended)?;
        let held = self.lead.account.hold(bytes, "a batch of the connector").map_err(NotTaken::Memory)?;
        let taken = Taken { operation, turn, _room: room, _held: held };
        self.sender.send(taken).await.map_err(|_| NotTaken::Ended)
    }

    /// Counts an operation, once it is not too far ahead. A checkpoint behind enough rows gets the turn and starts the count
    /// anew. As the turn comes back when a full transaction is durable, what is not durable is never more than one of those
    /// and what may be ahead of it.
    async fn turn(&self, operation: &Operation) -> Result<Option<Turn>, NotTaken> {
        let sent = *self.sent();
        match operation {
            Operation::Batch(batch) => {
                let mut after = sent;
                after.add(Load { rows: lines(&batch.rows), bytes: batch.rows.len() as u64 });
                if after.rows > self.lead.ahead.rows || after.bytes > self.lead.ahead.bytes {
                    drop(self.come_back().await?);
                }
                *self.sent() = after;
                Ok(None)
            }
            Operation::Save(_) if sent.reaches(self.lead.full) => {
                let turn = self.come_back().await?;
                *self.sent() = Load::default();
                Ok(Some(turn))
            }
            Operation::Save(_) | Operation::Flush(_) => Ok(None),
        }
    }

    /// Waits until the last full transaction is durable.
    async fn come_back(&self) -> Result<Turn, NotTaken> {
        let permit = Arc::clone(&self.turn).acquire_owned();
        tokio::select! {
            permit = permit => permit.map(Turn).map_err(|_| NotTaken::Ended),
            () = self.sender.closed() => Err(NotTaken::Ended),
        }
    }

    fn sent(&self) -> MutexGuard<'_, Load> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
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
    use model::OperationKind;

    fn lead() -> Lead {
        Lead {
            channel_bytes: 1 << 20,
            account: Account::new(1 << 24),
            full: Load { rows: 3, bytes: 1_000 },
            ahead: Load { rows: 1, bytes: 100 },
        }
    }

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

    fn save() -> Operation {
        Operation::Save("1".into())
    }

    /// A checkpoint that fills a transaction with these rows was sent and taken.
    async fn filled(sender: &OperationSender, receiver: &mut OperationReceiver, text: &str) -> Turn {
        assert!(passes(sender, rows(text)).await && passes(sender, save()).await);
        assert!(receiver.recv().await.unwrap().turn().is_none());
        receiver.recv().await.unwrap().turn().unwrap()
    }

    #[tokio::test]
    async fn few_rows_pass_until_the_full_transaction_before_them_is_durable() {
        for text in ["{}\n{}\n{}", &format!("{:1000}", "{}")] {
            let (sender, mut receiver) = operations(lead());
            assert!(passes(&sender, rows("{}\n{}\n")).await && passes(&sender, save()).await);
            assert!(receiver.recv().await.unwrap().turn().is_none() && receiver.recv().await.unwrap().turn().is_none());
            let turn = filled(&sender, &mut receiver, text).await;
            assert!(passes(&sender, rows("{}\n")).await && passes(&sender, save()).await);
            assert!(!passes(&sender, rows("{}\n")).await, "{text:?}");
            drop(turn);
            // The next transaction was counted from that checkpoint on.
            assert!(passes(&sender, rows("{}\n{}\n")).await && passes(&sender, save()).await);
            assert!(!passes(&sender, rows("{}\n{}\n")).await, "{text:?}");
        }
    }

    #[tokio::test]
    async fn large_rows_and_a_second_full_transaction_wait_too() {
        let (sender, mut receiver) = operations(lead());
        let turn = filled(&sender, &mut receiver, "{}\n{}\n{}").await;
        assert!(!passes(&sender, rows(&format!("{:101}", "{}"))).await);
        // A checkpoint and one who waits for what is durable are not held up.
        assert!(passes(&sender, save()).await && passes(&sender, Operation::Flush(oneshot::channel().0)).await);
        drop(turn);
        assert!(passes(&sender, rows("{}\n{}\n{}")).await && passes(&sender, save()).await);
        assert!(!passes(&sender, rows("{}\n{}\n{}")).await);
    }

    #[tokio::test]
    async fn who_waits_for_a_transaction_that_failed_is_told() {
        let (sender, mut receiver) = operations(lead());
        filled(&sender, &mut receiver, "{}\n{}\n{}\n").await.lose();
        assert!(sender.send(rows("{}\n{}\n")).await.is_err());
    }

    #[tokio::test]
    async fn who_waits_is_told_that_the_sync_has_ended() {
        let (sender, mut receiver) = operations(lead());
        let _turn = filled(&sender, &mut receiver, "{}\n{}\n{}\n").await;
        let waits = sender.send(rows("{}\n{}\n"));
        drop(receiver);
        assert!(waits.await.is_err());
    }

    #[tokio::test]
    async fn batches_without_rows_take_room_for_their_names() {
        let (sender, _receiver) = operations(Lead { channel_bytes: 10_000, ..lead() });
        let empty = || {
            let table = "n".repeat(1_000);
            Operation::Batch(Batch { table, kind: OperationKind::Truncate, rows: Vec::new() })
        };
        let mut sent = 0;
        while passes(&sender, empty()).await {
            sent += 1;
        }
        assert_eq!(sent, 10_000 / (1_000 + OPERATION_BYTES));
    }

    #[tokio::test]
    async fn what_there_is_no_memory_for_is_an_error_that_names_the_limit() {
        let (sender, _receiver) = operations(Lead { account: Account::new(10_000), ..lead() });
        let large = format!("{:50}", "{}").repeat(400);
        assert!(matches!(sender.send(rows(&large)).await, Err(NotTaken::Memory(error)) if error.chain().contains("sync-memory-bytes")));
    }

    #[test]
    fn lines_are_counted_with_and_without_an_end() {
        for (text, expected) in [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("\n\n", 2)] {
            assert_eq!(lines(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(lines(&vec![b'\n'; 100_000]), 100_000);
    }
}
