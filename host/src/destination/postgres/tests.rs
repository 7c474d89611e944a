//! Measurements and tests follow.
