//! A connection's configuration with its secrets kept apart: the guest works with placeholders, the source gets the
//! values, people see neither.
//!
//! ```text
//! configuration ── placeholders ──> guest ── request ── fill, for one place ──> source
//!                                   guest <── mask ──────── answer ─────────────<
//! logs, errors, reports <── redact ── everything that is told
//! ```
//!
//! A placeholder cannot be guessed, is made anew for each sync, and consists of `[A-Za-z0-9_]`, so that it survives
//! every way of writing it down. A token that the source hands out is protected in the same way; its placeholder holds
//! the token itself, sealed, so that it may be kept in a state and opened by the next sync of the same connection.

mod escape;
mod forms;
mod mask;
mod placeholder;
mod replace;

#[cfg(test)]
mod tests;

pub(super) use escape::Escape;
pub(super) use mask::Masker;
pub use placeholder::{KeySource, SecretKey};

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use self::placeholder::Sealer;
use self::replace::Replacer;
use super::Limits;
use super::egress::{Hosts, Target};
use crate::error::{Code, Error, Result};
use crate::model::{Configuration, Description, Field, Secrecy};

/// What the operator decides about a connection's secrets.
#[derive(Clone, Debug, Default)]
pub struct SecretGrants {
    /// The fields whose values the connector may see, of those that it describes as `exposed`.
    pub exposed: Vec<String>,
    /// The key that seals tokens between syncs.
    pub key: KeySource,
}

/// A connection's configuration and its secrets, for one sync. Clones are the same.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Vault>);

#[derive(Default)]
struct Vault {
    configuration: Configuration,
    /// The same with placeholders.
    shown: Configuration,
    /// What patterns of hosts refer to.
    fields: Vec<Field>,
    /// What a token that names no hosts may be sent to.
    declared: Vec<String>,
    sealer: Sealer,
    bounds: Bounds,
    held: RwLock<Arc<Held>>,
}

/// How much a connector may have protected.
#[derive(Default)]
struct Bounds {
    tokens_max: u32,
    bytes_max: u64,
}

/// One secret.
#[derive(Clone)]
struct Entry {
    /// What people call it: the field's name.
    name: String,
    value: String,
    /// None: the guest has the value itself.
    placeholder: Option<String>,
    /// Where it may be sent; none: wherever the connector may send anything.
    hosts: Option<Hosts>,
    /// For a token: the patterns that were asked for.
    asked: Option<Vec<String>>,
}

/// All secrets, and how to find them.
#[derive(Default)]
struct Held {
    entries: Vec<Entry>,
    /// Placeholders, to be replaced in requests; the index is that of `entries` with one.
    fill: Option<Replacer>,
    /// Forms of values, to be replaced by placeholders in answers.
    mask: Option<Replacer>,
    /// Forms of values, then placeholders: to be replaced in what is told.
    redact: Option<Replacer>,
    /// Forms of values: to be replaced in what is recorded.
    scrub: Option<Replacer>,
}

/// Why a secret cannot be put in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not towards this place.
    Place { name: String, allowed: String },
    /// Its value has characters that cannot stand there.
    Characters { name: String, is_token: bool },
    /// With the values in it, it is too long.
    TooLong,
}

impl Secrets {
    /// Takes the secrets out of a configuration (defaults applied). `connection` is whose they are: what is sealed for
    /// one connection and connector opens for no other.
    pub fn new(
        description: &Description,
        configuration: &Configuration,
        grants: &SecretGrants,
        (connection, limits): (&str, &Limits),
    ) -> Result<Self> {
        check_exposed(&description.fields, &grants.exposed)?;
        let mut shown = configuration.clone();
        let mut entries = Vec::new();
        for field in &description.fields {
            let value = configuration.get(&field.name).filter(|value| !value.trim().is_empty());
            let (Some(value), true) = (value, field.secrecy != Secrecy::Plain) else { continue };
            let exposed = field.secrecy == Secrecy::Exposed;
            if exposed && !grants.exposed.contains(&field.name) {
                return Err(not_exposed(field));
            }
            let placeholder = if exposed { None } else { Some(placeholder::of_field()?) };
            if let Some(placeholder) = &placeholder {
                shown.0.insert(field.name.clone(), placeholder.clone());
            }
            let hosts = if field.hosts.is_empty() {
                None
            } else {
                Some(Hosts::new(&field.hosts, &description.fields, configuration)?)
            };
            entries.push(Entry { name: field.name.clone(), value: value.to_owned(), placeholder, hosts, asked: None });
        }
        Ok(Self(Arc::new(Vault {
            configuration: configuration.clone(),
            shown,
            fields: description.fields.clone(),
            declared: description.hosts.clone(),
            sealer: Sealer::new(grants.key.clone(), &format!("{connection}\0{}", description.name)),
            bounds: Bounds { tokens_max: limits.tokens_max, bytes_max: limits.token_bytes_max },
            held: RwLock::new(Arc::new(Held::new(entries)?)),
        })))
    }

    /// A configuration whose values the guest gets as they stand: one of a recording, in which there are no secrets.
    pub fn plain(configuration: &Configuration) -> Self {
        let shown = configuration.clone();
        Self(Arc::new(Vault { configuration: configuration.clone(), shown, ..Vault::default() }))
    }

    /// The configuration as it is.
    pub fn configuration(&self) -> &Configuration {
        &self.0.configuration
    }

    /// The configuration as the guest gets it.
    pub(super) fn shown(&self) -> &Configuration {
        &self.0.shown
    }

    fn held(&self) -> Arc<Held> {
        Arc::clone(&self.0.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps a token that the source handed out; returns what stands for it.
    pub(super) fn protect(&self, token: &str, hosts: &[String]) -> Result<String> {
        let asked = if hosts.is_empty() { &self.0.declared[..] } else { hosts };
        let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        let same = |entry: &&Entry| {
            entry.placeholder.as_deref() == Some(token) || entry.value == token && entry.asked.as_deref() == Some(asked)
        };
        if token.is_empty() {
            return Ok(String::new());
        }
        if let Some(known) = held.entries.iter().find(same).and_then(|entry| entry.placeholder.clone()) {
            return Ok(known);
        }
        let entry = self.token(token.to_owned(), asked.to_vec(), None)?;
        let placeholder = entry.placeholder.clone().unwrap_or_default();
        let entries = held.entries.iter().cloned().chain([entry]).collect();
        *held = Arc::new(self.bounded(entries)?);
        Ok(placeholder)
    }

    /// Opens the tokens in a state that an earlier sync saved; returns how many cannot be opened.
    pub(super) fn adopt(&self, state: &str) -> Result<usize> {
        let (mut lost, mut tokens) = (0, Vec::<Entry>::new());
        let held = Arc::clone(&self.0.held.read().unwrap_or_else(PoisonError::into_inner));
        for placeholder in placeholder::sealed_in(state) {
            let mut known = held.entries.iter().chain(&tokens);
            if known.any(|entry| entry.placeholder.as_deref() == Some(placeholder)) {
                continue;
            }
            let opened = self.0.sealer.open(placeholder)?;
            // Its hosts may refer to a field that the connector no longer has.
            match opened.map(|(value, asked)| self.token(value, asked, Some(placeholder.to_owned()))) {
                Some(Ok(entry)) => tokens.push(entry),
                Some(Err(_)) | None => lost += 1,
            }
        }
        if !tokens.is_empty() {
            let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
            let entries = held.entries.iter().cloned().chain(tokens).collect();
            *held = Arc::new(self.bounded(entries)?);
        }
        Ok(lost)
    }

    fn token(&self, value: String, asked: Vec<String>, placeholder: Option<String>) -> Result<Entry> {
        let vault = &self.0;
        let hosts = Hosts::new(&asked, &vault.fields, &vault.configuration)?;
        let placeholder = match placeholder {
            Some(placeholder) => placeholder,
            None => vault.sealer.seal(&value, &asked)?,
        };
        let (hosts, placeholder, asked) = (Some(hosts), Some(placeholder), Some(asked));
        Ok(Entry { name: "token".to_owned(), value, placeholder, hosts, asked })
    }

    /// These secrets, if the tokens among them are within the limits.
    fn bounded(&self, entries: Vec<Entry>) -> Result<Held> {
        let tokens = || entries.iter().filter(|entry| entry.asked.is_some());
        let (count, bytes) = (tokens().count() as u64, tokens().map(|entry| entry.value.len() as u64).sum::<u64>());
        let Bounds { tokens_max, bytes_max } = self.0.bounds;
        let passed = if count > u64::from(tokens_max) {
            Some(("tokens", u64::from(tokens_max)))
        } else {
            (bytes > bytes_max).then_some(("token-bytes", bytes_max))
        };
        let Some((limit, max)) = passed else { return Held::new(entries) };
        let message = format!("protect {count} tokens of {bytes} bytes (limit {limit}: {max})");
        Err(Error::new(Code::LimitSecrets, message).hint(format!(
            "A connector keeps the latest token only, also in its state; raise the limit with --limit {limit}=… if it \
             needs more."
        )))
    }

    /// Puts values in the place of placeholders, escaped for where they stand. None: there is nothing to put in.
    pub(super) fn fill(
        &self,
        text: &[u8],
        escape: Escape,
        target: &Target,
        bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let held = self.held();
        let Some(fill) = held.fill.as_ref().filter(|fill| fill.is_in(text)) else { return Ok(None) };
        let entries: Vec<&Entry> = held.entries.iter().filter(|entry| entry.placeholder.is_some()).collect();
        let (mut filled, mut end) = (Vec::new(), 0);
        for (index, range) in fill.find(text) {
            let entry = entries[index];
            entry.check_place(target)?;
            let Some(value) = escape.escaped(&entry.value) else {
                return Err(Refusal::Characters { name: entry.name.clone(), is_token: entry.asked.is_some() });
            };
            filled.extend_from_slice(&text[end..range.start]);
            filled.extend_from_slice(value.as_bytes());
            end = range.end;
            if filled.len() > bytes_max {
                return Err(Refusal::TooLong);
            }
        }
        filled.extend_from_slice(&text[end..]);
        if filled.len() > bytes_max { Err(Refusal::TooLong) } else { Ok(Some(filled)) }
    }

    /// A text from the source as the guest may see it.
    pub(super) fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.held().mask {
            Some(mask) => mask.replaced_text(text),
            None => Cow::Borrowed(text),
        }
    }

    /// Masks a body piece by piece; none where there is nothing to mask.
    pub(super) fn masker(&self) -> Option<Masker> {
        let held = self.held();
        held.mask.is_some().then(|| Masker::new(held))
    }

    /// Bytes as a recording may hold them: with placeholders for what has one, and `[secret:…]` for what the guest had itself.
    pub(super) fn scrub(&self, bytes: &[u8]) -> Vec<u8> {
        match &self.held().scrub {
            Some(scrub) => scrub.replaced(bytes),
            None => bytes.to_vec(),
        }
    }

    /// A text as people may see it.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.held().redact {
            Some(redact) => redact.replaced_text(text),
            None => Cow::Borrowed(text),
        }
    }

    /// A state as people may see it: the placeholders of tokens stay, so that it can be used again.
    pub fn redact_state<'t>(&self, state: &'t str) -> Cow<'t, str> {
        let held = self.held();
        let Some(redact) = &held.redact else { return Cow::Borrowed(state) };
        let forms = redact.len() - held.entries.iter().filter(|entry| entry.placeholder.is_some()).count();
        redact.replaced_text_where(state, |pattern| pattern < forms)
    }

    /// An error as people may see it.
    pub fn redact_error(&self, error: Error) -> Error {
        error.rewritten(&|text| self.redact(text))
    }
}

/// A text in which placeholders, which are new in each sync, are all the same.
pub fn without_placeholders(text: &str) -> String {
    let (mut made, mut rest) = (String::new(), text);
    let first =
        |text: &str| placeholder::PREFIXES.iter().filter_map(|prefix| Some((text.find(prefix)?, prefix.len()))).min();
    while let Some((begin, length)) = first(rest) {
        made.push_str(&rest[..begin + length]);
        rest =
            rest[begin + length..].trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
    }
    made + rest
}

/// Nothing of it: whoever prints it might show it.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Entry {
    fn check_place(&self, target: &Target) -> Result<(), Refusal> {
        match &self.hosts {
            Some(hosts) if !hosts.covers(target) => {
                Err(Refusal::Place { name: self.name.clone(), allowed: hosts.to_string() })
            }
            _ => Ok(()),
        }
    }
}

impl Held {
    fn new(entries: Vec<Entry>) -> Result<Self> {
        let placeholders = || entries.iter().filter_map(|entry| Some((entry, entry.placeholder.as_deref()?)));
        let told = |entry: &Entry| format!("[secret:{}]", entry.name);
        let fill = placeholders().map(|(_, placeholder)| (placeholder.into(), String::new()));
        let mask = placeholders().flat_map(|(entry, placeholder)| {
            forms::forms(&entry.value, forms::MASK_BYTES_MIN).into_iter().map(|form| (form, placeholder.to_owned()))
        });
        let values = entries.iter().flat_map(|entry| {
            forms::forms(&entry.value, forms::REDACT_BYTES_MIN).into_iter().map(|form| (form, told(entry)))
        });
        let redact = values.chain(placeholders().map(|(entry, placeholder)| (placeholder.into(), told(entry))));
        let scrub = entries.iter().flat_map(|entry| {
            let by = entry.placeholder.clone().unwrap_or_else(|| told(entry));
            forms::forms(&entry.value, forms::REDACT_BYTES_MIN).into_iter().map(move |form| (form, by.clone()))
        });
        let scrub = Replacer::new(scrub)?;
        let (fill, mask, redact) = (Replacer::new(fill)?, Replacer::new(mask)?, Replacer::new(redact)?);
        Ok(Self { entries, fill, mask, redact, scrub })
    }
}

/// Names that are granted exposure without a need are a slip of the operator's.
fn check_exposed(fields: &[Field], exposed: &[String]) -> Result<()> {
    let asks = |name: &String| fields.iter().any(|field| field.name == *name && field.secrecy == Secrecy::Exposed);
    let Some(name) = exposed.iter().find(|name| !asks(name)) else { return Ok(()) };
    let asking: Vec<&str> =
        fields.iter().filter(|field| field.secrecy == Secrecy::Exposed).map(|field| field.name.as_str()).collect();
    let hint = if asking.is_empty() {
        "This connector asks for no exposed field; leave --expose out.".to_owned()
    } else {
        format!("It asks for: {}.", asking.join(", "))
    };
    Err(Error::new(Code::Usage, format!("expose \"{name}\": the connector does not ask for it")).hint(hint))
}

fn not_exposed(field: &Field) -> Error {
    let name = &field.name;
    Error::new(Code::SecretNotExposed, format!("start: the connector wants to see the secret field \"{name}\" itself"))
        .hint(format!(
            "It computes with it, a signature perhaps. Allow it with --expose {name} if you trust the connector with \
             the value; what it does with it then, the host cannot check."
        ))
}
