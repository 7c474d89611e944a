//! What a connector says about itself before it knows any configuration.

/// Name, version, configuration fields, hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The default name of a connection.
    pub name: String,
    /// The connector's own version.
    pub version: String,
    /// The configuration fields it reads.
    pub fields: Vec<Field>,
    /// The hosts it may reach: patterns, or references to fields (`{base_url}`).
    pub hosts: Vec<String>,
    /// How often the source may be asked.
    pub rate_limits: Vec<RateLimit>,
}

/// One configuration field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The key in configuration.json.
    pub name: String,
    /// One sentence for the person who fills it in.
    pub help: String,
    /// Whether it must be present and not empty.
    pub required: bool,
    /// Whether its value may reach the guest.
    pub secrecy: Secrecy,
    /// The value when it is absent.
    pub default: Option<String>,
    /// For a secret: where it may be sent.
    pub hosts: Vec<String>,
}

/// Whether a field's value may reach the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// Not a secret.
    Plain,
    /// The guest may be given a placeholder.
    Secret,
    /// The guest must compute with it.
    Exposed,
}

/// At most `requests` within any window of `window_ms` milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Number of requests.
    pub requests: u32,
    /// Length of the window in milliseconds.
    pub window_ms: u64,
}
