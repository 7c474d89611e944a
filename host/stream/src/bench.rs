//! What the stages of a sync cost alone. `cargo xtask bench` runs these beside the whole path; by hand:
//!
//! `cargo test --release -p host --lib sync::bench -- --ignored --nocapture --test-threads 1`

#![allow(clippy::pedantic, clippy::print_stdout, reason = "a benchmark prints figures and is read by its author")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::policy::CommitPolicy;
use super::tables::{Settings, Tables};
use model::schema::SchemaContract;
use model::{Batch, Configuration, LogLevel, OperationKind, Selection, Table};
use sandbox::{
    EgressAllow, Grants, Lead, Limits, Listener, Meter, Operation, Pacing, Runtime, SecretGrants, Secrets, operations,
};

const ROWS: u64 = 200_000;

/// Processor time of this process so far, all threads.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn print(stage: &str, rows: u64, begun: Instant, cpu_before: Duration) {
    let (wall, used) = (begun.elapsed().as_secs_f64(), (cpu() - cpu_before).as_secs_f64());
    let rows = rows as f64;
    #[expect(clippy::print_stdout, reason = "the figures are for whoever runs the benchmark")]
    {
        println!("{stage}: {:.0} rows/s, {:.0} rows/CPU s", rows / wall, rows / used);
    }
}

fn record(id: u64) -> String {
    let (cents, day) = (id * 7919 % 1_000_000, id % 28 + 1);
    format!(
        "{{\"record_id\":{id},\"name\":\"Keanu Lindqvist\",\"email\":\"user{id}@example.org\",\"amount\":{}.{:02},\
         \"score\":0.{},\"active\":{},\"address\":{{\"street\":\"Harbour Road {}\",\"city\":\"São Paulo\",\"zip\":\"10340\",\
         \"country\":\"BR\"}},\"tags\":[\"returning\",\"vip\"],\"nickname\":null,\"created_at\":\"2021-01-{day:02}T00:01:45Z\",\
         \"updated_at\":\"2021-06-{day:02}T07:10:39.775Z\",\"birth_date\":\"1990-07-{day:02}\",\"notes\":\"prefers to be \
         called in the afternoon; reviewed by the second team\\nand said \\\"thank you\\\"\"}}\n",
        cents / 100,
        cents % 100,
        id * 31 % 9_999_991,
        id.is_multiple_of(3),
        id % 200,
    )
}

#[test]
#[ignore = "a benchmark: prints figures, asserts only that it did the work"]
fn decode_infer_and_fold() {
    let pages: Vec<Batch> = (0..ROWS / 1_000)
        .map(|page| {
            let rows: String = (page * 1_000..(page + 1) * 1_000).map(record).collect();
            Batch { table: "t".into(), kind: OperationKind::Upsert, rows: rows.into_bytes() }
        })
        .collect();
    let declared = vec![Table { name: "t".into(), primary_key: vec!["record_id".into()], columns: vec![] }];
    let settings = Settings {
        selection: Selection::All,
        history: Selection::none(),
        limits: Limits::default(),
        time: true,
        sample_records: 0,
        contract: SchemaContract::default(),
        names: super::tables::NameRules { bytes_max: 1_000, reserved: &[] },
        texts: super::unstorable::TextRules { nul_fits: false, any_json_fits: false },
        records: model::RecordRules::default(),
        sync: "s".into(),
    };
    let mut tables = Tables::new(declared, vec![], &[], settings).unwrap();
    let (begun, before, mut rows) = (Instant::now(), cpu(), 0);
    for (number, page) in pages.iter().enumerate() {
        rows += tables.take(page, u64::MAX).unwrap().1;
        tables.checkpoint();
        if number % 50 == 49 {
            assert_eq!(tables.segments().unwrap().len(), 1);
        }
    }
    assert_eq!(rows, ROWS);
    print("decode, infer and fold", rows, begun, before);
}

struct Silent;

impl Listener for Silent {
    fn log(&self, _: LogLevel, _: &str) {}
    fn memory(&self, _: u64) {}
    fn retrying(&self, _: &str, _: Duration) {}
}

/// The connector `BENCH_COMPONENT` reads from `BENCH_URL`; what it writes is dropped unread.
#[test]
#[ignore = "a benchmark: needs BENCH_COMPONENT and BENCH_URL, prints figures"]
fn guest_and_http() {
    let component = PathBuf::from(std::env::var_os("BENCH_COMPONENT").unwrap());
    let url = std::env::var("BENCH_URL").unwrap();
    let limits = Limits::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let component = Runtime::new(None, None).unwrap().load(&component, &limits).unwrap();
    runtime.block_on(async {
        // As long as a key is, so that answers are searched for it: that is a part of the stage.
        let key = std::env::var("BENCH_KEY").unwrap_or_else(|_| "123".to_owned());
        let fields = [("base_url", url.as_str()), ("api_key", &key), ("page_size", "1000")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let allow = EgressAllow { private: vec!["127.0.0.1".into()], http: vec![] };
        let configuration = Configuration(fields.into());
        let described = component.describe(&limits).await.unwrap();
        let secrets = Secrets::new(described, &configuration, &SecretGrants::default(), ("bench", &limits)).unwrap();
        let (listener, meter, pacing) = (Arc::new(Silent), Meter::default(), Pacing::default());
        let grants = Grants { secrets, limits, allow, listener, meter, pacing, world: None };
        let (full, ahead) = (CommitPolicy::default().full(), CommitPolicy::default().ahead());
        let (sender, mut receiver) = operations(Lead { channel_bytes: 8 << 20, full, ahead });
        let (begun, before) = (Instant::now(), cpu());
        let taking = async {
            let mut rows = 0u64;
            while let Some(taken) = receiver.recv().await {
                if let Operation::Batch(batch) = &taken.operation {
                    rows += batch.rows.iter().filter(|byte| **byte == b'\n').count() as u64;
                }
            }
            rows
        };
        let (updated, rows) = tokio::join!(component.update(&grants, None, &Selection::All, sender), taking);
        updated.unwrap();
        assert!(rows > 0);
        print("guest and http, to nowhere", rows, begun, before);
    });
}
