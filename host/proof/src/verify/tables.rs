//! What tables hold after a stream of operations, as plain as the rules can be said: the yardstick of every comparison.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use model::{Batch, OperationKind, Table};

/// A row: the record as the connector wrote it.
pub(super) type Row = Map<String, Value>;

/// Tables by name, rows by key. A table without a key has its rows by their whole text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tables {
    rows: BTreeMap<String, BTreeMap<String, Row>>,
}

impl Tables {
    /// Applies one batch; lines that are no objects are another rule's business.
    pub(super) fn apply(&mut self, batch: &Batch, declared: &[Table]) {
        let table = self.rows.entry(batch.table.clone()).or_default();
        if batch.kind == OperationKind::Truncate {
            table.clear();
        }
        let key = key_of(&batch.table, declared);
        for row in records(batch).filter_map(Result::ok) {
            let text = key_text(&row, key);
            match batch.kind {
                OperationKind::Upsert => drop(table.insert(text, row)),
                OperationKind::Update => {
                    if let Some(there) = table.get_mut(&text) {
                        there.extend(row);
                    }
                }
                OperationKind::Delete => drop(table.remove(&text)),
                OperationKind::Truncate => {}
            }
        }
    }

    /// How many rows there are in all.
    pub(super) fn count(&self) -> usize {
        self.rows.values().map(BTreeMap::len).sum()
    }

    /// The same with numbers and truth values as text.
    pub(super) fn as_text(&self) -> Self {
        fn text(value: &mut Value) {
            match value {
                Value::Number(_) | Value::Bool(_) => *value = Value::String(value.to_string()),
                Value::Array(items) => items.iter_mut().for_each(text),
                Value::Object(fields) => fields.values_mut().for_each(text),
                Value::Null | Value::String(_) => {}
            }
        }
        let mut tables = self.clone();
        tables.rows.values_mut().flat_map(BTreeMap::values_mut).flat_map(|row| row.values_mut()).for_each(text);
        tables
    }

    /// Whether a table has a row of this key.
    pub(super) fn has(&self, table: &str, key: &str) -> bool {
        self.rows.get(table).is_some_and(|rows| rows.contains_key(key))
    }

    /// All rows, with the names of their tables.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&str, &Row)> {
        self.rows.iter().flat_map(|(table, rows)| rows.values().map(move |row| (table.as_str(), row)))
    }

    /// In what `found` differs from these tables, in a sentence; none where it does not.
    pub(super) fn difference(&self, found: &Self) -> Option<String> {
        let empty = BTreeMap::new();
        let names = self.rows.keys().chain(found.rows.keys().filter(|name| !self.rows.contains_key(*name)));
        let mut parts = Vec::new();
        for name in names {
            let (expected, got) = (self.rows.get(name).unwrap_or(&empty), found.rows.get(name).unwrap_or(&empty));
            let lost: Vec<&String> = expected.keys().filter(|key| !got.contains_key(*key)).collect();
            let more: Vec<&String> = got.keys().filter(|key| !expected.contains_key(*key)).collect();
            let other: Vec<&String> = expected
                .iter()
                .filter(|(key, row)| got.get(*key).is_some_and(|got| got != *row))
                .map(|(key, _)| key)
                .collect();
            for (rows, what) in [(lost, "lost"), (more, "too many"), (other, "different")] {
                if let Some(first) = rows.first() {
                    parts.push(format!("{} of {name} {what}, the first {}", counted(rows.len()), cut(first)));
                }
            }
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

fn counted(rows: usize) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

/// As much of a text as evidence needs.
pub(super) fn cut(text: &str) -> String {
    const SHOWN_MAX: usize = 200;
    let end = text.floor_char_boundary(SHOWN_MAX);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}

/// The key of a table, as declared; none where it has none.
pub(super) fn key_of<'a>(table: &str, declared: &'a [Table]) -> &'a [String] {
    declared.iter().find(|known| known.name == table).map_or(&[], |known| &known.primary_key)
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

/// The records of a batch; a line that is no JSON object as it stands.
pub(super) fn records(batch: &Batch) -> impl Iterator<Item = Result<Row, String>> {
    let lines = batch.rows.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.map(|line| serde_json::from_slice::<Row>(line).map_err(|_| String::from_utf8_lossy(line).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(kind: OperationKind, rows: &str) -> Batch {
        Batch { table: "t".into(), kind, rows: rows.into() }
    }

    fn tables(batches: &[(OperationKind, &str)]) -> Tables {
        let declared = [Table { name: "t".into(), primary_key: vec!["id".into()], columns: vec![] }];
        let mut tables = Tables::default();
        for (kind, rows) in batches {
            tables.apply(&batch(*kind, rows), &declared);
        }
        tables
    }

    #[test]
    fn operations_are_applied_as_a_warehouse_does() {
        use OperationKind::{Delete, Truncate, Update, Upsert};
        let one =
            tables(&[(Upsert, "{\"id\":1,\"a\":1}\n{\"id\":2}"), (Update, "{\"id\":1,\"b\":2}\n{\"id\":9,\"b\":2}")]);
        assert_eq!(one.difference(&tables(&[(Upsert, "{\"id\":2}\n{\"id\":1,\"b\":2,\"a\":1}")])), None);
        let truncated = tables(&[
            (Upsert, "{\"id\":1}"),
            (Truncate, ""),
            (Upsert, "{\"id\":3}\n{\"id\":4}"),
            (Delete, "{\"id\":4}"),
        ]);
        assert_eq!(truncated.count(), 1);
        assert_eq!(
            one.difference(&truncated).as_deref(),
            Some("2 rows of t lost, the first id=1; 1 row of t too many, the first id=3")
        );
    }

    #[test]
    fn a_row_with_another_value_is_found() {
        let (one, other) = (
            tables(&[(OperationKind::Upsert, "{\"id\":1,\"a\":1}")]),
            tables(&[(OperationKind::Upsert, "{\"id\":1,\"a\":2}")]),
        );
        assert_eq!(one.difference(&other).as_deref(), Some("1 row of t different, the first id=1"));
    }
}
