//! Writes little of which a careless host makes much: in its memory, or of its processor's time.

use std::fmt::Write as _;

use elt_sdk::bindings::elt::connector::operations::Kind;

use super::{Done, upsert};
use crate::component::{Sync, write};

/// One row of 15 MiB, then 100,000 changes of another of its columns.
pub(crate) fn updates_of_a_large_row(_: &Sync) -> Done {
    upsert("things", format!("{{\"id\": 5, \"text\": \"{}\", \"n\": 0}}\n", "x".repeat(15 << 20)));
    for page in 0..100 {
        let mut rows = String::new();
        for n in 0..1_000 {
            let _ = writeln!(rows, "{{\"id\": 5, \"n\": {}}}", page * 1_000 + n);
        }
        write("things", Kind::Update, rows);
    }
    Ok(())
}

/// 4,990 columns of decimals in the first row, then 120,000 rows without them.
pub(crate) fn columns_of_one_row(_: &Sync) -> Done {
    let mut row = "{\"id\": 5".to_owned();
    for column in 0..4_990 {
        let _ = write!(row, ", \"c{column}\": 12345678901234567890.25");
    }
    upsert("things", row + "}\n");
    for page in 0..12 {
        let mut rows = String::new();
        for n in 6..10_006 {
            let _ = writeln!(rows, "{{\"id\": {}}}", page * 10_000 + n);
        }
        upsert("things", rows);
    }
    Ok(())
}

/// One of 2,000 columns in each of 20,000 rows.
pub(crate) fn columns_in_turn(_: &Sync) -> Done {
    for page in 0..10 {
        let mut rows = String::new();
        for n in page * 2_000..(page + 1) * 2_000 {
            let _ = writeln!(rows, "{{\"id\": {}, \"c{}\": \"x{n}\"}}", n + 5, n * 7919 % 2_000);
        }
        upsert("things", rows);
    }
    Ok(())
}

/// 2,000 tables of 4,990 columns.
pub(crate) fn columns_of_many_tables(_: &Sync) -> Done {
    let mut row = "{\"id\": 0".to_owned();
    for column in 0..4_990 {
        let _ = write!(row, ", \"c{column}\": 1");
    }
    row.push('}');
    for table in 0..2_000 {
        upsert(&format!("wide {table}"), row.as_str());
    }
    Ok(())
}

/// 100,000 tables that never get a row, each of another name; then a name that no table can have.
pub(crate) fn names_without_rows(_: &Sync) -> Done {
    for number in 0..100_000 {
        write(&format!("{number:01000}"), Kind::Truncate, "");
        write(&format!("{number:01000}"), Kind::Upsert, "");
    }
    write(&"n".repeat(20 << 20), Kind::Truncate, "");
    Ok(())
}

/// Records of 15 MiB, nested as deep as they may be, in a table without a key: their hash wants names in order.
pub(crate) fn keyless_rows_nested_deep(_: &Sync) -> Done {
    let (begin, end) = ("{\"b\": ".repeat(126), ", \"a\": 1}".repeat(126));
    for number in 0..4 {
        upsert("facts", format!("{{\"what\": {number}, \"deep\": {begin}\"{}\"{end}}}\n", "x".repeat(15 << 20)));
    }
    Ok(())
}
