//! The SDK against its double of the host: what reaches the host, and what a connector is told.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "sdk/cursors.rs"]
mod cursors;
#[path = "sdk/ends.rs"]
mod ends;
#[path = "sdk/export.rs"]
mod export;
#[path = "sdk/exports.rs"]
mod exports;
#[path = "sdk/guide.rs"]
mod guide;
#[path = "sdk/http.rs"]
mod http;
#[path = "sdk/judge.rs"]
mod judge;
#[path = "sdk/login.rs"]
mod login;
#[path = "sdk/operations.rs"]
mod operations;
#[path = "sdk/pagination.rs"]
mod pagination;
#[path = "sdk/parallel.rs"]
mod parallel;
#[path = "sdk/poll.rs"]
mod poll;
#[path = "sdk/rows.rs"]
mod rows;
#[path = "sdk/secrets.rs"]
mod secrets;
#[path = "sdk/urls.rs"]
mod urls;
#[path = "sdk/window.rs"]
mod window;
