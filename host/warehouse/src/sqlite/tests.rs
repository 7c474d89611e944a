//! The destination against real files: what only SQLite can get wrong. What every warehouse must do is checked in
//! `conformance`.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Sqlite, query};
use crate::conformance::EngineHome as _;
use crate::conformance::build::*;
use crate::conformance::files::{self, FileEngine, FileHome, file_checks};
use crate::sql::{Engine as _, SqlDestination};
use crate::{Access, Column, Destination as _, OpenRequest, Opened, RowSink, Value, Warehouse as _};
use model::error::{Code, Result};
use model::schema::ColumnType;

pub(crate) type Home = FileHome<Sqlite>;

impl FileEngine for Sqlite {
    const POINT: &'static str = "__";

    fn open_file(path: &Path, access: Access) -> Result<Self> {
        Self::open(path, access)
    }

    fn query_file(path: &Path, sql: &str, sink: &mut dyn RowSink) -> Result<()> {
        query(path, sql, sink)
    }
}

fn open(path: &Path, request: OpenRequest) -> Result<(SqlDestination<Sqlite>, Opened)> {
    files::open(path, request)
}

fn rows(path: &Path, sql: &str) -> Result<Vec<String>> {
    files::rows::<Sqlite>(path, sql)
}

file_checks!(Sqlite);

const PAIRS: &str = "SELECT id, v, _deleted FROM c__t ORDER BY id";

#[test]
fn no_column_has_the_name_that_widening_needs() {
    assert_eq!(Home::new().open("c").1.columns_reserved, ["_elt_widened"]);
}

#[test]
fn many_columns_widen() {
    crate::conformance::names::many_columns::<Home>(150);
}

#[test]
fn a_path_that_others_would_read_as_a_uri_or_as_memory_is_a_file() {
    let home = Home::new();
    for name in ["file:x?mode=memory", ":memory:"] {
        let path = home.folder().join(name);
        drop(open(&path, request("c")).unwrap());
        assert!(path.is_file(), "{name}");
    }
}

#[test]
fn damage_is_found() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    let many: Vec<(i64, Option<&str>)> = (0..100_000).map(|id| (id, Some("some text"))).collect();
    commit(&mut to, &pairs(), vec![fresh(upserts(0, &many))]).unwrap();
    drop(to);
    let bytes = std::fs::read(home.file()).unwrap();
    let read = || {
        open(&home.file(), request("c")).and_then(|(to, _)| {
            drop(to);
            rows(&home.file(), "SELECT sum(length(v)), count(DISTINCT id) FROM c__t")
        })
    };
    for length in [100, 4_096, 12_288, 20_000] {
        std::fs::write(home.file(), &bytes[..length]).unwrap();
        assert_eq!(code(read()), Code::WarehouseCorrupted, "{length} bytes");
    }
    let mut noise = bytes.clone();
    for byte in noise.iter_mut().skip(4_096).take(200_000) {
        *byte ^= 0x55;
    }
    std::fs::write(home.file(), &noise).unwrap();
    assert_eq!(code(read()), Code::WarehouseCorrupted);
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
    engine.run("BEGIN IMMEDIATE; INSERT INTO c__t VALUES (3, 'not committed', '', 0)").unwrap();
    std::fs::write(Path::new(&path).with_extension("held"), "").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn invariant_8_a_killed_process_leaves_what_it_committed() {
    let home = Home::new();
    let mut child = files::other_process("sqlite::tests::holds_the_file", &home.file());
    let started = Instant::now();
    let engine = Sqlite::open_waiting(&home.file(), Access::Write, Duration::from_millis(300)).unwrap();
    assert_eq!(code(SqlDestination::begin(engine, request("c"))), Code::WarehouseInUse);
    assert!(started.elapsed() >= Duration::from_millis(300), "did not wait");
    // Those who read see the last commit while another process writes.
    assert_eq!(home.rows(PAIRS), ["1|committed|false"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(home.rows(PAIRS), ["1|committed|false"]);
    let (to, opened) = home.open("c");
    assert_eq!((opened.sequence, opened.empty), (1, vec![false]));
    drop(to);
    assert_eq!(home.rows("SELECT outcome FROM c___syncs ORDER BY outcome"), ["interrupted", "running"]);
    assert_eq!(
        home.rows("SELECT * FROM pragma_table_list WHERE schema = 'temp' AND name <> 'sqlite_temp_schema'"),
        [""; 0]
    );
}

#[test]
fn one_waits_for_a_commit_of_another() {
    let home = Home::new();
    drop(home.open("c"));
    let mut holder = home.engine(Access::Write).unwrap();
    holder.run("BEGIN IMMEDIATE").unwrap();
    let path = home.file();
    let other = std::thread::spawn(move || open(&path, request("d")).map(drop));
    std::thread::sleep(Duration::from_millis(200));
    holder.run("COMMIT").unwrap();
    other.join().unwrap().unwrap();
}

#[test]
fn names_in_which_the_connection_could_not_be_told_from_the_table_are_refused() {
    let home = Home::new();
    for name in ["a__b", "a_", "_", "sqlite_c", "SQLITE_c"] {
        assert_eq!(code(open(&home.file(), request(name))), Code::Usage, "{name}");
    }
    // Nor can the tables of those that are left meet.
    for (connection, name) in [("a", "b__c"), ("a", "_syncs__x"), ("_a", "__t"), ("_elt_x", "t"), ("a", "key__a__t")] {
        let (mut to, _) = home.open(connection);
        let mut tables = home.engine(Access::Write).unwrap().tables().unwrap();
        tables.retain(|table| table.connection == connection);
        let known: Vec<_> = tables.iter().map(|known| table(&known.name, &[("id", LONG), ("v", TEXT)])).collect();
        let new = [known, vec![table(name, &[("id", LONG), ("v", TEXT)])]].concat();
        commit(&mut to, &new, vec![upserts(new.len() - 1, &[(1, Some(connection))])]).unwrap();
    }
    assert_eq!(home.rows("SELECT a.v, b.v FROM a__b__c AS a, _a____t AS b"), ["a|_a"]);
}

#[test]
fn a_table_that_somebody_else_made_is_not_touched() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    to.engine_mut().run("CREATE TABLE c__t (mine TEXT)").unwrap();
    assert_eq!(code(commit(&mut to, &pairs(), vec![])), Code::DestinationFailed);
    assert!(home.rows("SELECT mine FROM c__t").is_empty());
}

#[test]
fn views_and_indexes_of_others_stay() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    let narrow = vec![table("t", &[("id", LONG), ("v", LONG), ("w", TEXT)])];
    let row = live(0, &[(0, LONG, longs(&[1])), (1, LONG, longs(&[7])), (2, TEXT, texts(&[Some("w")]))]);
    commit(&mut to, &narrow, vec![row]).unwrap();
    to.engine_mut().run("CREATE VIEW mine AS SELECT w FROM c__t; CREATE INDEX my_index ON c__t (w)").unwrap();
    let wide = vec![table("t", &[("id", LONG), ("v", TEXT), ("w", TEXT)])];
    commit(&mut to, &wide, vec![]).unwrap();
    assert_eq!(home.rows("SELECT v, typeof(v), mine.w FROM c__t, mine"), ["7|text|w"]);
    assert_eq!(home.rows("SELECT name FROM sqlite_schema WHERE name LIKE 'my%'"), ["my_index"]);
    // One that needs the very column is not broken silently.
    let narrow = vec![table("t", &[("id", LONG), ("v", TEXT), ("w", TEXT), ("n", LONG)])];
    commit(&mut to, &narrow, vec![]).unwrap();
    to.engine_mut().run("CREATE VIEW needs_it AS SELECT n FROM c__t").unwrap();
    let wide = vec![table("t", &[("id", LONG), ("v", TEXT), ("w", TEXT), ("n", TEXT)])];
    assert_eq!(code(commit(&mut to, &wide, vec![])), Code::DestinationFailed);
    to.engine_mut().run("DROP VIEW needs_it").unwrap();
    commit(&mut to, &wide, vec![]).unwrap();
}

#[test]
fn tables_are_as_wide_as_any_program_can_read() {
    let home = Home::new();
    let names: Vec<String> = (0..2_000).map(|index| format!("c{index}")).collect();
    let columns: Vec<(&str, ColumnType)> = names.iter().map(|name| (name.as_str(), LONG)).collect();
    let (mut to, _) = home.open("c");
    assert_eq!(code(commit(&mut to, &[table("t", &columns[..1_999])], vec![])), Code::LimitColumns);
    let values = |some: i64| -> Vec<Values> { (0..1_998).map(|index| (index, LONG, longs(&[some]))).collect() };
    let segments = vec![live(0, &values(1)), patches_of(0, &values(1))];
    commit(&mut to, &[table("t", &columns[..1_998])], segments).unwrap();
}

#[test]
fn no_statement_of_a_small_sync_reads_a_whole_table() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    commit(&mut to, &pairs(), vec![]).unwrap();
    let engine = to.engine_mut();
    engine.run("CREATE TEMP TABLE s (c0 INTEGER, d INTEGER)").unwrap();
    let table = engine.table("c", "t");
    let key = [("\"id\"".to_owned(), "s.c0".to_owned())];
    for sql in [
        format!("SELECT {}", engine.count_live(&table)),
        engine.delete_matching(&table, "temp.s", &key),
        format!("UPDATE {table} AS t SET v = 'x' FROM temp.s AS s WHERE t.id = s.c0"),
        format!("DELETE FROM {table} WHERE \"_deleted\""),
    ] {
        let mut statement = engine.engine.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let plan: Vec<String> = statement.query_map([], |row| row.get(3)).unwrap().map(|step| step.unwrap()).collect();
        assert!(!plan.iter().any(|step| step == "SCAN t" || step == "SCAN c__t"), "{sql}: {plan:?}");
    }
}

#[test]
fn instants_and_dates_sort_by_time() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, None)])]).unwrap();
    drop(to);
    assert_eq!(home.rows("SELECT _synced_at, typeof(_synced_at) FROM c__t"), ["2023-11-14T22:13:20.000001Z|text"]);
    assert_eq!(home.rows("SELECT count(*) FROM c__t WHERE _synced_at < datetime('now')"), ["1"]);
    assert_eq!(home.rows("SELECT strftime('%Y', _synced_at) FROM c__t"), ["2023"]);
}

#[test]
fn queries_read_and_do_nothing_else() {
    let home = Home::new();
    let (mut to, _) = home.open("c");
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    assert_eq!(home.rows("SELECT 1"), ["1"]);
    drop(to);
    let other = home.folder().join("other.db");
    let refused = [
        "DELETE FROM c__t",
        "DELETE FROM c__t RETURNING id",
        "DROP TABLE c__t",
        "COMMIT; DELETE FROM c__t",
        "SELECT 1; DELETE FROM c__t",
        "CREATE TABLE n (a INTEGER)",
        "CREATE TEMP TABLE n (a INTEGER)",
        "BEGIN",
        &format!("ATTACH '{}' AS o", other.display()),
        &format!("VACUUM INTO '{}'", other.display()),
        "PRAGMA journal_mode = DELETE",
        "PRAGMA writable_schema = ON",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "SELECT load_extension('x')",
        "SELECT * FROM nothing",
        "SELECT \"no column\" FROM c__t",
        "SELEC",
        "",
        "SELECT abs(-9223372036854775808) FROM c__t",
        "SELECT 1\0",
    ];
    for sql in refused {
        assert_eq!(rows(&home.file(), sql).err().unwrap().code(), Code::QueryFailed, "{sql}");
    }
    assert!(!other.exists());
    assert_eq!(home.rows(PAIRS), ["1|a|false"]);
    assert_eq!(home.rows("PRAGMA table_info(c__t)").len(), 4);
    assert_eq!(
        home.rows("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n LIMIT 3").len(),
        3
    );
}

#[test]
fn values_of_a_query_as_json() {
    #[derive(Default)]
    struct Json(Vec<String>, Vec<bool>);
    impl RowSink for Json {
        fn columns(&mut self, columns: &[Column]) -> Result<()> {
            self.1.extend(columns.iter().map(|column| column.is_number));
            Ok(())
        }
        fn row(&mut self, row: &[Value]) -> Result<ControlFlow<()>> {
            self.0.extend(row.iter().map(|value| value.json().to_string()));
            Ok(ControlFlow::Break(()))
        }
    }
    let home = Home::new();
    let (mut to, _) = home.open("c");
    let decimal = ColumnType::Decimal { precision: 4, scale: 2 };
    let tables = vec![table("t", &[("id", LONG), ("j", ColumnType::Json), ("b", ColumnType::Boolean), ("d", decimal)])];
    commit(
        &mut to,
        &tables,
        vec![live(0, &[(0, LONG, longs(&[1])), (1, ColumnType::Json, texts(&[Some("{\"a\":1.50}")]))])],
    )
    .unwrap();
    to.engine_mut().run("UPDATE c__t SET b = 1, d = '2.5'").unwrap();
    drop(to);
    let mut found = Json::default();
    let sql = "SELECT id, j, b, d, NULL, 1e300, 'x', x'00ff', -9e999, count(*) OVER (), _deleted FROM c__t";
    query(&home.file(), sql, &mut found).unwrap();
    let expected =
        ["1", "{\"a\":1.5}", "true", "2.5", "null", "1e+300", "\"x\"", "\"\\\\x00ff\"", "\"-inf\"", "1", "false"];
    assert_eq!(found.0, expected);
    assert_eq!(found.1, [true, false, false, true, false, true, false, false, true, true, false]);
    let mut none = Json::default();
    query(&home.file(), "SELECT id, j FROM c__t WHERE id = 2", &mut none).unwrap();
    assert_eq!((none.0.len(), none.1), (0, vec![true, false]));
}
