//! Opening a session: how it connects, and the settings that every session has.

use std::time::Duration;

use postgres::config::SslMode;
use postgres::{Client, Config, NoTls};

use super::address::{PostgresAddress, Tls};
use super::errors::{Failure, failed, failed_to_connect};
use super::tls;
use crate::destination::Access;
use crate::error::{Code, Error, Result};

/// `extract(epoch …)` is exact from here on.
const SERVER_VERSION_MIN: i32 = 140_000;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that is gone without a word is noticed after about a minute.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// What makes every session alike, whatever the server, the database and the role have as defaults. A host that stands still
/// must not hold up others for long: hence the timeouts. A commit that was told as durable must be.
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
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
";

/// Begins a session.
pub(super) fn open(address: &PostgresAddress, access: Access) -> Result<Client> {
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
    let mut client = connected.map_err(|error| failed_to_connect(&address.to_string(), error))?;
    client.batch_execute(SETTINGS).map_err(|error| failed("configure the session")(error.into()))?;
    if access == Access::Read {
        let sql = "SET default_transaction_read_only = on";
        client.batch_execute(sql).map_err(|error| failed("configure the session")(error.into()))?;
    }
    check(&mut client)?;
    Ok(client)
}

/// Refuses servers and databases that cannot keep what is promised.
fn check(client: &mut Client) -> Result<()> {
    let sql = "SELECT current_setting('server_version_num')::int4, current_setting('server_version'), \
               current_setting('server_encoding')";
    let read = |row: postgres::Row| -> Result<(i32, String, String), postgres::Error> {
        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
    };
    let (number, version, encoding) = client
        .query_one(sql, &[])
        .and_then(read)
        .map_err(|error| failed("read the server's version")(Failure::Postgres(error)))?;
    if number < SERVER_VERSION_MIN {
        let what = format!("use the warehouse: the server is Postgres {version}");
        return Err(Error::new(Code::DestinationInvalid, what).hint("Use Postgres 14 or newer."));
    }
    if encoding != "UTF8" {
        let what = format!("use the warehouse: the database's encoding is {encoding}");
        return Err(Error::new(Code::DestinationInvalid, what)
            .hint("It cannot hold every text. Use a database that was made with ENCODING 'UTF8'."));
    }
    Ok(())
}
