//! `--limit NAME=VALUE`: every limit by name, with units, on top of the defaults.
//!
//! A limit's name is that of its field in `Limits` with hyphens and without `_max`; both ways are understood.

use std::fmt::Write as _;
use std::time::Duration;

use crate::Limits;
use model::error::Result;
use model::error::usage;

/// One limit that can be set: its name, what it bounds, and where it is kept.
struct Limit {
    field: &'static str,
    bounds: &'static str,
    slot: Slot,
}

/// Where a limit is kept, and so which units it has.
enum Slot {
    Bytes(fn(&mut Limits) -> &mut u64),
    /// Bytes that must come: the more, the stricter.
    BytesMin(fn(&mut Limits) -> &mut u64),
    Count(fn(&mut Limits) -> &mut u64),
    SmallCount(fn(&mut Limits) -> &mut u32),
    Time(fn(&mut Limits) -> &mut Duration),
}

macro_rules! limits {
    ($($slot:ident $name:ident: $bounds:literal;)*) => {
        &[$(Limit { field: stringify!($name), bounds: $bounds, slot: Slot::$slot(|limits| &mut limits.$name) },)*]
    };
}

/// Every field of `Limits`, in its order; a test compares.
const LIMITS: &[Limit] = limits! {
    Bytes memory_bytes_max: "memory of the guest, summed over all its memories and tables, and what the host keeps of answers for it";
    Bytes sync_memory_bytes_max: "memory that the host keeps for one sync beside that and its destination: rows, queues, names";
    Time cpu_max: "time the guest computes in one sync, and the host for it: rows are decoded at its cost";
    Time cpu_without_call_max: "time the guest computes without calling the host";
    Time wall_max: "time a sync takes from start to end";
    Bytes call_bytes_max: "bytes handed over in one call of the host";
    SmallCount handles_max: "handles (responses and the like) at one time";
    Count requests_max: "requests in one sync";
    SmallCount requests_in_flight_max: "requests under way at one time; more wait";
    Bytes response_bytes_max: "one response's body, decompressed";
    Bytes responses_bytes_max: "all responses of a sync, decompressed";
    Bytes request_body_bytes_max: "one request's body";
    SmallCount request_headers_max: "header fields of one request";
    Bytes request_header_bytes_max: "URL, query and header fields of one request together";
    Time silence_max: "silence of the source, before an answer or within its body";
    BytesMin bytes_per_minute_min: "the fewest bytes of a body within a minute of waiting for it";
    Count batch_rows_max: "rows in one batch";
    Bytes row_bytes_max: "one row";
    Count columns_max: "columns of one table";
    Count tables_max: "tables of one connection";
    Count json_depth_max: "depth of nesting in a record, at most 128";
    Bytes state_bytes_max: "a state";
    SmallCount tokens_max: "protected tokens in one sync, those in the state included";
    Bytes token_bytes_max: "all protected tokens of a sync together";
    Count log_lines_per_second_max: "lines of log a second; the rest are counted and dropped";
    Bytes log_line_bytes_max: "one line of log; the rest is cut";
    Bytes component_bytes_max: "the component's file";
    Time compile_time_max: "time to compile the component, the first time";
    Bytes compile_memory_bytes_max: "memory of the process that compiles it";
};

/// The defaults with what was typed on top; the last one typed for a name counts.
pub fn in_force(typed: &[String]) -> Result<Limits> {
    on_top_of(Limits::default(), typed)
}

/// The limits of `base` with some set by name, such as `memory-bytes` to `64MiB`.
pub fn set_all<'a>(base: &Limits, named: impl IntoIterator<Item = (&'a String, &'a String)>) -> Result<Limits> {
    let typed: Vec<String> = named.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    on_top_of(base.clone(), &typed)
}

/// Limits with what was typed on top.
fn on_top_of(mut limits: Limits, typed: &[String]) -> Result<Limits> {
    for text in typed {
        set(&mut limits, text)?;
    }
    Ok(limits)
}

fn set(limits: &mut Limits, text: &str) -> Result<()> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(usage(format!("understand the limit \"{text}\""))
            .hint("Write NAME=VALUE, for example --limit memory=64MiB."));
    };
    let name = canonical(name.trim());
    let Some(limit) = LIMITS.iter().find(|limit| limit.is_called(&name)) else {
        return Err(usage(format!("find a limit named \"{name}\"")).hint(format!("The limits are: {}.", names(&name))));
    };
    let (fits, example) = limit.slot.put(limits, value.trim());
    if fits {
        return Ok(());
    }
    Err(usage(format!("read \"{value}\" as the limit {name}"))
        .hint(format!("Write a number of at least 1, for example --limit {name}={example}.")))
}

/// `memory_bytes_max` and `memory-bytes` are the same name.
fn canonical(name: &str) -> String {
    let name = name.replace('_', "-");
    name.strip_suffix("-max").map(str::to_owned).unwrap_or(name)
}

impl Limit {
    /// The name people read.
    fn name(&self) -> String {
        canonical(self.field)
    }

    /// Whether it allows more in `limits` than in `most`.
    fn is_looser(&self, limits: &mut Limits, most: &mut Limits) -> bool {
        let (number, bound) = (self.slot.number(limits), self.slot.number(most));
        if self.is_floor() { number < bound } else { number > bound }
    }

    /// Whether it is the least that must come, and not the most that may.
    fn is_floor(&self) -> bool {
        matches!(self.slot, Slot::BytesMin(_))
    }

    /// Whether people may type this for it: its name, also without the unit (`memory` for `memory-bytes`).
    fn is_called(&self, name: &str) -> bool {
        let own = self.name();
        own == name || own.strip_suffix("-bytes") == Some(name)
    }
}

impl Slot {
    /// Sets the limit; false if the text is no value for it. Also an example of one.
    fn put(&self, limits: &mut Limits, text: &str) -> (bool, &'static str) {
        match self {
            Self::Bytes(slot) | Self::BytesMin(slot) => {
                (put(slot(limits), bytes(text)), "64MiB (B, KiB, MiB, GiB, kB, MB, GB)")
            }
            Self::Count(slot) => (put(slot(limits), count(text)), "1000"),
            Self::SmallCount(slot) => {
                (put(slot(limits), count(text).and_then(|number| u32::try_from(number).ok())), "1000")
            }
            Self::Time(slot) => (put(slot(limits), time(text)), "10s (ms, s, min, h)"),
        }
    }

    /// The value as a number: bytes, a count, or nanoseconds.
    fn number(&self, limits: &mut Limits) -> u128 {
        match self {
            Self::Bytes(slot) | Self::BytesMin(slot) | Self::Count(slot) => u128::from(*slot(limits)),
            Self::SmallCount(slot) => u128::from(*slot(limits)),
            Self::Time(slot) => slot(limits).as_nanos(),
        }
    }

    /// The value as it would be typed.
    fn text(&self, limits: &mut Limits) -> String {
        match self {
            Self::Bytes(slot) | Self::BytesMin(slot) => bytes_text(*slot(limits)),
            Self::Count(slot) => slot(limits).to_string(),
            Self::SmallCount(slot) => slot(limits).to_string(),
            Self::Time(slot) => time_text(*slot(limits)),
        }
    }
}

fn put<T>(slot: &mut T, value: Option<T>) -> bool {
    let fits = value.is_some();
    if let Some(value) = value {
        *slot = value;
    }
    fits
}

/// The names that hold a part of what was typed, or all of them.
fn names(typed: &str) -> String {
    let is_close =
        |name: &String| typed.split('-').any(|part| part.len() > 2 && part != "bytes" && name.contains(part));
    let all: Vec<String> = LIMITS.iter().map(Limit::name).collect();
    let close: Vec<String> = all.iter().filter(|name| is_close(name)).cloned().collect();
    if close.is_empty() { all.join(", ") } else { close.join(", ") }
}

/// A whole number of at least 1; underscores may group its digits.
fn count(text: &str) -> Option<u64> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    text.replace('_', "").parse().ok().filter(|number| *number > 0)
}

/// A number and its unit.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '_').unwrap_or(text.len());
    Some((count(&text[..end])?, text[end..].trim_start()))
}

/// Units of bytes, the largest first; the first six are those we write.
const BYTE_UNITS: [(&str, u64); 7] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

/// `64MiB`, `10 MB`, `512` (bytes).
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    if unit.is_empty() || unit.eq_ignore_ascii_case("b") {
        return Some(number);
    }
    let (_, factor) = BYTE_UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name))?;
    number.checked_mul(*factor)
}

fn bytes_text(number: u64) -> String {
    let binary = BYTE_UNITS.iter().take(4).find(|(_, factor)| number.is_multiple_of(*factor));
    binary.map_or_else(|| number.to_string(), |(name, factor)| format!("{}{name}", number / factor))
}

/// Units of time in milliseconds.
const TIME_UNITS: [(&str, u64); 5] = [("h", 3_600_000), ("min", 60_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// `10s`, `500ms`, `6h`. A unit is needed: a bare number would be read as seconds by some, as milliseconds by others.
fn time(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let (_, factor) = TIME_UNITS.iter().find(|(name, _)| unit == *name)?;
    number.checked_mul(*factor).map(Duration::from_millis)
}

fn time_text(time: Duration) -> String {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let unit = TIME_UNITS.iter().find(|(_, factor)| milliseconds.is_multiple_of(*factor));
    unit.map_or_else(String::new, |(name, factor)| format!("{}{name}", milliseconds / factor))
}

/// The first limit that allows more than the same one of `most`: its name and what it can be, `6h at most`.
pub fn exceeding(limits: &Limits, most: &Limits) -> Option<(String, String)> {
    let (mut limits, mut most) = (limits.clone(), most.clone());
    let looser = LIMITS.iter().find(|limit| limit.is_looser(&mut limits, &mut most))?;
    let bound = if looser.is_floor() { "at least" } else { "at most" };
    Some((looser.name(), format!("{} {bound}", looser.slot.text(&mut most))))
}

/// Of every limit the stricter one.
pub fn stricter(limits: &Limits, most: &Limits) -> Limits {
    let (mut stricter, mut most) = (limits.clone(), most.clone());
    for limit in LIMITS {
        if limit.is_looser(&mut stricter, &mut most) {
            let (_fits, _example) = limit.slot.put(&mut stricter, &limit.slot.text(&mut most));
        }
    }
    stricter
}

/// A time with its unit, as it is typed: `10s`, `500ms`, `6h`.
pub fn duration(text: &str) -> Option<Duration> {
    time(text.trim())
}

/// The table of docs/guides/limits.md: every limit with its default and what it bounds, in Markdown.
pub fn limits_table() -> String {
    let mut table = String::from("| limit | default | bounds |\n|---|---|---|\n");
    let mut defaults = Limits::default();
    for limit in LIMITS {
        let default = limit.slot.text(&mut defaults);
        let _infallible = writeln!(table, "| `{}` | {default} | {} |", limit.name(), limit.bounds);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::error::Code;

    fn typed(text: &str) -> Result<Limits> {
        in_force(&[text.to_owned()])
    }

    #[test]
    fn units_are_read() {
        const MIB: u64 = 1 << 20;
        for (text, number) in [
            ("64MiB", 64 * MIB),
            ("64 mib", 64 * MIB),
            ("10MB", 10_000_000),
            ("1kb", 1_000),
            ("512", 512),
            ("512B", 512),
        ] {
            assert_eq!(typed(&format!("memory-bytes={text}")).unwrap().memory_bytes_max, number, "{text}");
        }
        for (text, milliseconds) in
            [("10s", 10_000), ("500ms", 500), ("2min", 120_000), ("2m", 120_000), ("6h", 21_600_000)]
        {
            assert_eq!(typed(&format!("wall_max={text}")).unwrap().wall_max, Duration::from_millis(milliseconds));
        }
        assert_eq!(typed("requests=1_000").unwrap().requests_max, 1_000);
        assert_eq!(typed("handles=7").unwrap().handles_max, 7);
        assert_eq!(typed("memory=64MiB").unwrap().memory_bytes_max, 64 * MIB);
        assert_eq!(typed("request-header=1KiB").unwrap().request_header_bytes_max, 1024);
        assert_eq!(typed("request-headers=9").unwrap().request_headers_max, 9);
    }

    #[test]
    fn what_is_no_limit_is_a_usage_error_with_advice() {
        for text in [
            "memory-bytes",
            "memory-bytes=",
            "memory-bytes=0",
            "memory-bytes=-1",
            "memory-bytes=1.5GiB",
            "memory-bytes=99999999999GiB",
            "wall=10",
            "wall=0s",
            "handles=5000000000",
            "requests=1k",
            "x=1",
        ] {
            let error = typed(text).unwrap_err();
            assert_eq!(error.code(), Code::Usage, "{text}");
            assert!(error.advice().is_some());
        }
        assert_eq!(
            typed("memory-size=1").unwrap_err().advice(),
            Some("The limits are: memory-bytes, compile-memory-bytes.")
        );
    }

    #[test]
    fn every_limit_can_be_set_and_reads_back_its_own_text() {
        let names: Vec<&str> = LIMITS.iter().map(|limit| limit.field).collect();
        let text = format!("{:#?}", Limits::default());
        let fields: Vec<&str> =
            text.lines().filter_map(|line| line.trim().split_once(": ")).map(|(name, _)| name).collect();
        assert_eq!(names, fields);
        for limit in LIMITS {
            let default = limit.slot.text(&mut Limits::default());
            assert_eq!(typed(&format!("{}={default}", limit.name())).unwrap(), Limits::default());
        }
    }

    #[test]
    fn what_allows_more_than_it_may_is_named() {
        let most = Limits::default();
        assert_eq!(exceeding(&most, &most), None);
        let higher = typed("wall=7h").unwrap();
        assert_eq!(exceeding(&higher, &most), Some(("wall".to_owned(), "6h at most".to_owned())));
        assert_eq!(exceeding(&typed("wall=5h").unwrap(), &most), None);
    }

    #[test]
    fn a_floor_is_stricter_when_it_is_higher() {
        let (low, default, high) =
            (typed("bytes-per-minute-min=1").unwrap(), Limits::default(), typed("bytes-per-minute-min=1MiB").unwrap());
        assert_eq!(exceeding(&low, &default), Some(("bytes-per-minute-min".to_owned(), "1KiB at least".to_owned())));
        assert_eq!(exceeding(&high, &default), None);
        assert_eq!(stricter(&low, &default), default);
        assert_eq!(stricter(&high, &default), high);
    }

    #[test]
    fn the_guide_lists_the_defaults() {
        let guide = include_str!("../../../docs/guides/limits.md");
        assert!(guide.contains(&limits_table()), "docs/guides/limits.md should contain:\n{}", limits_table());
    }
}
