//! What every warehouse that is one file must do, and the files of its tests.

use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::EngineHome;
use super::build::*;
use crate::sql::{Engine, SqlDestination};
use crate::{Access, Column, OpenRequest, Opened, RowSink, Value, Warehouse as _};
use model::error::{Code, Result};

/// An engine whose warehouse is a file.
pub(crate) trait FileEngine: Engine + Sized + 'static {
    /// Between the parts of a table's name.
    const POINT: &'static str;

    fn open_file(path: &Path, access: Access) -> Result<Self>;

    fn query_file(path: &Path, sql: &str, sink: &mut dyn RowSink) -> Result<()>;
}

/// A folder with a file.
pub(crate) struct FileHome<E>(tempfile::TempDir, PhantomData<E>);

impl<E: FileEngine> EngineHome for FileHome<E> {
    type Engine = E;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), PhantomData)
    }

    fn engine(&self, access: Access) -> Result<E> {
        E::open_file(&self.file(), access)
    }
}

impl<E: FileEngine> FileHome<E> {
    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder().join("warehouse.db")
    }

    pub(crate) fn open(&self, connection: &str) -> (SqlDestination<E>, Opened) {
        open(&self.file(), request(connection)).unwrap()
    }

    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        rows::<E>(&self.file(), sql).unwrap()
    }
}

/// Begins a sync into a file.
pub(crate) fn open<E: FileEngine>(path: &Path, request: OpenRequest) -> Result<(SqlDestination<E>, Opened)> {
    SqlDestination::begin(E::open_file(path, Access::Write)?, request)
}

/// What a query of a file gives.
pub(crate) fn rows<E: FileEngine>(path: &Path, sql: &str) -> Result<Vec<String>> {
    rows_of(|sink| E::query_file(path, sql, sink))
}

/// The rows of a query as text, cells separated by `|`, NULL as `-`.
pub(crate) fn rows_of(query: impl FnOnce(&mut dyn RowSink) -> Result<()>) -> Result<Vec<String>> {
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
    query(&mut found)?;
    Ok(found.0)
}

/// Runs a test of this process' program that is ignored otherwise, in a process of its own, until it says that it holds
/// the file.
pub(crate) fn other_process(test: &str, path: &Path) -> std::process::Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test])
        .env("WAREHOUSE_TO_HOLD", path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !path.with_extension("held").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the other process ended");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child
}

pub(crate) fn files_that_are_no_warehouse_are_told_apart<E: FileEngine>() {
    let home = FileHome::<E>::new();
    let at = |name: &str| home.folder().join(name);
    std::fs::write(at("garbage"), vec![7u8; 100_000]).unwrap();
    std::fs::write(at("empty"), "").unwrap();
    std::fs::write(at("text"), "hello").unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    let open = |path: &Path| open::<E>(path, request("c"));
    assert_eq!(code(open(&at("garbage"))), Code::WarehouseCorrupted);
    assert!(open(&at("empty")).is_ok());
    assert_eq!(code(open(&at("text"))), Code::WarehouseCorrupted);
    assert_eq!(code(open(&at("folder"))), Code::WarehouseUnwritable);
    assert_eq!(code(open(&at("text/below.db"))), Code::WarehouseUnwritable);
    assert_eq!(code(open(Path::new("/proc/nothing/w.db"))), Code::WarehouseUnwritable);
    assert_eq!(code(open(Path::new("/"))), Code::WarehouseUnwritable);
    assert_eq!(code(rows::<E>(&at("missing.db"), "SELECT 1")), Code::DestinationInvalid);
}

/// Only where a small file system can be mounted.
pub(crate) fn a_full_disk_is_told_and_what_was_committed_stands<E: FileEngine>() {
    let home = FileHome::<E>::new();
    let folder = home.folder().join("small");
    std::fs::create_dir(&folder).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&folder).stderr(Stdio::null());
    if !mount.status().is_ok_and(|status| status.success()) {
        return;
    }
    let path = folder.join("w.db");
    let noise = |first: i64| {
        (first..first + 20_000)
            .map(|id| (id, format!("{:x}", id.wrapping_mul(0x9e37_79b9_7f4a_7c15u64.cast_signed())).repeat(4)))
    };
    let outcome = (|| {
        for part in 0..100 {
            let (mut to, _) = open::<E>(&path, request("c"))?;
            let rows: Vec<(i64, String)> = noise(part * 20_000).collect();
            let rows: Vec<(i64, Option<&str>)> = rows.iter().map(|(id, text)| (*id, Some(text.as_str()))).collect();
            commit(&mut to, &pairs(), vec![fresh(upserts(0, &rows))])?;
        }
        Ok(())
    })();
    let counted = rows::<E>(&path, &format!("SELECT count(*) % 20000, min(id) FROM c{}t", E::POINT));
    let _ = Command::new("umount").arg(&folder).status();
    assert_eq!(code(outcome), Code::DiskFull);
    assert_eq!(counted.unwrap(), ["0|0"]);
}

pub(crate) fn a_folder_is_made_for_the_warehouse<E: FileEngine>() {
    let home = FileHome::<E>::new();
    let path = home.folder().join("a/b/c.db");
    drop(open::<E>(&path, request("c")).unwrap());
    assert!(path.is_file());
    // The log is gone with the last user: the file is all there is to copy.
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

pub(crate) fn a_catalog_of_a_newer_program_is_refused<E: FileEngine>() {
    let home = FileHome::<E>::new();
    let (mut to, _) = home.open("c");
    to.engine_mut().run(&format!("UPDATE _elt{}format SET version = 99", E::POINT)).map_err(|_| ()).unwrap();
    drop(to);
    let error = open::<E>(&home.file(), request("c")).err().unwrap();
    assert!(error.to_string().contains("99"), "{error}");
    assert_eq!(code(home.engine(Access::Read).and_then(|mut warehouse| warehouse.tables())), Code::DestinationFailed);
}

pub(crate) fn a_table_dropped_by_hand_is_noticed<E: FileEngine>() {
    let home = FileHome::<E>::new();
    let (mut to, _) = home.open("c");
    commit(&mut to, &pairs(), vec![]).unwrap();
    to.engine_mut().run(&format!("DROP TABLE c{}t", E::POINT)).map_err(|_| ()).unwrap();
    drop(to);
    assert_eq!(code(open::<E>(&home.file(), request("c"))), Code::DestinationFailed);
}

/// Makes a test of each of these checks for an engine.
macro_rules! file_checks {
    ($engine:ty) => {
        file_checks! { $engine:
            files_that_are_no_warehouse_are_told_apart,
            a_full_disk_is_told_and_what_was_committed_stands,
            a_folder_is_made_for_the_warehouse,
            a_catalog_of_a_newer_program_is_refused,
            a_table_dropped_by_hand_is_noticed,
        }
    };
    ($engine:ty: $($check:ident,)*) => {
        $(
            #[test]
            fn $check() {
                $crate::conformance::files::$check::<$engine>();
            }
        )*
    };
}
pub(crate) use file_checks;
