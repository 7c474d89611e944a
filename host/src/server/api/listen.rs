//! Accepts connections to the API: so many at one time, and each has so long to say what it wants.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How long no connection is accepted after the system had none to give, as when there are too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// What a listener bears.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections at one time; more wait in the system's queue until one of them ends.
    connections_max: usize,
    /// How long the head of a request may take, from the moment when a request could come: idle connections end too.
    head_max: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections_max: 1_024, head_max: Duration::from_secs(15) }
    }
}

/// Answers requests until the task is aborted.
pub(super) async fn listen(listener: TcpListener, router: Router, bounds: Bounds) {
    let slots = Arc::new(Semaphore::new(bounds.connections_max));
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let stream = accept(&listener).await;
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(bounds.head_max);
            if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!("a connection to the API has broken off: {error}");
            }
            drop(slot);
        });
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
                tokio::time::sleep(ACCEPT_AGAIN).await;
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
        tokio::spawn(listen(listener, Router::new().route("/", get(|| async { "here" })), bounds));
        address
    }

    async fn answered(stream: &mut TcpStream) -> String {
        let mut bytes = [0; 1024];
        let count = timeout(PATIENCE, stream.read(&mut bytes)).await.unwrap().unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    #[tokio::test]
    async fn more_connections_than_there_may_be_wait_for_one_that_ends() {
        let address = listening(Bounds { connections_max: 2, head_max: PATIENCE }).await;
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
    async fn who_is_silent_or_slow_with_a_head_is_cut_off() {
        let address = listening(Bounds { connections_max: 1, head_max: Duration::from_millis(100) }).await;
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
