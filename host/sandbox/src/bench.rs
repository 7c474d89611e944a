//! What starting a guest costs, with memory mapped anew for each instance and with memory from a pool. By hand:
//!
//! `cargo test --release -p host --lib guest::bench -- --ignored --nocapture --test-threads 1`

#![allow(clippy::pedantic, clippy::print_stdout, reason = "a benchmark prints figures and is read by its author")]

use std::path::PathBuf;
use std::time::Instant;

use wasmtime::{InstanceAllocationStrategy, PoolingAllocationConfig};

use super::*;

const ROUNDS: u32 = 2_000;
const ALIVE: u32 = 1_000;

/// Memory of this process that is in use, in bytes.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn wires() -> Wires {
    Wires { listener: Arc::new(Deaf), secrets: Secrets::default(), client: None, world: None, operations: None }
}

async fn measure(name: &str, engine: Engine, path: &Path) {
    let limits = Limits::default();
    let runtime = Runtime::of(engine, Workshop { cache: None, compiler: None }).unwrap();
    let component = runtime.load(path, &limits).unwrap();
    component.ask_description(&limits).await.unwrap();
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        component.instantiate(&limits, wires()).await.unwrap();
    }
    let instance = begun.elapsed() / ROUNDS;
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        component.ask_description(&limits).await.unwrap();
    }
    let described = begun.elapsed() / ROUNDS;
    let before = resident_bytes();
    let mut alive = Vec::new();
    for _ in 0..ALIVE {
        let (mut store, connector) = component.instantiate(&limits, wires()).await.unwrap();
        connector.call_describe(&mut store).await.unwrap();
        alive.push((store, connector));
    }
    let each = resident_bytes().saturating_sub(before) / u64::from(ALIVE) / 1024;
    println!(
        "{name}: instance {instance:.1?}, with a call of describe {described:.1?}, {each} KiB for each of {ALIVE} alive"
    );
}

/// The connector `BENCH_COMPONENT`, else the built `guest.wasm`.
#[tokio::test]
#[ignore = "a benchmark: prints figures"]
async fn instances() {
    let test = std::env::current_exe().unwrap();
    let built = test.ancestors().nth(3).unwrap().join("wasm32-wasip2/release/guest.wasm");
    let path = std::env::var_os("BENCH_COMPONENT").map_or(built, PathBuf::from);
    measure("memory mapped anew", engine::engine().unwrap(), &path).await;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(ALIVE + 1).total_core_instances(8 * (ALIVE + 1));
    pool.total_memories(2 * (ALIVE + 1)).total_tables(8 * (ALIVE + 1)).total_stacks(ALIVE + 1);
    pool.max_core_instances_per_component(128).max_memory_size(256 << 20);
    let mut config = engine::config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    measure("memory from a pool", Engine::new(&config).unwrap(), &path).await;
}
