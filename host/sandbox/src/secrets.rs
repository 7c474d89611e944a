//! A connection's configuration with its secrets kept apart: the guest works with placeholders, the source gets the
//! values, people see neither.
//!
//! ```text
//! configuration ── placeholders ──> guest ── request ── fill, for one place ──> source
//!                                   guest <── mask, for one place ─── answer ──<
//!                                   guest ── rows ── put_back ──> destination
//! logs, errors, reports <── redact ── everything that is told
//! ```
//!
//! An answer is searched only for secrets that may go to the host that gave it: a search for others would tell that host, by
//! what the guest does then, whether it has guessed one.
//!
//! A placeholder cannot be guessed, is the same in every sync of a connection, and consists of `[A-Za-z0-9_]`, so that it
//! survives every way of writing it down. A token that the source hands out is protected in the same way; its placeholder
//! holds the token itself, sealed, so that it may be kept in a state and opened by the next sync of the same connection.
//!
//! Where a text holds a secret in another spelling, percent-encoded or inside base64 perhaps, its placeholder holds that
//! spelling, sealed: a row arrives as the source sent it, and a session token made of name and password comes back as it was.
//! A token with placeholders in it is sealed with what they stand for, and goes only where each of them may go.

mod escape;
mod finder;
mod forms;
mod held;
mod mask;
mod placeholder;
mod spelling;
mod tokens;

#[cfg(test)]
mod tests;

pub(crate) use escape::Escape;
pub(crate) use mask::Masker;
pub use placeholder::{KeySource, SecretKey};
pub use tokens::{TokenFolder, TokenStore};

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use self::held::{Entry, Held, Scope};
use self::placeholder::{Placed, Sealed, Sealer};
use crate::Limits;
use crate::egress::Target;
use model::error::{Code, Error, Result};
use model::{Configuration, Description, Field, Secrecy};

/// What the operator decides about a connection's secrets.
#[derive(Clone, Debug, Default)]
pub struct SecretGrants {
    /// The fields whose values the connector may see, of those that it describes as `exposed`.
    pub exposed: Vec<String>,
    /// The key that seals tokens, and makes placeholders the same in every sync.
    pub key: KeySource,
    /// Where tokens are kept that have replaced others. None: in the connector's state only.
    pub tokens: Option<Arc<dyn TokenStore>>,
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
    store: Option<Arc<dyn TokenStore>>,
    /// Tokens in the store that cannot be opened.
    lost: usize,
    held: RwLock<Arc<Held>>,
}

/// How much a connector may have protected.
#[derive(Default)]
struct Bounds {
    tokens_max: u32,
    bytes_max: u64,
}

/// Why a secret cannot be put in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not towards this place.
    Place { name: String, allowed: String },
    /// Its value has characters that cannot stand there.
    Characters { name: String, is_token: bool },
    /// With the values in it, it is too long.
    TooLong,
}

/// A token that has replaced another.
pub(crate) struct Replaced {
    pub(crate) placeholder: String,
    /// Why it is not kept but in the connector's state, where that is so.
    pub(crate) not_kept: Option<Error>,
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
        let owner = format!("{connection}\0{}", description.name);
        let mut vault = Vault {
            configuration: configuration.clone(),
            shown: configuration.clone(),
            fields: description.fields.clone(),
            declared: description.hosts.clone(),
            sealer: Sealer::new(grants.key.clone(), &owner),
            bounds: Bounds { tokens_max: limits.tokens_max, bytes_max: limits.token_bytes_max },
            store: grants.tokens.clone(),
            ..Vault::default()
        };
        let mut held = Held::default();
        for field in &description.fields {
            if let Some(entry) = vault.of_field(field, &grants.exposed)? {
                if let Some(placeholder) = &entry.placeholder {
                    vault.shown.0.insert(field.name.clone(), placeholder.clone());
                }
                held.add(entry);
            }
        }
        vault.take_from_store(&owner, &mut held)?;
        vault.held = RwLock::new(Arc::new(held));
        Ok(Self(Arc::new(vault)))
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
    pub(crate) fn shown(&self) -> &Configuration {
        &self.0.shown
    }

    fn held(&self) -> Arc<Held> {
        Arc::clone(&self.0.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps a token that the source handed out; returns what stands for it.
    pub(crate) fn protect(&self, token: &str, hosts: &[String]) -> Result<String> {
        self.keep(token, hosts, None)
    }

    /// Keeps a token that the source handed out in the place of another one, for later syncs too: when this returns, it is
    /// durable. From then on it is what is sent wherever the guest sends one that it has replaced. Waits for the disk.
    pub(crate) fn replace(&self, replaced: &str, token: &str, hosts: &[String]) -> Result<Replaced> {
        let line = self.held().get(replaced).and_then(|entry| entry.line.clone());
        let placeholder = self.keep(token, hosts, line.as_deref())?;
        let Some(line) = line.filter(|_| placeholder != replaced) else {
            return Ok(Replaced { placeholder, not_kept: None });
        };
        let not_kept = self.0.put_into_store(&line, &placeholder).err();
        let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = held.next();
        next.replace(line, &placeholder);
        *held = Arc::new(next);
        Ok(Replaced { placeholder, not_kept })
    }

    fn keep(&self, token: &str, hosts: &[String], line: Option<&str>) -> Result<String> {
        let asked = if hosts.is_empty() { &self.0.declared[..] } else { hosts };
        let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        if token.is_empty() || held.get(token).is_some() {
            return Ok(token.to_owned());
        }
        // Before anything is made of it that is larger.
        self.0.check_bounds(&held, &[(token.len(), hosts)])?;
        let sealed = self.0.whole(&held, token, asked, line);
        let placeholder = self.0.sealer.seal(&sealed)?;
        if held.get(&placeholder).is_none() {
            let entry = self.0.token(&held, sealed, placeholder.clone())?;
            self.0.check_bounds(&held, &[(entry.value.len(), hosts)])?;
            let mut next = held.next();
            next.add(entry);
            *held = Arc::new(next);
        }
        Ok(placeholder)
    }

    /// Opens the tokens in a state that an earlier sync saved; returns how many placeholders stand for nothing any more.
    pub(crate) fn adopt(&self, state: &str) -> Result<usize> {
        let mut lost = self.0.lost;
        let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = held.next();
        for Placed { base, .. } in placeholder::placed_in(state.as_bytes()) {
            if next.get(base).is_some() {
                continue;
            }
            // Its hosts may refer to a field that the connector no longer has.
            match self.0.sealer.open(base)?.map(|sealed| self.0.token(&next, sealed, base.to_owned())) {
                Some(Ok(entry)) => {
                    self.0.check_bounds(&next, &[(entry.value.len(), &[])])?;
                    next.add(entry);
                }
                Some(Err(_)) | None => lost += 1,
            }
        }
        *held = Arc::new(next);
        Ok(lost)
    }

    /// Whether a state may be saved: not with placeholders for which a later sync has no value.
    pub(crate) fn check_state(&self, state: &str) -> Result<()> {
        let held = self.held();
        let is_held = placeholder::placed_in(state.as_bytes()).any(|placed| held.get(placed.base).is_some());
        if is_held { self.0.sealer.check_lasts() } else { Ok(()) }
    }

    /// Puts values in the place of placeholders, escaped for where they stand. None: there is nothing to put in.
    pub(crate) fn fill(
        &self,
        text: &[u8],
        escape: Escape,
        target: &Target,
        bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let held = self.held();
        let (mut filled, mut end, mut is_changed) = (Vec::new(), 0, false);
        for placed in placeholder::placed_in(text) {
            let Some(entry) = held.latest(placed.base) else { continue };
            entry.check_place(target)?;
            let (spelled, range) = self.0.spelled(&placed);
            let value = spelled.filter(|_| placed.is_encoded).unwrap_or_else(|| entry.value.clone());
            let Some(value) = escape.escaped(&value) else {
                return Err(Refusal::Characters { name: entry.name.clone(), is_token: entry.is_token });
            };
            filled.extend_from_slice(&text[end..range.start]);
            filled.extend_from_slice(value.as_bytes());
            (end, is_changed) = (range.end, true);
            if filled.len() > bytes_max {
                return Err(Refusal::TooLong);
            }
        }
        filled.extend_from_slice(&text[end..]);
        match is_changed {
            true if filled.len() > bytes_max => Err(Refusal::TooLong),
            is_changed => Ok(is_changed.then_some(filled)),
        }
    }

    /// Rows as the source sent them: with values in the place of placeholders that were put into answers. None: with the
    /// values in them, they have more than so many bytes.
    pub(crate) fn put_back(&self, rows: Vec<u8>, bytes_max: usize) -> Option<Vec<u8>> {
        let held = self.held();
        let (mut whole, mut end) = (Vec::new(), 0);
        for placed in placeholder::placed_in(&rows) {
            let Some(entry) = held.get(placed.base) else { continue };
            let (spelled, range) = self.0.spelled(&placed);
            // A placeholder that no answer brought is the guest's own doing: the value is not for it to write.
            let value = spelled.or_else(|| entry.is_echoed().then(|| entry.value.clone()));
            let Some(value) = value else { continue };
            whole.extend_from_slice(&rows[end..range.start]);
            whole.extend_from_slice(escape::json(&value).as_bytes());
            end = range.end;
            if whole.len() > bytes_max {
                return None;
            }
        }
        if end == 0 {
            return Some(rows);
        }
        whole.extend_from_slice(&rows[end..]);
        (whole.len() <= bytes_max).then_some(whole)
    }

    /// A text that a source gave, or that was made of what it gave, as the guest may see it.
    pub(crate) fn mask<'t>(&self, text: &'t [u8], target: &Target) -> Cow<'t, [u8]> {
        let held = self.held();
        let Some(finder) = held.finder_for(target) else { return Cow::Borrowed(text) };
        let (mut masked, mut end) = (Vec::new(), 0);
        for found in finder.find(text) {
            masked.extend_from_slice(&text[end..found.range.start]);
            masked.extend_from_slice(self.0.stand_in(&held, &found, text, Escape::Raw).as_bytes());
            end = found.range.end;
        }
        if end == 0 {
            return Cow::Borrowed(text);
        }
        masked.extend_from_slice(&text[end..]);
        Cow::Owned(masked)
    }

    /// Masks a body piece by piece; none where there is nothing to mask.
    pub(crate) fn masker(&self, target: &Target, content_type: Escape) -> Option<Masker> {
        self.held().finder_for(target)?;
        Some(Masker::new(self.clone(), target.clone(), content_type))
    }

    /// Bytes as a recording may hold them: with placeholders for what has one, and `[secret:…]` for what the guest had itself.
    pub(crate) fn scrub(&self, bytes: &[u8]) -> Vec<u8> {
        let held = self.held();
        let Some(finder) = held.finder_of_all() else { return bytes.to_vec() };
        let (mut scrubbed, mut end) = (Vec::with_capacity(bytes.len()), 0);
        for found in finder.find(bytes) {
            scrubbed.extend_from_slice(&bytes[end..found.range.start]);
            scrubbed.extend_from_slice(self.0.stand_in(&held, &found, bytes, Escape::Raw).as_bytes());
            end = found.range.end;
        }
        scrubbed.extend_from_slice(&bytes[end..]);
        scrubbed
    }

    /// A text as people may see it.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let held = self.held();
        let mut told = values_in(&held, text);
        for placed in placeholder::placed_in(text.as_bytes()) {
            if let Some(entry) = held.get(placed.base) {
                told.push((self.0.spelled(&placed).1, entry.told()));
            }
        }
        told_instead(text, told)
    }

    /// A state as people may see it: placeholders stay, so that it can be used again.
    pub fn redact_state<'t>(&self, state: &'t str) -> Cow<'t, str> {
        told_instead(state, values_in(&self.held(), state))
    }

    /// An error as people may see it.
    pub fn redact_error(&self, error: Error) -> Error {
        error.rewritten(&|text| self.redact(text))
    }
}

/// Where values stand in a text, and what people are told instead.
fn values_in(held: &Held, text: &str) -> Vec<(Range<usize>, String)> {
    let Some(finder) = held.finder_of_all() else { return Vec::new() };
    finder
        .find(text.as_bytes())
        .filter_map(|found| Some((found.range, held.entries.get(found.secret)?.told())))
        .collect()
}

/// A text with some of its parts replaced; of those that overlap, the first.
fn told_instead(text: &str, mut told: Vec<(Range<usize>, String)>) -> Cow<'_, str> {
    if told.is_empty() {
        return Cow::Borrowed(text);
    }
    told.sort_by_key(|(range, _)| range.start);
    let (mut made, mut end) = (String::new(), 0);
    for (range, instead) in told {
        if range.start >= end {
            // Whole letters were found in a text: both ends are between two of them.
            made.push_str(text.get(end..range.start).unwrap_or_default());
            made.push_str(&instead);
            end = range.end;
        }
    }
    made.push_str(text.get(end..).unwrap_or_default());
    Cow::Owned(made)
}

impl Vault {
    /// The secret in a field, if there is one.
    fn of_field(&self, field: &Field, exposed: &[String]) -> Result<Option<Entry>> {
        let value = self.configuration.get(&field.name).filter(|value| !value.trim().is_empty());
        let (Some(value), true) = (value, field.secrecy != Secrecy::Plain) else { return Ok(None) };
        let is_exposed = field.secrecy == Secrecy::Exposed;
        if is_exposed && !exposed.contains(&field.name) {
            return Err(not_exposed(field));
        }
        let placeholder = if is_exposed { None } else { Some(self.sealer.of_field(&field.name)?) };
        // Another value begins a line of its own: what replaced the one before does not stand for it.
        let line = if is_exposed { None } else { Some(self.sealer.line_of(&[&field.name, value])?) };
        let patterns = if field.hosts.is_empty() { vec![] } else { vec![field.hosts.clone()] };
        let scope = Arc::new(Scope::new(patterns, &self.fields, &self.configuration)?);
        Ok(Some(Entry::new((field.name.clone(), value.to_owned()), placeholder, scope, line)))
    }

    /// The tokens that have replaced others in earlier syncs.
    fn take_from_store(&mut self, owner: &str, held: &mut Held) -> Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        for (line, placeholder) in store.latest(owner)? {
            let opened = self.sealer.open(&placeholder)?;
            match opened.map(|sealed| self.token(held, sealed, placeholder.clone())) {
                Some(Ok(entry)) => {
                    held.add(entry);
                    held.replace(line, &placeholder);
                }
                Some(Err(_)) | None => self.lost += 1,
            }
        }
        Ok(())
    }

    fn put_into_store(&self, line: &str, placeholder: &str) -> Result<()> {
        self.sealer.check_lasts()?;
        match &self.store {
            Some(store) => store.replace(self.sealer.owner(), line, placeholder),
            None => Err(Error::new(Code::SecretKeyInvalid, "keep a new refresh token: there is no place for it")
                .hint("Give a folder that lasts in ELT_TOKEN_FOLDER.")),
        }
    }

    fn token(&self, held: &Held, sealed: Sealed, placeholder: String) -> Result<Entry> {
        let Sealed(value, asked, inside, line) = sealed;
        let patterns: Vec<_> = std::iter::once(asked).chain(inside).collect();
        let scope = match held.scope_of(&patterns) {
            Some(scope) => scope,
            None => Arc::new(Scope::new(patterns, &self.fields, &self.configuration)?),
        };
        let line = line.map_or_else(|| self.sealer.line_of(&[&placeholder]), Ok)?;
        Ok(Entry::new(("token".to_owned(), value), Some(placeholder), scope, Some(line)).token())
    }

    /// A token as the source knows it, with what its placeholders stand for, and where it may be sent.
    fn whole(&self, held: &Held, token: &str, asked: &[String], line: Option<&str>) -> Sealed {
        let (mut whole, mut inside, mut end) = (String::new(), Vec::new(), 0);
        for placed in placeholder::placed_in(token.as_bytes()) {
            let Some(entry) = held.get(placed.base) else { continue };
            let (spelled, range) = self.spelled(&placed);
            whole.push_str(token.get(end..range.start).unwrap_or_default());
            whole.push_str(&spelled.unwrap_or_else(|| entry.value.clone()));
            end = range.end;
            inside.extend(entry.scope.patterns.iter().filter(|hosts| hosts[..] != *asked).cloned());
        }
        whole.push_str(token.get(end..).unwrap_or_default());
        inside.sort_unstable();
        inside.dedup();
        Sealed(whole, asked.to_vec(), inside, line.map(str::to_owned))
    }

    /// The spelling that a placeholder holds, if any, and where the placeholder stands.
    fn spelled(&self, placed: &Placed<'_>) -> (Option<String>, Range<usize>) {
        match placed.spelled.and_then(|sealed| self.sealer.open_spelling(sealed)) {
            Some(spelled) => (Some(spelled), placed.range.start..placed.end),
            None => (None, placed.range.clone()),
        }
    }

    /// What the guest gets in the place of a secret that was found in a text.
    fn stand_in(&self, held: &Held, found: &finder::Found, text: &[u8], content_type: Escape) -> String {
        let Some(entry) = held.entries.get(found.secret) else { return String::new() };
        let Some(placeholder) = &entry.placeholder else { return entry.told() };
        let spelled = content_type.read(&text[found.range.clone()]);
        let is_encoded = found.kind == forms::Kind::Encoded;
        if !is_encoded && spelled == entry.value.trim() {
            entry.note_echo();
            return placeholder.clone();
        }
        // What cannot be sealed would have no placeholder either.
        self.sealer.with_spelling(placeholder, &spelled, is_encoded).unwrap_or_else(|_| placeholder.clone())
    }

    /// Whether some more tokens are within the limits: the bytes of each, and the hosts it names.
    fn check_bounds(&self, held: &Held, more: &[(usize, &[String])]) -> Result<()> {
        let tokens = || held.entries.iter().filter(|entry| entry.is_token);
        let count = tokens().count() as u64 + more.len() as u64;
        let hosts: usize = more.iter().flat_map(|(_, hosts)| *hosts).map(|host| host.len() + HOST_BYTES).sum();
        let values =
            tokens().map(|entry| entry.value.len()).sum::<usize>() + more.iter().map(|(bytes, _)| bytes).sum::<usize>();
        let bytes = (held.host_bytes(&self.declared) + hosts + values) as u64;
        let Bounds { tokens_max, bytes_max } = self.bounds;
        let passed = if count > u64::from(tokens_max) {
            ("tokens", u64::from(tokens_max))
        } else if bytes > bytes_max {
            ("token-bytes", bytes_max)
        } else {
            return Ok(());
        };
        let (limit, max) = passed;
        let message =
            format!("protect {count} tokens of {bytes} bytes, the hosts they are for included (limit {limit}: {max})");
        Err(Error::new(Code::LimitSecrets, message).hint(format!(
            "A connector keeps the latest token only, also in its state; raise the limit with --limit {limit}=… if it \
             needs more."
        )))
    }
}

/// What a host takes besides its text.
const HOST_BYTES: usize = 32;

/// A text in which all placeholders are the same: recordings made with different keys differ in them.
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
