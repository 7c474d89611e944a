//! The bounds of one guest: what each is, its unit, its default. Every one is on by default.

use std::time::Duration;

/// Limits of one sync's sandbox. The table in docs/guides/limits.md is made from these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory summed over all memories and tables of the instance, and the bodies and records that the host keeps for it.
    pub memory_bytes_max: u64,
    /// Memory that the host keeps for one sync beside that: rows, queues, names of tables and columns.
    pub sync_memory_bytes_max: u64,
    /// Time the guest computes in one sync, and the host for it.
    pub cpu_max: Duration,
    /// Time the guest computes without calling the host.
    pub cpu_without_call_max: Duration,
    /// Time from start to end.
    pub wall_max: Duration,
    /// Bytes handed over in one call.
    pub call_bytes_max: u64,
    /// Handles to responses and the like at one time.
    pub handles_max: u32,
    /// Requests in one sync.
    pub requests_max: u64,
    /// Requests under way at one time; more wait.
    pub requests_in_flight_max: u32,
    /// One response, decompressed.
    pub response_bytes_max: u64,
    /// All responses of a sync, decompressed.
    pub responses_bytes_max: u64,
    /// One request's body.
    pub request_body_bytes_max: u64,
    /// Header fields of one request.
    pub request_headers_max: u32,
    /// URL, query and header fields of one request together.
    pub request_header_bytes_max: u64,
    /// The longest silence of the source, before an answer or within its body.
    pub silence_max: Duration,
    /// The fewest bytes of a body within a minute of waiting for it.
    pub bytes_per_minute_min: u64,
    /// Rows in one batch.
    pub batch_rows_max: u64,
    /// Bytes in one row.
    pub row_bytes_max: u64,
    /// Columns in one table.
    pub columns_max: u64,
    /// Tables of one connection.
    pub tables_max: u64,
    /// Depth of nesting in a record.
    pub json_depth_max: u64,
    /// Bytes of a state.
    pub state_bytes_max: u64,
    /// Tokens that the connector has protected in one sync, those in its state included.
    pub tokens_max: u32,
    /// All of these tokens together.
    pub token_bytes_max: u64,
    /// Lines of log a second; the rest are counted and dropped.
    pub log_lines_per_second_max: u64,
    /// Bytes of a line of log; the rest is cut.
    pub log_line_bytes_max: u64,
    /// Bytes of the component's file.
    pub component_bytes_max: u64,
    /// Time to compile the component.
    pub compile_time_max: Duration,
    /// Memory of the process that compiles it.
    pub compile_memory_bytes_max: u64,
}

impl Limits {
    /// What rows may take before they are staged, and names in all: a sixth each. As much is on its way to the destination,
    /// twice, and in the queue before the decoder.
    pub fn memory_share_bytes(&self) -> usize {
        // More than can be addressed is no bound.
        usize::try_from(self.sync_memory_bytes_max / 6).unwrap_or(usize::MAX)
    }
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: u64 = 1024;
        const MIB: u64 = 1024 * KIB;
        Self {
            memory_bytes_max: 256 * MIB,
            sync_memory_bytes_max: 256 * MIB,
            cpu_max: Duration::from_mins(10),
            cpu_without_call_max: Duration::from_secs(10),
            wall_max: Duration::from_hours(6),
            call_bytes_max: 24 * MIB,
            handles_max: 4_096,
            requests_max: 1_000_000,
            requests_in_flight_max: 8,
            response_bytes_max: 256 * MIB,
            responses_bytes_max: 100 * 1024 * MIB,
            request_body_bytes_max: 16 * MIB,
            request_headers_max: 128,
            request_header_bytes_max: 64 * KIB,
            silence_max: Duration::from_mins(1),
            bytes_per_minute_min: KIB,
            batch_rows_max: 100_000,
            row_bytes_max: 16 * MIB,
            columns_max: 5_000,
            tables_max: 10_000,
            json_depth_max: 128,
            state_bytes_max: 10 * MIB,
            tokens_max: 100,
            token_bytes_max: 64 * KIB,
            log_lines_per_second_max: 100,
            log_line_bytes_max: 8 * KIB,
            component_bytes_max: 64 * MIB,
            compile_time_max: Duration::from_mins(1),
            compile_memory_bytes_max: 2 * 1024 * MIB,
        }
    }
}
