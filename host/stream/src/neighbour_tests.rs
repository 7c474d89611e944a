//! Neighbours in one process: beside every misbehaving connector, and beside a panic of the host's own code, a well-behaved
//! one syncs, and all its rows arrive.
//!
//! `cargo xtask bench neighbour` prints how much longer the neighbour takes beside each than alone; nothing here asserts it.

#![allow(clippy::print_stdout, reason = "a benchmark prints figures")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{CommitPolicy, Event, Observer, Outcome, Progress, Report, Request};
use conformance::{Panicking, built};
use model::error::{Code, Fault};
use model::schema::SchemaContract;
use model::{Configuration, Selection};
use sandbox::{Component, EgressAllow, Limits, Pacing, Runtime, SecretGrants};
use warehouse::{Deletes, DestinationUrl};

#[path = "../../../tests/guests/misbehaving/src/modes.rs"]
mod modes;

/// Rows of the neighbour; it deletes the last one of them.
const ROWS: u64 = 5_000;
/// Bad connectors at one time.
const AT_ONCE: usize = 4;
/// What the connector's file says in front of the mode for its start and for `describe`.
const LABEL: &[u8] = b"misbehaving mode:";

struct Deaf;

impl Observer for Deaf {
    fn event(&self, _: &Event) {}
}

/// Connectors that share one engine, as in one process.
struct House {
    runtime: Runtime,
    folder: tempfile::TempDir,
    neighbour: Arc<Component>,
    /// Told by its configuration what to do.
    bad: Arc<Component>,
}

impl House {
    fn new() -> Self {
        let runtime = Runtime::new(None, None).unwrap();
        let load = |name| Arc::new(runtime.load(&built(name), &Limits::default()).unwrap());
        let (neighbour, bad) = (load("operations"), load("misbehaving"));
        Self { neighbour, bad, runtime, folder: tempfile::tempdir().unwrap() }
    }

    /// The bad connector; for its start and `describe` the mode is written into its file, since there is no configuration yet.
    fn bad(&self, mode: &str) -> Arc<Component> {
        if !mode.starts_with("start.") && !mode.starts_with("describe.") {
            return Arc::clone(&self.bad);
        }
        let mut file = std::fs::read(built("misbehaving")).unwrap();
        let at = file.windows(LABEL.len()).position(|window| window == LABEL).unwrap() + LABEL.len();
        file[at..at + mode.len()].copy_from_slice(mode.as_bytes());
        let path = self.folder.path().join(format!("{mode}.wasm"));
        std::fs::write(&path, file).unwrap();
        Arc::new(self.runtime.load(&path, &Limits::default()).unwrap())
    }

    fn request(&self, component: Arc<Component>, warehouse: &str, fields: &[(&str, &str)]) -> Request {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Request {
            id: crate::new_id(),
            component,
            configuration: Configuration(fields.collect()),
            connection: "connection".to_owned(),
            destination: Arc::new(DestinationUrl::Sqlite(self.folder.path().join(format!("{warehouse}.db")))),
            selection: Selection::All,
            full_refresh: false,
            state: None,
            deletes: Deletes::Soft,
            shrink_max: warehouse::ShrinkMax::default(),
            records: model::RecordRules::default(),
            history: Selection::none(),
            limit_rows: None,
            timestamps: true,
            commits: CommitPolicy::default(),
            contract: SchemaContract::default(),
            sample_records: 0,
            limits: Limits::default(),
            allow: EgressAllow { private: vec!["127.0.0.1:9".into()], http: vec![] },
            pacing: Pacing::default(),
            secrets: SecretGrants::default(),
            world: None,
        }
    }

    /// A good sync: every row is there, whatever happens next door.
    async fn good_sync(&self, warehouse: &str, rows: u64) -> Duration {
        let begun = Instant::now();
        let request = self.request(Arc::clone(&self.neighbour), warehouse, &[("rows", &rows.to_string())]);
        let report = tokio::spawn(sync(request)).await.unwrap();
        assert!(matches!(report.outcome, Outcome::Succeeded), "{:?}", report.outcome);
        let planets = report.tables.iter().find(|table| table.table.ends_with("planets")).unwrap();
        assert_eq!((planets.upserted, planets.rows_now), (rows, rows - 1));
        begun.elapsed()
    }

    /// A bad sync, within limits that it will reach soon. However it ends, it is no bug of the host.
    async fn bad_sync(&self, mode: &str) {
        let limits = Limits {
            wall_max: Duration::from_secs(2),
            cpu_max: Duration::from_millis(800),
            cpu_without_call_max: Duration::from_millis(400),
            ..Limits::default()
        };
        let fields = [("mode", mode), ("base_url", "http://127.0.0.1:9")];
        let request = Request { limits, ..self.request(self.bad(mode), mode, &fields) };
        let report = tokio::spawn(sync(request)).await.unwrap();
        if let Outcome::Failed(error) = report.outcome {
            assert_ne!(error.code(), Code::HostBug, "{mode}: {}", error.chain());
        }
    }

    /// A sync whose destination panics at a call, and a good one that begins with it; then one of the same connection that
    /// nothing is wrong with. Returns whether there was such a call.
    async fn panics_at(&self, call: usize) -> bool {
        let (name, beside) = (format!("panics at {call}"), format!("beside call {call}"));
        let mut request = self.request(Arc::clone(&self.neighbour), &name, &[("rows", "10")]);
        let panicking = Panicking::new(request.destination);
        panicking.set(call);
        request.destination = Arc::new(panicking.clone());
        let (report, _) = tokio::join!(tokio::spawn(sync(request)), self.good_sync(&beside, ROWS));
        let has_panicked = !panicking.unset();
        match report.unwrap().outcome {
            Outcome::Failed(error) => {
                assert!(has_panicked, "call {call}: {}", error.chain());
                assert_eq!((error.code(), error.fault()), (Code::HostBug, Fault::Host), "call {call}");
            }
            outcome => assert!(!has_panicked, "call {call}: {outcome:?}"),
        }
        self.good_sync(&name, 10).await;
        has_panicked
    }

    /// A bad sync, and a good one that begins with it.
    async fn beside(&self, mode: &str) {
        let warehouse = format!("beside {mode}");
        tokio::join!(self.bad_sync(mode), self.good_sync(&warehouse, ROWS));
    }
}

async fn sync(request: Request) -> Report {
    let (_stop, stopped) = watch::channel(None);
    Box::pin(super::run(request, Arc::new(Deaf), Arc::new(Progress::default()), stopped)).await
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

/// Every mode of an export, a few at a time, each with its neighbour.
fn every_neighbour_gets_its_rows(export: &str) {
    let house = House::new();
    let modes: Vec<&str> = MODES.iter().copied().filter(|mode| mode.starts_with(export)).collect();
    assert!(!modes.is_empty());
    for some in modes.chunks(AT_ONCE) {
        block_on(async {
            let idle = || String::new();
            let mode = |index: usize| some.get(index).map_or_else(idle, |mode| (*mode).to_owned());
            let one = async |mode: String| {
                if !mode.is_empty() {
                    house.beside(&mode).await;
                }
            };
            tokio::join!(one(mode(0)), one(mode(1)), one(mode(2)), one(mode(3)));
        });
    }
    // The house stands.
    block_on(house.good_sync("afterwards", ROWS));
}

macro_rules! list {
    ($($export:ident { $($mode:ident)* })*) => {
        const MODES: &[&str] = &[$($(concat!(stringify!($export), ".", stringify!($mode)),)*)*];
    };
}
modes::modes!(list);

#[test]
fn beside_bad_starts() {
    every_neighbour_gets_its_rows("start.");
}

#[test]
fn beside_bad_descriptions() {
    every_neighbour_gets_its_rows("describe.");
}

#[test]
fn beside_bad_checks_and_schemas() {
    every_neighbour_gets_its_rows("schema.");
    every_neighbour_gets_its_rows("check.");
}

#[test]
fn beside_bad_updates() {
    every_neighbour_gets_its_rows("update.");
}

/// Each call of the destination in turn, until there are no more.
#[test]
fn beside_panics_of_the_host() {
    let house = House::new();
    let mut call = 1;
    while block_on(house.panics_at(call)) {
        call += 1;
    }
    assert!(call > 3, "a sync commits, finishes and tells its memory: {call}");
}

/// Rows of the neighbour in the benchmark.
const ROWS_MEASURED: u64 = 100_000;

#[test]
#[ignore = "a benchmark: prints figures"]
fn slowdown() {
    let house = House::new();
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let good = || house.good_sync("measured", ROWS_MEASURED);
    block_on(good());
    let alone = median((0..5).map(|_| block_on(good())).collect());
    println!("{:<38} {:>9} {:>8}", "the neighbour beside", "time", "ratio");
    println!("{:<38} {:>9.1?} {:>8.2}", "nobody", alone, 1.0);
    for mode in MODES {
        let ((), beside) = block_on(async {
            let done = AtomicBool::new(false);
            let bad = async {
                while !done.load(Ordering::Relaxed) {
                    house.bad_sync(mode).await;
                }
            };
            let measured = async {
                let times = vec![good().await, good().await, good().await];
                done.store(true, Ordering::Relaxed);
                median(times)
            };
            tokio::join!(bad, measured)
        });
        println!("{mode:<38} {beside:>9.1?} {:>8.2}", beside.as_secs_f64() / alone.as_secs_f64());
    }
}
