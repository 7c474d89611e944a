//! The destination against real files: what only DuckDB can get wrong. What every warehouse must do is checked in
//! `destination::conformance`.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray};

use super::{DuckDb, query};
use crate::destination::conformance::EngineHome;
use crate::destination::conformance::build::*;
use crate::destination::sql::{Engine as _, SqlDestination};
use crate::destination::{Access, Column, Destination as _, OpenRequest, Opened, RowSink, Value, Warehouse as _};
use crate::error::{Code, Result};
use crate::schema::{ColumnType, Offset, TimeFormat};

/// A folder with a file.
pub(in crate::destination) struct Home(tempfile::TempDir);

impl EngineHome for Home {
    type Engine = DuckDb;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn engine(&self, access: Access) -> Result<DuckDb> {
        DuckDb::open(&self.file(), access)
    }
}

impl Home {
    fn file(&self) -> PathBuf {
        self.0.path().join("warehouse.db")
    }

    fn open(&self, connection: &str) -> (Open, Opened) {
        open(&self.file(), request(connection)).unwrap()
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        rows(&self.file(), sql).unwrap()
    }
}

type Open = SqlDestination<DuckDb>;

pub(super) fn open(path: &Path, request: OpenRequest) -> Result<(Open, Opened)> {
    SqlDestination::begin(DuckDb::open(path, Access::Write)?, request)
}

/// Rows as text, cells separated by `|`, NULL as `-`.
fn rows(path: &Path, sql: &str) -> Result<Vec<String>> {
    #[derive(Default)]
    struct Rows(Vec<String>);
    impl RowSink for Rows {
        fn columns(&mut self, _columns: &[Column]) -> Result<()> {
            Ok(())
        }
        fn row(&mut self, row: &[Value]) -> Result<ControlFlow<()>> {
            self.0.push(row.iter().map(|value| value.text().unwrap_or("-")).collect::<Vec<_>>().join("|"));
            Ok(ControlFlow::Continue(()))
        }
    }
    let mut found = Rows::default();
    query(path, sql, &mut found)?;
    Ok(found.0)
}

const PAIRS: &str = "SELECT id, v, _deleted FROM c.t ORDER BY id";

#[test]
fn files_that_are_no_warehouse_are_told_apart() {
    let home = Home::new();
    let at = |name: &str| home.0.path().join(name);
    std::fs::write(at("garbage"), vec![7u8; 100_000]).unwrap();
    std::fs::write(at("empty"), "").unwrap();
    std::fs::write(at("text"), "hello").unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    let open = |path: &Path| open(path, request("c"));
    assert_eq!(code(open(&at("garbage"))), Code::WarehouseCorrupted);
    assert!(open(&at("empty")).is_ok());
    assert_eq!(code(open(&at("text"))), Code::WarehouseCorrupted);
    assert_eq!(code(open(&at("folder"))), Code::WarehouseUnwritable);
    assert_eq!(code(open(&at("text/below.db"))), Code::WarehouseUnwritable);
    assert_eq!(code(open(Path::new("/proc/nothing/w.db"))), Code::WarehouseUnwritable);
    assert_eq!(code(open(Path::new("/"))), Code::WarehouseUnwritable);
    assert_eq!(code(rows(&at("missing.db"), "SELECT 1")), Code::DestinationInvalid);
}

/// The other process of the tests below: opens the file named by the environment, says so, and waits to be ended.
#[test]
#[ignore = "runs in a process of its own"]
fn holds_the_file() {
    let Some(path) = std::env::var_os("WAREHOUSE_TO_HOLD") else { return };
    let (mut to, _) = open(Path::new(&path), request("c")).unwrap();
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("committed"))])]).unwrap();
    to.stage(vec![upserts(0, &[(2, Some("staged"))])], &pairs()).unwrap();
    let engine = to.engine_mut();
    engine.run("BEGIN; INSERT INTO c.t VALUES (3, 'not committed', now(), false)").unwrap();
    let path = Path::new(&path).with_extension("held");
    std::fs::write(path, "").unwrap();
    std::thread::sleep(std::time::Duration::from_secs(60));
}

fn other_process(path: &Path) -> std::process::Child {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "destination::duckdb::tests::holds_the_file"])
        .env("WAREHOUSE_TO_HOLD", path)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !path.with_extension("held").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child
}

#[test]
fn invariant_8_a_killed_process_leaves_what_it_committed() {
    let home = Home::new();
    let mut child = other_process(&home.file());
    let error = open(&home.file(), request("c")).err().unwrap();
    assert!(error.advice().unwrap().contains(&child.id().to_string()), "{:?}", error.advice());
    assert_eq!(code(rows(&home.file(), "SELECT 1")), Code::WarehouseInUse);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(home.rows(PAIRS), ["1|committed|false"]);
    let (to, opened) = home.open("c");
    assert_eq!((opened.sequence, opened.empty), (1, vec![false]));
    drop(to);
    assert_eq!(home.rows("SELECT outcome FROM c._syncs ORDER BY outcome"), ["interrupted", "running"]);
}

/// Only where a small file system can be mounted.
#[test]
fn a_full_disk_is_told_and_what_was_committed_stands() {
    let home = Home::new();
    let folder = home.0.path().join("small");
    std::fs::create_dir(&folder).unwrap();
    let mount = |arguments: &[&str]| {
        std::process::Command::new("mount").args(arguments).stderr(std::process::Stdio::null()).status()
    };
    let target = folder.to_str().unwrap();
    if !mount(&["-t", "tmpfs", "-o", "size=8m", "tmpfs", target]).is_ok_and(|status| status.success()) {
        return;
    }
    let path = folder.join("w.db");
    let noise = |first: i64| {
        (first..first + 20_000)
            .map(|id| (id, format!("{:x}", id.wrapping_mul(0x9e37_79b9_7f4a_7c15u64.cast_signed())).repeat(4)))
    };
    let outcome = (|| {
        for part in 0..100 {
            let (mut to, _) = open(&path, request("c"))?;
            let rows: Vec<(i64, String)> = noise(part * 20_000).collect();
            let rows: Vec<(i64, Option<&str>)> = rows.iter().map(|(id, text)| (*id, Some(text.as_str()))).collect();
            commit(&mut to, &pairs(), vec![fresh(upserts(0, &rows))])?;
        }
        Ok(())
    })();
    let counted = rows(&path, "SELECT count(*) % 20000, count(*) > 0 FROM c.t");
    let _ = std::process::Command::new("umount").arg(target).status();
    assert_eq!(code(outcome), Code::DiskFull);
    assert_eq!(counted.unwrap(), ["0|true"]);
}

#[test]
fn a_folder_is_made_for_the_warehouse() {
    let home = Home::new();
    let path = home.0.path().join("a/b/c.db");
    drop(open(&path, request("c")).unwrap());
    assert!(path.is_file());
}

#[test]
fn damage_is_found() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    let many: Vec<(i64, Option<&str>)> = (0..100_000).map(|id| (id, Some("some text"))).collect();
    commit(&mut to, &pairs(), vec![fresh(upserts(0, &many))]).unwrap();
    drop(to);
    let bytes = std::fs::read(home.file()).unwrap();
    for length in [12_288, 20_000, bytes.len() - 1] {
        std::fs::write(home.file(), &bytes[..length]).unwrap();
        let read = open(&home.file(), request("c")).and_then(|(to, _)| {
            drop(to);
            rows(&home.file(), "SELECT sum(hash(t)) FROM c.t t")
        });
        assert_eq!(code(read), Code::WarehouseCorrupted, "{length} bytes");
    }
    // Less than the first blocks: nothing was ever in such a file, a host died while it made it.
    for length in [0, 100, 4_096, 8_192] {
        std::fs::write(home.file(), &bytes[..length]).unwrap();
        assert_eq!(home.open("c").1.sequence, 0, "{length} bytes");
    }
    let mut noise = bytes.clone();
    for byte in noise.iter_mut().skip(4_096).take(8_192) {
        *byte ^= 0x55;
    }
    std::fs::write(home.file(), &noise).unwrap();
    assert_eq!(code(open(&home.file(), request("c"))), Code::WarehouseCorrupted);
}

#[test]
fn a_catalog_of_a_newer_program_is_refused() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    to.engine_mut().run("UPDATE _elt.format SET version = 99").unwrap();
    drop(to);
    let error = open(&home.file(), request("c")).err().unwrap();
    assert!(error.to_string().contains("99"), "{error}");
    assert_eq!(code(home.engine(Access::Read).and_then(|mut warehouse| warehouse.tables())), Code::DestinationFailed);
}

#[test]
fn a_table_dropped_by_hand_is_noticed() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    commit(&mut to, &pairs(), vec![]).unwrap();
    to.engine_mut().run("DROP TABLE c.t").unwrap();
    drop(to);
    assert_eq!(code(open(&home.file(), request("c"))), Code::DestinationFailed);
}

#[test]
fn queries_read_and_do_nothing_else() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    assert_eq!(code(rows(&home.file(), "SELECT 1")), Code::WarehouseInUse);
    drop(to);
    let outside = home.0.path().join("outside.csv");
    std::fs::write(&outside, "a\n1\n").unwrap();
    let refused = [
        "DELETE FROM c.t",
        "DROP TABLE c.t",
        "COMMIT; DELETE FROM c.t",
        "CREATE TABLE c.n (a INTEGER)",
        &format!("SELECT * FROM '{}'", outside.display()),
        &format!("SELECT * FROM read_csv('{}')", outside.display()),
        &format!("COPY c.t TO '{}'", home.0.path().join("out.csv").display()),
        &format!("ATTACH '{}'", home.0.path().join("other.db").display()),
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT * FROM nothing",
        "SELEC",
        "",
        "SELECT error('no') FROM c.t",
        "SELECT 1\0",
    ];
    for sql in refused {
        assert_eq!(rows(&home.file(), sql).err().unwrap().code(), Code::QueryFailed, "{sql}");
    }
    assert_eq!(home.rows(PAIRS), ["1|a|false"]);
}

#[test]
fn values_of_a_query_as_json() {
    struct Json(Vec<String>);
    impl RowSink for Json {
        fn columns(&mut self, columns: &[Column]) -> Result<()> {
            self.0.extend(columns.iter().map(|column| column.name.clone()));
            Ok(())
        }
        fn row(&mut self, row: &[Value]) -> Result<ControlFlow<()>> {
            self.0.extend(row.iter().map(|value| value.json().to_string()));
            Ok(ControlFlow::Break(()))
        }
    }
    let home = Home::new();
    drop(home.open("c"));
    let mut found = Json(Vec::new());
    let sql = "SELECT 1 AS a, true, NULL, 2.50::DECIMAL(4,2), 1e300::DOUBLE, 'x', json('{\"a\":1}'), [1, NULL], {'k': 'v'}, \
               MAP {'m': 1}, 'nan'::DOUBLE, 12345678901234567890123456789::HUGEINT, DATE '2024-02-29' FROM range(3000000)";
    query(&home.file(), sql, &mut found).unwrap();
    assert_eq!(found.0[0], "a");
    assert_eq!(
        found.0[13..],
        [
            "1",
            "true",
            "null",
            "2.5",
            "1e+300",
            "\"x\"",
            "{\"a\":1}",
            "[1,null]",
            "{\"k\":\"v\"}",
            "{\"m\":1}",
            "\"NaN\"",
            "\"12345678901234567890123456789\"",
            "\"2024-02-29\""
        ]
    );
}

#[test]
fn memory_is_told() {
    let (mut to, _) = Home::new().open("c");
    assert!(to.memory_bytes().is_some());
}

#[test]
fn widening_does_not_depend_on_the_zone_of_the_session() {
    let home = Home::new();
    let utc =
        ColumnType::UtcDatetime(Some(TimeFormat { separator: 'T', fraction_digits: 0, offset: Some(Offset::Zulu) }));
    let (mut to, _) = home.open("c");
    // Known only to builds with ICU; without it there is but one zone.
    let _ = to.engine_mut().run("SET TimeZone = 'America/New_York'");
    let values: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC"));
    let rows = segment(0, &[(0, LONG, longs(&[1])), (1, utc, values)], &[false]);
    commit(&mut to, &[table("t", &[("id", LONG), ("v", utc)])], vec![rows]).unwrap();
    commit(&mut to, &pairs(), vec![]).unwrap();
    drop(to);
    assert_eq!(home.rows("SELECT v, _synced_at FROM c.t"), ["1970-01-01T00:00:00Z|2023-11-14T22:13:20.000001Z"]);
}

#[test]
fn a_step_that_loses_is_no_step() {
    use ColumnType::{Double, Json, String};
    let decimal = |precision, scale| ColumnType::Decimal { precision, scale };
    let exact = |exact| ColumnType::Long { exact };
    for (from, to) in [
        (exact(false), Double),
        (decimal(4, 2), decimal(4, 1)),
        (decimal(4, 2), decimal(4, 3)),
        (exact(false), decimal(18, 0)),
        (String, Json),
        (Double, exact(false)),
    ] {
        assert_eq!(super::convert::expression("v", from, to), None, "{from} to {to}");
    }
}

#[test]
fn a_reset_drops_a_schema_in_which_nothing_is_left() {
    let home = Home::new();
    for (made, is_gone) in [("", true), ("CREATE VIEW c.mine AS SELECT 1", false)] {
        let (mut to, _) = home.open("c");
        commit(&mut to, &pairs(), vec![]).unwrap();
        to.engine_mut().run(made).unwrap();
        drop(to);
        assert_eq!(home.engine(Access::Write).unwrap().reset("c").unwrap().schema, is_gone);
    }
}
