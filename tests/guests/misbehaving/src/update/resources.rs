//! Takes more than its share: time, memory, stack, handles.

use std::time::Duration;

use elt_sdk::bindings::elt::connector::{http, log};

use super::Done;
use crate::component::Sync;
use crate::ruin;

pub(crate) fn endless_loop(_: &Sync) -> Done {
    ruin::endless_loop();
    Ok(())
}

/// Calls the host all the time, so that no single stretch of computing is long.
pub(crate) fn endless_loop_of_calls(_: &Sync) -> Done {
    loop {
        log::write(log::Level::Fine, "still here");
        std::hint::black_box((0..10_000_u64).fold(0, |sum, round| std::hint::black_box(sum ^ round)));
    }
}

pub(crate) fn endless_recursion(_: &Sync) -> Done {
    ruin::endless_recursion();
    Ok(())
}

/// The host has to know this from a connector that is done.
pub(crate) fn exit_with_success(_: &Sync) -> Done {
    std::process::exit(0)
}

pub(crate) fn memory_growth(_: &Sync) -> Done {
    ruin::memory_growth();
    Ok(())
}

pub(crate) fn panic(_: &Sync) -> Done {
    ruin::panic();
    Ok(())
}

pub(crate) fn sleep(_: &Sync) -> Done {
    ruin::sleep();
    Ok(())
}

/// Calls the host from the bottom of a deep stack: what the host then needs must not be the guest's to use up.
pub(crate) fn stack_of_calls(_: &Sync) -> Done {
    fn descend(depth: u64) -> u64 {
        log::write(log::Level::Fine, "deeper");
        println!("deeper");
        let frame = std::hint::black_box([depth; 16]);
        if depth == u64::MAX { 0 } else { descend(frame[3] + 1) + frame[7] }
    }
    std::hint::black_box(descend(1));
    Ok(())
}

pub(crate) fn trap_in_a_batch(_: &Sync) -> Done {
    super::upsert("things", "{\"id\": 5}\n{\"id\": 6}\n");
    core::arch::wasm32::unreachable()
}

pub(crate) fn get(url: &str) -> http::Request {
    http::Request {
        method: http::Method::Get,
        url: url.to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        authentication: None,
        body: None,
        idempotent: false,
        buffer: false,
        timeout_ms: None,
    }
}

/// Starts requests and never asks for their answers.
pub(crate) fn handles_of_requests(sync: &Sync) -> Done {
    let request = get(&sync.base_url);
    let pending: Vec<_> = (0..10_000).map(|_| http::send(&request)).collect();
    drop(pending);
    Ok(())
}

/// Keeps every answer open.
pub(crate) fn handles_of_answers(sync: &Sync) -> Done {
    let request = get(&sync.base_url);
    let answers: Vec<_> = (0..10_000).map(|_| http::fetch(&request)).collect();
    drop(answers);
    Ok(())
}

/// The handles of WASI are handles too.
pub(crate) fn handles_of_timers(_: &Sync) -> Done {
    let hour = u64::try_from(Duration::from_hours(1).as_nanos()).unwrap_or(u64::MAX);
    let timers: Vec<_> = (0..10_000).map(|_| wasi::clocks::monotonic_clock::subscribe_duration(hour)).collect();
    drop(timers);
    Ok(())
}

pub(crate) fn wait_twice(sync: &Sync) -> Done {
    if let Ok(pending) = http::send(&get(&sync.base_url)) {
        drop(pending.wait());
        drop(pending.wait());
    }
    Ok(())
}

/// Asks for more random bytes than any machine has memory.
pub(crate) fn random_flood(_: &Sync) -> Done {
    drop(wasi::random::random::get_random_bytes(1 << 60));
    Ok(())
}

/// Asks for zeroes, written by the host to the guest's own output.
pub(crate) fn zeroes_flood(_: &Sync) -> Done {
    drop(wasi::cli::stdout::get_stdout().write_zeroes(u64::MAX));
    Ok(())
}

pub(crate) fn stdin_flood(_: &Sync) -> Done {
    let read = wasi::cli::stdin::get_stdin().read(u64::MAX);
    super::upsert(
        "facts",
        format!("{{\"what\": \"stdin\", \"answer\": {:?}}}", read.is_ok_and(|bytes| !bytes.is_empty())),
    );
    Ok(())
}
