//! What a connector declares about itself: the configuration fields it reads and how often its source may be asked.

use std::time::Duration;

use crate::bindings::elt::connector::types;

/// One field of the configuration, built in a constant:
///
/// ```
/// use elt_sdk::prelude::*;
///
/// const FIELDS: &[Field] = &[
///     Field::required("api_key", "The key from your account's settings.").secret(),
///     Field::optional("page_size", "Records in one answer.").default("100"),
/// ];
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) required: bool,
    pub(crate) secrecy: types::Secrecy,
    pub(crate) default: Option<&'static str>,
    pub(crate) hosts: &'static [&'static str],
}

impl Field {
    const fn new(name: &'static str, help: &'static str, required: bool) -> Self {
        Self { name, help, required, secrecy: types::Secrecy::Plain, default: None, hosts: &[] }
    }

    /// A field without which no sync starts. `help` is one sentence for the person who fills it in.
    pub const fn required(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, true)
    }

    /// A field that may be missing.
    pub const fn optional(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, false)
    }

    /// The value where the user gives none; [`Configuration`](crate::configuration::Configuration) then holds it.
    #[must_use]
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    /// The value is a secret. The connector may be given a placeholder, which the host replaces when a request leaves:
    /// pass it on in a header, a query, a body or as credentials, and do not compute with it.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secrecy = types::Secrecy::Secret;
        self
    }

    /// The value is a secret that the connector must compute with, for a signature say. The operator has to agree.
    #[must_use]
    pub const fn exposed(mut self) -> Self {
        self.secrecy = types::Secrecy::Exposed;
        self
    }

    /// For a secret: the only hosts it may be sent to, written as in
    /// [`Connector::HOSTS`](crate::connector::Connector::HOSTS). Default: all of those.
    #[must_use]
    pub const fn only_for(mut self, hosts: &'static [&'static str]) -> Self {
        self.hosts = hosts;
        self
    }
}

impl From<&Field> for types::Field {
    fn from(field: &Field) -> Self {
        Self {
            name: field.name.to_owned(),
            help: field.help.to_owned(),
            required: field.required,
            secrecy: field.secrecy,
            default: field.default.map(str::to_owned),
            hosts: field.hosts.iter().map(|&host| host.to_owned()).collect(),
        }
    }
}

/// At most so many requests in any window of this length; the host keeps to it, over all requests of a sync.
///
/// ```
/// use elt_sdk::prelude::*;
///
/// // Ten a second, but no more than 5,000 an hour.
/// const RATE_LIMITS: &[RateLimit] = &[RateLimit::per_second(10), RateLimit::per_hour(5000)];
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    pub(crate) requests: u32,
    pub(crate) window: Duration,
}

impl RateLimit {
    /// At most `requests` requests in any `window`.
    pub const fn new(requests: u32, window: Duration) -> Self {
        Self { requests, window }
    }

    /// At most `requests` requests in any second.
    pub const fn per_second(requests: u32) -> Self {
        Self::new(requests, Duration::from_secs(1))
    }

    /// At most `requests` requests in any minute.
    pub const fn per_minute(requests: u32) -> Self {
        Self::new(requests, Duration::from_mins(1))
    }

    /// At most `requests` requests in any hour.
    pub const fn per_hour(requests: u32) -> Self {
        Self::new(requests, Duration::from_hours(1))
    }
}

impl From<&RateLimit> for types::RateLimit {
    fn from(limit: &RateLimit) -> Self {
        let window_ms = u64::try_from(limit.window.as_millis()).unwrap_or(u64::MAX);
        Self { requests: limit.requests, window_ms }
    }
}
