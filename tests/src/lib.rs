//! What the tests stand on: a source that behaves, or misbehaves, exactly as told, the host as a program, a Postgres
//! server, a reader of JSON lines, and a server of the host.

pub mod host;
pub mod json_lines;
pub mod lake;
pub mod postgres;
pub mod server;
pub mod source;
