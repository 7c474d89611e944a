//! The destination against real files: what only DuckDB can get wrong. What every warehouse must do is checked in
//! `conformance`.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray};

use super::{DuckDb, query};
use crate::conformance::EngineHome as _;
use crate::conformance::build::*;
use crate::conformance::files::{self, FileEngine, FileHome, file_checks};
use crate::conformance::names::many_columns;
use crate::sql::ddl::quoted;
use crate::sql::{Engine as _, SqlDestination};
use crate::{Access, Column, Destination as _, DestinationUrl, OpenRequest, Opened, RowSink, Value, Warehouse as _};
use model::error::{Code, Result};
use model::schema::{ColumnType, Offset, TimeFormat};

pub(crate) type Home = FileHome<DuckDb>;

impl FileEngine for DuckDb {
    const POINT: &'static str = ".";

    fn open_file(path: &Path, access: Access) -> Result<Self> {
        Self::open(path, access)
    }

    fn query_file(path: &Path, sql: &str, sink: &mut dyn RowSink) -> Result<()> {
        query(path, sql, sink)
    }
}

fn open(path: &Path, request: OpenRequest) -> Result<(SqlDestination<DuckDb>, Opened)> {
    files::open(path, request)
}

fn rows(path: &Path, sql: &str) -> Result<Vec<String>> {
    files::rows::<DuckDb>(path, sql)
}

file_checks!(DuckDb);

const PAIRS: &str = "SELECT id, v, _deleted FROM c.t ORDER BY id";

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

#[test]
fn invariant_8_a_killed_process_leaves_what_it_committed() {
    let home = Home::new();
    let mut child = files::other_process("duckdb::tests::holds_the_file", &home.file());
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
fn queries_read_and_do_nothing_else() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    assert_eq!(code(rows(&home.file(), "SELECT 1")), Code::WarehouseInUse);
    drop(to);
    let outside = home.folder().join("outside.csv");
    std::fs::write(&outside, "a\n1\n").unwrap();
    let refused = [
        "DELETE FROM c.t",
        "DROP TABLE c.t",
        "COMMIT; DELETE FROM c.t",
        "CREATE TABLE c.n (a INTEGER)",
        &format!("SELECT * FROM '{}'", outside.display()),
        &format!("SELECT * FROM read_csv('{}')", outside.display()),
        &format!("COPY c.t TO '{}'", home.folder().join("out.csv").display()),
        &format!("ATTACH '{}'", home.folder().join("other.db").display()),
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
fn a_table_is_found_although_its_schema_is_named_as_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.db");
    commit(&mut open(&path, request("c")).unwrap().0, &pairs(), vec![upserts(0, &[(1, None)])]).unwrap();
    let parts = DestinationUrl::DuckDb(path.clone()).table_name("c", "t");
    let name: Vec<String> = parts.iter().map(|part| quoted(part)).collect();
    assert_eq!(rows(&path, &format!("SELECT count(*) FROM {}", name.join("."))).unwrap(), ["1"]);
}

/// One that a host died in making is replaced, once nobody else does that.
#[test]
fn a_part_of_a_file_that_is_locked_is_left_alone() {
    let home = Home::new();
    let part = std::fs::File::create(home.file()).unwrap();
    part.lock().unwrap();
    assert_eq!(code(open(&home.file(), request("c"))), Code::WarehouseInUse);
    drop(part);
    assert!(open(&home.file(), request("c")).is_ok());
}

#[test]
fn thousands_of_columns() {
    many_columns::<Home>(3_000);
}

/// Whoever comes second finds the file of the first one: whole, and in use.
#[test]
fn a_file_that_is_being_made_is_not_taken_away() {
    for _ in 0..20 {
        let home = Home::new();
        let path = home.file();
        let begin = || {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["--ignored", "--nocapture", "--exact", "duckdb::tests::makes_the_file"]);
            child.env("WAREHOUSE_TO_HOLD", &path).output().unwrap()
        };
        let ended: Vec<_> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..3).map(|_| scope.spawn(begin)).collect();
            started.into_iter().map(|child| child.join().unwrap()).collect()
        });
        let done = |output: &Output| String::from_utf8_lossy(&output.stdout).contains("committed as ");
        let committed = ended.iter().filter(|output| done(output)).count();
        assert!(committed > 0, "{ended:?}");
        assert_eq!(rows(&path, "SELECT count(*) FROM c.t").unwrap(), [committed.to_string()]);
        let left = std::fs::read_dir(path.parent().unwrap()).unwrap().flatten().map(|entry| entry.file_name());
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().ends_with(".new")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn makes_the_file() {
    let Some(path) = std::env::var_os("WAREHOUSE_TO_HOLD") else { return };
    let id = i64::from(std::process::id());
    match open(Path::new(&path), request("c")) {
        Ok((mut to, _)) => {
            commit(&mut to, &pairs(), vec![upserts(0, &[(id, Some("committed"))])]).unwrap();
            // The line that the test looks for.
            std::io::Write::write_all(&mut std::io::stdout(), format!("committed as {id}\n").as_bytes()).unwrap();
        }
        Err(error) => assert_eq!(error.code(), Code::WarehouseInUse, "{}", error.chain()),
    }
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
