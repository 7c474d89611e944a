//! How the C library's allocator treats large blocks: they go back to the system as soon as they are freed.

/// Texts of a transaction are larger, and there are few of them. Pages of answers are smaller, and so is what DuckDB asks for
/// and frees again with every statement: that would have to be filled with zeros each time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BLOCK_BYTES: i32 = 2 << 20;

/// Unless told so, the allocator takes the largest block ever freed (up to 32 MiB) as the bound below which it keeps what
/// is freed for itself. The columns of a transaction then leave holes that the next ones do not fit into: 20 MB more at
/// the peak of a load into DuckDB, and not a millisecond less.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn give_back_large_blocks() {
    const M_MMAP_THRESHOLD: i32 = -3;
    unsafe extern "C" {
        fn mallopt(parameter: i32, value: i32) -> i32;
    }
    // SAFETY: the call only sets a number; it is made before other threads allocate.
    #[expect(unsafe_code, reason = "the C library offers no other way to a setting of its own")]
    let _unchanged_if_refused = unsafe { mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES) };
}

/// Other allocators have other ways.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_back_large_blocks() {}
