//! What the tests stand on: a source that behaves, or misbehaves, exactly as told, and the host as a program.

pub mod host;
pub mod lake;
pub mod source;
