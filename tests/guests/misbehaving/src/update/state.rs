//! Checkpoints that are too many, too long, or none.

use elt_sdk::bindings::elt::connector::checkpoint::{flush, save};

use super::{Done, upsert};
use crate::component::Sync;

/// No fault: a checkpoint is cheap.
pub(crate) fn save_in_a_loop(_: &Sync) -> Done {
    for at in 1..=100_000 {
        save(&format!("{{\"at\": {at}}}"));
    }
    Ok(())
}

pub(crate) fn save_not_json(_: &Sync) -> Done {
    save("{\"at\": 4");
    Ok(())
}

pub(crate) fn save_nested_deep(_: &Sync) -> Done {
    save(&format!("{{\"at\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000)));
    Ok(())
}

pub(crate) fn save_too_long(_: &Sync) -> Done {
    save(&format!("{{\"at\": \"{}\"}}", "x".repeat(11 << 20)));
    Ok(())
}

pub(crate) fn save_very_long(_: &Sync) -> Done {
    save(&format!("{{\"at\": \"{}\"}}", "x".repeat(100 << 20)));
    Ok(())
}

/// No fault, only slow: each flush waits for a commit.
pub(crate) fn flush_in_a_loop(_: &Sync) -> Done {
    for id in 5..=54 {
        upsert("things", format!("{{\"id\": {id}}}"));
        save(&format!("{{\"at\": {id}}}"));
        flush();
        flush();
    }
    Ok(())
}
