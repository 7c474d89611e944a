//! Starts syncs: what is due goes into the fair queue, and from there into the free slots. One task decides, every sync is a
//! task of its own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::Server;
use super::fair::{self, FairQueue};
use super::live::Live;
use super::metrics::Now;
use super::place;
use super::runner;
use super::settings;
use super::store::connections::{self, Due};
use super::store::syncs::{self, Waiting};
use super::store::usage::Usage;
use super::store::{Session, tenants};
use super::time;
use super::types::{Quotas, Reason};
use model::error::{Code, Result};
use stream::Stop;
use warehouse::DestinationUrl;

/// Due connections that are looked at together.
const DUE_MAX: usize = 500;
/// The longest sleep: a clock that was set back must not hold everything up.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// Decides what runs.
pub(super) struct Scheduler {
    state: Mutex<State>,
    wake: Notify,
    slots: usize,
}

#[derive(Default)]
struct State {
    queue: FairQueue<Item>,
    running: HashMap<String, Arc<Running>>,
    /// Files that a running sync writes.
    files: HashSet<PathBuf>,
    /// How many syncs each tenant may run at once.
    rooms: HashMap<String, u32>,
    /// What tenants have used today by syncs that have ended: the day, and how much.
    used: HashMap<String, (i64, Usage)>,
    draining: bool,
}

/// A sync that waits, and the file that it would write.
#[derive(Clone, Debug)]
struct Item {
    waiting: Waiting,
    /// The tenant's folder.
    folder: PathBuf,
    file: Option<PathBuf>,
}

/// A sync that runs.
pub(super) struct Running {
    pub(super) id: String,
    pub(super) tenant: String,
    /// Its destination, as it can be shown.
    pub(super) destination: String,
    pub(super) stop: watch::Sender<Option<Stop>>,
    pub(super) live: Arc<Live>,
    /// Somebody asked for its end.
    pub(super) is_cancelled: AtomicBool,
}

impl Scheduler {
    pub(super) fn new(slots: usize) -> Self {
        Self { state: Mutex::default(), wake: Notify::new(), slots }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something may be due sooner than it was.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// How many syncs a tenant may run at once, from now on.
    pub(super) fn set_room(&self, tenant: &str, room: u32) {
        self.state().rooms.insert(tenant.to_owned(), room);
        self.wake();
    }

    /// Puts a sync into the queue; `folder` is its tenant's.
    pub(super) fn push(&self, waiting: Waiting, folder: PathBuf) {
        let (cost_ms, tenant) = (waiting.cost_ms, waiting.tenant.clone());
        let file = file_of(&waiting, &folder);
        self.state().queue.push(&tenant, Item { waiting, folder, file }, cost_ms);
        self.wake();
    }

    /// Takes a sync out of the queue. False: it does not wait.
    pub(super) fn remove(&self, tenant: &str, id: &str) -> bool {
        self.state().queue.remove(tenant, |item| item.waiting.id == id).is_some()
    }

    /// A tenant's running sync.
    pub(super) fn running(&self, tenant: &str, id: &str) -> Option<Arc<Running>> {
        self.state().running.get(id).filter(|running| running.tenant == tenant).map(Arc::clone)
    }

    /// What a tenant has used today, with all that its running syncs have used by now. `known`: what the store said.
    pub(super) fn used(&self, tenant: &str, known: Usage) -> (u64, u64) {
        let today = time::day(time::now_us());
        let mut state = self.state();
        let (day, used) = state.used.entry(tenant.to_owned()).or_insert((today, known));
        if *day != today {
            (*day, *used) = (today, Usage::default());
        }
        let (mut cpu_us, mut rows) = (used.cpu_us.unsigned_abs(), used.rows.unsigned_abs());
        for running in state.running.values().filter(|running| running.tenant == tenant) {
            cpu_us += running.live.progress.guest_cpu_us.load(Ordering::Relaxed);
            rows += running.live.progress.rows_committed.load(Ordering::Relaxed);
        }
        (cpu_us, rows)
    }

    /// Whether no sync is begun any more.
    pub(super) fn is_draining(&self) -> bool {
        self.state().draining
    }

    /// Begins no more syncs.
    pub(super) fn drain(&self) {
        self.state().draining = true;
    }

    /// Asks every running sync to end; what is complete is committed.
    pub(super) fn stop_all(&self) {
        for running in self.state().running.values() {
            running.stop.send_if_modified(|stop| stop.replace(Stop::Terminate).is_none());
        }
    }

    /// How many syncs run.
    pub(super) fn running_count(&self) -> usize {
        self.state().running.len()
    }

    /// What is now, for the metrics.
    pub(super) fn now(&self) -> Now {
        let state = self.state();
        let mut running = BTreeMap::new();
        for sync in state.running.values() {
            *running.entry(sync.tenant.clone()).or_default() += 1;
        }
        let waiting = state.queue.waiting().map(|(tenant, count)| (tenant.to_owned(), count as u64)).collect();
        Now { running, waiting, draining: state.draining }
    }

    /// Takes the sync whose turn it is, if a slot is free, and notes it as running.
    fn next(&self) -> Option<(Item, Arc<Running>, u64)> {
        let mut state = self.state();
        if state.draining || state.running.len() >= self.slots {
            return None;
        }
        let State { queue, rooms, files, .. } = &mut *state;
        let most = fair::most_of_one(self.slots);
        let room = |tenant: &str| rooms.get(tenant).copied().unwrap_or(Quotas::default().syncs_at_once).min(most);
        let fits = |item: &Item| item.file.as_ref().is_none_or(|file| !files.contains(file));
        let turn = queue.take(room, fits)?;
        let running = Arc::new(Running {
            id: turn.item.waiting.id.clone(),
            tenant: turn.tenant,
            destination: settings::shown(&turn.item.waiting.destination),
            stop: watch::channel(None).0,
            live: Arc::new(Live::new(&turn.item.folder)),
            is_cancelled: AtomicBool::new(false),
        });
        files.extend(turn.item.file.clone());
        state.running.insert(running.id.clone(), Arc::clone(&running));
        Some((turn.item, running, turn.cost_ms))
    }

    /// A sync has ended: its slot and its file are free.
    fn ended(&self, item: &Item, running: &Running, (expected_ms, took): (u64, Duration)) {
        let mut state = self.state();
        let waiting = &item.waiting;
        state.running.remove(&waiting.id);
        if let Some(file) = &item.file {
            state.files.remove(file);
        }
        let progress = &running.live.progress;
        if let Some((_, used)) = state.used.get_mut(&waiting.tenant) {
            let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            used.cpu_us = used.cpu_us.saturating_add(number(progress.guest_cpu_us.load(Ordering::Relaxed)));
            used.rows = used.rows.saturating_add(number(progress.rows_committed.load(Ordering::Relaxed)));
        }
        let actual_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        state.queue.settle(&waiting.tenant, expected_ms, actual_ms.max(1));
        drop(state);
        self.wake();
    }
}

/// The file that a waiting sync would write. Which ones are allowed is checked when it begins.
fn file_of(waiting: &Waiting, folder: &Path) -> Option<PathBuf> {
    let url: DestinationUrl = waiting.destination.parse().ok()?;
    let file = place::exclusive(&url)?;
    // Put together from its parts, so that two spellings of a path are one file.
    Some(file.components().fold(folder.to_path_buf(), |whole, step| whole.join(step)))
}

/// After a start: what was interrupted is due again, what waited waits again.
pub(super) async fn recover(server: &Arc<Server>) -> Result<()> {
    let recovered = server.store.change(|session| {
        let waiting = syncs::recover(session, time::now_us())?;
        Ok((waiting, rooms(session)?))
    });
    let (waiting, rooms) = recovered.await?;
    for (tenant, room) in rooms {
        server.scheduler.set_room(&tenant, room);
    }
    for waiting in waiting {
        push(server, waiting);
    }
    Ok(())
}

fn push(server: &Server, waiting: Waiting) {
    let folder = server.folder_of(&waiting.tenant);
    server.scheduler.push(waiting, folder);
}

fn rooms(session: &Session<'_>) -> Result<Vec<(String, u32)>> {
    let tenants = tenants::list(session, "", usize::MAX)?;
    Ok(tenants.into_iter().map(|tenant| (tenant.name, tenant.settings.quotas.syncs_at_once)).collect())
}

/// Starts what is due until the server drains.
pub(super) async fn dispatch(server: Arc<Server>) {
    while !server.scheduler.is_draining() {
        let sleep = match queue_due(&server).await {
            Ok(sleep) => sleep,
            Err(error) => {
                tracing::error!("what is due cannot be read: {}", error.chain());
                Duration::from_secs(1)
            }
        };
        start_ready(&server);
        tokio::select! {
            () = server.scheduler.wake.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// Queues the connections that are due; returns how long to sleep until the next one is.
async fn queue_due(server: &Arc<Server>) -> Result<Duration> {
    let work = |session: &Session<'_>| {
        let now_us = time::now_us();
        let due = connections::due(session, now_us, DUE_MAX)?;
        let mut queued = Vec::with_capacity(due.len());
        for due in &due {
            match syncs::queue(session, due, false) {
                Ok(waiting) => queued.push(waiting),
                // It runs or waits; when it ends, it will be known when it is due next.
                Err(error) if error.code() == Code::Conflict => {
                    connections::clear_due(session, &due.tenant, &due.connection)?;
                }
                Err(error) => return Err(error),
            }
        }
        let next = if due.len() == DUE_MAX { Some(now_us) } else { connections::next_due(session)? };
        Ok((queued, next.map(|next| next.saturating_sub(now_us))))
    };
    let (queued, next_us) = server.store.note(work).await?;
    for waiting in queued {
        push(server, waiting);
    }
    let until_next = next_us.map_or(SLEEP_MAX, |us| Duration::from_micros(u64::try_from(us).unwrap_or(0)));
    Ok(until_next.min(SLEEP_MAX))
}

/// Fills the free slots.
fn start_ready(server: &Arc<Server>) {
    while let Some((item, running, cost_ms)) = server.scheduler.next() {
        let server = Arc::clone(server);
        tokio::spawn(async move {
            let took = runner::run(&server, &item.waiting, &running).await;
            server.scheduler.ended(&item, &running, (cost_ms, took));
        });
    }
}

/// Starts a sync of a connection now.
pub(super) async fn start(server: &Arc<Server>, tenant: &str, connection: &str, full_refresh: bool) -> Result<String> {
    let (tenant, connection) = (tenant.to_owned(), connection.to_owned());
    let due = Due { tenant, connection, reason: Reason::Manual, since_us: time::now_us() };
    let waiting = server.store.change(move |session| syncs::queue(session, &due, full_refresh)).await?;
    let id = waiting.id.clone();
    push(server, waiting);
    Ok(id)
}
