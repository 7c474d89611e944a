//! Brings a connector to life for a command: loads its component and starts what runs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use clap::Args;

use super::screen::Screen;
use super::{progress, text};
use crate::options::{self, ConnectorOptions, Sandbox};
use model::LogLevel;
use model::error::{Code, Error, Result};
use sandbox::{Component, CpuTime, Exchange, Grants, Limits, Listener, Meter, Pacing, Runtime, Secrets};
use server::audit_log::Audit;

/// A connector to look at without a sync, as typed.
#[derive(Args, Debug)]
pub(super) struct Look {
    /// The connector: a WebAssembly component
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
    #[command(flatten)]
    connector: ConnectorOptions,
    /// Prints one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Look {
    /// Loads the connector and asks it something.
    pub(super) fn ask<T>(
        &self,
        screen: Screen,
        question: impl AsyncFnOnce(&Component, &Grants) -> Result<T>,
    ) -> Result<T> {
        let sandbox = self.connector.in_force()?;
        let component = component(&self.component, &sandbox.limits, screen)?;
        block_on(async {
            let grants = grants(&component, sandbox, screen).await?;
            question(&component, &grants).await
        })?
    }
}

/// Compiling a large component takes seconds the first time; whoever waits longer than this is told why.
const PATIENCE: Duration = Duration::from_millis(400);

/// Loads a component, from the cache where it was compiled before.
pub(super) fn component(path: &Path, limits: &Limits, screen: Screen) -> Result<Component> {
    let cache = options::cache_folder();
    let runtime = Runtime::new(cache.as_deref(), options::compiler())?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let message = format!("compiling {}, the first time only …", text::printable(&name));
    tell_if_slow(screen, &message, || runtime.load(path, limits))
}

/// What a connector is given for a look at its source: the configuration with its defaults, and an ear for its warnings.
async fn grants(component: &Component, sandbox: Sandbox, screen: Screen) -> Result<Grants> {
    let description = component.describe(&sandbox.limits).await?;
    let (configuration, unknown) = sandbox.configuration.prepare(&description.fields)?;
    for field in &unknown {
        screen.people(&screen.paint.yellow(&unknown_field(field)));
    }
    let Sandbox { limits, allow, secrets, audit_log, .. } = sandbox;
    let audit = audit_log.map(|path| Audit::open(&path, &description.name)).transpose()?;
    // Nothing of a look lasts, so it does not matter whose tokens they are.
    let secrets = Secrets::new(description, &configuration, &secrets, (&description.name, &limits))?;
    let (listener, meter, pacing) = (Arc::new(Ear { screen, audit }), Meter::default(), Pacing::default());
    Ok(Grants { secrets, limits, allow, listener, meter, pacing, world: None, cpu: CpuTime::default() })
}

/// Hears warnings outside of a sync.
struct Ear {
    screen: Screen,
    audit: Option<Audit>,
}

impl Listener for Ear {
    fn log(&self, level: LogLevel, message: &str) {
        if level >= LogLevel::Warning {
            self.screen.people(&progress::said(level, None, message, self.screen.paint));
        }
    }

    fn memory(&self, _bytes: u64) {}

    fn retrying(&self, reason: &str, wait: Duration) {
        let message = format!("{reason}; trying again in {}", text::duration(wait));
        self.screen.people(&progress::said(LogLevel::Warning, Some("host"), &message, self.screen.paint));
    }

    fn exchanged(&self, exchange: &Exchange) {
        if let Some(audit) = &self.audit {
            audit.exchange(exchange);
        }
    }
}

/// The warning about a field that the connector does not know.
pub(super) fn unknown_field(name: &str) -> String {
    format!("the connector does not know the configuration field \"{}\"; it is ignored", text::printable(name))
}

/// Does some work and tells people about it if it takes long.
fn tell_if_slow<T>(screen: Screen, message: &str, work: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        let (done, waiting) = channel::<()>();
        scope.spawn(move || {
            if waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                screen.people(message);
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// Runs asynchronous work to its end. What is still under way in the background then is left to the end of the process,
/// so that nothing delays it.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    const WORKERS: usize = 2;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| Error::new(Code::HostBug, "start the threads of the runtime").because(error))?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(result)
}
