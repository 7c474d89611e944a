//! The destination against a real server: what only Postgres can get wrong. What every warehouse must do is checked in
//! `conformance`.

#![allow(clippy::pedantic, reason = "tests are written to be read, not to be called")]

mod fence;
mod idle;
mod inline;
mod proxy;

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};

use super::{Postgres, PostgresAddress, query};
use crate::conformance::EngineHome;
use crate::conformance::build::*;
use crate::conformance::files;
use crate::sql::{Engine as _, SqlDestination};
use crate::{Access, Column, Destination as _, DestinationUrl, Opened, RowSink, Value, Warehouse as _};
use ::tests::postgres::{PASSWORD, Server};
use model::error::{Code, Error, Result};
use model::schema::{ColumnType, TableSchema};

/// The server of this process.
fn server() -> &'static Server {
    ::tests::postgres::server().unwrap()
}

fn client(database: &str) -> ::postgres::Client {
    server().client(database).unwrap()
}

fn address(database: &str) -> PostgresAddress {
    PostgresAddress::parse(&server().url(database, server().port)).unwrap()
}

/// A database, removed with it: a test may need a hundred of 8 MB.
pub(crate) struct Home(PostgresAddress);

impl Drop for Home {
    fn drop(&mut self) {
        // What is left goes with the server, at the latest.
        let _ = server().drop_database(&self.0.database);
    }
}

impl EngineHome for Home {
    type Engine = Postgres;

    fn new() -> Self {
        Self(address(&server().database().unwrap()))
    }

    fn engine(&self, access: Access) -> Result<Postgres> {
        Postgres::open(&self.0, access)
    }
}

type Open = SqlDestination<Postgres>;

/// Begins a sync of the connection `c`.
fn begin(address: &PostgresAddress) -> (Open, Opened) {
    SqlDestination::begin(Postgres::open(address, Access::Write).unwrap(), request("c")).unwrap()
}

fn open(address: &PostgresAddress) -> Open {
    begin(address).0
}

fn rows_of(address: &PostgresAddress, sql: &str) -> Result<Vec<String>> {
    files::rows_of(|sink| query(address, sql, sink))
}

/// An error as a person meets it, without the password in any form.
fn told(error: &Error) -> String {
    let text = format!("{error:?} {} {}", error.chain(), error.advice().unwrap_or_default());
    let escaped: String = PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for secret in [PASSWORD, &escaped, "w0rd", "p%40"] {
        assert!(!text.contains(secret), "{text}");
    }
    text
}

#[test]
fn many_columns_widen() {
    crate::conformance::names::many_columns::<Home>(500);
}

#[test]
fn what_keeps_a_session_from_beginning_is_told_apart() {
    let home = Home::new();
    type Change = fn(&mut PostgresAddress);
    let cases: [(&str, Code, Change); 6] = [
        ("another password", Code::WarehouseLogin, |address| address.password = Some(format!("{PASSWORD}x"))),
        ("no password", Code::WarehouseLogin, |address| address.password = None),
        ("another user", Code::WarehouseLogin, |address| address.user = "nobody".into()),
        ("no database", Code::DestinationInvalid, |address| address.database = "nothing".into()),
        ("no server", Code::WarehouseUnreachable, |address| address.port = 1),
        ("no host", Code::WarehouseUnreachable, |address| address.host = "nothing.invalid".into()),
    ];
    for (what, expected, change) in cases {
        let mut address = home.0.clone();
        change(&mut address);
        let error = Postgres::open(&address, Access::Write).err().unwrap();
        assert_eq!(error.code(), expected, "{what}: {}", told(&error));
        assert!(error.advice().is_some_and(|hint| !hint.is_empty()), "{what}");
        let url = DestinationUrl::Postgres(address);
        told(&Error::new(Code::Usage, format!("{url} {url:?}")));
    }
}

#[test]
fn a_socket_is_a_host_too() {
    let home = Home::new();
    let folder = server().folder.display().to_string().replace('/', "%2F");
    let url = server().url(&home.0.database, home.0.port).replace("127.0.0.1", &folder);
    let address = PostgresAddress::parse(&url).unwrap();
    assert_eq!(rows_of(&address, "SELECT inet_server_addr()").unwrap(), ["-"]);
}

#[test]
fn tls_is_spoken_and_checked_as_far_as_asked() {
    let home = Home::new();
    let spoken = |host: &str, parameters: &str| {
        let url = server().url(&home.0.database, home.0.port).replace("127.0.0.1", host) + parameters;
        let address = PostgresAddress::parse(&url).unwrap();
        rows_of(&address, "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            .map_err(|error| (error.code(), told(&error)).0)
    };
    let ca = format!("&sslrootcert={}/ca.pem", server().folder.display());
    let encrypted = Ok(vec!["true|TLSv1.3".to_owned()]);
    assert_eq!(spoken("127.0.0.1", "?sslmode=disable"), Ok(vec!["false|-".to_owned()]));
    assert_eq!(spoken("127.0.0.1", ""), encrypted);
    assert_eq!(spoken("127.0.0.1", "?sslmode=require"), encrypted);
    assert_eq!(spoken("localhost", &format!("?sslmode=verify-full{ca}")), encrypted);
    // Not the name in the certificate; nobody the machine trusts; a file without certificates.
    assert_eq!(spoken("127.0.0.1", &format!("?sslmode=verify-full{ca}")), Err(Code::WarehouseUnreachable));
    assert_eq!(spoken("localhost", "?sslmode=verify-full"), Err(Code::WarehouseUnreachable));
    let none = "?sslmode=verify-full&sslrootcert=/nonexistent";
    assert_eq!(spoken("localhost", none), Err(Code::DestinationInvalid));
}

#[test]
fn every_session_has_the_same_settings() {
    let home = Home::new();
    let mut engine = home.engine(Access::Write).unwrap();
    let mut setting = |name: &str| {
        let found = engine.query(&format!("SELECT current_setting('{name}')"), &[]).unwrap();
        format!("{:?}", found[0][0])
    };
    for (name, value) in [
        ("lock_timeout", "30s"),
        ("idle_in_transaction_session_timeout", "1min"),
        ("statement_timeout", "0"),
        ("application_name", "elt"),
        ("TimeZone", "UTC"),
        ("DateStyle", "ISO, YMD"),
        ("extra_float_digits", "1"),
    ] {
        assert_eq!(setting(name), format!("Text({value:?})"), "{name}");
    }
    engine.run(Postgres::BEGIN).unwrap();
    let level = engine.query("SELECT current_setting('transaction_isolation')", &[]).unwrap();
    assert_eq!(format!("{level:?}"), "[[Text(\"read committed\")]]");
}

#[test]
fn an_old_server_or_a_database_of_another_encoding_is_refused() {
    let name = server().database().unwrap() + "_latin";
    let sql = format!("CREATE DATABASE {name} ENCODING latin1 LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    client("postgres").batch_execute(&sql).unwrap();
    let error = Postgres::open(&address(&name), Access::Write).err().unwrap();
    assert_eq!(error.code(), Code::DestinationInvalid);
    assert!(told(&error).contains("LATIN1"));
}

/// A role that may log in only.
fn guest(home: &Home) -> PostgresAddress {
    let name = format!("guest_{}", home.0.database);
    let sql = format!(
        "CREATE ROLE {name} LOGIN PASSWORD 'guest'; REVOKE ALL ON DATABASE {0} FROM PUBLIC; GRANT CONNECT ON DATABASE {0} TO {name}",
        home.0.database
    );
    client(&home.0.database).batch_execute(&sql).unwrap();
    PostgresAddress { user: name, password: Some("guest".into()), ..home.0.clone() }
}

#[test]
fn a_role_without_rights_is_told_which_it_needs() {
    let home = Home::new();
    let address = guest(&home);
    let refused = SqlDestination::begin(Postgres::open(&address, Access::Write).unwrap(), request("c"));
    assert_eq!(code(refused), Code::WarehouseUnwritable);
    // Schemas that were made for it beforehand will do.
    let user = &address.user;
    let sql = format!(
        "CREATE SCHEMA _elt AUTHORIZATION {user}; CREATE SCHEMA c AUTHORIZATION {user}; \
         GRANT TEMPORARY ON DATABASE {} TO {user}",
        home.0.database
    );
    client(&home.0.database).batch_execute(&sql).unwrap();
    let mut to = open(&address);
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("b"))])]).unwrap();
    assert_eq!(rows_of(&address, "SELECT v FROM c.t").unwrap(), ["b"]);
    drop(to);
    // Somebody else's schema stays.
    let sql = "ALTER SCHEMA c OWNER TO tester; GRANT ALL ON SCHEMA c TO PUBLIC";
    client(&home.0.database).batch_execute(sql).unwrap();
    assert!(!Postgres::open(&address, Access::Write).unwrap().reset("c").unwrap().schema);
}

#[test]
fn a_server_that_only_reads_is_told() {
    let home = Home::new();
    drop(open(&home.0));
    let mut engine = home.engine(Access::Read).unwrap();
    assert_eq!(engine.connections().unwrap().len(), 1);
    let refused = engine.run("CREATE SCHEMA x").map_err(|failure| Postgres::failed("x".into(), failure));
    assert_eq!(code(refused), Code::WarehouseUnwritable);
}

#[test]
fn refusals_of_the_server_have_their_codes() {
    let home = Home::new();
    let mut engine = home.engine(Access::Write).unwrap();
    for (state, expected) in [
        ("disk_full", Code::DiskFull),
        ("out_of_memory", Code::DestinationFailed),
        ("insufficient_privilege", Code::WarehouseUnwritable),
        ("deadlock_detected", Code::WarehouseInUse),
        ("too_many_columns", Code::LimitColumns),
        ("program_limit_exceeded", Code::DestinationFailed),
        ("cannot_connect_now", Code::WarehouseUnreachable),
        ("admin_shutdown", Code::WarehouseUnreachable),
        ("character_not_in_repertoire", Code::ValueMismatch),
    ] {
        let sql = format!("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$");
        let failure = engine.run(&sql).unwrap_err();
        assert_eq!(code::<()>(Err(Postgres::failed("do it".into(), failure))), expected, "{state}");
    }
    for (state, expected) in [("serialization_failure", true), ("deadlock_detected", true), ("syntax_error", false)] {
        let sql = format!("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$");
        assert_eq!(Postgres::is_conflict(&engine.run(&sql).unwrap_err()), expected);
    }
}

#[test]
fn a_view_on_a_column_is_named_when_it_stands_in_the_way() {
    let home = Home::new();
    let narrow = vec![table("t", &[("id", LONG), ("v", LONG)])];
    let mut to = open(&home.0);
    let numbers = [(0, LONG, longs(&[1])), (1, LONG, longs(&[7]))];
    commit(&mut to, &narrow, vec![live(0, &numbers)]).unwrap();
    to.engine_mut().run("CREATE VIEW c.seen AS SELECT v FROM c.t").unwrap();
    let refused = commit(&mut to, &pairs(), vec![]).unwrap_err();
    assert!(refused.chain().contains("seen") && refused.advice().unwrap().contains("view"), "{}", refused.chain());
    to.engine_mut().run("DROP VIEW c.seen").unwrap();
    commit(&mut to, &pairs(), vec![upserts(0, &[(2, Some("x"))])]).unwrap();
    assert_eq!(rows_of(&home.0, "SELECT v FROM c.t ORDER BY id").unwrap(), ["7", "x"]);
}

#[test]
fn a_table_that_is_too_wide_is_refused() {
    let home = Home::new();
    let names: Vec<String> = (0..1_601).map(|index| format!("c{index}")).collect();
    let columns: Vec<(&str, ColumnType)> = names.iter().map(|name| (name.as_str(), LONG)).collect();
    let mut to = open(&home.0);
    assert_eq!(code(commit(&mut to, &[table("t", &columns)], vec![])), Code::LimitColumns);
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    // Within the number of columns, but a row of them does not fit a page.
    let texts_wide: Vec<(&str, ColumnType)> = names[..1_500]
        .iter()
        .enumerate()
        .map(|(at, name)| (name.as_str(), if at == 0 { LONG } else { TEXT }))
        .collect();
    let text = "x".repeat(100);
    let values: Vec<Values> = (0..1_500)
        .map(|at| if at == 0 { (at, LONG, longs(&[1])) } else { (at, TEXT, texts(&[Some(&text)])) })
        .collect();
    let tables = [pairs().remove(0), table("wide", &texts_wide)];
    assert_eq!(code(commit(&mut to, &tables, vec![live(1, &values)])), Code::DestinationFailed);
    assert_eq!(rows_of(&home.0, "SELECT count(*) FROM c.t").unwrap(), ["1"]);
}

#[test]
fn a_nul_is_refused_with_table_and_column_and_nothing_is_lost() {
    let home = Home::new();
    for bytes_max in [0, usize::MAX] {
        let mut to = open(&home.0).staging_at_most(bytes_max);
        commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
        let staged = [upserts(0, &[(2, Some("b")), (3, Some("c\0"))]), patches(0, &[(1, Some(Some("\0")), false)])];
        for segment in staged {
            for error in [
                to.stage(vec![segment.clone()], &pairs()).unwrap_err(),
                commit(&mut to, &pairs(), vec![segment]).unwrap_err(),
            ] {
                assert_eq!(error.code(), Code::ValueMismatch);
                assert!(error.to_string().contains("column \"v\" of the table \"c\".\"t\""), "{error}");
            }
        }
        commit(&mut to, &pairs(), vec![upserts(0, &[(4, Some("\u{1}"))])]).unwrap();
        assert_eq!(rows_of(&home.0, "SELECT id FROM c.t ORDER BY id").unwrap(), ["1", "4"]);
    }
}

#[test]
fn keys_that_are_too_long_for_an_index_are_refused() {
    let home = Home::new();
    let tables = [TableSchema { key: vec![0, 1], ..table("t", &[("a", TEXT), ("b", LONG), ("v", TEXT)]) }];
    // Texts that do not compress.
    let long = |seed: u64, length: usize| {
        let mut random = fastrand::Rng::with_seed(seed);
        std::iter::repeat_with(|| random.alphanumeric()).take(length).collect::<String>()
    };
    let rows = |length: usize, version: &str| {
        let keys: Vec<String> = (0..20u64).map(|seed| long(seed, length)).collect();
        let keys: Vec<Option<&str>> = keys.iter().map(|key| Some(key.as_str())).collect();
        live(0, &[(0, TEXT, texts(&keys)), (1, LONG, longs(&[7; 20])), (2, TEXT, texts(&[Some(version); 20]))])
    };
    let mut to = open(&home.0);
    commit(&mut to, &tables, vec![rows(2_600, "1"), rows(2_599, "1")]).unwrap();
    commit(&mut to, &tables, vec![rows(2_600, "2")]).unwrap();
    let refused = commit(&mut to, &tables, vec![rows(10, "3"), rows(3_000, "3")]).unwrap_err();
    assert_eq!(refused.code(), Code::DestinationFailed);
    assert!(
        refused.advice().unwrap().contains("primary key") && refused.chain().contains("\"t\""),
        "{}",
        refused.chain()
    );
    let sql = "SELECT v, count(*), count(DISTINCT a) FROM c.t GROUP BY v ORDER BY v";
    assert_eq!(rows_of(&home.0, sql).unwrap(), ["1|20|20", "2|20|20"]);
}

#[test]
fn a_key_of_numbers_is_unique_in_the_database() {
    let home = Home::new();
    let mut to = open(&home.0);
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    let doubled = commit(&mut to, &pairs(), vec![fresh(upserts(0, &[(1, Some("b"))]))]);
    assert_eq!(doubled.unwrap_err().code(), Code::DestinationFailed);
    assert_eq!(rows_of(&home.0, "SELECT v FROM c.t").unwrap(), ["a"]);
}

#[test]
fn names_that_postgres_keeps_for_itself_are_known() {
    let home = Home::new();
    let (mut to, opened) = begin(&home.0);
    assert_eq!(opened.name_bytes_max, 63);
    for name in opened.columns_reserved {
        let refused = commit(&mut to, &[table("t", &[("id", LONG), (name, TEXT)])], vec![]);
        assert_eq!(refused.unwrap_err().code(), Code::DestinationFailed, "{name}");
    }
    for name in ["pg_shop", &"x".repeat(64)] {
        let refused = SqlDestination::begin(home.engine(Access::Write).unwrap(), request(name));
        assert_eq!(code(refused), Code::Usage, "{name}");
    }
}

#[test]
fn a_table_named_as_the_index_of_another() {
    let home = Home::new();
    let names = ["t", "t_id_idx", "t_id_idx1", "_t", "t_pkey"];
    let tables: Vec<TableSchema> = names.iter().map(|name| table(name, &[("id", LONG), ("v", TEXT)])).collect();
    let mut to = open(&home.0);
    for count in 1..=tables.len() {
        commit(&mut to, &tables[..count], vec![upserts(count - 1, &[(1, Some("a"))])]).unwrap();
    }
    assert_eq!(rows_of(&home.0, "SELECT count(*) FROM c.\"t_id_idx1\"").unwrap(), ["1"]);
}

#[test]
fn the_types_are_those_that_people_expect() {
    let home = Home::new();
    let columns = [
        ("id", LONG),
        ("a", ColumnType::Boolean),
        ("b", ColumnType::Short),
        ("c", ColumnType::Int),
        ("d", ColumnType::Decimal { precision: 18, scale: 2 }),
        ("e", ColumnType::Float),
        ("f", ColumnType::Double),
        ("g", ColumnType::NaiveDate),
        ("h", ColumnType::NaiveTime),
        ("i", ColumnType::NaiveDatetime(None)),
        ("j", ColumnType::UtcDatetime(None)),
        ("k", ColumnType::Binary),
        ("l", ColumnType::Xml),
        ("m", TEXT),
        ("n", ColumnType::Json),
    ];
    let mut to = open(&home.0);
    commit(&mut to, &[table("t", &columns)], vec![]).unwrap();
    let sql = "SELECT string_agg(format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute \
               WHERE attrelid = 'c.t'::regclass AND attnum > 0";
    let expected = "bigint, boolean, smallint, integer, numeric(18,2), real, double precision, date, \
                    time without time zone, timestamp without time zone, timestamp with time zone, bytea, text, text, json, \
                    timestamp with time zone, boolean";
    assert_eq!(rows_of(&home.0, sql).unwrap(), [expected]);
}

#[test]
fn json_keeps_its_text() {
    let home = Home::new();
    let tables = [table("t", &[("id", LONG), ("v", ColumnType::Json)])];
    let values = ["{\"b\": 1.50,  \"a\":[ ], \"b\":2}", "[1e400]", "{\"x\":\"\\u0000\\ud800\"}"];
    let mut to = open(&home.0);
    let rows = [(0, LONG, longs(&[1, 2, 3])), (1, ColumnType::Json, texts(&values.map(Some)))];
    commit(&mut to, &tables, vec![live(0, &rows)]).unwrap();
    assert_eq!(rows_of(&home.0, "SELECT v FROM c.t ORDER BY id").unwrap(), values);
}

#[test]
fn queries_read_and_do_nothing_else() {
    let home = Home::new();
    let mut to = open(&home.0);
    commit(&mut to, &pairs(), vec![upserts(0, &[(1, Some("a"))])]).unwrap();
    let refused = [
        "DELETE FROM c.t",
        "DELETE FROM c.t RETURNING id",
        "WITH gone AS (DELETE FROM c.t RETURNING id) SELECT * FROM gone",
        "DROP TABLE c.t",
        "COMMIT",
        "COMMIT; DELETE FROM c.t",
        "SELECT 1; DELETE FROM c.t",
        "CREATE TABLE c.n (a integer)",
        "SET TRANSACTION READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', false); DELETE FROM c.t",
        "EXPLAIN ANALYZE DELETE FROM c.t",
        "COPY c.t TO STDOUT",
        "DO $$ BEGIN DELETE FROM c.t; END $$",
        "SELECT * FROM nothing",
        "SELEC",
        "",
        "SELECT 1/0 FROM c.t",
        "SELECT $1::text",
        "SELECT 1\0",
    ];
    for sql in refused {
        assert_eq!(rows_of(&home.0, sql).err().map(|error| error.code()), Some(Code::QueryFailed), "{sql}");
    }
    assert_eq!(rows_of(&home.0, "SELECT id, v, _deleted FROM c.t;").unwrap(), ["1|a|false"]);
    assert_eq!(rows_of(&home.0, "SHOW server_encoding").unwrap(), ["UTF8"]);
    assert!(!rows_of(&home.0, "EXPLAIN SELECT * FROM c.t -- why").unwrap().is_empty());
    assert_eq!(rows_of(&home.0, "TABLE c.t -- all").unwrap().len(), 1);
    assert_eq!(rows_of(&home.0, "SELECT FROM c.t").err().unwrap().code(), Code::QueryFailed);
}

#[test]
fn values_of_a_query_as_json() {
    struct Json(Vec<String>);
    impl RowSink for Json {
        fn columns(&mut self, columns: &[Column]) -> Result<()> {
            self.0.extend(columns.iter().map(|column| format!("{} {}", column.name, column.is_number)));
            Ok(())
        }
        fn row(&mut self, row: &[Value]) -> Result<ControlFlow<()>> {
            self.0.extend(row.iter().map(|value| value.json().to_string()));
            Ok(ControlFlow::Break(()))
        }
    }
    let home = Home::new();
    let mut found = Json(Vec::new());
    let sql = "SELECT 1 AS a, true, NULL, 2.50, 1e300::float8, 'x', '{\"b\":1,\"a\":2}'::json, ARRAY[1, 2], 'nan'::float8, \
               12345678901234567890123456789, DATE '2024-02-29', TIMESTAMPTZ '2024-02-29 12:00:00.5+02', \
               TIMESTAMP '2024-02-29 12:00:00', '\\xff00'::bytea FROM generate_series(1, 3000000)";
    query(&home.0, sql, &mut found).unwrap();
    assert_eq!(found.0[..2], ["a true", "?column? false"]);
    assert_eq!(
        found.0[14..],
        [
            "1",
            "true",
            "null",
            "2.5",
            "1e+300",
            "\"x\"",
            "{\"a\":2,\"b\":1}",
            "\"{1,2}\"",
            "\"NaN\"",
            "\"12345678901234567890123456789\"",
            "\"2024-02-29\"",
            "\"2024-02-29T10:00:00.5Z\"",
            "\"2024-02-29T12:00:00\"",
            "\"\\\\xff00\""
        ]
    );
}

#[test]
fn a_query_of_many_rows_comes_in_pieces() {
    let home = Home::new();
    let rows = rows_of(&home.0, "SELECT * FROM generate_series(1, 25000)").unwrap();
    assert_eq!((rows.len(), rows[24_999].as_str()), (25_000, "25000"));
}

#[test]
fn floats_that_postgres_would_write_with_an_exponent() {
    let home = Home::new();
    let tables = |kind| vec![table("t", &[("id", LONG), ("v", kind)])];
    let values = vec![
        5e-324,
        9007199254740993.0,
        9.5e15,
        1e15,
        -1e15,
        1234567890123456.5,
        1e16,
        1e22,
        1e23,
        -61117294478256976.0,
        f64::MAX,
        f64::MIN,
        8.41e21,
        1.5e17,
        2e-5,
        -0.0,
    ];
    let expected: Vec<String> = values.iter().map(|value| model::schema::value::double_text(*value)).collect();
    let keys: Vec<i64> = (0..values.len() as i64).collect();
    let mut to = open(&home.0);
    let array: ArrayRef = Arc::new(Float64Array::from(values));
    let rows = [(0, LONG, longs(&keys)), (1, ColumnType::Double, array)];
    commit(&mut to, &tables(ColumnType::Double), vec![live(0, &rows)]).unwrap();
    commit(&mut to, &tables(TEXT), vec![]).unwrap();
    assert_eq!(rows_of(&home.0, "SELECT v FROM c.t ORDER BY id").unwrap(), expected);
}

/// How the server is set, for the reader of a measurement; makes commits durable first.
pub(super) fn server_settings() -> String {
    let mut client = client("postgres");
    client.batch_execute("ALTER SYSTEM SET fsync = on").unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let row = client.query_one("SELECT version(), current_setting('fsync')", &[]).unwrap();
    format!("{}, fsync {}", row.get::<_, String>(0), row.get::<_, String>(1))
}
