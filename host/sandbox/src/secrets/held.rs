//! All secrets of a sync, each with where it may go; and what looks for them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::Refusal;
use super::finder::Finder;
use super::forms;
use crate::egress::{Hosts, Target};
use model::error::Result;
use model::{Configuration, Field};

/// Places for which what is looked for in their answers is kept ready.
const PLACES_MAX: usize = 16;

/// Where a secret may be sent: to what all of these cover; none: wherever the connector may send anything.
pub(super) struct Scope {
    pub(super) patterns: Vec<Vec<String>>,
    hosts: Vec<Hosts>,
}

impl Scope {
    pub(super) fn new(patterns: Vec<Vec<String>>, fields: &[Field], configuration: &Configuration) -> Result<Self> {
        let hosts =
            patterns.iter().map(|patterns| Hosts::new(patterns, fields, configuration)).collect::<Result<_>>()?;
        Ok(Self { patterns, hosts })
    }
}

/// One secret.
pub(super) struct Entry {
    /// What people call it: the field's name.
    pub(super) name: String,
    pub(super) value: String,
    /// None: the guest has the value itself.
    pub(super) placeholder: Option<String>,
    pub(super) scope: Arc<Scope>,
    /// The source handed it out.
    pub(super) is_token: bool,
    /// The name of those that replaced one another, of which it is one.
    pub(super) line: Option<String>,
    /// An answer held it.
    echoed: AtomicBool,
}

impl Entry {
    pub(super) fn new(
        (name, value): (String, String),
        placeholder: Option<String>,
        scope: Arc<Scope>,
        line: Option<String>,
    ) -> Self {
        Self { name, value, placeholder, scope, is_token: false, line, echoed: AtomicBool::new(false) }
    }

    /// The same, handed out by the source.
    pub(super) fn token(self) -> Self {
        Self { is_token: true, ..self }
    }

    pub(super) fn check_place(&self, target: &Target) -> Result<(), Refusal> {
        match self.scope.hosts.iter().find(|hosts| !hosts.covers(target)) {
            Some(hosts) => Err(Refusal::Place { name: self.name.clone(), allowed: hosts.to_string() }),
            None => Ok(()),
        }
    }

    /// What people are told in its place.
    pub(super) fn told(&self) -> String {
        format!("[secret:{}]", self.name)
    }

    pub(super) fn note_echo(&self) {
        self.echoed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_echoed(&self) -> bool {
        self.echoed.load(Ordering::Relaxed)
    }
}

/// All secrets. It does not change: with another secret comes another one of these.
#[derive(Default)]
pub(super) struct Held {
    pub(super) entries: Vec<Arc<Entry>>,
    /// Entries by their placeholders.
    by_placeholder: HashMap<String, usize>,
    /// Of each line, the entry that has replaced all others.
    latest: HashMap<String, usize>,
    /// What looks for all of them, in what is told.
    of_all: OnceLock<Option<Finder>>,
    /// What looks for those that may go to a place, in the answers from there. The latest last.
    of_places: Mutex<Vec<(Target, Option<Arc<Finder>>)>>,
}

impl Held {
    /// The same secrets, to be added to.
    pub(super) fn next(&self) -> Self {
        Self {
            entries: self.entries.clone(),
            by_placeholder: self.by_placeholder.clone(),
            latest: self.latest.clone(),
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, entry: Entry) {
        if let Some(placeholder) = &entry.placeholder {
            self.by_placeholder.insert(placeholder.clone(), self.entries.len());
        }
        self.entries.push(Arc::new(entry));
    }

    /// Lets a token stand for all others of its line.
    pub(super) fn replace(&mut self, line: String, placeholder: &str) {
        if let Some(index) = self.by_placeholder.get(placeholder) {
            self.latest.insert(line, *index);
        }
    }

    /// The secret that a placeholder stands for.
    pub(super) fn get(&self, placeholder: &str) -> Option<&Entry> {
        self.entries.get(*self.by_placeholder.get(placeholder)?).map(AsRef::as_ref)
    }

    /// The secret to be sent for a placeholder: the one that it stands for, or what has replaced that.
    pub(super) fn latest(&self, placeholder: &str) -> Option<&Entry> {
        let entry = self.get(placeholder)?;
        let latest = entry.line.as_ref().and_then(|line| self.entries.get(*self.latest.get(line)?));
        Some(latest.map_or(entry, AsRef::as_ref))
    }

    /// A scope that some secret has already: many tokens have one.
    pub(super) fn scope_of(&self, patterns: &[Vec<String>]) -> Option<Arc<Scope>> {
        self.entries.iter().find(|entry| entry.scope.patterns == patterns).map(|entry| Arc::clone(&entry.scope))
    }

    /// What the hosts that tokens name take, where these are others than the connector declares.
    pub(super) fn host_bytes(&self, declared: &[String]) -> usize {
        let mut named: Vec<&Vec<String>> = Vec::new();
        for asked in self.entries.iter().filter(|entry| entry.is_token).filter_map(|entry| entry.scope.patterns.first())
        {
            if asked[..] != *declared && !named.contains(&asked) {
                named.push(asked);
            }
        }
        named.into_iter().flatten().map(|host| host.len() + super::HOST_BYTES).sum()
    }

    /// What looks for all secrets.
    pub(super) fn finder_of_all(&self) -> Option<&Finder> {
        self.of_all.get_or_init(|| self.finder(forms::REDACT_BYTES_MIN, |_| true)).as_ref()
    }

    /// What looks for the secrets that may go to a place and that the guest must not see.
    pub(super) fn finder_for(&self, target: &Target) -> Option<Arc<Finder>> {
        let mut places = self.of_places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, finder)) = places.iter().find(|(place, _)| place == target) {
            return finder.clone();
        }
        let goes_there = |entry: &Entry| entry.placeholder.is_some() && entry.check_place(target).is_ok();
        let finder = self.finder(forms::MASK_BYTES_MIN, goes_there).map(Arc::new);
        if places.len() >= PLACES_MAX {
            places.remove(0);
        }
        places.push((target.clone(), finder.clone()));
        finder
    }

    fn finder(&self, bytes_min: usize, which: impl Fn(&Entry) -> bool) -> Option<Finder> {
        let chosen = self.entries.iter().enumerate().filter(|(_, entry)| which(entry));
        Finder::new(chosen.flat_map(|(index, entry)| {
            forms::forms(&entry.value, bytes_min).into_iter().map(move |form| (index, entry.is_token, form))
        }))
    }
}
