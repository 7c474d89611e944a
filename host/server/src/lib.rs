//! `host serve`: many tenants in one process. Their connections are synced when they are due, each in a sandbox of its own.
//!
//! ```text
//! api ──> store (tenants, tokens, connectors, connections, syncs) <── scheduler: what is due -> fair queue -> free slot
//!                                                                         └─> runner: one sync (stream::run)
//! ```
//!
//! The store is the truth: a server that is killed and started again knows every schedule, and what ran is due again. Whatever
//! a sync does not own is shared by hand: the wasm engine, compiled components, and the rate schedules of a tenant's own
//! credentials.

mod api;
pub mod audit_log;
mod broker;
mod components;
mod cron;
mod fair;
mod live;
mod metrics;
#[cfg(test)]
mod panic_tests;
mod place;
mod renewed_tokens;
mod runner;
mod schedule;
mod scheduler;
mod settings;
mod setup;
mod store;
mod time;
mod turns;
pub mod types;

pub use api::openapi;
pub use setup::{init, new_operator_token, rotate_key};

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use self::broker::Broker;
use self::components::Components;
use self::metrics::Metrics;
use self::scheduler::Scheduler;
use self::store::Store;
use self::turns::Turns;
use crate::audit_log::{Audit, AuditLog, Whose};
use model::error::{Code, Error, Result};
use sandbox::Compiler;
use warehouse::{DestinationUrl, OpenDestination};

/// How a server runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder with everything that the server keeps.
    pub data: PathBuf,
    /// The key file.
    pub key_file: PathBuf,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Syncs at one time, of all tenants together.
    pub syncs_at_once: usize,
    /// How long running syncs may go on after the server was asked to end, before they are asked to.
    pub drain: Duration,
    /// The folder of compiled components.
    pub cache: Option<PathBuf>,
    /// What compiles components, in a child within limits; without it, this process does, within none.
    pub compiler: Option<Compiler>,
    /// Where requests of connectors are written down.
    pub audit_log: Option<Arc<AuditLog>>,
    /// What opens the destination that a connection names.
    pub destinations: Destinations,
}

/// Gives what opens a destination: the address itself, unless something is to stand in for it.
pub type Destinations = fn(DestinationUrl) -> Arc<dyn OpenDestination>;

/// Checks of connections at one time, of all tenants and of one.
const CHECKS_MAX: usize = 8;
const CHECKS_OF_ONE_MAX: u32 = 2;
/// Uploads at one time, of all tenants and of one: each is in memory as a whole.
const UPLOADS_MAX: usize = 4;
const UPLOADS_OF_ONE_MAX: u32 = 1;
/// Streams of events that a tenant may have open.
const STREAMS_OF_ONE_MAX: u32 = 32;
/// How long a sync may take to commit what is complete once it was asked to end.
const COMMIT_PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether the syncs have ended.
const DRAIN_LOOK: Duration = Duration::from_millis(50);

/// Everything that the parts of a server share.
pub(crate) struct Server {
    data: PathBuf,
    store: Store,
    components: Components,
    broker: Broker,
    metrics: Metrics,
    scheduler: Scheduler,
    checks: Semaphore,
    checks_of_one: Turns,
    uploads: Semaphore,
    uploads_of_one: Turns,
    streams_of_one: Turns,
    audit_log: Option<Arc<AuditLog>>,
    destinations: Destinations,
}

impl Server {
    /// What writes down the requests of a connector, where that is wanted.
    fn audit(&self, tenant: &str, connection: &str, sync: Option<&str>) -> Option<Audit> {
        let whose = || Whose {
            tenant: Some(tenant.to_owned()),
            connection: connection.to_owned(),
            sync: sync.map(str::to_owned),
        };
        self.audit_log.as_ref().map(|log| log.of(whose()))
    }

    /// The folder of a tenant's warehouses.
    fn folder_of(&self, tenant: &str) -> PathBuf {
        self.data.join("tenants").join(tenant)
    }
}

/// Runs a server until it is asked to end. `listening` is told the address; `stop` ends when the server is to drain.
pub async fn serve(options: Options, listening: impl FnOnce(SocketAddr), stop: impl Future<Output = ()>) -> Result<()> {
    let _lock = setup::lock(&options.data)?;
    setup::close(&options.data)?;
    let server = Arc::new(open(&options)?);
    components::clean(&server).await?;
    scheduler::recover(&server).await?;
    let failed = |error| {
        Error::new(Code::Usage, format!("listen on {}", options.listen))
            .hint("Another program may listen there; choose another address with --listen.")
            .because(error)
    };
    let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
    listening(listener.local_addr().map_err(failed)?);
    let answering = tokio::spawn(api::answer(Arc::clone(&server), listener));
    let dispatching = tokio::spawn(scheduler::dispatch(Arc::clone(&server)));
    stop.await;
    drain(&server, options.drain).await;
    dispatching.abort();
    answering.abort();
    server.store.finish().await
}

fn open(options: &Options) -> Result<Server> {
    let store = Store::open(&options.data, setup::keys(&options.key_file)?)?;
    Ok(Server {
        data: std::path::absolute(&options.data).unwrap_or_else(|_| options.data.clone()),
        store,
        components: Components::open(
            options.data.join("components"),
            options.cache.as_deref(),
            options.compiler.clone(),
        )?,
        broker: Broker::default(),
        metrics: Metrics::default(),
        scheduler: Scheduler::new(options.syncs_at_once),
        checks: Semaphore::new(CHECKS_MAX),
        checks_of_one: Turns::new("checks of connections at one time", CHECKS_OF_ONE_MAX),
        uploads: Semaphore::new(UPLOADS_MAX),
        uploads_of_one: Turns::new("uploads at one time", UPLOADS_OF_ONE_MAX),
        streams_of_one: Turns::new("streams of events at one time", STREAMS_OF_ONE_MAX),
        audit_log: options.audit_log.clone(),
        destinations: options.destinations,
    })
}

/// Begins nothing more, lets running syncs go on for a while, then asks them to commit what is complete. The API answers
/// until the end.
async fn drain(server: &Server, patience: Duration) {
    server.scheduler.drain();
    server.scheduler.wake();
    tracing::info!(running = server.scheduler.running_count(), "draining");
    wait_until_idle(server, patience).await;
    server.scheduler.stop_all();
    wait_until_idle(server, COMMIT_PATIENCE).await;
    tracing::info!(running = server.scheduler.running_count(), "ending");
}

async fn wait_until_idle(server: &Server, patience: Duration) {
    let deadline = tokio::time::Instant::now() + patience;
    while server.scheduler.running_count() > 0 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
}

/// Makes a folder that only its owner can enter, and those above it.
fn private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
