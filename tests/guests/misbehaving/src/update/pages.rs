//! What can be done with the records of an answer that stay in the host.

use elt_sdk::bindings::elt::connector::checkpoint;
use elt_sdk::bindings::elt::connector::http::{self, NoRecords, Records};
use elt_sdk::bindings::elt::connector::operations::{self, Kind};

use super::resources::get;
use super::{Done, upsert};
use crate::component::Sync;

fn records(sync: &Sync, pointer: &str) -> Result<Records, NoRecords> {
    http::fetch(&get(&sync.base_url)).map_err(NoRecords::Exchange)?.records(pointer)
}

/// Keeps the records of every page, which the host holds.
pub(crate) fn records_hoarded(sync: &Sync) -> Done {
    let hoard: Vec<_> = (0..4_000).map(|_| records(sync, "/cds_records")).collect();
    drop(hoard);
    Ok(())
}

/// Records that were written by both ways, with checkpoints between them, and twice.
pub(crate) fn records_in_order(sync: &Sync) -> Done {
    let Ok(page) = records(sync, "/cds_records") else { return Ok(()) };
    for round in 0..3 {
        upsert("pages", page.read(0, u32::MAX));
        operations::write_records("pages", Kind::Delete, &page);
        checkpoint::save(&format!("{{\"round\": {round}}}"));
    }
    operations::write_records("pages", Kind::Upsert, &page);
    operations::write_records("pages", Kind::Upsert, &page);
    upsert("pages", page.read(page.count(), 7));
    Ok(())
}

/// Asks at places where no records can be; the cursor is null, which counts as no records.
pub(crate) fn records_nowhere(sync: &Sync) -> Done {
    let long = "/cds_records".repeat(100_000);
    let pointers = ["cds_records", "/cds_records/0", "/cds_records/x", "/", "", "/~", "/next_cursor", &long];
    for (number, pointer) in pointers.iter().enumerate() {
        let answer = match records(sync, pointer) {
            Ok(_) => "found",
            Err(NoRecords::Exchange(error)) if error.kind == http::ErrorKind::InvalidRequest => "no pointer",
            Err(NoRecords::Exchange(_)) => "broken",
            Err(NoRecords::NotJson(_)) => "not JSON",
            Err(NoRecords::NotThere) => "not there",
        };
        upsert("facts", format!("{{\"what\": \"{number}\", \"answer\": \"{answer}\"}}"));
    }
    Ok(())
}

pub(crate) fn truncate_with_records(sync: &Sync) -> Done {
    if let Ok(page) = records(sync, "/cds_records") {
        operations::write_records("things", Kind::Truncate, &page);
    }
    Ok(())
}
