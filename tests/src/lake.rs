//! A lake as others see it: read by Python's deltalake and by Polars, and kept in an S3-compatible server of a test's own.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Reads a table of a lake with two engines that know nothing of the host, and prints what each finds as lines of JSON.
const READ: &str = r#"
import json, sys
import polars
from deltalake import DeltaTable, QueryBuilder
path, columns, options = sys.argv[1], sys.argv[2].split(","), json.loads(sys.argv[3])
table = DeltaTable(path, storage_options=options)
selected = ", ".join('"' + column + '"' for column in columns)
found = QueryBuilder().register("t", table).execute(f'SELECT {selected} FROM t').read_all()
one = polars.DataFrame(found).sort(columns[0])
other = polars.read_delta(path, storage_options=options).select(columns).sort(columns[0])
assert one.equals(other), "deltalake and polars disagree"
for row in one.with_columns(polars.col(polars.Datetime).dt.epoch("us")).iter_rows(named=True):
    print(json.dumps(row, default=str, ensure_ascii=False))
"#;

/// What people do to Delta tables with other programs: many files become one, and the log is summed up.
const TEND: &str = r"
import json, sys
from deltalake import DeltaTable
table = DeltaTable(sys.argv[1], storage_options=json.loads(sys.argv[2]))
table.optimize.compact()
table.create_checkpoint()
table.vacuum(dry_run=False)
print(table.version())
";

/// The Python with `deltalake`, `polars` and `moto`.
///
/// # Errors
/// When it was not prepared.
pub fn python() -> Result<PathBuf> {
    let cache = std::env::var_os("ELT_CACHE_DIR").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/elt-connectors")));
    let path = cache.context("no HOME is set")?.join("lake-python/bin/python");
    ensure!(path.exists(), "there is no {}: cargo xtask test prepares it", path.display());
    Ok(path)
}

fn run(script: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(python()?).args(["-c", script]).args(arguments).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "Python said:\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The rows of a table as lines of JSON, sorted by the first of the columns, as two other engines read them. Timestamps are
/// microseconds since 1970.
///
/// # Errors
/// When one of them cannot read it, or they disagree.
pub fn read(table: &str, columns: &str, options: &serde_json::Value) -> Result<String> {
    run(READ, &[table, columns, &options.to_string()])
}

/// Compacts a table and sums up its log with another program; returns its version then.
///
/// # Errors
/// When that program does not take it.
pub fn tend(table: &str, options: &serde_json::Value) -> Result<u64> {
    Ok(run(TEND, &[table, &options.to_string()])?.trim().parse()?)
}

/// How many rows a table had in a version, as another engine reads it.
///
/// # Errors
/// When it cannot read that version.
pub fn rows_of_version(table: &str, version: u64) -> Result<u64> {
    const ROWS: &str = r"
import sys, polars
print(polars.read_delta(sys.argv[1], version=int(sys.argv[2])).height)
";
    Ok(run(ROWS, &[table, &version.to_string()])?.trim().parse()?)
}

/// An S3-compatible server on this machine with a bucket `lake`. It ends when it is dropped.
#[derive(Debug)]
pub struct S3Server {
    process: Child,
    port: u16,
}

impl S3Server {
    /// Starts one.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start() -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new(python()?)
            .args(["-m", "moto.server", "--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { process, port };
        let deadline = Instant::now() + Duration::from_mins(2);
        while server.make_bucket().is_err() {
            ensure!(Instant::now() < deadline, "the S3 server did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    fn make_bucket(&self) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.write_all(b"PUT /lake HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { bail!("{answer}") }
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The variables by which programs find it.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("AWS_ACCESS_KEY_ID", "key".into()),
            ("AWS_SECRET_ACCESS_KEY", "secret".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ENDPOINT_URL", self.endpoint().into()),
        ]
    }

    /// The same for the other engines.
    pub fn options(&self) -> serde_json::Value {
        serde_json::json!({
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint(), "AWS_ALLOW_HTTP": "true", "aws_conditional_put": "etag",
        })
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
