//! What the tests stand on: a source server that behaves, or misbehaves, exactly as told.

pub mod source;
