//! What becomes of a record that cannot be taken as it is.

/// What becomes of a bad record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBadRecord {
    /// It ends the sync.
    #[default]
    Fail,
    /// It is set aside in the table `_rejected`, and the sync goes on.
    Quarantine,
}

/// What becomes of a text with a character that the destination cannot hold: half a surrogate pair, or NUL in some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnstorable {
    /// Its record is a bad one.
    #[default]
    Fail,
    /// U+FFFD stands in the place of each, and that is noted.
    Replace,
}

/// How a sync treats records that cannot be taken as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRules {
    /// What becomes of bad records.
    pub on_bad_record: OnBadRecord,
    /// What becomes of texts that cannot be stored.
    pub on_unstorable: OnUnstorable,
    /// How many records of one sync are set aside; one more ends it.
    pub rejected_max: u64,
}

/// So many records are set aside unless told otherwise: more than a source has by accident.
pub const REJECTED_MAX: u64 = 1_000;

impl Default for RecordRules {
    fn default() -> Self {
        Self { on_bad_record: OnBadRecord::Fail, on_unstorable: OnUnstorable::Fail, rejected_max: REJECTED_MAX }
    }
}
