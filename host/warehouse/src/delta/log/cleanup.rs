//! Old entries of a Delta log: what a checkpoint sums up need not stay for ever. Follows "Metadata Cleanup" of the protocol.

use serde::Deserialize;

use super::super::store::Store;
use super::action::now_ms;
use super::{Snapshot, commit_key, log_folder};
use model::error::Result;

const DAY_MS: i64 = 24 * 3_600 * 1_000;
/// How long entries stay where a table does not say so itself: that long its older versions can be read.
const KEPT_MS: i64 = 30 * DAY_MS;

/// The properties of a table that have a say.
const RETENTION: &str = "delta.logRetentionDuration";
const ENABLED: &str = "delta.enableExpiredLogCleanup";

/// Removes what lies before the newest checkpoint that no version since the last day to keep needs. `objects` are the names
/// in the log's folder.
pub(super) fn clean(store: &dyn Store, folder: &str, snapshot: &Snapshot, objects: &[String]) -> Result<()> {
    let Some(kept_ms) = kept_ms(snapshot) else { return Ok(()) };
    // Whole days, as the protocol says.
    let cut_off_ms = (now_ms() - kept_ms).div_euclid(DAY_MS) * DAY_MS;
    let mut cut_off = None;
    for version in checkpoints(objects, snapshot.version) {
        match written_ms(store, folder, version)? {
            Some(ms) if ms > cut_off_ms => break,
            Some(_) => cut_off = Some(version),
            // Nobody knows when it was made.
            None => {}
        }
    }
    let Some(cut_off) = cut_off else { return Ok(()) };
    // The oldest first: what is left is whole from some version on, wherever this ends.
    for name in objects.iter().filter(|name| is_before(name, cut_off)) {
        store.delete(&format!("{}/{name}", log_folder(folder)))?;
    }
    Ok(())
}

/// How long the entries of a table stay, in milliseconds; none: for ever, or nobody knows.
fn kept_ms(snapshot: &Snapshot) -> Option<i64> {
    let configuration = snapshot.metadata.configuration.as_ref();
    let property = |name: &str| configuration?.get(name)?.as_deref();
    if property(ENABLED).is_some_and(|enabled| !enabled.eq_ignore_ascii_case("true")) {
        return None;
    }
    property(RETENTION).map_or(Some(KEPT_MS), interval_ms)
}

/// A duration as properties of Delta tables have it: `interval 30 days`.
fn interval_ms(text: &str) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    let mut words = text.strip_prefix("interval").unwrap_or(&text).split_whitespace();
    let (number, unit) = (words.next()?.parse::<i64>().ok()?, words.next()?);
    let unit_ms = match unit.strip_suffix('s').unwrap_or(unit) {
        "week" => 7 * DAY_MS,
        "day" => DAY_MS,
        "hour" => DAY_MS / 24,
        "minute" => 60_000,
        "second" => 1_000,
        "millisecond" => 1,
        _ => return None,
    };
    if words.next().is_some() || number < 0 { None } else { number.checked_mul(unit_ms) }
}

/// The versions of whole checkpoints in one file, the oldest first, up to a version.
fn checkpoints(objects: &[String], newest: u64) -> Vec<u64> {
    let parts = objects.iter().filter_map(|name| version_and_rest(name));
    let mut found: Vec<u64> =
        parts.filter(|(_, rest)| *rest == "checkpoint.parquet").map(|(version, _)| version).collect();
    found.retain(|version| *version <= newest);
    found.sort_unstable();
    found
}

/// When an entry was made, in milliseconds since 1970, as it says itself.
fn written_ms(store: &dyn Store, folder: &str, version: u64) -> Result<Option<i64>> {
    #[derive(Deserialize)]
    struct Line {
        #[serde(rename = "commitInfo")]
        info: Option<Info>,
    }
    #[derive(Deserialize)]
    struct Info {
        timestamp: Option<i64>,
    }
    let Some(bytes) = store.read(&commit_key(folder, version))? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().find_map(|line| serde_json::from_str::<Line>(line).ok()?.info?.timestamp))
}

/// Whether a file of the log tells only of versions before a checkpoint. A file that sums up several entries from the
/// checkpoint's own on begins before what has to stay.
fn is_before(name: &str, checkpoint: u64) -> bool {
    version_and_rest(name).is_some_and(|(version, rest)| {
        version < checkpoint || version == checkpoint && rest.ends_with(".compacted.json")
    })
}

/// The version that a file's name begins with, and what follows the point.
fn version_and_rest(name: &str) -> Option<(u64, &str)> {
    let (digits, rest) = name.split_once('.').filter(|(digits, _)| digits.len() == 20)?;
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_strange_ones_keep_everything() {
        assert_eq!(interval_ms("interval 30 days"), Some(KEPT_MS));
        assert_eq!(interval_ms("INTERVAL 1 Week"), Some(7 * DAY_MS));
        assert_eq!(interval_ms("interval 36 hours"), Some(DAY_MS * 3 / 2));
        for text in
            ["", "interval", "interval 1 month", "interval -1 days", "interval 1 day 2 hours", "interval x days"]
        {
            assert_eq!(interval_ms(text), None, "{text}");
        }
    }

    #[test]
    fn a_table_says_how_long_its_entries_stay() {
        let kept = |properties: &[(&str, &str)]| {
            let mut snapshot = Snapshot::default();
            let pairs = properties.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
            snapshot.metadata.configuration = Some(pairs.collect());
            kept_ms(&snapshot)
        };
        assert_eq!(kept_ms(&Snapshot::default()), Some(KEPT_MS));
        assert_eq!(kept(&[(RETENTION, "interval 2 days"), (ENABLED, "true")]), Some(2 * DAY_MS));
        assert_eq!(kept(&[(RETENTION, "two days")]), None);
        assert_eq!(kept(&[(ENABLED, "false")]), None);
    }

    #[test]
    fn files_before_a_checkpoint_are_those_of_the_log_with_a_lower_number() {
        let is_before = |name: &str| is_before(name, 20);
        for name in [
            "00000000000000000019.json",
            "00000000000000000010.checkpoint.parquet",
            "00000000000000000010.checkpoint.0000000001.0000000002.parquet",
            "00000000000000000019.crc",
            "00000000000000000018.00000000000000000022.compacted.json",
            "00000000000000000020.00000000000000000022.compacted.json",
        ] {
            assert!(is_before(name), "{name}");
        }
        for name in [
            "00000000000000000020.json",
            "00000000000000000020.checkpoint.parquet",
            "_last_checkpoint",
            "19.json",
            "_sidecars",
        ] {
            assert!(!is_before(name), "{name}");
        }
    }
}
