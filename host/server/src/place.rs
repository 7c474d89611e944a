//! Where a tenant may write: what the operator allows, and files in the tenant's own folder only. Pure.

use std::path::{Component, Path, PathBuf};

use url::Url;

use model::error::{Code, Error, Result};
use warehouse::DestinationUrl;

/// Characters of a file's path in the tenant's folder.
const PATH_LENGTH_MAX: usize = 200;
/// The port of a database unless an address names another.
const POSTGRES_PORT: u16 = 5432;

/// The destination that a tenant names, if the operator allows it. `folder` is the tenant's.
pub(super) fn allowed(text: &str, allowed: &[String], folder: &Path) -> Result<DestinationUrl> {
    if text.starts_with("env:") || text.starts_with("file:") {
        return Err(denied("it is a reference, and those are for the command line"));
    }
    let url: DestinationUrl = text.parse()?;
    let names = |entry: &str| allowed.iter().any(|allowed| allowed == entry);
    match url {
        DestinationUrl::DuckDb(path) if names("duckdb:") => inside(folder, &path).map(DestinationUrl::DuckDb),
        DestinationUrl::Sqlite(path) if names("sqlite:") => inside(folder, &path).map(DestinationUrl::Sqlite),
        DestinationUrl::Null if names("null:") => Ok(DestinationUrl::Null),
        DestinationUrl::Postgres(address) => {
            if address.names_file() {
                return Err(denied("it names a file of the server's (sslrootcert)"));
            }
            let (host, port, database) = address.place();
            let fits = |server: &Server| {
                server.host.eq_ignore_ascii_case(host)
                    && server.port == port
                    && server.database.as_deref().is_none_or(|only| only == database)
            };
            let mut servers = allowed.iter().filter_map(|entry| Server::parse(entry));
            if servers.any(|server| fits(&server)) {
                Ok(DestinationUrl::Postgres(address))
            } else {
                Err(denied("this database is not allowed for the tenant"))
            }
        }
        _ => Err(denied("this kind is not allowed for the tenant")),
    }
}

/// Whether an operator's entry means something.
pub(super) fn check_entry(entry: &str) -> Result<()> {
    if ["duckdb:", "sqlite:", "null:"].contains(&entry) || Server::parse(entry).is_some() {
        return Ok(());
    }
    Err(Error::new(Code::RequestInvalid, "understand what is allowed as a destination")
        .hint("Write duckdb:, sqlite:, null:, postgres://HOST:PORT or postgres://HOST:PORT/DATABASE, without a user."))
}

/// What only one sync at a time may write: a file.
pub(super) fn exclusive(url: &DestinationUrl) -> Option<&Path> {
    match url {
        DestinationUrl::DuckDb(path) | DestinationUrl::Sqlite(path) => Some(path),
        _ => None,
    }
}

fn denied(why: &str) -> Error {
    Error::new(Code::DestinationDenied, format!("use this destination: {why}")).hint(
        "A tenant names duckdb:FILE or sqlite:FILE in its own folder (letters, digits, - _ . and /), or a database that the \
         operator allows (host tenant show).",
    )
}

/// A path that stays inside the folder, whatever it looks like.
fn inside(folder: &Path, path: &Path) -> Result<PathBuf> {
    let text = path.to_str().unwrap_or_default();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    let steps_down = path.components().all(|step| match step {
        Component::Normal(name) => !name.to_string_lossy().starts_with('.'),
        _ => false,
    });
    if text.is_empty() || text.len() > PATH_LENGTH_MAX || !text.chars().all(plain) || text.ends_with('/') || !steps_down
    {
        return Err(denied("the file is not one in the tenant's folder"));
    }
    // Put together from its parts, so that one file has one path: `a//b` and `a/./b` are `a/b`.
    Ok(path.components().fold(folder.to_path_buf(), |whole, step| whole.join(step)))
}

/// A database server of an operator's entry.
struct Server {
    host: String,
    port: u16,
    database: Option<String>,
}

impl Server {
    fn parse(entry: &str) -> Option<Self> {
        let url = Url::parse(entry).ok().filter(|url| ["postgres", "postgresql"].contains(&url.scheme()))?;
        let bare =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|host| bare && !host.is_empty())?;
        let database = url.path().trim_start_matches('/');
        if database.contains(['/', '%']) {
            return None;
        }
        Some(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(POSTGRES_PORT),
            database: (!database.is_empty()).then(|| database.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FOLDER: &str = "/data/tenants/a";

    fn ask(text: &str, entries: &[&str]) -> Result<DestinationUrl> {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        allowed(text, &entries, Path::new(FOLDER))
    }

    fn refused(text: &str, entries: &[&str]) -> Code {
        ask(text, entries).unwrap_err().code()
    }

    #[test]
    fn files_lie_in_the_tenants_folder() {
        let path = |text: &str| ask(text, &["duckdb:", "sqlite:"]).unwrap();
        assert_eq!(path("duckdb:w.db"), DestinationUrl::DuckDb("/data/tenants/a/w.db".into()));
        assert_eq!(path("sqlite:x/y-1.db"), DestinationUrl::Sqlite("/data/tenants/a/x/y-1.db".into()));
        for same in ["duckdb:x/w.db", "duckdb:x//w.db", "duckdb:x/./w.db"] {
            assert_eq!(path(same), path("duckdb:x/w.db"), "{same}");
        }
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        for text in [
            "duckdb:/etc/passwd",
            "duckdb:../b/w.db",
            "duckdb:x/../../b/w.db",
            "duckdb:..",
            "duckdb:.",
            "duckdb:./w.db",
            "duckdb:.hidden",
            "duckdb:x/.ssh/key",
            "duckdb::memory:",
            "duckdb:a b",
            "duckdb:a%2f..%2fb",
            "duckdb:a\\b",
            "duckdb:a\0b",
            "duckdb:größe.db",
            "duckdb:x/",
            "duckdb:md:x",
            "sqlite:file:x?mode=ro",
            &format!("duckdb:{}", "x".repeat(201)),
        ] {
            assert_eq!(refused(text, &["duckdb:", "sqlite:"]), Code::DestinationDenied, "{text}");
        }
    }

    #[test]
    fn only_what_is_allowed_is_there() {
        assert_eq!(refused("duckdb:w.db", &["sqlite:"]), Code::DestinationDenied);
        assert_eq!(refused("sqlite:w.db", &["duckdb:"]), Code::DestinationDenied);
        assert_eq!(refused("null:", &[]), Code::DestinationDenied);
        assert_eq!(refused("jsonl:", &["duckdb:", "jsonl:"]), Code::DestinationDenied);
        assert_eq!(refused("env:HOME", &["duckdb:"]), Code::DestinationDenied);
        assert_eq!(refused("file:/etc/passwd", &["duckdb:"]), Code::DestinationDenied);
        assert_eq!(refused("nonsense", &["duckdb:"]), Code::DestinationInvalid);
        assert_eq!(ask("null:", &["null:"]).unwrap(), DestinationUrl::Null);
    }

    #[test]
    fn a_database_is_compared_by_its_parts() {
        let entries = &["postgres://db.example:5433/shop", "postgres://other.example"][..];
        for text in [
            "postgres://u:p@db.example:5433/shop",
            "postgresql://u@DB.example:5433/shop",
            "postgres://u@other.example/any",
        ] {
            assert!(ask(text, entries).is_ok(), "{text}");
        }
        for text in [
            "postgres://u:p@db.example:5433/another",
            "postgres://u:p@db.example/shop",
            "postgres://db.example:5433@evil.example/shop",
            "postgres://u:p@db.example.evil:5433/shop",
            "postgres://u@127.0.0.1:5433/shop",
            "postgres://u@db.example:5433/shop?sslmode=verify-full&sslrootcert=/etc/shadow",
        ] {
            assert_eq!(refused(text, entries), Code::DestinationDenied, "{text}");
        }
        assert!(!format!("{:?}", ask("postgres://u:s3cret@x.example/y", entries).unwrap_err()).contains("s3cret"));
    }

    #[test]
    fn entries_that_mean_nothing_are_refused() {
        for entry in ["duckdb:", "sqlite:", "null:", "postgres://h", "postgres://h:1/d", "postgresql://[::1]:1/d"] {
            assert!(check_entry(entry).is_ok(), "{entry}");
        }
        for entry in
            ["", "duckdb:x", "jsonl:", "postgres://u@h/d", "postgres://h/d?x=1", "postgres:///d", "http://h", "*"]
        {
            assert!(check_entry(entry).is_err(), "{entry}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_typed_stays_inside(path in "(\\PC|/|\\.|\\.\\./){0,40}") {
            if let Ok(DestinationUrl::DuckDb(path)) = ask(&format!("duckdb:{path}"), &["duckdb:"]) {
                prop_assert!(path.starts_with(FOLDER) && path != Path::new(FOLDER));
                prop_assert!(path.components().all(|step| step != Component::ParentDir));
            }
        }
    }
}
