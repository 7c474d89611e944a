//! The address of a database, as a URL: read strictly, and shown without its password.
//!
//! A password with a `/`, `?` or `#` that is not escaped would end up in another part of the URL. So whatever does not look
//! as it should is refused, and nothing of a refused URL is repeated.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use model::error::{Code, Error, Result};

/// A database and how to log in, out of `postgres://user:password@host:port/database?sslmode=…`.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresAddress {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) user: String,
    pub(super) password: Option<String>,
    pub(super) tls: Tls,
    /// Passed on to the server; some hosted databases want to be told a tenant in it.
    pub(super) options: Option<String>,
}

/// What is asked of TLS; the names are those of the URL's `sslmode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// Never.
    Disable,
    /// Where the server speaks it; whose certificate it has is not checked.
    Prefer,
    /// Always; whose certificate it has is not checked.
    Require,
    /// Always, with a certificate for the host's name that somebody vouches for whom the machine trusts, or whom this file
    /// names (`sslrootcert`).
    VerifyFull(Option<PathBuf>),
}

const PORT: u16 = 5432;

impl PostgresAddress {
    /// Reads a URL whose scheme is `postgres` or `postgresql`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let url = Url::parse(text).map_err(|_| refused("it is no URL"))?;
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8().map_err(|_| refused("a part of it is no UTF-8"))?;
            if text.contains('\0') { Err(refused("a part of it has a NUL")) } else { Ok(text.into_owned()) }
        };
        let host = decoded(url.host_str().unwrap_or_default())?;
        let user = decoded(url.username())?;
        let path = url.path().strip_prefix('/').unwrap_or_default();
        if host.is_empty() || user.is_empty() || path.is_empty() {
            return Err(refused("it names no user, no host or no database"));
        }
        if path.contains(['/', '@']) || url.fragment().is_some() {
            return Err(refused("a part of it has a /, ?, # or @ that is not escaped"));
        }
        let mut address = Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(PORT),
            database: decoded(path)?,
            user,
            password: url.password().map(decoded).transpose()?,
            tls: Tls::Prefer,
            options: None,
        };
        address.read_parameters(&url)?;
        Ok(address)
    }

    /// Host, port and database.
    pub fn place(&self) -> (&str, u16, &str) {
        (&self.host, self.port, &self.database)
    }

    /// Whether a file of this machine is read to log in.
    pub fn names_file(&self) -> bool {
        matches!(self.tls, Tls::VerifyFull(Some(_)))
    }

    fn read_parameters(&mut self, url: &Url) -> Result<()> {
        let (mut mode, mut root) = (None, None);
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "sslmode" => mode = Some(value.into_owned()),
                "sslrootcert" => root = (value != "system").then(|| PathBuf::from(value.as_ref())),
                "options" => self.options = Some(value.into_owned()),
                _ => return Err(refused("it has a parameter other than sslmode, sslrootcert and options")),
            }
        }
        self.tls = match (mode.as_deref(), root) {
            (Some("verify-full"), root) => Tls::VerifyFull(root),
            (_, Some(_)) => return Err(refused("sslrootcert goes with sslmode=verify-full only")),
            (Some("disable"), None) => Tls::Disable,
            (Some("prefer") | None, None) => Tls::Prefer,
            (Some("require"), None) => Tls::Require,
            _ => return Err(refused("sslmode is none of disable, prefer, require and verify-full")),
        };
        Ok(())
    }
}

fn refused(why: &str) -> Error {
    Error::new(Code::DestinationInvalid, format!("understand the destination's postgres URL: {why}")).hint(
        "Write postgres://USER:PASSWORD@HOST:PORT/DATABASE; letters such as @ / ? # in one of the parts are written as \
         %40 %2F %3F %23. Better still, keep it out of the command line: --destination env:NAME or file:PATH.",
    )
}

/// Without the password.
impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, database, user, .. } = self;
        let password = if self.password.is_some() { ":***" } else { "" };
        let (left, right) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "postgres://{user}{password}@{left}{host}{right}:{port}/{database}")
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (text, shown) in [
            ("postgres://u:secret@db.example.com/w", "postgres://u:***@db.example.com:5432/w"),
            ("postgresql://u@[::1]:6432/w?sslmode=verify-full", "postgres://u@[::1]:6432/w"),
            ("postgres://u:s%2Fe%40c@h/my%20w", "postgres://u:***@h:5432/my w"),
            ("postgres://u:se@cret@h:1/w", "postgres://u:***@h:1/w"),
        ] {
            let address = PostgresAddress::parse(text).unwrap();
            assert_eq!((address.to_string(), format!("{address:?}")), (shown.to_owned(), shown.to_owned()));
        }
    }

    #[test]
    fn parts_are_unescaped() {
        let address = PostgresAddress::parse("postgres://u%40x:p%3A%2F%23@h:99/w?sslmode=require&options=-c%20a%3Db");
        let address = address.unwrap();
        assert_eq!((address.user.as_str(), address.password.as_deref()), ("u@x", Some("p:/#")));
        assert_eq!((address.port, address.tls, address.options.as_deref()), (99, Tls::Require, Some("-c a=b")));
    }

    #[test]
    fn a_refused_url_is_not_repeated() {
        for text in [
            "postgres://",
            "postgres://h/w",
            "postgres://u:secret@h",
            "postgres://u:secret@/w",
            "postgres://u:sec/secret@h/w",
            "postgres://u:12/secret@h/w",
            "postgres://u:12?secret@h/w",
            "postgres://u:12#secret@h/w",
            "postgres://u:secret@h:secret/w",
            "postgres://u:secret@h/w/secret",
            "postgres://u:secret@h/w?secret=1",
            "postgres://u:secret@h/w?sslmode=secret",
            "postgres://u:secret@h/w?sslrootcert=secret",
            "postgres://u:secret%00@h/w",
        ] {
            let error = PostgresAddress::parse(text).unwrap_err();
            assert_eq!(error.code(), Code::DestinationInvalid);
            assert!(!format!("{error:?} {}", error.chain()).contains("secret"), "{text}: {error:?}");
        }
    }
}
