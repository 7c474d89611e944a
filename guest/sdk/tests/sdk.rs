//! The SDK against its double of the host: what reaches the host, and what a connector is told.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "sdk/export.rs"]
mod export;
#[path = "sdk/guide.rs"]
mod guide;
#[path = "sdk/http.rs"]
mod http;
#[path = "sdk/operations.rs"]
mod operations;
#[path = "sdk/pagination.rs"]
mod pagination;
#[path = "sdk/secrets.rs"]
mod secrets;
