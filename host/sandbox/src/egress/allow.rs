//! What the operator allows beyond the public internet and https: the values of `--allow-private` and `--allow-http`.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use url::Host;

use super::hosts;
use model::error::{Code, Error, Result};

/// A host the operator names, with or without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// The host, in lower case and without a dot at its end.
    pub(crate) host: Host<String>,
    /// The port; none: every port.
    pub(crate) port: Option<u16>,
}

impl HostPort {
    fn covers(&self, host: &Host<String>, port: u16) -> bool {
        self.host == *host && self.port.is_none_or(|own| own == port)
    }
}

impl FromStr for HostPort {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // An IPv6 address is the one host that needs no brackets here: it cannot be meant otherwise.
        if let Ok(ip) = text.parse::<Ipv6Addr>() {
            return Ok(Self { host: Host::Ipv6(ip), port: None });
        }
        let (host, port) = hosts::split_port(text)
            .and_then(|(host, port)| Ok((hosts::parse_host(host)?, port)))
            .map_err(|reason| {
                Error::new(Code::Usage, format!("read \"{text}\" as HOST or HOST:PORT: {reason}"))
                    .hint("Write a name or an address, such as localhost:8080, 10.0.0.5 or [::1]:8080.")
            })?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

/// The operator's exceptions. Empty: the public internet only, over https only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allow {
    /// Hosts that may be private or loopback, and spoken to by plain http.
    pub(crate) private: Vec<HostPort>,
    /// Hosts that may be spoken to by plain http.
    pub(crate) http: Vec<HostPort>,
}

impl Allow {
    pub(super) fn private(&self, host: &Host<String>, port: u16) -> bool {
        self.private.iter().any(|entry| entry.covers(host, port))
    }

    pub(super) fn plain(&self, host: &Host<String>, port: u16) -> bool {
        self.private(host, port) || self.http.iter().any(|entry| entry.covers(host, port))
    }
}
