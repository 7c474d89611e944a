//! The engine in memory through which rows go on their way into files and back: a DuckDB without a database file. What does
//! not fit into its memory it spills into a folder of its own, which goes with it.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::errors::Failure;
use super::log::PART;
use super::store::Store;
use crate::Access;
use crate::duckdb::DuckDb;
use crate::sql::ddl::{literal, quoted};
use crate::sql::{Engine, Scalar};
use model::error::{Code, Error, Result};
use model::schema::DELETED;

/// Where a file is cut: it is read back as a whole when one of its rows changes.
const FILE_BYTES: &str = "64MB";
/// The longest text that a file's statistics give as its least or greatest value.
const STATISTICS_BYTES_MAX: usize = 256;

/// A column of a table in the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// DuckDB's name of its type.
    pub(super) kind: String,
}

/// A file that was written.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    pub(super) file: PathBuf,
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) rows: u64,
    pub(super) live: u64,
    /// The file's statistics, as JSON.
    pub(super) statistics: String,
}

/// The engine and its folder.
pub(super) struct Scratch {
    // Dropped in this order: the engine closes its files first.
    pub(super) engine: DuckDb,
    folder: TempDir,
    files: u64,
}

impl Scratch {
    /// Starts an engine that reads the files of a lake.
    pub(super) fn new(root: Option<&Path>, access: Access) -> Result<Self> {
        let made = tempfile::Builder::new().prefix("elt-delta-").tempdir();
        let folder = made.map_err(|error| {
            Error::new(Code::DestinationFailed, "make a temporary folder").because(error).hint(
                "Rows on their way into a lake go through a folder of the system's temporary files; TMPDIR names another.",
            )
        })?;
        let (path, spill) = (folder.path().to_path_buf(), folder.path().join("spill"));
        let folders: Vec<&Path> = root.into_iter().chain([path.as_path()]).collect();
        let engine = DuckDb::in_memory(&folders, &spill, access)?;
        Ok(Self { engine, folder, files: 0 })
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self, root: Option<&Path>, access: Access) -> Result<()> {
        *self = Self::new(root, access)?;
        Ok(())
    }

    /// A path in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn new_path(&mut self) -> PathBuf {
        self.files += 1;
        self.path(&format!("{}", self.files))
    }

    /// A file with an object's bytes.
    pub(super) fn file(&mut self, store: &dyn Store, key: &str) -> Result<PathBuf> {
        store.file(key, self.folder.path())
    }

    /// The rows of a Parquet file, each as JSON.
    pub(super) fn json_rows(&mut self, file: &Path) -> Result<Vec<String>> {
        let sql = format!("SELECT CAST(to_json(t) AS VARCHAR) FROM read_parquet({}) AS t", pattern(file));
        let rows = self.engine.query(&sql, &[]).map_err(failed("read a checkpoint"))?;
        Ok(rows.into_iter().filter_map(|row| text(row.into_iter().next())).collect())
    }

    /// A Parquet file of lines of JSON; `columns` as DuckDB's `read_json` takes them.
    pub(super) fn parquet_of_lines(&mut self, from: &Path, columns: &str) -> Result<PathBuf> {
        let to = self.new_path();
        let sql = format!(
            "COPY (SELECT * FROM read_json({}, format = 'newline_delimited', columns = {columns}, \
             maximum_object_size = 67108864)) TO {} (FORMAT parquet)",
            path_literal(from),
            path_literal(&to)
        );
        self.engine.run(&sql).map_err(failed("write a checkpoint"))?;
        Ok(to)
    }

    /// The columns of a table.
    pub(super) fn columns(&mut self, schema: &str, table: &str) -> Result<Vec<Column>, Failure> {
        let sql = "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'memory' AND schema_name = $1 \
                   AND table_name = $2 ORDER BY column_index";
        let rows = self.engine.query(sql, &[schema, table].map(|name| Scalar::Text(name.to_owned())))?;
        let column = |row: Vec<Scalar>| {
            let mut cells = row.into_iter();
            Some(Column { name: text(cells.next())?, kind: text(cells.next())? })
        };
        Ok(rows.into_iter().filter_map(column).collect())
    }

    /// Adds the rows of files to a table. `values` has the expression of each column, of which `columns` says what it is in
    /// the files.
    pub(super) fn insert(
        &mut self,
        table: &str,
        files: &[PathBuf],
        columns: &[Column],
        values: &[String],
    ) -> Result<(), Failure> {
        let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
        let sql = format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {}",
            names.join(", "),
            values.join(", "),
            typed(files, columns)
        );
        Ok(self.engine.run(&sql)?)
    }

    /// How many rows files have, and how many of them are not deleted.
    pub(super) fn count(&mut self, files: &[PathBuf], has_marks: bool) -> Result<(u64, u64), Failure> {
        let live =
            if has_marks { format!("count(*) FILTER (WHERE NOT {})", quoted(DELETED)) } else { "count(*)".to_owned() };
        let sql = format!("SELECT count(*), {live} FROM {}", read_parquet(files));
        let row = self.engine.query(&sql, &[])?.into_iter().next().unwrap_or_default();
        Ok((number(row.first()), number(row.get(1))))
    }

    /// Which of some files have a row for which a condition holds, as their places in the list. The condition speaks of a row
    /// `t` with these columns.
    pub(super) fn files_where(
        &mut self,
        files: &[PathBuf],
        columns: &[Column],
        condition: &str,
    ) -> Result<Vec<usize>, Failure> {
        const FILE: &str = "_elt file";
        let values: Vec<String> = columns.iter().map(cast).chain([quoted(FILE)]).collect();
        let from = format!("{}, filename = '{FILE}')", read_parquet(files).trim_end_matches(')'));
        let template = template(columns);
        let sql = format!(
            "SELECT DISTINCT {} FROM (SELECT {} FROM ({template} UNION ALL BY NAME SELECT * FROM {from})) AS t \
             WHERE {condition}",
            quoted(FILE),
            values.join(", ")
        );
        let names = self.engine.query(&sql, &[])?;
        let names: Vec<String> = names.into_iter().filter_map(|row| text(row.into_iter().next())).collect();
        let is_named = |file: &PathBuf| names.iter().any(|name| Path::new(name) == file);
        Ok((0..files.len()).filter(|index| is_named(&files[*index])).collect())
    }

    /// Writes the rows of a table into files, and counts them. `keyed` are the columns to give the least and greatest value of.
    pub(super) fn export(
        &mut self,
        table: &str,
        columns: &[Column],
        keyed: &[String],
    ) -> Result<Vec<Written>, Failure> {
        let folder = self.new_path();
        let values: Vec<String> = columns.iter().map(stored_value).collect();
        let sql = format!(
            "COPY (SELECT {} FROM {table}) TO {} (FORMAT parquet, COMPRESSION zstd, FILE_SIZE_BYTES '{FILE_BYTES}')",
            values.join(", "),
            path_literal(&folder)
        );
        self.engine.run(&sql)?;
        let mut written = Vec::new();
        let entries = std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))?;
        for entry in entries {
            let file = entry.map_err(|error| unreadable(&folder, error))?.path();
            let one = self.describe(file, columns, keyed)?;
            if one.rows > 0 {
                written.push(one);
            }
        }
        Ok(written)
    }

    fn describe(&mut self, file: PathBuf, columns: &[Column], keyed: &[String]) -> Result<Written, Failure> {
        let has_marks = columns.iter().any(|column| column.name == DELETED);
        let files = [file];
        let (rows, live) = self.count(&files, has_marks)?;
        let [file] = files;
        let statistics = self.statistics(&file, rows, columns.iter().filter(|column| keyed.contains(&column.name)))?;
        let bytes = std::fs::metadata(&file).map_err(|error| unreadable(&file, error))?.len();
        let name = format!("{PART}{:032x}.parquet", fastrand::u128(..));
        Ok(Written { file, name, bytes, rows, live, statistics })
    }

    fn statistics<'a>(
        &mut self,
        file: &PathBuf,
        rows: u64,
        columns: impl Iterator<Item = &'a Column>,
    ) -> Result<String, Failure> {
        let (mut least, mut greatest, mut nulls) = <(Object, Object, Object)>::default();
        for column in columns {
            let (name, source) = (quoted(&column.name), read_parquet(std::slice::from_ref(file)));
            let bound = |function: &str| match column.kind.as_str() {
                "TIMESTAMP WITH TIME ZONE" => format!("epoch_us({function}({name}))"),
                _ => format!("CAST({function}({name}) AS VARCHAR)"),
            };
            let sql = format!("SELECT {}, {}, count(*) - count({name}) FROM {source}", bound("min"), bound("max"));
            let row = self.engine.query(&sql, &[])?.into_iter().next().unwrap_or_default();
            nulls.insert(column.name.clone(), number(row.get(2)).into());
            if let (Some(low), Some(high)) = (bound_of(column, row.first(), 0), bound_of(column, row.get(1), 999)) {
                least.insert(column.name.clone(), low);
                greatest.insert(column.name.clone(), high);
            }
        }
        let statistics = serde_json::json!({
            "numRecords": rows, "minValues": least, "maxValues": greatest, "nullCount": nulls,
        });
        Ok(statistics.to_string())
    }

    /// Removes files that were made here.
    pub(super) fn tidy(&mut self) {
        for entry in std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.ends_with("spill") {
                continue;
            }
            // What stays is removed with the folder.
            let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        }
    }
}

type Object = serde_json::Map<String, serde_json::Value>;

/// A least or greatest value as a Delta log has it; none where it has none of this type, or a very long one. Timestamps have
/// milliseconds there: `round_up_us` is added before the rest is cut off.
fn bound_of(column: &Column, cell: Option<&Scalar>, round_up_us: i64) -> Option<serde_json::Value> {
    match (column.kind.as_str(), cell?) {
        ("SMALLINT" | "INTEGER" | "BIGINT", Scalar::Text(text)) => Some(text.parse::<i64>().ok()?.into()),
        ("VARCHAR", Scalar::Text(text)) if text.len() <= STATISTICS_BYTES_MAX => Some(text.as_str().into()),
        // Years of other than four digits do not compare as texts.
        ("DATE", Scalar::Text(text)) if text.len() == 10 => Some(text.as_str().into()),
        ("TIMESTAMP WITH TIME ZONE", Scalar::Integer(us)) => {
            let time = jiff::Timestamp::from_millisecond(us.checked_add(round_up_us)?.div_euclid(1_000)).ok()?;
            Some(format!("{time:.3}").into())
        }
        _ => None,
    }
}

/// A column as it is written: Delta has neither times of day nor JSON.
fn stored_value(column: &Column) -> String {
    let name = quoted(&column.name);
    match column.kind.as_str() {
        "TIME" | "JSON" => format!("CAST({name} AS VARCHAR) AS {name}"),
        _ => name,
    }
}

/// The rows of files as a table of these columns; those that a file lacks are NULL there.
pub(super) fn typed(files: &[PathBuf], columns: &[Column]) -> String {
    let (all, template) = (columns.iter().map(cast).collect::<Vec<_>>().join(", "), template(columns));
    if files.is_empty() {
        return format!("({template})");
    }
    format!("(SELECT {all} FROM ({template} UNION ALL BY NAME SELECT * FROM {}))", read_parquet(files))
}

/// No row of these columns.
fn template(columns: &[Column]) -> String {
    let none = |column: &Column| format!("CAST(NULL AS {}) AS {}", column.kind, quoted(&column.name));
    format!("SELECT {} WHERE false", columns.iter().map(none).collect::<Vec<_>>().join(", "))
}

fn cast(column: &Column) -> String {
    format!("CAST({0} AS {1}) AS {0}", quoted(&column.name), column.kind)
}

fn read_parquet(files: &[PathBuf]) -> String {
    let paths: Vec<String> = files.iter().map(|file| pattern(file)).collect();
    format!("read_parquet([{}], union_by_name = true, hive_partitioning = false)", paths.join(", "))
}

fn path_literal(path: &Path) -> String {
    literal(&path.to_string_lossy())
}

/// A path where DuckDB would take a pattern.
fn pattern(path: &Path) -> String {
    let escape = |letter: char| match letter {
        '[' | '*' | '?' => format!("[{letter}]"),
        _ => letter.to_string(),
    };
    literal(&path.to_string_lossy().chars().map(escape).collect::<String>())
}

fn text(cell: Option<Scalar>) -> Option<String> {
    match cell {
        Some(Scalar::Text(text)) => Some(text),
        _ => None,
    }
}

fn number(cell: Option<&Scalar>) -> u64 {
    match cell {
        Some(Scalar::Integer(number)) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(Code::DestinationFailed, format!("read {}", path.display())).because(error)
}

/// For `map_err`, where nothing but an error is expected.
fn failed(what: &'static str) -> impl FnOnce(duckdb::Error) -> Error {
    move |error| DuckDb::failed(what.to_owned(), error)
}
