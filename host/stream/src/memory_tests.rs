//! Property: whatever a connector writes, what is kept for it stays within the limit `sync-memory-bytes`.
//!
//! Measured as the process's own pages, so that nothing kept is left out: each test has a process of its own.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

use proptest::prelude::*;

use super::tables::{NameRules, Settings, Tables};
use model::schema::SchemaContract;
use model::{Batch, Halt, OperationKind, Selection, Table};
use sandbox::{Limits, ThreadClock};

/// A field of what the system says of this process, in bytes.
fn of_process(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Pages in memory now; from here on the most of them is counted anew.
fn start() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    of_process("VmRSS")
}

const SYNC_BYTES: u64 = 24 << 20;

fn tables(limits: Limits) -> Tables {
    let declared = vec![Table { name: "t".into(), primary_key: vec!["id".into()], columns: vec![] }];
    let settings = Settings {
        selection: Selection::All,
        history: Selection::none(),
        limits,
        time: true,
        sample_records: 0,
        contract: SchemaContract::default(),
        names: NameRules { bytes_max: 1_000, reserved: &[] },
        halt: Halt::default(),
    };
    Tables::new(declared, vec![], &[], settings).unwrap()
}

/// What a stream came to.
struct Played {
    peak_bytes: u64,
    /// The most that the tables said they take.
    charged_bytes: usize,
    segments: usize,
    refused: Option<String>,
}

/// Takes batches as the decoder does, spills when it must, and forgets what is handed over.
fn play(limits: Limits, batches: impl Iterator<Item = Batch>) -> Played {
    let before = start();
    let mut played = Played { peak_bytes: 0, charged_bytes: 0, segments: 0, refused: None };
    let mut tables = tables(limits);
    'batches: for batch in batches {
        loop {
            if let Err(error) = tables.take(&batch, u64::MAX) {
                played.refused = Some(error.chain());
                break 'batches;
            }
            played.charged_bytes = played.charged_bytes.max(tables.memory_bytes());
            if tables.must_spill() {
                let segments = &mut played.segments;
                tables
                    .spill(&mut |_segment| {
                        *segments += 1;
                        Ok(())
                    })
                    .unwrap();
            }
            if !tables.has_more() {
                break;
            }
        }
    }
    let segments = &mut played.segments;
    tables
        .spill(&mut |_segment| {
            *segments += 1;
            Ok(())
        })
        .unwrap();
    played.peak_bytes = of_process("VmHWM").saturating_sub(before);
    played
}

fn limits() -> Limits {
    Limits { sync_memory_bytes_max: SYNC_BYTES, ..Limits::default() }
}

fn batch(table: &str, kind: OperationKind, rows: String) -> Batch {
    Batch { table: table.into(), kind, rows: rows.into_bytes() }
}

/// Some rows of a shape: how many columns, from which on, how much text in each, of which keys.
#[derive(Clone, Debug)]
struct Shape {
    table: u8,
    kind: OperationKind,
    rows: usize,
    columns: usize,
    first: usize,
    step: usize,
    text: usize,
    keys: usize,
    number: bool,
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    use OperationKind::{Delete, Truncate, Update, Upsert};
    let kind = prop_oneof![4 => Just(Upsert), 4 => Just(Update), 1 => Just(Delete), 1 => Just(Truncate)];
    let wide = prop_oneof![6 => 1usize..5, 2 => 5usize..100, 1 => 100usize..3_000];
    let text = prop_oneof![6 => 0usize..20, 2 => 20usize..2_000, 1 => 2_000usize..200_000];
    let rows = prop_oneof![3 => 1usize..50, 2 => 50usize..5_000];
    let shape = (0u8..3, kind, rows, wide, 0usize..4_000, 0usize..3, text, 1usize..2_000, any::<bool>()).prop_map(
        |(table, kind, rows, columns, first, step, text, keys, number)| {
            // A batch has up to 4 MiB.
            let rows = rows.min((4 << 20) / (columns * (text + 12) + 20)).max(1);
            Shape { table, kind, rows, columns, first, step, text, keys, number }
        },
    );
    prop::collection::vec(shape, 1..12)
}

fn rows_of(shape: &Shape) -> String {
    let mut rows = String::new();
    for row in 0..shape.rows {
        rows.push_str(&format!("{{\"id\":{}", row % shape.keys));
        for column in 0..shape.columns {
            let name = (shape.first + row * shape.step + column) % 4_500;
            match shape.number {
                true => rows.push_str(&format!(",\"c{name}\":{row}")),
                false => rows.push_str(&format!(",\"c{name}\":\"{}\"", "x".repeat(shape.text))),
            }
        }
        rows.push_str("}\n");
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_streams_stay_within_their_memory(shapes in shapes()) {
        let batches = shapes.iter().map(|shape| {
            let rows = if shape.kind == OperationKind::Truncate { String::new() } else { rows_of(shape) };
            batch(["t", "u", "v"][usize::from(shape.table)], shape.kind, rows)
        });
        // Updates need a key: only one table has one.
        let batches = batches.map(|batch| match batch.kind {
            OperationKind::Update => Batch { table: "t".into(), ..batch },
            _ => batch,
        });
        let played = play(limits(), batches);
        prop_assert_eq!(&played.refused, &None);
        let most = SYNC_BYTES + (8 << 20);
        prop_assert!(played.peak_bytes <= most, "{} bytes at most, {} charged", played.peak_bytes, played.charged_bytes);
    }
}

/// What it took, for the messages of assertions.
fn measured(what: &str, batches: impl Iterator<Item = Batch>, bytes_max: u64, cpu_seconds_max: u64) -> Played {
    let mut clock = ThreadClock::start();
    let played = play(Limits::default(), batches);
    let cpu = clock.lap();
    let mib = played.peak_bytes >> 20;
    assert_eq!(played.refused, None, "{what}");
    assert!(played.peak_bytes <= bytes_max, "{what}: {mib} MiB at most, {cpu:?} of processor time");
    assert!(cpu.as_secs() < cpu_seconds_max, "{what}: {cpu:?} of processor time, {mib} MiB at most");
    played
}

#[test]
fn updates_of_a_large_row_do_not_copy_it() {
    let first = format!("{{\"id\":1,\"text\":\"{}\",\"n\":0}}\n", "x".repeat(15 << 20));
    let updates = (0..100).map(|page| {
        let rows: String = (0..1_000).map(|n| format!("{{\"id\":1,\"n\":{}}}\n", page * 1_000 + n)).collect();
        batch("t", OperationKind::Update, rows)
    });
    let all = [batch("t", OperationKind::Upsert, first)].into_iter().chain(updates);
    measured("100,000 updates of a row of 15 MiB", all, 128 << 20, 20);
}

#[test]
fn columns_that_rows_do_not_name_cost_nothing() {
    for (what, value) in [("numbers", "1"), ("decimals", "12345678901234567890.25"), ("texts", "\"x\"")] {
        let wide: String = (0..4_990).map(|n| format!(",\"c{n}\":{value}")).collect();
        let first = batch("t", OperationKind::Upsert, format!("{{\"id\":0{wide}}}\n"));
        let narrow = (0..12).map(|page| {
            let rows: String = (1..=10_000).map(|n| format!("{{\"id\":{}}}\n", page * 10_000 + n)).collect();
            batch("t", OperationKind::Upsert, rows)
        });
        let played = measured(what, [first].into_iter().chain(narrow), 128 << 20, 20);
        assert!(played.charged_bytes < 64 << 20, "{what}: {} bytes", played.charged_bytes);
    }
}

#[test]
fn a_column_here_and_there_costs_what_it_holds() {
    let pages = (0..12).map(|page| {
        let rows = (0..10_000).map(|n| page * 10_000 + n);
        let rows: String = rows.map(|n| format!("{{\"id\":{n},\"c{}\":{n}}}\n", n * 7919 % 4_990)).collect();
        batch("t", OperationKind::Upsert, rows)
    });
    let played = measured("one of 4,990 columns in each row", pages, 160 << 20, 60);
    assert!(played.charged_bytes < 64 << 20, "{} bytes", played.charged_bytes);
}

#[test]
fn columns_over_all_tables_have_a_bound_that_is_named() {
    let tables = (0..200).map(|table| {
        let columns: String = (0..4_000).map(|n| format!(",\"c{n}\":1")).collect();
        batch(&format!("t{table}"), OperationKind::Upsert, format!("{{\"id\":0{columns}}}\n"))
    });
    let played = play(Limits::default(), tables);
    let refused = played.refused.expect("so many columns are too many");
    assert!(refused.contains("sync-memory-bytes"), "{refused}");
    assert!(played.peak_bytes < 256 << 20, "{} bytes", played.peak_bytes);
}
