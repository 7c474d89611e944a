//! `--audit-log`: every request of a connector, one line of JSON each, appended to a file (docs/formats/audit.md).

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use model::error::{Code, Error, Result};
use model::json::Object;
use sandbox::Exchange;
use stream::{Event, Observer, lines};

/// The version of the format.
const VERSION: u32 = 1;

/// An audit log being written, for one connection or for all of a server.
#[derive(Debug)]
pub struct AuditLog(Mutex<File>);

/// Whose requests they are.
#[derive(Clone, Debug, Default)]
pub struct Whose {
    /// The tenant, on a server.
    pub tenant: Option<String>,
    /// The connection.
    pub connection: String,
    /// The id of the sync, on a server; none: a check.
    pub sync: Option<String>,
}

/// Writes down what one connector asks for.
#[derive(Debug)]
pub struct Audit {
    log: Arc<AuditLog>,
    whose: Whose,
}

impl AuditLog {
    /// Opens the file, which grows; only its owner may read a new one.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).mode(0o600).open(path).map_err(|error| {
            Error::new(Code::Usage, format!("open the audit log {}", path.display()))
                .hint("--audit-log names a file that can be written, in a folder that is there.")
                .because(error)
        })?;
        Ok(Self(Mutex::new(file)))
    }

    /// What writes down the requests of one connector.
    pub fn of(self: &Arc<Self>, whose: Whose) -> Audit {
        Audit { log: Arc::clone(self), whose }
    }
}

impl Audit {
    /// Opens the log of one connection, outside of a server.
    pub fn open(path: &Path, connection: &str) -> Result<Self> {
        let log = Arc::new(AuditLog::open(path)?);
        Ok(log.of(Whose { connection: connection.to_owned(), ..Whose::default() }))
    }

    /// Writes a line.
    pub fn exchange(&self, exchange: &Exchange) {
        let line = line(exchange, &self.whose) + "\n";
        let mut file = self.log.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not fail a sync for the sake of its log; a server's own log tells of it.
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::error!("a line of the audit log is lost: {error}");
        }
    }
}

impl Observer for Audit {
    fn event(&self, _event: &Event) {}

    fn exchanged(&self, exchange: &Exchange) {
        self.exchange(exchange);
    }
}

fn line(exchange: &Exchange, whose: &Whose) -> String {
    let Exchange { at, method, place, status, bytes, duration, error } = exchange;
    let Whose { tenant, connection, sync } = whose;
    let mut line = Object::new().put("version", &VERSION).put("at", &time(*at));
    if let Some(tenant) = tenant {
        line = line.put("tenant", tenant);
    }
    line = line.put("connection", connection);
    if let Some(sync) = sync {
        line = line.put("sync", sync);
    }
    line.put("method", method)
        .put("host", place)
        .put("status", status)
        .put("bytes", bytes)
        .put("duration_ms", &lines::milliseconds(*duration))
        .put("error", error)
        .finish()
}

/// RFC 3339 in UTC with milliseconds; the beginning of 1970 where a clock is past all measure.
fn time(at: SystemTime) -> String {
    lines::time(jiff::Timestamp::try_from(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn exchange() -> Exchange {
        Exchange {
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_709_208_000_125),
            method: "GET".into(),
            place: "https://api.example.com:443".into(),
            status: Some(200),
            bytes: 52_428,
            duration: Duration::from_micros(12_500),
            error: None,
        }
    }

    fn cds() -> Whose {
        Whose { connection: "cds".into(), ..Whose::default() }
    }

    #[test]
    fn the_format_is_the_documented_one() {
        let page = include_str!("../../../docs/formats/audit.md");
        let refused = Exchange { status: None, bytes: 0, error: Some("denied"), ..exchange() };
        let of_server = Whose {
            tenant: Some("shop".into()),
            connection: "orders".into(),
            sync: Some("1700000000000000-0a1b2c3d".into()),
        };
        for line in [line(&exchange(), &cds()), line(&refused, &cds()), line(&exchange(), &of_server)] {
            assert!(page.contains(&line), "docs/formats/audit.md should show\n{line}");
        }
    }

    #[test]
    fn a_clock_before_1970_does_no_harm() {
        let early = Exchange { at: SystemTime::UNIX_EPOCH - Duration::from_secs(1), ..exchange() };
        assert!(line(&early, &cds()).contains(r#""at":"1969-12-31T23:59:59.000Z""#), "{}", line(&early, &cds()));
    }

    #[test]
    fn lines_are_appended_to_a_file_of_the_owner() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for _ in 0..2 {
            Audit::open(&path, "cds").unwrap().exchange(&exchange());
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(AuditLog::open(Path::new("/nonexistent/x")).err().map(|e| e.code()), Some(Code::Usage));
    }
}
