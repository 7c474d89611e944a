//! What can be done with the records of an answer that stay in the host.

use std::collections::BTreeMap;

use elt_sdk::RawValue;
use elt_sdk::bindings::elt::connector::checkpoint;
use elt_sdk::bindings::elt::connector::http::{self, NoRecords, Records};
use elt_sdk::bindings::elt::connector::operations::{self, Kind};
use elt_sdk::serde_json;

use super::resources::get;
use super::{Done, upsert};
use crate::component::{Sync, write};

fn records(sync: &Sync, pointer: &str) -> Result<Records, NoRecords> {
    http::fetch(&get(&sync.base_url)).map_err(NoRecords::Exchange)?.records(pointer)
}

/// Keeps the records of every page, which the host holds.
pub(crate) fn records_hoarded(sync: &Sync) -> Done {
    let hoard: Vec<_> = (0..4_000).map(|_| records(sync, "/cds_records")).collect();
    drop(hoard);
    Ok(())
}

/// Records that are kept, written as lines and as they are, by turns.
pub(crate) fn records_in_order(sync: &Sync) -> Done {
    let Ok(page) = records(sync, "/cds_records") else { return Ok(()) };
    by_turns(&page.read(0, u32::MAX), |kind| operations::write_records("pages", kind, &page));
    upsert("pages", page.read(page.count(), 7));
    Ok(())
}

/// The same operations, all of them from a body that was read.
pub(crate) fn records_carried(sync: &Sync) -> Done {
    let Ok(body) = http::fetch(&get(&sync.base_url)).and_then(|answer| answer.read_all()) else { return Ok(()) };
    let fields = serde_json::from_slice::<BTreeMap<String, &RawValue>>(&body).unwrap_or_default();
    let records = fields.get("cds_records").and_then(|list| serde_json::from_str::<Vec<&RawValue>>(list.get()).ok());
    let line = |record: &&RawValue| record.get().replace(['\n', '\r'], " ") + "\n";
    let lines: String = records.unwrap_or_default().iter().map(line).collect();
    by_turns(lines.as_bytes(), |kind| write("pages", kind, lines.as_bytes()));
    upsert("pages", "");
    Ok(())
}

/// Three times both ways with a checkpoint, then twice the second.
fn by_turns(lines: &[u8], mut whole: impl FnMut(Kind)) {
    for round in 0..3 {
        upsert("pages", lines);
        whole(Kind::Delete);
        checkpoint::save(&format!("{{\"round\": {round}}}"));
    }
    whole(Kind::Upsert);
    whole(Kind::Upsert);
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
