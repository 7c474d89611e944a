//! Batches as they are compared: what many runs write alike is kept once, and a record is read once however often it is compared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use model::{Batch, OperationKind, Table};

/// A row: the record as the connector wrote it.
pub(super) type Row = Map<String, Value>;

/// Entries of the store beyond which the dead among them are looked for.
const SWEPT_AT_MIN: usize = 1024;

/// One record of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Of what tells it from others.
    pub(super) key: u128,
    /// Of all of it.
    pub(super) row: u128,
    /// The same with numbers and truth values as text.
    pub(super) loose: u128,
    from: usize,
    to: usize,
}

/// A batch, and what its records are compared by.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) table: String,
    pub(super) kind: OperationKind,
    text: Vec<u8>,
    pub(super) lines: Vec<Line>,
    /// The first line that is no JSON object.
    pub(super) broken: Option<String>,
}

impl Rows {
    fn new(batch: Batch, key: &[String]) -> Self {
        let Batch { table, kind, rows: text } = batch;
        let (mut lines, mut broken, mut from) = (Vec::new(), None, 0);
        for line in text.split(|byte| *byte == b'\n') {
            let to = from + line.len();
            if !line.trim_ascii().is_empty() {
                match serde_json::from_slice::<Row>(line) {
                    Ok(row) => lines.push(line_of(row, key, from, to)),
                    Err(_) => {
                        broken.get_or_insert_with(|| String::from_utf8_lossy(line).into_owned());
                    }
                }
            }
            from = to + 1;
        }
        Self { table, kind, text, lines, broken }
    }

    /// The record of a line.
    pub(super) fn row(&self, line: &Line) -> Row {
        // It was read before; a line that was not is in no list.
        serde_json::from_slice(&self.text[line.from..line.to]).unwrap_or_default()
    }

    /// Whether a name stands somewhere in it.
    pub(super) fn mentions(&self, name: &str) -> bool {
        memchr::memmem::find(&self.text, name.as_bytes()).is_some()
    }

    /// All records.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        self.lines.iter().map(|line| self.row(line))
    }
}

fn line_of(row: Row, key: &[String], from: usize, to: usize) -> Line {
    let key = hash(key_text(&row, key).as_bytes());
    let mut value = Value::Object(row);
    let row = hash(value.to_string().as_bytes());
    as_text(&mut value);
    Line { key, row, loose: hash(value.to_string().as_bytes()), from, to }
}

/// The digests of a row: of all of it, and loosely.
pub(super) fn digests(row: &Row) -> (u128, u128) {
    let line = line_of(row.clone(), &[], 0, 0);
    (line.row, line.loose)
}

fn as_text(value: &mut Value) {
    match value {
        Value::Number(_) | Value::Bool(_) => *value = Value::String(value.to_string()),
        Value::Array(items) => items.iter_mut().for_each(as_text),
        Value::Object(fields) => fields.values_mut().for_each(as_text),
        Value::Null | Value::String(_) => {}
    }
}

/// What stands for a text where texts are compared.
pub(super) fn hash(text: &[u8]) -> u128 {
    let digest: [u8; 32] = Sha256::digest(text).into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    u128::from_le_bytes(half)
}

/// What tells a row from others.
pub(super) fn key_text(row: &Row, key: &[String]) -> String {
    if key.is_empty() {
        return Value::Object(row.clone()).to_string();
    }
    let parts: Vec<String> =
        key.iter().map(|column| format!("{column}={}", row.get(column).unwrap_or(&Value::Null))).collect();
    parts.join(", ")
}

/// The key of a table, as declared; none where it has none.
pub(super) fn key_of<'a>(table: &str, declared: &'a [Table]) -> &'a [String] {
    declared.iter().find(|known| known.name == table).map_or(&[], |known| &known.primary_key)
}

/// All batches that some run still holds.
#[derive(Default)]
pub(super) struct Store {
    declared: Vec<Table>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    rows: HashMap<u128, Weak<Rows>>,
    swept_at: usize,
}

impl Store {
    pub(super) fn new(declared: &[Table]) -> Self {
        Self { declared: declared.to_vec(), known: Mutex::default() }
    }

    /// The batch, shared with every run that wrote the same.
    pub(super) fn keep(&self, batch: &Batch) -> Arc<Rows> {
        let mut digest = Sha256::new();
        digest.update(format!("{} {:?}\n", batch.table, batch.kind));
        digest.update(&batch.rows);
        let whole: [u8; 32] = digest.finalize().into();
        let id = hash(&whole);
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rows) = lock().rows.get(&id).and_then(Weak::upgrade) {
            return rows;
        }
        // Read without the lock: others go on meanwhile.
        let rows = Arc::new(Rows::new(batch.clone(), key_of(&batch.table, &self.declared)));
        let mut known = lock();
        if known.rows.len() > known.swept_at.max(SWEPT_AT_MIN) {
            known.rows.retain(|_, rows| rows.strong_count() > 0);
            known.swept_at = known.rows.len() * 2;
        }
        known.rows.insert(id, Arc::downgrade(&rows));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_alike_is_kept_once_and_let_go_of() {
        let store = Store::new(&[Table { name: "t".into(), primary_key: vec!["id".into()], columns: vec![] }]);
        let batch = |rows: &str| Batch { table: "t".into(), kind: OperationKind::Upsert, rows: rows.into() };
        let one = store.keep(&batch("{\"id\":1,\"a\":2.5}\n"));
        assert!(Arc::ptr_eq(&one, &store.keep(&batch("{\"id\":1,\"a\":2.5}\n"))));
        let other = store.keep(&batch("{\"a\":\"2.5\",\"id\":1}"));
        assert_eq!((one.lines[0].key, one.lines[0].loose), (other.lines[0].key, hash(br#"{"a":"2.5","id":"1"}"#)));
        assert_eq!(one.lines[0].loose, other.lines[0].loose);
        assert_ne!(one.lines[0].row, other.lines[0].row);
        assert_eq!(store.keep(&batch("[1]\n{\"id\":1}")).broken.as_deref(), Some("[1]"));
        for number in 0..3 * SWEPT_AT_MIN {
            store.keep(&batch(&format!("{{\"id\":{number}}}")));
        }
        assert!(store.known.lock().unwrap().rows.len() <= SWEPT_AT_MIN + 1);
    }
}
