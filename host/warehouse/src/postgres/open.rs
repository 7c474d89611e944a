//! Opening a session: how it connects, and the settings that every session has.

use std::time::{Duration, Instant};

use postgres::config::SslMode;
use postgres::{Config, NoTls, SimpleQueryMessage};

use super::address::{PostgresAddress, Tls};
use super::errors::{failed, failed_to_connect};
use super::idle::Session;
use super::tls;
use crate::Access;
use model::error::{Code, Error, Result};

/// `extract(epoch …)` is exact from here on.
const SERVER_VERSION_MIN: i32 = 140_000;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that is gone without a word is noticed after about a minute.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// What makes every session alike, whatever the server, the database and the role have as defaults. A host that stands still
/// must not hold up others for long: hence the timeouts. At the end, what is looked at: a query for it would cost a session's
/// beginning several times as much.
const SETTINGS: &str = "\
SET lock_timeout = '30s';
SET idle_in_transaction_session_timeout = '60s';
SET statement_timeout = 0;
SET TIME ZONE 'UTC';
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres';
SET extra_float_digits = 1;
SET bytea_output = 'hex';
SET standard_conforming_strings = on;
SET client_encoding = 'UTF8';
SET client_min_messages = error;
SET search_path = pg_catalog;
SET jit = off;
SHOW synchronous_commit;
SHOW server_version_num;
SHOW server_version;
SHOW server_encoding;
";

/// Begins a session.
pub(super) fn open(address: &PostgresAddress, access: Access) -> Result<Session> {
    let mut config = Config::new();
    config
        .host(&address.host)
        .port(address.port)
        .user(&address.user)
        .dbname(&address.database)
        .application_name("elt")
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES);
    if let Some(password) = &address.password {
        config.password(password);
    }
    if let Some(options) = &address.options {
        config.options(options);
    }
    let connected = match &address.tls {
        Tls::Disable => config.ssl_mode(SslMode::Disable).connect(NoTls),
        tls @ Tls::Prefer => config.ssl_mode(SslMode::Prefer).connect(tls::connector(tls)?),
        tls => config.ssl_mode(SslMode::Require).connect(tls::connector(tls)?),
    };
    let client = connected.map_err(|error| failed_to_connect(&address.to_string(), error))?;
    set_up(Session { client, began: Instant::now() }, access)
}

/// Gives a session its settings.
pub(super) fn set_up(mut session: Session, access: Access) -> Result<Session> {
    let client = &mut session.client;
    let shown = client.simple_query(SETTINGS).map_err(|error| failed("configure the session")(error.into()))?;
    check(&shown)?;
    // A commit that was told as durable must be.
    let is_lax = setting(&shown, "synchronous_commit") == "off";
    let more =
        [(is_lax, "SET synchronous_commit = on"), (access == Access::Read, "SET default_transaction_read_only = on")];
    for (_, sql) in more.iter().filter(|(is_needed, _)| *is_needed) {
        client.batch_execute(sql).map_err(|error| failed("configure the session")(error.into()))?;
    }
    Ok(session)
}

/// A setting that was shown.
fn setting<'a>(shown: &'a [SimpleQueryMessage], name: &str) -> &'a str {
    let rows = shown.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let mut values = rows.filter(|row| row.columns().first().is_some_and(|column| column.name() == name));
    values.next().and_then(|row| row.get(0)).unwrap_or_default()
}

/// Refuses servers and databases that cannot keep what is promised.
fn check(shown: &[SimpleQueryMessage]) -> Result<()> {
    let number = setting(shown, "server_version_num").parse::<i32>();
    if !number.is_ok_and(|number| number >= SERVER_VERSION_MIN) {
        let what = format!("use the warehouse: the server is Postgres {}", setting(shown, "server_version"));
        return Err(Error::new(Code::DestinationInvalid, what).hint("Use Postgres 14 or newer."));
    }
    let encoding = setting(shown, "server_encoding");
    if encoding != "UTF8" {
        let what = format!("use the warehouse: the database's encoding is {encoding}");
        return Err(Error::new(Code::DestinationInvalid, what)
            .hint("It cannot hold every text. Use a database that was made with ENCODING 'UTF8'."));
    }
    Ok(())
}
