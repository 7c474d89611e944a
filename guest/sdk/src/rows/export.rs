//! The choices that all formats of exports share.

/// What a connector knows of its source's exports, set by the methods of [`Format`](super::Format).
#[derive(Debug, Clone, Default)]
pub struct Export {
    pub(super) encoding: Option<String>,
    pub(super) may_be_empty: bool,
    pub(super) empty_body: Option<String>,
    pub(super) count: Option<u64>,
    pub(super) content_type: Option<String>,
    pub(super) entry: Option<String>,
    /// The end of the body is known to be the export's: a last line without its end is whole.
    pub(super) line_end_proven: bool,
}
