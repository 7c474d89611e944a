//! Writes rows that are none, or that do not fit their table.

use std::fmt::Write as _;

use elt_sdk::bindings::elt::connector::operations::{self, Batch, Kind};

use super::{Done, upsert};
use crate::component::{Sync, write};

pub(crate) fn rows_not_json(_: &Sync) -> Done {
    upsert("things", "{\"id\": 5}\n{\"id\": 6, oops}\n");
    Ok(())
}

pub(crate) fn rows_not_objects(_: &Sync) -> Done {
    upsert("things", "{\"id\": 5}\n[6]\n");
    Ok(())
}

pub(crate) fn rows_not_utf8(_: &Sync) -> Done {
    upsert("things", *b"{\"id\": 5}\n{\"id\": 6, \"text\": \"\xff\xfe\"}\n");
    Ok(())
}

pub(crate) fn row_nested_deep(_: &Sync) -> Done {
    upsert("things", format!("{{\"id\": 5, \"deep\": {}{}}}\n", "[".repeat(1000), "]".repeat(1000)));
    Ok(())
}

pub(crate) fn row_too_wide(_: &Sync) -> Done {
    let mut row = "{\"id\": 5".to_owned();
    for column in 0..6_000 {
        let _ = write!(row, ", \"column {column}\": {column}");
    }
    upsert("things", row + "}\n");
    Ok(())
}

/// Longer than a row may be, shorter than a call may be.
pub(crate) fn row_too_long(_: &Sync) -> Done {
    upsert("things", format!("{{\"id\": 5, \"long\": \"{}\"}}\n", "x".repeat(17 << 20)));
    Ok(())
}

pub(crate) fn call_too_long(_: &Sync) -> Done {
    upsert("things", format!("{{\"id\": 5, \"long\": \"{}\"}}\n", "x".repeat(30 << 20)));
    Ok(())
}

pub(crate) fn batch_of_many_rows(_: &Sync) -> Done {
    let mut rows = String::new();
    for id in 5..200_005 {
        let _ = writeln!(rows, "{{\"id\": {id}}}");
    }
    upsert("things", rows);
    Ok(())
}

/// Batches without rows cost the guest 20 bytes each: the host must not pay much more.
pub(crate) fn call_of_many_batches(_: &Sync) -> Done {
    let batch = || Batch { table: String::new(), kind: Kind::Upsert, rows: Vec::new() };
    let batches: Vec<_> = (0..2_000_000).map(|_| batch()).collect();
    operations::write(&batches);
    Ok(())
}

pub(crate) fn key_missing(_: &Sync) -> Done {
    upsert("things", "{\"id\": 5}\n{\"name\": \"nobody\"}\n");
    Ok(())
}

pub(crate) fn key_null(_: &Sync) -> Done {
    upsert("things", "{\"id\": 5}\n{\"id\": null}\n");
    Ok(())
}

pub(crate) fn key_of_another_type(_: &Sync) -> Done {
    upsert("things", "{\"id\": 5}\n{\"id\": \"six\"}\n");
    Ok(())
}

/// No fault: the last row of a key counts.
pub(crate) fn key_twice_in_a_batch(_: &Sync) -> Done {
    upsert("things", "{\"id\": 5, \"n\": \"first\"}\n{\"id\": 5, \"n\": \"second\"}\n{\"id\": 5, \"n\": \"last\"}\n");
    Ok(())
}

pub(crate) fn value_of_another_type(_: &Sync) -> Done {
    upsert("amounts", "{\"id\": 1, \"amount\": 1}\n{\"id\": 2, \"amount\": \"a lot\"}\n");
    Ok(())
}

pub(crate) fn table_not_selected(_: &Sync) -> Done {
    upsert("facts", "{\"what\": \"nobody asked\"}\n");
    Ok(())
}

pub(crate) fn truncate_with_rows(_: &Sync) -> Done {
    write("things", Kind::Truncate, "{\"id\": 5}\n");
    Ok(())
}

pub(crate) fn update_without_key(_: &Sync) -> Done {
    write("facts", Kind::Update, "{\"what\": \"which?\"}\n");
    Ok(())
}
