//! Accepts connections to the API: so many at one time, and each has so long to say what it wants and to take what it gets.

use std::future::Future as _;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// How long no connection is accepted after the system had none to give, as when there are too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// What a listener bears.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections at one time at most; more wait in the system's queue until one of them ends.
    connections: usize,
    /// How long the head of a request may take at most, from the moment when a request could come: idle connections end too.
    head: Duration,
    /// How long a client may take nothing of what it is sent.
    stall: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 1_024, head: Duration::from_secs(15), stall: Duration::from_secs(30) }
    }
}

/// A connection's place among those that there may be. Every request of it has a clone: whoever goes on with one after its
/// client has gone keeps the place for so long, so that what is worked on is bounded as well.
#[derive(Clone)]
pub(super) struct Slot(#[expect(dead_code, reason = "it is held, not read")] Arc<OwnedSemaphorePermit>);

/// Answers requests until the task is aborted.
pub(super) async fn listen(listener: TcpListener, router: Router, bounds: Bounds) {
    let slots = Arc::new(Semaphore::new(bounds.connections));
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let stream = accept(&listener).await;
        let (answers, slot) = (TowerToHyperService::new(router.clone()), Slot(Arc::new(slot)));
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(slot.clone());
            answers.call(request)
        });
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(bounds.head);
            if let Err(error) = http.serve_connection(TokioIo::new(Taken::new(stream, bounds.stall)), service).await {
                tracing::debug!("a connection to the API has broken off: {error}");
            }
        });
    }
}

/// A connection that breaks off when nothing of what is written is taken for too long.
struct Taken {
    stream: TcpStream,
    stall: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Taken {
    fn new(stream: TcpStream, stall: Duration) -> Self {
        Self { stream, stall, stalled: None }
    }

    /// What came of a write; an error once it has waited too long.
    fn taken<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let until = Instant::now() + self.stall;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(until)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client takes nothing of what it is sent")))
    }
}

impl AsyncRead for Taken {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Taken {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.taken(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.taken(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // It went away while it waited.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!("connections to the API cannot be accepted: {error}");
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";
    /// Longer than anything takes on a busy machine.
    const PATIENCE: Duration = Duration::from_mins(1);

    async fn listening(bounds: Bounds) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // More than the buffers of two sockets hold.
        let much = get(|| async { vec![b'x'; 64 << 20] });
        let router = Router::new().route("/", get(|| async { "here" })).route("/much", much);
        tokio::spawn(listen(listener, router, bounds));
        address
    }

    async fn answered(stream: &mut TcpStream) -> String {
        let mut bytes = [0; 1024];
        let count = timeout(PATIENCE, stream.read(&mut bytes)).await.unwrap().unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    #[tokio::test]
    async fn more_connections_than_there_may_be_wait_for_one_that_ends() {
        let address = listening(Bounds { connections: 2, head: PATIENCE, stall: PATIENCE }).await;
        let (mut first, second) =
            (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        first.write_all(REQUEST).await.unwrap();
        assert!(answered(&mut first).await.ends_with("here"));
        let mut third = TcpStream::connect(address).await.unwrap();
        third.write_all(REQUEST).await.unwrap();
        let early = timeout(Duration::from_millis(200), third.read_u8()).await;
        assert!(early.is_err(), "the third one was answered beside two that are open: {early:?}");
        drop(second);
        assert!(answered(&mut third).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn who_takes_nothing_of_an_answer_is_cut_off() {
        let stall = Duration::from_millis(100);
        let address = listening(Bounds { connections: 1, head: PATIENCE, stall }).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET /much HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
        // The only slot is free again although the first connection is open and has not said goodbye.
        let mut after = TcpStream::connect(address).await.unwrap();
        after.write_all(REQUEST).await.unwrap();
        assert!(answered(&mut after).await.ends_with("here"));
        let mut rest = Vec::new();
        let end = timeout(PATIENCE, idle.read_to_end(&mut rest)).await.unwrap();
        assert!(end.is_err() || rest.len() < 64 << 20, "all of the answer arrived");
    }

    #[tokio::test]
    async fn who_is_silent_or_slow_with_a_head_is_cut_off() {
        let address = listening(Bounds { connections: 1, head: Duration::from_millis(100), stall: PATIENCE }).await;
        // One after the other has the only slot: the next is answered because the one before was cut off.
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut slow = TcpStream::connect(address).await.unwrap();
        let mut after = TcpStream::connect(address).await.unwrap();
        after.write_all(REQUEST).await.unwrap();
        let dribbling = tokio::spawn(async move {
            slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            // A byte in time each, but never a whole head.
            while slow.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(answered(&mut after).await.ends_with("here"));
        assert!(!answered(&mut silent).await.contains(" 200 "));
        timeout(PATIENCE, dribbling).await.unwrap().unwrap();
        // Who had an answer and is idle then has to go as well.
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(REQUEST).await.unwrap();
        assert!(answered(&mut next).await.ends_with("here"));
    }
}
