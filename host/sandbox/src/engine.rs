//! The wasm engine: one for a process, shared by every component; its settings are part of the security policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::{Config, Engine};

use model::error::{Code, Error, Result};

/// How often a computing guest is looked at.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The engine of these settings.
pub(super) fn engine() -> Result<Engine> {
    let engine = Engine::new(&config());
    engine.map_err(|error| Error::new(Code::HostBug, "set up the wasm engine").because(BoxedError(error)))
}

/// The engine's settings. What connectors do not need is off: less to attack.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.async_stack_zeroing(true);
    config.concurrency_support(false);
    config.wasm_relaxed_simd(false);
    config.wasm_memory64(false);
    config.wasm_wide_arithmetic(false);
    config.wasm_custom_page_sizes(false);
    config.wasm_tail_call(false);
    config.max_wasm_stack(1 << 20);
    config.async_stack_size(2 << 20);
    config
}

/// The error type of wasmtime, kept out of signatures.
#[derive(Debug)]
pub(super) struct BoxedError(pub(super) wasmtime::Error);

impl std::fmt::Display for BoxedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for BoxedError {}

/// Advances the engine's epoch while it lives, so that guests can be interrupted.
pub(super) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(super) fn start(engine: &Engine) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, weak) = (Arc::clone(&stop), engine.weak());
        let tick = move || {
            while !stopped.load(Ordering::Relaxed) {
                thread::park_timeout(TICK);
                match weak.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
            }
        };
        let thread = thread::Builder::new().name("epoch".into()).spawn(tick);
        let thread = thread.map_err(|error| Error::new(Code::HostBug, "start the epoch thread").because(error))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
