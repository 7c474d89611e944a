//! Which addresses a connector may reach: nothing, except what it declares and the operator does not forbid.
//!
//! Two stages, both pure. Before a request, [`Policy::check_url`] holds scheme, host and port against the connector's
//! declaration. When a name has been resolved, [`Policy::check_address`] holds every address against the ranges that
//! are not the public internet, so that a name cannot lead inside (DNS rebinding). The client dials only addresses
//! that passed the second stage, and takes every redirect through both.
//!
//! A declared host without a port means the default port of the scheme: 443, or 80 where plain http is allowed.
//! Plain http is allowed to hosts that the operator names with `--allow-private` or `--allow-http`.

mod address;
mod allow;
mod denied;
mod hosts;

#[cfg(test)]
mod tests;

pub(crate) use allow::Allow;
pub(crate) use denied::Denied;
pub(crate) use hosts::Hosts;

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use self::address::Reach;
use model::error::Result;
use model::{Configuration, Description};

/// How a request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    /// Without encryption.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The scheme of a URL, if it is one of ours.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        match url.scheme() {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    /// The port of a URL that names none.
    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A place that may be asked: it has passed the first stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    /// The scheme.
    pub(crate) scheme: Scheme,
    /// The host, in lower case and without a dot at its end.
    pub(crate) host: Host<String>,
    /// The port.
    pub(crate) port: u16,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What one connector may reach, in one connection.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    declared: Hosts,
    allow: Allow,
}

impl Policy {
    /// The policy of a connector with this configuration (defaults applied), under what the operator allows.
    pub(crate) fn new(description: &Description, configuration: &Configuration, allow: &Allow) -> Result<Self> {
        let declared = Hosts::new(&description.hosts, &description.fields, configuration)?;
        Ok(Self { declared, allow: allow.clone() })
    }

    /// The first stage: whether a URL may be asked at all.
    pub(crate) fn check_url(&self, url: &Url) -> Result<Target, Denied> {
        let Some(scheme) = Scheme::of(url) else {
            return Err(Denied::scheme(url));
        };
        let Some(host) = url.host() else {
            return Err(Denied::scheme(url));
        };
        let port = url.port().unwrap_or(scheme.default_port());
        let target = Target { scheme, host: hosts::normal(&host.to_owned()), port };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Denied::userinfo(&target));
        }
        if !self.declared.covers(&target) {
            return Err(Denied::undeclared(&target, &self.declared));
        }
        if scheme == Scheme::Http && !self.allow.plain(&target.host, port) {
            return Err(Denied::plain(&target));
        }
        // A name is judged by its addresses, when they are known; a literal address is one already.
        match target.host {
            Host::Ipv4(ip) => self.check_address(ip.into(), &target.host, port)?,
            Host::Ipv6(ip) => self.check_address(ip.into(), &target.host, port)?,
            Host::Domain(_) => {}
        }
        Ok(target)
    }

    /// The second stage: whether an address may be connected to on behalf of a host.
    pub(crate) fn check_address(&self, ip: IpAddr, host: &Host<String>, port: u16) -> Result<(), Denied> {
        let place = address::place(ip);
        let literal = match host {
            Host::Ipv4(address) => ip == IpAddr::V4(*address),
            Host::Ipv6(address) => ip == IpAddr::V6(*address),
            Host::Domain(_) => false,
        };
        let permitted = match place.reach {
            Reach::Everyone => true,
            Reach::AllowedName => self.allow.private(host, port),
            Reach::AllowedAddress => literal && self.allow.private(host, port),
        };
        if permitted { Ok(()) } else { Err(Denied::address(ip, &place, host, port)) }
    }
}
