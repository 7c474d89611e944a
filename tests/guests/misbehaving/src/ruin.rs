//! What can go wrong anywhere: loops, recursion, memory, sleep.

use std::hint::black_box;
use std::time::Duration;

pub(crate) fn endless_loop() {
    let mut round = 0_u64;
    loop {
        round = black_box(round.wrapping_add(1));
    }
}

pub(crate) fn endless_recursion() {
    black_box(descend(black_box(1)));
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn descend(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    descend(frame[3] + 1) + frame[7]
}

/// Up to the 4 GiB that 32 bits can address, without a word when refused: what a careless allocator does.
pub(crate) fn memory_growth() {
    let mut kept = Vec::new();
    for _ in 0..4096 {
        kept.push(black_box(vec![1_u8; 1 << 20]));
    }
    black_box(kept);
}

/// Longer than anybody waits.
pub(crate) fn sleep() {
    std::thread::sleep(Duration::from_hours(10));
}

#[expect(clippy::panic, reason = "that is the point")]
pub(crate) fn panic() {
    panic!("a message of the connector's author");
}
