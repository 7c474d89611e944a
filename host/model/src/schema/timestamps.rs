//! What becomes of strings that look like time: a setting of a sync.

/// Whether strings may become dates and timestamps (`--timestamps`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timestamps {
    /// They do while every value of a column is one, however it is spelled. What is kept is the instant.
    #[default]
    Infer,
    /// They do while every value of a column has one and the same format, which is remembered: the very bytes come back.
    Exact,
    /// They stay text.
    Text,
}
