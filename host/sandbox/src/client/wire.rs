//! The bytes of a body as they come from the network: counted, and watched for sources that fall silent or trickle.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tokio::time::{Instant, Sleep};

use super::{Stats, Timing};

/// Why the bytes stopped coming.
#[derive(Debug)]
pub(super) enum WireError {
    /// No byte for this long.
    Silent(Duration),
    /// Fewer bytes than this within so much time of waiting.
    Trickling(u64, Duration),
    /// The connection failed.
    Broken(reqwest::Error),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(time) => write!(f, "no byte came for {time:?} (limit silence)"),
            Self::Trickling(bytes, time) => {
                write!(f, "fewer than {bytes} bytes came in {time:?} (limit bytes-per-minute-min)")
            }
            Self::Broken(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WireError {}

/// The body of an answer, undecoded.
pub(super) struct Wire {
    bytes: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>,
    timing: Timing,
    stats: Arc<Stats>,
    /// Set while the source is waited for, and only then: a guest may take its time.
    waiting: Option<Waiting>,
    /// How long the source was waited for in this window, and what came.
    waited: Duration,
    received: u64,
}

struct Waiting {
    since: Instant,
    end: Pin<Box<Sleep>>,
}

impl Wire {
    pub(super) fn new(response: reqwest::Response, timing: Timing, stats: Arc<Stats>) -> Self {
        let bytes = Box::pin(response.bytes_stream());
        Self { bytes, timing, stats, waiting: None, waited: Duration::ZERO, received: 0 }
    }

    /// Counts a piece; fails if the last window brought too little.
    fn take(&mut self, piece: &Bytes) -> Result<(), WireError> {
        self.stats.count_wire_bytes(piece.len() as u64);
        self.received += piece.len() as u64;
        let Some(waiting) = self.waiting.take() else { return Ok(()) };
        self.waited += waiting.since.elapsed();
        if self.waited < self.timing.trickle_window {
            return Ok(());
        }
        let (waited, received) = (std::mem::take(&mut self.waited), std::mem::take(&mut self.received));
        if received < self.timing.trickle_bytes_min {
            return Err(WireError::Trickling(self.timing.trickle_bytes_min, waited));
        }
        Ok(())
    }
}

impl Stream for Wire {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let wire = self.get_mut();
        match wire.bytes.as_mut().poll_next(context) {
            Poll::Ready(Some(Ok(piece))) => {
                Poll::Ready(Some(wire.take(&piece).map(|()| piece).map_err(io::Error::other)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(io::Error::other(WireError::Broken(error))))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let silence = wire.timing.silence;
                let waiting = wire.waiting.get_or_insert_with(|| Waiting {
                    since: Instant::now(),
                    end: Box::pin(tokio::time::sleep(silence)),
                });
                waiting.end.as_mut().poll(context).map(|()| Some(Err(io::Error::other(WireError::Silent(silence)))))
            }
        }
    }
}
