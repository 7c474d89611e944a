//! A refusal: who refused what, and who can change it.

use std::net::IpAddr;

use url::{Host, Url};

use super::address::{Place, Reach, place};
use super::{Hosts, Target};

/// Who refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeniedBy {
    /// The connector does not declare the host. Its author can change that.
    Declaration,
    /// The operator's options do not allow it. The operator can change that.
    Options,
    /// It is never allowed.
    Rule,
}

/// A refusal. The message says who refused and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Denied {
    /// Who refused.
    pub(crate) by: DeniedBy,
    /// What was refused, as `host:port` where there is a host.
    pub(crate) target: String,
    message: String,
}

impl Denied {
    pub(super) fn scheme(url: &Url) -> Self {
        let target = url.host_str().unwrap_or_default().to_owned();
        let message = format!("\"{}:\" is not among the schemes a connector may use: https and http", url.scheme());
        Self { by: DeniedBy::Rule, target, message }
    }

    pub(super) fn userinfo(target: &Target) -> Self {
        let message = "a URL must not carry a user name or a password; they belong into the request's authentication";
        Self { by: DeniedBy::Rule, target: target.to_string(), message: message.to_owned() }
    }

    pub(super) fn undeclared(target: &Target, declared: &Hosts) -> Self {
        let message = format!(
            "the connector does not declare {target} among its hosts ({declared}); if it should reach it, the \
             connector's author adds it to `hosts` in its description"
        );
        Self { by: DeniedBy::Declaration, target: target.to_string(), message }
    }

    pub(super) fn plain(target: &Target) -> Self {
        // At a private address plain http comes with the address.
        let ip = match &target.host {
            Host::Ipv4(ip) => Some(IpAddr::V4(*ip)),
            Host::Ipv6(ip) => Some(IpAddr::V6(*ip)),
            Host::Domain(_) => None,
        };
        let private = ip.is_some_and(|ip| !matches!(place(ip).reach, Reach::Everyone))
            || matches!(&target.host, Host::Domain(name) if name == "localhost");
        let option = if private { "--allow-private" } else { "--allow-http" };
        let message = format!(
            "plain http to {target} is not allowed by the operator's options; use https, or run with {option} {target}"
        );
        Self { by: DeniedBy::Options, target: target.to_string(), message }
    }

    pub(super) fn address(ip: IpAddr, place: &Place, host: &Host<String>, port: u16) -> Self {
        let address = match ip {
            IpAddr::V4(ip) => Host::<String>::Ipv4(ip),
            IpAddr::V6(ip) => Host::<String>::Ipv6(ip),
        };
        let what = if *host == address {
            format!("{host}:{port} is {}", place.name)
        } else {
            format!("{host}:{port} leads to {address}, {}", place.name)
        };
        // Some addresses are opened by naming them, never by a name whose owner may point it anywhere.
        let remedy = match place.reach {
            Reach::AllowedAddress => format!("{address}:{port}"),
            _ => format!("{host}:{port}"),
        };
        let message = format!(
            "{what}, which the operator's options do not allow; if the connector should reach it, run with \
             --allow-private {remedy}"
        );
        Self { by: DeniedBy::Options, target: format!("{host}:{port}"), message }
    }
}
