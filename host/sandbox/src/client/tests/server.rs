//! A server that answers with the very bytes a test gives it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does about a request.
pub(super) enum Act {
    Send(Vec<u8>),
    Wait(Duration),
    /// Leaves the connection open and says nothing more.
    Hang,
    Close,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    head: String,
    pub(super) body: Vec<u8>,
}

impl Seen {
    /// Method and target.
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1")
    }

    /// The value of a header field.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

#[derive(Default)]
struct Log {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    busy: AtomicUsize,
    busiest: AtomicUsize,
}

/// A running server; it stops when it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    log: Arc<Log>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Starts a server; `answer` is told how many requests came before and what was asked.
    pub(super) async fn start(answer: impl Fn(usize, &Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (log, answer) = (Arc::new(Log::default()), Arc::new(answer));
        let shared = Arc::clone(&log);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                log.connections.fetch_add(1, Ordering::SeqCst);
                log.open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    serve(stream, &log, answer.as_ref()).await;
                    log.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, log, task }
    }

    /// A server that gives every request the same answer.
    pub(super) async fn same(answer: Vec<u8>) -> Self {
        Self::start(move |_, _| vec![Act::Send(answer.clone())]).await
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn url_as(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.port())
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.log.seen.lock().unwrap().clone()
    }

    /// Connections accepted so far.
    pub(super) fn connections(&self) -> usize {
        self.log.connections.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub(super) fn open(&self) -> usize {
        self.log.open.load(Ordering::SeqCst)
    }

    /// The most requests answered at the same time.
    pub(super) fn busiest(&self) -> usize {
        self.log.busiest.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, log: &Log, answer: &(impl Fn(usize, &Seen) -> Vec<Act> + Send + Sync)) {
    let mut input = Vec::new();
    while let Some(seen) = receive(&mut stream, &mut input).await {
        let before = {
            let mut all = log.seen.lock().unwrap();
            all.push(seen.clone());
            all.len() - 1
        };
        let busy = log.busy.fetch_add(1, Ordering::SeqCst) + 1;
        log.busiest.fetch_max(busy, Ordering::SeqCst);
        let open = act(&mut stream, answer(before, &seen)).await;
        log.busy.fetch_sub(1, Ordering::SeqCst);
        if !open {
            return;
        }
    }
}

async fn act(stream: &mut TcpStream, acts: Vec<Act>) -> bool {
    for act in acts {
        match act {
            Act::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    return false;
                }
            }
            Act::Wait(time) => tokio::time::sleep(time).await,
            Act::Hang => {
                // Until the other side gives up.
                let mut rest = [0; 1024];
                while stream.read(&mut rest).await.is_ok_and(|bytes| bytes > 0) {}
                return false;
            }
            Act::Close => return false,
        }
    }
    true
}

async fn receive(stream: &mut TcpStream, input: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(input).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(input.drain(..end).collect()).unwrap();
    let mut seen = Seen { head, body: Vec::new() };
    let length = seen.header("content-length").map_or(0, |text| text.parse().unwrap());
    while input.len() < length {
        if stream.read_buf(input).await.ok()? == 0 {
            return None;
        }
    }
    seen.body = input.drain(..length).collect();
    Some(seen)
}

/// The bytes of an answer, with its length.
pub(super) fn answer(status: u16, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = head(status, fields);
    bytes.truncate(bytes.len() - 2);
    bytes.extend(format!("content-length: {}\r\n\r\n", body.as_ref().len()).into_bytes());
    bytes.extend(body.as_ref());
    bytes
}

/// The head of an answer alone.
pub(super) fn head(status: u16, fields: &[(&str, &str)]) -> Vec<u8> {
    let fields = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<Vec<_>>().concat();
    format!("HTTP/1.1 {status} Whatever\r\n{fields}\r\n").into_bytes()
}

pub(super) fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    answer(200, &[], body)
}
