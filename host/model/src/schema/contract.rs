//! The schema contract of a connection: which changes of the source its tables follow, and what becomes of values that do
//! not fit.

/// What may change in tables that were there when a sync began. New tables are made in any case but `fail`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchemaContract {
    /// No column is added: fields without a column are left out and noted.
    pub freeze_columns: bool,
    /// No column changes its type: a value that does not fit is a mismatch.
    pub freeze_types: bool,
    /// Any change ends the sync.
    pub fail: bool,
    /// What becomes of a mismatch.
    pub on_mismatch: OnMismatch,
}

/// What becomes of a value that a column with a fixed type cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMismatch {
    /// It ends the sync.
    #[default]
    Fail,
    /// The column's type is no longer fixed, and widens.
    Widen,
    /// NULL is stored instead, and noted.
    Null,
}
