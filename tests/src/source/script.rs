//! A response body that follows a script: send, wait, break off, never end.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// One thing that a body does.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Sends these bytes.
    Send(Bytes),
    /// Sends these bytes so many times.
    Repeat(Bytes, u64),
    /// Sends these bytes one by one, with a pause before each.
    Drip(Bytes, Duration),
    /// Sends nothing for a while, which also lets what was sent leave the machine.
    Wait(Duration),
    /// Breaks the connection off.
    Break,
}

/// The body.
#[derive(Debug, Default)]
pub(super) struct Script {
    steps: VecDeque<Step>,
    sleep: Option<Pin<Box<Sleep>>>,
}

/// The connection is to be broken off; the text is only seen in logs of the server.
#[derive(Debug)]
pub(super) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken off on purpose")
    }
}

impl std::error::Error for BrokenOff {}

impl From<Infallible> for BrokenOff {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Script {
    pub(super) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), sleep: None }
    }

    /// Sends all of these, one after the other, without joining them in memory.
    pub(super) fn sending(parts: impl IntoIterator<Item = Bytes>) -> Self {
        Self::new(parts.into_iter().filter(|part| !part.is_empty()).map(Step::Send))
    }

    /// Finishes the pause under way, or starts one. Ready when it is over.
    fn pause(&mut self, context: &mut Context<'_>, time: Duration) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        ready!(sleep.as_mut().poll(context));
        self.sleep = None;
        Poll::Ready(())
    }

    /// Puts back what is left of a step.
    fn later(&mut self, step: Step) {
        self.steps.push_front(step);
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let send = |bytes| Poll::Ready(Some(Ok(Frame::data(bytes))));
        loop {
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Send(bytes)) => return send(bytes),
                Some(Step::Repeat(_, 0)) => {}
                Some(Step::Repeat(bytes, times)) => {
                    self.later(Step::Repeat(bytes.clone(), times - 1));
                    return send(bytes);
                }
                Some(Step::Drip(bytes, _)) if bytes.is_empty() => {}
                Some(Step::Drip(mut bytes, time)) => {
                    let waiting = self.pause(context, time).is_pending();
                    let byte = if waiting { Bytes::new() } else { bytes.split_to(1) };
                    self.later(Step::Drip(bytes, time));
                    return if waiting { Poll::Pending } else { send(byte) };
                }
                Some(Step::Wait(time)) => {
                    if self.pause(context, time).is_pending() {
                        self.later(Step::Wait(time));
                        return Poll::Pending;
                    }
                }
                Some(Step::Break) => return Poll::Ready(Some(Err(BrokenOff))),
            }
        }
    }

    /// Exact for bodies that only send, so that the server announces their length.
    fn size_hint(&self) -> SizeHint {
        let mut total = 0;
        for step in &self.steps {
            match step {
                Step::Send(bytes) => total += bytes.len() as u64,
                _ => return SizeHint::default(),
            }
        }
        SizeHint::with_exact(total)
    }
}
