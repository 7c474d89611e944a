//! How the C library's allocator treats large blocks: they go back to the system as soon as they are freed.

/// The columns of a transaction, and there are few of them. Pages of answers are smaller, and so is what DuckDB asks for
/// and frees again with every statement: that would have to be filled with zeros each time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "2 MiB")]
const LARGE_BLOCK_BYTES: i32 = stream::ROOM_BYTES as i32;

/// What an arena may keep at its end when it is freed: a few pages of answers, which the next ones will fill again.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: i32 = LARGE_BLOCK_BYTES / 2;

/// Unless told so, the allocator takes the largest block ever freed (up to 32 MiB) as the bound below which it keeps what
/// is freed for itself. The columns of a transaction then leave holes that the next ones do not fit into: 20 MB more at
/// the peak of a load into DuckDB, and not a millisecond less. Told so much and no more, it keeps 128 KiB at the end of an
/// arena, and every page of an answer is given back and taken again: 91,000 page faults in a load of 200,000 records,
/// 77,000 with 1 MiB kept, 57,000 with 2 MiB but 4 MB more at the peak (docs/decisions/0008-path-of-a-batch.md).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn give_back_large_blocks() {
    const M_TRIM_THRESHOLD: i32 = -1;
    const M_MMAP_THRESHOLD: i32 = -3;
    unsafe extern "C" {
        fn mallopt(parameter: i32, value: i32) -> i32;
    }
    // SAFETY: the calls only set numbers; they are made before other threads allocate.
    #[expect(unsafe_code, reason = "the C library offers no other way to settings of its own")]
    let _unchanged_if_refused =
        unsafe { (mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES), mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)) };
}

/// Other allocators have other ways.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_back_large_blocks() {}
