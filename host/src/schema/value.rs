//! Reads one JSON value: which type it has and what it is worth.
