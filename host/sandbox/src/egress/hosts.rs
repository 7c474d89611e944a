//! The hosts a connector declares, with its references to configuration fields filled in.
//!
//! A pattern is a name (`api.example.com`), a name with a wildcard for one or more leading labels (`*.example.com`),
//! either with a port, a reference to a field that holds a whole URL (`{base_url}`: its origin is taken), or a name with
//! references for single labels (`{shop}.example.com`). A reference to an optional field without a value grants nothing.

use std::fmt;

use url::{Host, Url};

use super::{Scheme, Target};
use model::error::{Code, Error, Result};
use model::{Configuration, Field, Secrecy};

/// A set of places, as a connector declares them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// None: either.
    scheme: Option<Scheme>,
    name: Name,
    /// None: the default port of the scheme.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Exactly(Host<String>),
    /// Everything that ends in this suffix, which begins with a dot.
    Below(String),
}

impl Hosts {
    /// Reads patterns. What the connector wrote wrongly is its fault, what the user filled in is the configuration's.
    pub(crate) fn new(patterns: &[String], fields: &[Field], configuration: &Configuration) -> Result<Self> {
        let source = Source { fields, configuration };
        let read: Result<Vec<_>> = patterns.iter().map(|text| source.pattern(text)).collect();
        Ok(Self(read?.into_iter().flatten().collect()))
    }

    /// Whether a place is among them.
    pub(crate) fn covers(&self, target: &Target) -> bool {
        self.0.iter().any(|pattern| pattern.covers(target))
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, pattern) in self.0.iter().enumerate() {
            write!(f, "{}{pattern}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Pattern {
    fn covers(&self, target: &Target) -> bool {
        let port = self.port.unwrap_or(target.scheme.default_port());
        self.scheme.is_none_or(|scheme| scheme == target.scheme) && port == target.port && self.names(&target.host)
    }

    fn names(&self, host: &Host<String>) -> bool {
        match (&self.name, host) {
            (Name::Exactly(own), _) => own == host,
            (Name::Below(suffix), Host::Domain(name)) => name.len() > suffix.len() && name.ends_with(suffix.as_str()),
            // A wildcard stands for labels of a name; an address has none.
            (Name::Below(_), _) => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Some(Scheme::Http) => f.write_str("http://")?,
            Some(Scheme::Https) => f.write_str("https://")?,
            None => {}
        }
        match &self.name {
            Name::Exactly(host) => write!(f, "{host}")?,
            Name::Below(suffix) => write!(f, "*{suffix}")?,
        }
        match self.port {
            Some(port) if self.scheme.is_none_or(|scheme| scheme.default_port() != port) => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

/// What references refer to.
struct Source<'a> {
    fields: &'a [Field],
    configuration: &'a Configuration,
}

impl Source<'_> {
    /// None: the pattern refers to an optional field that has no value.
    fn pattern(&self, text: &str) -> Result<Option<Pattern>> {
        if let Some(field) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).filter(|f| is_key(f)) {
            let value = self.value(text, field)?;
            return value.map(|value| origin(field, value)).transpose();
        }
        let Some(filled) = self.fill(text)? else { return Ok(None) };
        literal(&filled).map(Some).map_err(|reason| wrong_pattern(text, &reason))
    }

    /// Puts values in the place of references to single labels.
    fn fill(&self, text: &str) -> Result<Option<String>> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((field, after)) = after.split_once('}') else {
                return Err(wrong_pattern(text, "a \"{\" without its \"}\""));
            };
            filled.push_str(before);
            if !(filled.is_empty() || filled.ends_with('.')) || !(after.is_empty() || after.starts_with(['.', ':'])) {
                return Err(wrong_pattern(text, "a reference must stand for a whole label, between dots"));
            }
            let Some(value) = self.value(text, field)? else { return Ok(None) };
            if !is_label(value) {
                return Err(wrong_value(field, "one label of a host name (letters, digits, hyphens; no dots)"));
            }
            filled.push_str(value);
            rest = after;
        }
        filled.push_str(rest);
        Ok(Some(filled))
    }

    fn value(&self, text: &str, name: &str) -> Result<Option<&str>> {
        let Some(field) = self.fields.iter().find(|field| field.name == name) else {
            return Err(wrong_pattern(text, &format!("the connector describes no field \"{name}\"")));
        };
        if field.secrecy != Secrecy::Plain {
            return Err(wrong_pattern(text, &format!("the field \"{name}\" is secret")));
        }
        Ok(self.configuration.get(name).filter(|value| !value.trim().is_empty()))
    }
}

fn origin(field: &str, value: &str) -> Result<Pattern> {
    const WANTED: &str = "a whole URL, such as https://api.example.com";
    let url = Url::parse(value).map_err(|error| wrong_value(field, WANTED).because(error))?;
    let (Some(scheme), Some(host)) = (Scheme::of(&url), url.host()) else {
        return Err(wrong_value(field, WANTED));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong_value(field, "a URL without a user name or a password"));
    }
    let port = url.port().unwrap_or(scheme.default_port());
    Ok(Pattern { scheme: Some(scheme), name: Name::Exactly(normal(&host.to_owned())), port: Some(port) })
}

fn literal(text: &str) -> Result<Pattern, String> {
    let (host, port) = split_port(text)?;
    let name = match host.strip_prefix("*.") {
        None => Name::Exactly(parse_host(host)?),
        Some(parent) => match parse_host(parent)? {
            Host::Domain(name) if name.contains('.') => Name::Below(format!(".{name}")),
            _ => return Err("a wildcard needs a name of two labels or more behind it, as in *.example.com".into()),
        },
    };
    Ok(Pattern { scheme: None, name, port })
}

/// Splits `host:port`; an IPv6 address stands in brackets.
pub(super) fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    let end = text.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = text[end..].find(':') else { return Ok((text, None)) };
    let (host, port) = (&text[..end + colon], &text[end + colon + 1..]);
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number) if digits && number > 0 => Ok((host, Some(number))),
        _ => Err(format!("\"{port}\" is not a port from 1 to 65535")),
    }
}

/// Reads a host as browsers do (which turns `0x7f.1` into the address it is), but takes nothing that is more than a host.
pub(super) fn parse_host(text: &str) -> Result<Host<String>, String> {
    let strange = |c: char| c.is_whitespace() || c.is_control() || "/\\?#@%*{}".contains(c);
    if text.is_empty() || text.contains(strange) {
        return Err(format!("\"{text}\" is not a host"));
    }
    let host = Host::parse(text).map_err(|error| format!("\"{text}\" is not a host ({error})"))?;
    Ok(normal(&host))
}

/// A host as it is compared: a name without the dot that may end it.
pub(super) fn normal(host: &Host<String>) -> Host<String> {
    match host {
        Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()),
        address => address.clone(),
    }
}

fn is_key(text: &str) -> bool {
    !text.contains(['{', '}'])
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn wrong_pattern(text: &str, reason: &str) -> Error {
    Error::new(Code::SchemaInvalid, format!("understand the host \"{text}\" that the connector declares: {reason}"))
        .hint("The connector's author corrects `hosts` in its description.")
}

fn wrong_value(field: &str, wanted: &str) -> Error {
    Error::new(Code::ConfigurationInvalid, format!("use the configuration field \"{field}\": it must hold {wanted}"))
        .hint(format!("Correct \"{field}\" in the configuration."))
}
