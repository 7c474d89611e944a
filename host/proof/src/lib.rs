//! Proof that a connector does as it should: a sync as a file, made and replayed (`recording`), and a connector tried against
//! the rules, resumed and disturbed (`verify`).

pub mod recording;
pub mod verify;
