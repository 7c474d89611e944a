//! In `check`.

use elt_sdk::bindings::elt::connector::operations::Kind;

pub(crate) use crate::ruin::{endless_loop, sleep};

pub(crate) fn write() {
    crate::component::write("things", Kind::Upsert, "{\"id\": 9}");
}
