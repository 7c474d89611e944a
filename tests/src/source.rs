//! A small HTTP source with generated data: the demo reads from it, the tests and benchmarks too.
//!
//! It serves three kinds of pagination (cursor, offset, next-page URL) behind an API key, the APIs that the connectors
//! of this repository were written for, the list that new ones are made for (`/items`), and one that leads astray (`/notes`). It computes its records from
//! their position, and can be told to fail in many ways. It listens on the loopback address only.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let source = tests::source::Source::start(tests::source::Options::default())?;
//! println!("GET {}/cds_data?page_size=10", source.url());
//! assert_eq!(source.stats().requests, 0);
//! # Ok(())
//! # }
//! ```

mod answer;
mod apis;
mod cursor_api;
mod customers;
mod disturb;
mod draw;
pub mod faults;
mod notes;
mod options;
mod orders;
mod records;
mod script;
mod server;
mod stats;

pub use options::Options;
pub use stats::Stats;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use tokio::sync::oneshot;

/// A running source. Dropping it stops the server and closes its connections.
#[derive(Debug)]
pub struct Source {
    address: SocketAddr,
    service: Arc<server::Service>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Source {
    /// Binds the port, prepares the data and serves from a thread of its own.
    ///
    /// # Errors
    /// When the port is taken or the thread cannot be started.
    pub fn start(options: Options) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))
            .with_context(|| format!("failed to listen on port {} of the loopback address", options.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let service = Arc::new(server::Service::new(options));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&service);
        let thread = std::thread::Builder::new().name("source".into()).spawn(move || {
            runtime.block_on(server::serve(listener, serving, stopped));
            // Requests that hang on purpose must not keep the process alive.
            runtime.shutdown_background();
        })?;
        Ok(Self { address, service, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:PORT`, as `--allow-private` wants it.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Forgets the records before a position (from 0): whoever asks for them again is told that they are gone (410).
    pub fn prune(&self, position: u64) {
        self.service.prune(position);
    }

    /// What has been served so far.
    pub fn stats(&self) -> Stats {
        self.service.stats()
    }

    /// The record at a position (from 0), as it is served.
    pub fn record(&self, position: u64) -> String {
        self.service.record(position)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself; there is nothing left to stop then.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
