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
//!
//! A text that holds a secret inside base64, a session token made of name and password perhaps, comes back as it was: what
//! stands for the part of it says which of its base64 forms it was. A token with placeholders in it is sealed with what they
//! stand for, and goes only where each of them may go.

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

use self::placeholder::{Sealed, Sealer};
use self::replace::Replacer;
use super::Limits;
use super::egress::{Hosts, Target};
use model::error::{Code, Error, Result};
use model::{Configuration, Description, Field, Secrecy};

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
    /// Where it may be sent: to what all of these cover; none: wherever the connector may send anything.
    hosts: Vec<Hosts>,
    /// The patterns of each of them.
    patterns: Vec<Vec<String>>,
    /// The source handed it out.
    is_token: bool,
}

/// What the guest may have in the place of a secret.
struct Stand {
    placeholder: String,
    entry: usize,
    /// The text inside base64 that it stands for; none: it stands for the value.
    encoded: Option<String>,
}

/// All secrets, and how to find them.
#[derive(Default)]
struct Held {
    entries: Vec<Entry>,
    stands: Vec<Stand>,
    /// Placeholders, to be replaced in requests; the index is that of `stands`.
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
            let patterns = if field.hosts.is_empty() { vec![] } else { vec![field.hosts.clone()] };
            let hosts = hosts(&patterns, &description.fields, configuration)?;
            let (name, value) = (field.name.clone(), value.to_owned());
            entries.push(Entry { name, value, placeholder, hosts, patterns, is_token: false });
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
        let is_known = held.entries.iter().any(|entry| entry.placeholder.as_deref() == Some(token));
        if token.is_empty() || is_known {
            return Ok(token.to_owned());
        }
        let sealed = held.whole(token, asked);
        let same = |entry: &&Entry| {
            let patterns = || std::iter::once(&sealed.1).chain(&sealed.2);
            entry.is_token && entry.value == sealed.0 && entry.patterns.iter().eq(patterns())
        };
        if let Some(known) = held.entries.iter().find(same).and_then(|entry| entry.placeholder.clone()) {
            return Ok(known);
        }
        let placeholder = self.0.sealer.seal(&sealed)?;
        let entry = self.token(sealed, placeholder.clone())?;
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
            match opened.map(|sealed| self.token(sealed, placeholder.to_owned())) {
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

    fn token(&self, Sealed(value, asked, inside): Sealed, placeholder: String) -> Result<Entry> {
        let patterns: Vec<_> = std::iter::once(asked).chain(inside).collect();
        let hosts = hosts(&patterns, &self.0.fields, &self.0.configuration)?;
        let placeholder = Some(placeholder);
        Ok(Entry { name: "token".to_owned(), value, placeholder, hosts, patterns, is_token: true })
    }

    /// These secrets, if the tokens among them are within the limits.
    fn bounded(&self, entries: Vec<Entry>) -> Result<Held> {
        let tokens = || entries.iter().filter(|entry| entry.is_token);
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
        let (mut filled, mut end) = (Vec::new(), 0);
        for (index, range) in fill.find(text) {
            let (entry, value) = held.stands[index].meaning(&held.entries);
            entry.check_place(target)?;
            let Some(value) = escape.escaped(value) else {
                return Err(Refusal::Characters { name: entry.name.clone(), is_token: entry.is_token });
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
        let forms = redact.len() - held.stands.len();
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
        match self.hosts.iter().find(|hosts| !hosts.covers(target)) {
            Some(hosts) => Err(Refusal::Place { name: self.name.clone(), allowed: hosts.to_string() }),
            None => Ok(()),
        }
    }

    /// What people are told in its place.
    fn told(&self) -> String {
        format!("[secret:{}]", self.name)
    }

    /// Its forms of at least so many bytes, and what the guest has in the place of each, if it is not the value itself.
    fn forms(&self, bytes_min: usize) -> impl Iterator<Item = (String, Option<String>)> {
        let written = forms::written(&self.value, bytes_min).into_iter().map(|form| (form, self.placeholder.clone()));
        let encoded = forms::encoded(&self.value).into_iter().enumerate().flat_map(|(number, form)| {
            let by = self.placeholder.as_deref().map(|placeholder| placeholder::of_encoded(placeholder, number));
            forms::also_escaped(form).map(move |form| (form, by.clone()))
        });
        written.chain(encoded)
    }

    /// What the guest may have in its place; `index` is its own.
    fn stands(&self, index: usize) -> impl Iterator<Item = Stand> {
        self.placeholder.iter().flat_map(move |placeholder| {
            let value = Stand { placeholder: placeholder.clone(), entry: index, encoded: None };
            let encoded = forms::encoded(&self.value).into_iter().enumerate().map(move |(number, form)| Stand {
                placeholder: placeholder::of_encoded(placeholder, number),
                entry: index,
                encoded: Some(form),
            });
            std::iter::once(value).chain(encoded)
        })
    }
}

impl Stand {
    /// The secret, and what is meant of it.
    fn meaning<'e>(&'e self, entries: &'e [Entry]) -> (&'e Entry, &'e str) {
        let entry = &entries[self.entry];
        (entry, self.encoded.as_deref().unwrap_or(&entry.value))
    }
}

impl Held {
    fn new(entries: Vec<Entry>) -> Result<Self> {
        let stands: Vec<Stand> = entries.iter().enumerate().flat_map(|(index, entry)| entry.stands(index)).collect();
        let fill = stands.iter().map(|stand| (stand.placeholder.clone(), String::new()));
        let mask = entries.iter().flat_map(|entry| entry.forms(forms::MASK_BYTES_MIN));
        let mask = mask.filter_map(|(form, by)| Some((form, by?)));
        let values = entries
            .iter()
            .flat_map(|entry| forms::forms(&entry.value, forms::REDACT_BYTES_MIN).map(|form| (form, entry.told())));
        let placeholders = stands.iter().map(|stand| (stand.placeholder.clone(), entries[stand.entry].told()));
        let redact = Replacer::new(values.chain(placeholders))?;
        let scrub = entries.iter().flat_map(|entry| {
            let forms = entry.forms(forms::REDACT_BYTES_MIN);
            forms.map(|(form, by)| (form, by.unwrap_or_else(|| entry.told())))
        });
        let scrub = Replacer::new(scrub)?;
        let (fill, mask) = (Replacer::new(fill)?, Replacer::new(mask)?);
        Ok(Self { entries, stands, fill, mask, redact, scrub })
    }

    /// A token as the source knows it, with what its placeholders stand for, and where it may be sent.
    fn whole(&self, token: &str, asked: &[String]) -> Sealed {
        let (mut whole, mut inside, mut end) = (String::new(), Vec::new(), 0);
        for (index, range) in self.fill.iter().flat_map(|fill| fill.find(token.as_bytes())) {
            let (entry, text) = self.stands[index].meaning(&self.entries);
            // Whole texts were found in a text: both ends are between two letters.
            whole.push_str(token.get(end..range.start).unwrap_or_default());
            whole.push_str(text);
            end = range.end;
            inside.extend(entry.patterns.iter().filter(|hosts| hosts[..] != *asked).cloned());
        }
        whole.push_str(token.get(end..).unwrap_or_default());
        inside.sort_unstable();
        inside.dedup();
        Sealed(whole, asked.to_vec(), inside)
    }
}

fn hosts(patterns: &[Vec<String>], fields: &[Field], configuration: &Configuration) -> Result<Vec<Hosts>> {
    patterns.iter().map(|patterns| Hosts::new(patterns, fields, configuration)).collect()
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
