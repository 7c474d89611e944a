//! Names of tables and columns that a careless host would trip over.

use super::{Done, upsert};
use crate::component::Sync;

pub(crate) fn column_name_too_long(_: &Sync) -> Done {
    upsert("things", format!("{{\"id\": 5, \"{}\": 1}}\n", "n".repeat(10_000)));
    Ok(())
}

pub(crate) fn column_names_that_fit(_: &Sync) -> Done {
    let row = r#"{"id": 5, "ID": 6, "": 7, "select": 8, "a\"b'c;--": 9, "../..": 10, "eleven": 11, "_synced_at": 12,
        "_deleted": 13, "_row_id": 14, "ünï 🦀": 15}"#;
    upsert("things", row.replace('\n', " "));
    Ok(())
}

pub(crate) fn table_name_too_long(_: &Sync) -> Done {
    upsert(&"n".repeat(10_000), "{\"n\": 1}\n");
    Ok(())
}

pub(crate) fn table_names_that_fit(_: &Sync) -> Done {
    for name in ["", "select", "a\"b'c;--", "../../etc", "_syncs", "THINGS", "ünï 🦀", "a.b"] {
        upsert(name, "{\"n\": 1}\n");
    }
    Ok(())
}

pub(crate) fn tables_too_many(_: &Sync) -> Done {
    for number in 0..10_001 {
        upsert(&format!("table {number}"), "{\"n\": 1}\n");
    }
    Ok(())
}
