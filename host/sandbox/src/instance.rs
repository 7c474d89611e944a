//! One running guest: a fresh store with its limits, its grants, and what it is connected to.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{CallHook, Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::channel::OperationSender;
use super::client::{Client, Exchange};
use super::cpu::{CpuClock, CpuTime};
use super::imports::Gate;
use super::memory::MemoryLimiter;
use super::world::{MonotonicClock, Stream, WallClock, World};
use super::{Limits, Secrets};
use model::LogLevel;

/// Who hears what a guest says.
pub trait Listener: Send + Sync {
    /// A line of the guest's log, cut to the limit.
    fn log(&self, level: LogLevel, message: &str);
    /// The guest's memory has grown to so many bytes.
    fn memory(&self, bytes: u64);
    /// The guest, and the host for it, have computed for so long in all. Whoever counts it says so.
    fn cpu(&self, spent: std::time::Duration) {
        let _ = spent;
    }
    /// A request will be tried again after a wait; `reason` says why.
    fn retrying(&self, reason: &str, wait: std::time::Duration);
    /// A request was made, or refused, and has ended.
    fn exchanged(&self, exchange: &Exchange) {
        let _ = exchange;
    }
}

/// What a call of a guest is connected to.
#[derive(Clone)]
pub(super) struct Wires {
    pub(super) listener: Arc<dyn Listener>,
    pub(super) secrets: Secrets,
    /// Makes requests; none for `describe`.
    pub(super) client: Option<Arc<Client>>,
    /// Watches what crosses, and may answer.
    pub(super) world: Option<Arc<dyn World>>,
    /// Takes operations; only for `update`.
    pub(super) operations: Option<OperationSender>,
    /// What was computed for the sync so far.
    pub(super) cpu: CpuTime,
}

/// The data of a store.
pub(super) struct Guest {
    pub(super) wires: Wires,
    pub(super) limits: Limits,
    pub(super) resources: ResourceTable,
    pub(super) memory: MemoryLimiter,
    pub(super) cpu: CpuClock,
    /// Requests sent so far.
    pub(super) exchanges: u64,
    wasi: WasiCtx,
    wasi_resources: ResourceTable,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.wasi_resources }
    }
}

/// A store in which one instance runs once: limits set, WASI with nothing granted, output sent to the log.
pub(super) fn store(engine: &Engine, limits: &Limits, mut wires: Wires) -> Store<Guest> {
    wires.listener = Arc::new(Gate::new(wires.listener, wires.secrets.clone(), limits));
    let handles = usize::try_from(limits.handles_max).unwrap_or(usize::MAX);
    let guest = Guest {
        memory: MemoryLimiter::new(limits.memory_bytes_max),
        cpu: CpuClock::new(limits, wires.cpu.clone()),
        exchanges: 0,
        resources: bounded_table(handles),
        wasi: wasi(&wires),
        wasi_resources: bounded_table(handles),
        limits: limits.clone(),
        wires,
    };
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| &mut guest.memory);
    store.set_hostcall_fuel(usize::try_from(limits.call_bytes_max).unwrap_or(usize::MAX));
    store.set_max_component_handles(handles);
    // The deadline is set before instantiation: start functions run then.
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        store.data_mut().cpu.check().map_err(wasmtime::Error::new)?;
        Ok(UpdateDeadline::Yield(1))
    });
    store.call_hook(|mut store, hook| {
        let guest = store.data_mut();
        match hook {
            CallHook::CallingWasm | CallHook::ReturningFromHost => guest.cpu.enter_guest(),
            CallHook::ReturningFromWasm | CallHook::CallingHost => {
                guest.cpu.leave_guest();
                guest.wires.listener.cpu(guest.cpu.time().spent());
            }
        }
        Ok(())
    });
    store
}

fn bounded_table(handles: usize) -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(handles);
    table
}

/// WASI is linked, because toolchains expect it, and grants nothing: no files, no sockets, no environment, no arguments.
/// What the guest prints goes to its log, line by line.
fn wasi(wires: &Wires) -> WasiCtx {
    let mut builder = WasiCtxBuilder::new();
    builder.allow_blocking_current_thread(false).allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    builder.stdout(super::output::LogStream::new(Arc::clone(&wires.listener), LogLevel::Info));
    builder.stderr(super::output::LogStream::new(Arc::clone(&wires.listener), LogLevel::Warning));
    if let Some(world) = &wires.world {
        let seed = world.seed();
        builder.secure_random(Stream::new(&seed, "secure")).insecure_random(Stream::new(&seed, "insecure"));
        builder.insecure_random_seed(u128::from_le_bytes(Stream::new(&seed, "seed").array()));
        builder.wall_clock(WallClock(Arc::clone(world))).monotonic_clock(MonotonicClock::new(Arc::clone(world)));
    }
    builder.build()
}
