//! The sandbox: compiles a connector, runs it with nothing but the imports of the contract, and stops it at its limits.
//!
//! The only user of wasmtime in this crate: no type of it leaves this module.

pub mod addresses;
#[cfg(test)]
mod bench;
mod bindings;
mod channel;
mod client;
mod component;
mod cpu;
mod egress;
mod engine;
mod exchange;
mod failure;
mod imports;
mod instance;
mod limits;
pub mod limits_text;
mod memory;
mod output;
mod records;
pub mod seal;
mod secrets;
mod world;

pub use channel::{Lead, Load, Operation, OperationReceiver, OperationSender, Taken, Turn, operations};
pub use client::trusted_tls;
pub use client::{Exchange, Pace, Pacing};
pub use component::{COMMAND as COMPILE_COMMAND, Compiler, REFUSED as COMPILE_REFUSED, compile_in_child};
pub use cpu::{CpuTime, ThreadClock, over_cpu};
pub use instance::Listener;
pub use limits::Limits;
pub use secrets::{KeySource, SecretGrants, SecretKey, Secrets, without_placeholders};
pub use world::{
    Answer, BodyKind, Call, Credentials, Crossing, Ending, Given, Scrub, Sent, Trouble, TroubleKind, World,
};

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, Store};

use self::bindings::{Connector, ConnectorPre};
use self::client::{Client, Settings, Stats, Watch};
use self::component::Workshop;
use self::egress::{Allow, Policy};
use self::engine::{BoxedError, Ticker};
use self::instance::{Guest, Wires, store};
use model::error::{Code, Error, Result};
use model::{Configuration, Description, LogLevel, Selection, Table};

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
    /// What its requests share with those of other syncs.
    pub pacing: Pacing,
    /// Who watches what crosses, and may answer: a recording, made or replayed.
    pub world: Option<Arc<dyn World>>,
    /// What was computed for the sync so far, and is from now on.
    pub cpu: CpuTime,
}

impl Grants {
    /// The configuration of a recording, where one is replayed: there are no secrets in it to be kept.
    fn replayed(&self) -> Option<&Configuration> {
        self.world.as_ref().and_then(|world| world.configuration())
    }
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

    /// Hears what ends the sync, before its requests are cancelled: where it is a limit, they are told to have ended by it.
    pub fn end(&self, error: Error) -> Error {
        self.0.end(&error);
        error
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
    workshop: Workshop,
    ticker: Arc<Ticker>,
}

impl Runtime {
    /// Sets up the engine. `cache` is the folder of compiled components; none: compile every time. `compiler` compiles in
    /// a process of its own; none: in this one, which is for trusted components.
    pub fn new(cache: Option<&Path>, compiler: Option<Compiler>) -> Result<Self> {
        Self::of(engine::engine()?, Workshop { cache: cache.map(Path::to_path_buf), compiler })
    }

    fn of(engine: Engine, workshop: Workshop) -> Result<Self> {
        let ticker = Arc::new(Ticker::start(&engine)?);
        let mut linker = Linker::new(&engine);
        let added = wasmtime_wasi::p2::add_to_linker_async(&mut linker)
            .and_then(|()| Connector::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest));
        added.map_err(|error| Error::new(Code::HostBug, "link the imports").because(BoxedError(error)))?;
        Ok(Self { engine, linker, workshop, ticker })
    }

    /// Reads a component's file, checks that it implements the contract, and compiles it or loads its compiled code.
    pub fn load(&self, path: &Path, limits: &Limits) -> Result<Component> {
        let begun = Instant::now();
        let bytes = component::read(path, limits.component_bytes_max)?;
        let digest = component::digest(&bytes);
        let (compiled, cached) = self.workshop.compiled(&self.engine, (&bytes, &digest), limits)?;
        component::check_world(&self.engine, &compiled)?;
        let pre = self.linker.instantiate_pre(&compiled).and_then(ConnectorPre::new).map_err(|error| {
            Error::new(Code::ComponentWrongWorld, "link the component")
                .hint("It was made for another world or another version of `elt:connector`; build it with this host's SDK.")
                .because(BoxedError(error))
        })?;
        let loaded = (cached, begun.elapsed());
        let imports = compiled.component_type().imports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        Ok(Component { pre, digest, imports, loaded, description: OnceCell::new(), _ticker: Arc::clone(&self.ticker) })
    }
}

/// A connector that can be run.
pub struct Component {
    pre: ConnectorPre<Guest>,
    digest: String,
    imports: Vec<String>,
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

/// What an export is called with, besides the configuration.
struct Arguments<'a> {
    export: &'static str,
    state: Option<&'a str>,
    selection: &'a Selection,
}

/// Lets a world hear what people are told.
struct Overheard {
    world: Arc<dyn World>,
    inner: Arc<dyn Listener>,
}

impl Listener for Overheard {
    fn log(&self, level: LogLevel, message: &str) {
        self.world.crossed(Crossing::Logged(level, message));
        self.inner.log(level, message);
    }

    fn memory(&self, bytes: u64) {
        self.inner.memory(bytes);
    }

    fn cpu(&self, spent: Duration) {
        self.inner.cpu(spent);
    }

    fn retrying(&self, reason: &str, wait: Duration) {
        self.inner.retrying(reason, wait);
    }
}

/// Passes retries and exchanges on, without secrets.
struct Told {
    listener: Arc<dyn Listener>,
    secrets: Secrets,
}

impl Watch for Told {
    fn retrying(&self, reason: &str, wait: Duration) {
        self.listener.retrying(&self.secrets.redact(reason), wait);
    }

    fn exchanged(&self, exchange: &Exchange) {
        self.listener.exchanged(exchange);
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

    /// The interfaces it imports, by their whole names.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// The component's SHA-256, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What the connector says about itself; asked once.
    pub async fn describe(&self, limits: &Limits) -> Result<&Description> {
        // Nothing is asked of the source, so nothing can be cut off.
        let meter = Meter::default();
        self.description.get_or_try_init(|| in_time(limits, &meter, self.ask_description(limits))).await
    }

    async fn ask_description(&self, limits: &Limits) -> Result<Description> {
        let secrets = Secrets::default();
        let wires = Wires { listener: Arc::new(Deaf), secrets, client: None, world: None, operations: None, cpu: CpuTime::default() };
        let (mut store, connector) = self.instantiate(limits, wires).await?;
        let described = connector.call_describe(&mut store).await;
        let description = described.map_err(|error| failure::of_trap(error, store.data()))?;
        failure::check_description(description.into())
    }

    /// Whether the source can be reached and accepts the configuration.
    pub async fn check(&self, grants: &Grants) -> Result<()> {
        in_time(&grants.limits, &grants.meter, async {
            let arguments = Arguments { export: "check", state: None, selection: &Selection::All };
            let (mut store, connector) = self.connect(grants, &arguments, None).await?;
            let checked = connector.call_check(&mut store, &fields(grants)).await;
            let answer = Self::answer(&store, checked);
            drop(store);
            ended(grants, answer)
        })
        .await
    }

    /// The tables and their keys.
    pub async fn schema(&self, grants: &Grants) -> Result<Vec<Table>> {
        in_time(&grants.limits, &grants.meter, async {
            let arguments = Arguments { export: "schema", state: None, selection: &Selection::All };
            let (mut store, connector) = self.connect(grants, &arguments, None).await?;
            let tables = connector.call_schema(&mut store, &fields(grants)).await;
            let answer = Self::answer(&store, tables);
            drop(store);
            Ok(ended(grants, answer)?.into_iter().map(Into::into).collect())
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
        if let (Some(state), None) = (state, grants.replayed()) {
            let lost = grants.secrets.adopt(state)?;
            if lost > 0 {
                grants.listener.log(LogLevel::Warning, &lost_tokens(lost));
            }
        }
        let arguments = Arguments { export: "update", state, selection };
        let (mut store, connector) = self.connect(grants, &arguments, Some(operations)).await?;
        let configuration = fields(grants);
        let updated = connector.call_update(&mut store, &configuration, state, &selection.into()).await;
        grants.listener.memory(store.data().memory.peak_bytes as u64);
        let answer = Self::answer(&store, updated);
        // What the guest had not done with is closed before the call's end is told.
        drop(store);
        ended(grants, answer)
    }

    async fn connect(
        &self,
        grants: &Grants,
        arguments: &Arguments<'_>,
        operations: Option<OperationSender>,
    ) -> Result<(Store<Guest>, Connector)> {
        let description = self.describe(&grants.limits).await?;
        let policy = Policy::new(description, grants.secrets.configuration(), &grants.allow.parse()?)?;
        let settings = Settings::new(description, &grants.limits, grants.secrets.clone());
        let settings = Settings { pacing: grants.pacing.clone(), ..settings };
        let watch = Arc::new(Told { listener: Arc::clone(&grants.listener), secrets: grants.secrets.clone() });
        let client = Some(Arc::new(Client::new(policy, settings, Arc::clone(&grants.meter.0), watch)));
        let mut listener = Arc::clone(&grants.listener);
        if let Some(world) = &grants.world {
            self.begin(&**world, grants, arguments);
            listener = Arc::new(Overheard { world: Arc::clone(world), inner: listener });
        }
        let world = grants.world.clone();
        let (secrets, cpu) = (grants.secrets.clone(), grants.cpu.clone());
        self.instantiate(&grants.limits, Wires { listener, secrets, client, world, operations, cpu }).await
    }

    fn begin(&self, world: &dyn World, grants: &Grants, arguments: &Arguments<'_>) {
        let Arguments { export, state, selection } = *arguments;
        let secrets = grants.secrets.clone();
        world.begin(&Call {
            export,
            connector: &self.name(),
            component: &self.digest,
            configuration: grants.secrets.shown(),
            state,
            selection,
            scrub: Arc::new(move |bytes| secrets.scrub(bytes)),
        });
    }

    async fn instantiate(&self, limits: &Limits, wires: Wires) -> Result<(Store<Guest>, Connector)> {
        let mut store = store(self.pre.engine(), limits, wires);
        match self.pre.instantiate_async(&mut store).await {
            Ok(connector) => Ok((store, connector)),
            Err(error) => {
                let error = failure::of_trap(error, store.data());
                Err(store.data().wires.secrets.redact_error(error))
            }
        }
    }

    fn answer<T>(store: &Store<Guest>, result: wasmtime::Result<Result<T, bindings::GuestError>>) -> Result<T> {
        let error = match result {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => failure::of_guest(error, store.data()),
            Err(error) => failure::of_trap(error, store.data()),
        };
        if let Some(client) = &store.data().wires.client {
            client.stats().end(&error);
        }
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
async fn in_time<T>(limits: &Limits, meter: &Meter, call: impl Future<Output = Result<T>>) -> Result<T> {
    // Boxed: it is large, and would be moved along with all that waits for it.
    let (call, max) = (Box::pin(call), limits.wall_max);
    let late = async {
        tokio::time::sleep(max).await;
        meter.end(Error::new(Code::LimitTime, format!("hear from the connector within {max:?} (limit wall)")).hint(
            "The connector waits for something that does not come; raise the limit with --limit wall=… if it will.",
        ))
    };
    tokio::select! {
        biased;
        result = call => result,
        late = late => Err(late),
    }
}

/// Tells the world how a call ended.
fn ended<T>(grants: &Grants, result: Result<T>) -> Result<T> {
    if let Some(world) = &grants.world {
        world.end(result.as_ref().err());
    }
    result
}

/// The configuration as the guest gets it.
fn fields(grants: &Grants) -> Vec<(String, String)> {
    grants.secrets.shown().0.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}
