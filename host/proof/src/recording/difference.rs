//! What two recordings of a connector differ in: the requests it sent, the operations it wrote, how it ended.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::entry::{Entry, hex};
use super::file::Recording;
use sandbox::without_placeholders;

/// How many differences of a kind are kept to be shown.
const SHOWN_MAX: usize = 10;

/// What differs between an earlier and a later recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differences {
    /// Requests, by method, URL, header fields and body.
    pub requests: Changes,
    /// Operations and checkpoints.
    pub operations: Changes,
    /// How the earlier and the later one ended, where that differs.
    pub endings: Option<(String, String)>,
    /// SHA-256 of all operations as they were handed over, in hex, of the earlier and the later one.
    pub digests: (String, String),
}

/// How two lists differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// How many there were in the earlier one.
    pub before: u64,
    /// How many there are in the later one.
    pub after: u64,
    /// How many of the earlier one are not in the later one.
    pub gone: u64,
    /// How many of the later one are not in the earlier one.
    pub new: u64,
    /// They are the same, but in another order.
    pub reordered: bool,
    /// The first that are gone (`- …`) and new (`+ …`).
    pub shown: Vec<String>,
}

impl Differences {
    /// Whether there are none.
    pub fn none(&self) -> bool {
        self.requests.none() && self.operations.none() && self.endings.is_none()
    }
}

impl Changes {
    fn none(&self) -> bool {
        self.gone == 0 && self.new == 0 && !self.reordered
    }

    fn between(before: &[String], after: &[String]) -> Self {
        let (gone, new) = (missing(before, after), missing(after, before));
        let mark = |sign: char| move |text: &&String| format!("{sign} {text}");
        let shown = gone.iter().take(SHOWN_MAX).map(mark('-')).chain(new.iter().take(SHOWN_MAX).map(mark('+')));
        Self {
            before: before.len() as u64,
            after: after.len() as u64,
            gone: gone.len() as u64,
            new: new.len() as u64,
            reordered: gone.is_empty() && new.is_empty() && before != after,
            shown: shown.collect(),
        }
    }
}

/// Those of `of` that `from` has not, or not as often, in order.
fn missing<'a>(of: &'a [String], from: &[String]) -> Vec<&'a String> {
    let mut there: HashMap<&str, u64> = HashMap::new();
    for text in from {
        *there.entry(text).or_default() += 1;
    }
    of.iter()
        .filter(|text| match there.get_mut(text.as_str()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        })
        .collect()
}

/// Compares two recordings of the same connector. Placeholders of secrets, which are new for each sync, count as equal.
pub fn differences(before: &Recording, after: &Recording) -> Differences {
    let (old, new) = (Account::of(before), Account::of(after));
    let digests = (hex(&old.digest.finalize()), hex(&new.digest.finalize()));
    Differences {
        requests: Changes::between(&old.requests, &new.requests),
        operations: Changes::between(&old.operations, &new.operations),
        endings: (old.ending != new.ending).then(|| (old.ending.clone(), new.ending.clone())),
        digests,
    }
}

/// What a connector did, as texts that can be compared.
#[derive(Default)]
struct Account {
    requests: Vec<String>,
    operations: Vec<String>,
    ending: String,
    digest: Sha256,
}

impl Account {
    fn of(recording: &Recording) -> Self {
        let mut account = Self::default();
        for (entry, bytes) in &recording.entries {
            account.add(entry, bytes);
        }
        account
    }

    /// Adds parts, each with its length, so that no two lists of parts are the same bytes.
    fn digest(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.digest.update((part.len() as u64).to_le_bytes());
            self.digest.update(part);
        }
    }

    fn add(&mut self, entry: &Entry, bytes: &[u8]) {
        match entry {
            Entry::Send { request, .. } => {
                let mut text = request.label();
                for (name, value) in &request.headers {
                    text.extend([" ", name, ": ", value]);
                }
                if let Some(credentials) = &request.authentication {
                    text = format!("{text} {credentials:?}");
                }
                if !bytes.is_empty() {
                    text.push(' ');
                    text.push_str(&String::from_utf8_lossy(bytes));
                }
                self.requests.push(without_placeholders(&text));
            }
            Entry::Write { table, kind, .. } => {
                self.digest(&[kind.name().as_bytes(), table.as_bytes(), bytes]);
                let operation = format!("{} {table}", kind.name());
                if bytes.is_empty() {
                    self.operations.push(operation.clone());
                }
                let rows = bytes.split(|byte| *byte == b'\n').filter(|row| !row.is_empty());
                let texts =
                    rows.map(|row| without_placeholders(&format!("{operation} {}", String::from_utf8_lossy(row))));
                self.operations.extend(texts);
            }
            Entry::Save { .. } => {
                self.digest(&[b"checkpoint", bytes]);
                let state = without_placeholders(&String::from_utf8_lossy(bytes));
                self.operations.push(format!("checkpoint {state}"));
            }
            Entry::End { code, .. } => self.ending = code.clone().unwrap_or_else(|| "success".to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(before: &[&str], after: &[&str]) -> Changes {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Changes::between(&texts(before), &texts(after))
    }

    #[test]
    fn what_is_gone_and_new_is_counted_and_shown() {
        assert!(changes(&["a", "b", "b"], &["a", "b", "b"]).none());
        let inserted = changes(&["a", "c"], &["a", "b", "c"]);
        assert_eq!((inserted.gone, inserted.new, inserted.shown), (0, 1, vec!["+ b".to_owned()]));
        let twice = changes(&["a", "b"], &["b", "b"]);
        assert_eq!((twice.gone, twice.new, twice.shown), (1, 1, vec!["- a".to_owned(), "+ b".to_owned()]));
        let reordered = changes(&["a", "b"], &["b", "a"]);
        assert!(reordered.reordered && !reordered.none() && reordered.shown.is_empty());
    }
}
