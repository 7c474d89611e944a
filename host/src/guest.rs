//! The sandbox: compiles a connector, runs it with nothing but the imports of the contract, and stops it at its limits.
//!
//! The only user of wasmtime in this crate: no type of it leaves this module.

mod bindings;
mod channel;
mod client;
mod component;
mod cpu;
mod egress;
mod engine;
mod failure;
mod imports;
mod instance;
mod limits;
mod memory;
mod output;
mod secrets;

pub use channel::{Lead, Operation, OperationReceiver, OperationSender, Taken, operations};
pub use instance::Listener;
pub use limits::Limits;
pub use secrets::{KeySource, SecretGrants, SecretKey, Secrets};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, Store};

use self::bindings::{Connector, ConnectorPre};
use self::client::{Client, Settings, Stats, Watch};
use self::egress::{Allow, Policy};
use self::engine::{BoxedError, Ticker};
use self::instance::{Guest, Wires, store};
use crate::error::{Code, Error, Result};
use crate::model::{Description, LogLevel, Selection, Table};

/// Addresses the operator allows beyond the public internet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressAllow {
    /// `HOST` or `HOST:PORT` that may be private or loopback, and spoken to by plain http.
    pub private: Vec<String>,
    /// `HOST` or `HOST:PORT` that may be spoken to by plain http.
    pub http: Vec<String>,
}

impl EgressAllow {
    fn parse(&self) -> Result<Allow> {
        let all = |texts: &[String]| texts.iter().map(|text| text.parse()).collect::<Result<Vec<_>>>();
        Ok(Allow { private: all(&self.private)?, http: all(&self.http)? })
    }
}

/// What one connection's connector is given.
#[derive(Clone)]
pub struct Grants {
    /// The configuration and its secrets.
    pub secrets: Secrets,
    /// The bounds.
    pub limits: Limits,
    /// Addresses beyond the public internet.
    pub allow: EgressAllow,
    /// Who hears what it says.
    pub listener: Arc<dyn Listener>,
    /// Counts its requests.
    pub meter: Meter,
}

/// Counters of a connector's HTTP requests, to be read at any time.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Stats>);

impl Meter {
    /// Requests sent, retries included.
    pub fn requests(&self) -> u64 {
        self.0.requests()
    }

    /// Attempts after the first.
    pub fn retries(&self) -> u64 {
        self.0.retries()
    }

    /// Bytes of bodies, decompressed.
    pub fn response_bytes(&self) -> u64 {
        self.0.bytes()
    }
}

/// Compiles components and runs them; one for a process.
pub struct Runtime {
    engine: Engine,
    linker: Linker<Guest>,
    cache: Option<PathBuf>,
    ticker: Arc<Ticker>,
}

impl Runtime {
    /// Sets up the engine. `cache` is the folder of compiled components; none: compile every time.
    pub fn new(cache: Option<&Path>) -> Result<Self> {
        let engine = engine::engine()?;
        let ticker = Arc::new(Ticker::start(&engine)?);
        let mut linker = Linker::new(&engine);
        let added = wasmtime_wasi::p2::add_to_linker_async(&mut linker)
            .and_then(|()| Connector::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest));
        added.map_err(|error| Error::new(Code::HostBug, "link the imports").because(BoxedError(error)))?;
        Ok(Self { engine, linker, cache: cache.map(Path::to_path_buf), ticker })
    }

    /// Reads a component's file, checks that it implements the contract, and compiles it or loads its compiled code.
    pub fn load(&self, path: &Path, limits: &Limits) -> Result<Component> {
        let begun = Instant::now();
        let bytes = component::read(path, limits.component_bytes_max)?;
        let digest = component::digest(&bytes);
        let (compiled, cached) = component::compile(&self.engine, &bytes, &digest, self.cache.as_deref())?;
        component::check_world(&self.engine, &compiled)?;
        let pre = self.linker.instantiate_pre(&compiled).and_then(ConnectorPre::new).map_err(|error| {
            Error::new(Code::ComponentWrongWorld, "link the component")
                .hint("It was made for another world or another version of `elt:connector`; build it with this host's SDK.")
                .because(BoxedError(error))
        })?;
        let loaded = (cached, begun.elapsed());
        Ok(Component { pre, digest, loaded, description: OnceCell::new(), _ticker: Arc::clone(&self.ticker) })
    }
}

/// A connector that can be run.
pub struct Component {
    pre: ConnectorPre<Guest>,
    digest: String,
    loaded: (bool, Duration),
    description: OnceCell<Description>,
    _ticker: Arc<Ticker>,
}

/// Hears nothing: `describe` has nothing to say that anybody waits for.
struct Deaf;

impl Listener for Deaf {
    fn log(&self, _level: LogLevel, _message: &str) {}
    fn memory(&self, _bytes: u64) {}
    fn retrying(&self, _reason: &str, _wait: Duration) {}
}

/// Passes retries on.
struct Retries(Arc<dyn Listener>);

impl Watch for Retries {
    fn retrying(&self, reason: &str, wait: Duration) {
        self.0.retrying(reason, wait);
    }
}

impl Component {
    /// Whether the compiled code came from the cache, and how long loading took.
    pub fn loaded(&self) -> (bool, Duration) {
        self.loaded
    }

    /// `name version` of the connector, once it was described.
    pub fn name(&self) -> String {
        self.description.get().map_or_else(String::new, |found| format!("{} {}", found.name, found.version))
    }

    /// The component's SHA-256, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What the connector says about itself; asked once.
    pub async fn describe(&self, limits: &Limits) -> Result<&Description> {
        self.description.get_or_try_init(|| in_time(limits, self.ask_description(limits))).await
    }

    async fn ask_description(&self, limits: &Limits) -> Result<Description> {
        let secrets = Secrets::default();
        let wires = Wires { listener: Arc::new(Deaf), secrets, client: None, operations: None };
        let (mut store, connector) = self.instantiate(limits, wires).await?;
        let described = connector.call_describe(&mut store).await;
        let description = described.map_err(|error| failure::of_trap(error, store.data()))?;
        failure::check_description(description.into())
    }

    /// Whether the source can be reached and accepts the configuration.
    pub async fn check(&self, grants: &Grants) -> Result<()> {
        in_time(&grants.limits, async {
            let (mut store, connector) = self.connect(grants, None).await?;
            let checked = connector.call_check(&mut store, &fields(grants)).await;
            Self::answer(&store, checked)
        })
        .await
    }

    /// The tables and their keys.
    pub async fn schema(&self, grants: &Grants) -> Result<Vec<Table>> {
        in_time(&grants.limits, async {
            let (mut store, connector) = self.connect(grants, None).await?;
            let tables = connector.call_schema(&mut store, &fields(grants)).await;
            Ok(Self::answer(&store, tables)?.into_iter().map(Into::into).collect())
        })
        .await
    }

    /// One sync from `state` to now; operations go into the channel in the order made.
    pub async fn update(
        &self,
        grants: &Grants,
        state: Option<&str>,
        selection: &Selection,
        operations: OperationSender,
    ) -> Result<()> {
        if let Some(state) = state {
            let lost = grants.secrets.adopt(state)?;
            if lost > 0 {
                grants.listener.log(LogLevel::Warning, &lost_tokens(lost));
            }
        }
        let (mut store, connector) = self.connect(grants, Some(operations)).await?;
        let configuration = fields(grants);
        let updated = connector.call_update(&mut store, &configuration, state, &selection.into()).await;
        grants.listener.memory(store.data().memory.peak_bytes as u64);
        Self::answer(&store, updated)
    }

    async fn connect(&self, grants: &Grants, operations: Option<OperationSender>) -> Result<(Store<Guest>, Connector)> {
        let description = self.describe(&grants.limits).await?;
        let policy = Policy::new(description, grants.secrets.configuration(), &grants.allow.parse()?)?;
        let settings = Settings::new(description, &grants.limits, grants.secrets.clone());
        let watch = Arc::new(Retries(Arc::clone(&grants.listener)));
        let client = Client::new(policy, settings, Arc::clone(&grants.meter.0), watch);
        let (listener, secrets) = (Arc::clone(&grants.listener), grants.secrets.clone());
        self.instantiate(&grants.limits, Wires { listener, secrets, client: Some(Arc::new(client)), operations }).await
    }

    async fn instantiate(&self, limits: &Limits, wires: Wires) -> Result<(Store<Guest>, Connector)> {
        let mut store = store(self.pre.engine(), limits, wires);
        match self.pre.instantiate_async(&mut store).await {
            Ok(connector) => Ok((store, connector)),
            Err(error) => Err(failure::of_trap(error, store.data())),
        }
    }

    fn answer<T>(store: &Store<Guest>, result: wasmtime::Result<Result<T, bindings::GuestError>>) -> Result<T> {
        let error = match result {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => failure::of_guest(error, store.data()),
            Err(error) => failure::of_trap(error, store.data()),
        };
        Err(store.data().wires.secrets.redact_error(error))
    }
}

fn lost_tokens(count: usize) -> String {
    let tokens =
        if count == 1 { "a token that the state holds".into() } else { format!("{count} tokens of the state") };
    format!(
        "{tokens} cannot be opened: the key or the connection's name is another; the connector has to sign in again"
    )
}

/// Ends a call of the guest that takes too long. `update` is not called through this: a sync has its own clock.
async fn in_time<T>(limits: &Limits, call: impl Future<Output = Result<T>>) -> Result<T> {
    let max = limits.wall_max;
    tokio::time::timeout(max, call).await.unwrap_or_else(|_| {
        Err(Error::new(Code::LimitTime, format!("hear from the connector within {max:?} (limit wall)")).hint(
            "The connector waits for something that does not come; raise the limit with --limit wall=… if it will.",
        ))
    })
}

/// The configuration as the guest gets it.
fn fields(grants: &Grants) -> Vec<(String, String)> {
    grants.secrets.shown().0.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}
