//! What a connector does to tables, as it was handed over.

/// What a batch does with its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// Replaces the whole row.
    Upsert,
    /// Changes the columns given.
    Update,
    /// Marks the row as deleted.
    Delete,
    /// Marks every row issued before.
    Truncate,
}

/// Operations of one kind on one table.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The table's name as the connector gave it.
    pub table: String,
    /// What to do.
    pub kind: OperationKind,
    /// JSON objects, one a line. Not validated yet.
    pub rows: Vec<u8>,
}

/// The levels of the connector's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Detail for the author.
    Fine,
    /// What happens.
    Info,
    /// Something is odd.
    Warning,
    /// Something is wrong.
    Severe,
}
