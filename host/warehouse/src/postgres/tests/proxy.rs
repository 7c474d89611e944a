//! A connection that breaks where a test wants it to: a TCP proxy that watches for the COMMIT of a client.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The message by which a client ends a transaction.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// Where the connection breaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Break {
    /// The server has made the commit; its answer is lost.
    AfterCommit,
    /// The server never hears of the commit.
    BeforeCommit,
}

pub(super) struct Proxy {
    pub(super) port: u16,
    /// Breaks the next connection that commits.
    pub(super) is_armed: Arc<AtomicBool>,
    /// Nobody gets through any more once a connection broke.
    pub(super) stays_broken: Arc<AtomicBool>,
    pub(super) broken: Arc<AtomicU32>,
}

impl Proxy {
    pub(super) fn start(server: u16, breaks: Break) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            is_armed: Arc::default(),
            stays_broken: Arc::default(),
            broken: Arc::default(),
        };
        let (is_armed, stays_broken, broken) =
            (Arc::clone(&proxy.is_armed), Arc::clone(&proxy.stays_broken), Arc::clone(&proxy.broken));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if stays_broken.load(Ordering::SeqCst) && broken.load(Ordering::SeqCst) > 0 {
                    continue;
                }
                let (is_armed, broken) = (Arc::clone(&is_armed), Arc::clone(&broken));
                let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", server)).unwrap());
                std::thread::spawn(move || carry(client, server, breaks, &is_armed, &broken));
            }
        });
        proxy
    }
}

fn carry(client: TcpStream, server: TcpStream, breaks: Break, is_armed: &AtomicBool, broken: &AtomicU32) {
    let is_deaf = Arc::new(AtomicBool::new(false));
    let (mut from, mut to, deaf) = (server.try_clone().unwrap(), client.try_clone().unwrap(), Arc::clone(&is_deaf));
    let back = std::thread::spawn(move || {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            if deaf.load(Ordering::SeqCst) {
                break; // the answer to the commit
            }
            if to.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    let (mut from, mut to) = (client, server);
    let mut bytes = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        let bytes = &bytes[..length];
        if bytes == COMMIT && is_armed.swap(false, Ordering::SeqCst) {
            broken.fetch_add(1, Ordering::SeqCst);
            if breaks == Break::AfterCommit {
                is_deaf.store(true, Ordering::SeqCst);
                to.write_all(bytes).unwrap();
                let _ = back.join();
            }
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
