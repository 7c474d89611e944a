//! What tables hold after a stream of operations, as plain as the rules can be said: the yardstick of every comparison.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::digest::{Line, Row, Rows, digests, hash, key_text};
use model::OperationKind;

/// Rows that a difference counts exactly; the first of them is looked for among so many.
const NAMED_MAX: usize = 1_000;

/// Tables by name, rows by the digest of their key. A table without a key has its rows by their whole text.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    rows: BTreeMap<String, HashMap<u128, There>>,
}

/// A row that is there.
#[derive(Clone, Debug)]
struct There {
    row: u128,
    loose: u128,
    whole: Whole,
}

/// Where the whole of a row is.
#[derive(Clone, Debug)]
enum Whole {
    Written(Arc<Rows>, Line),
    /// Of several operations.
    Merged(Arc<Row>),
}

impl There {
    fn row(&self) -> Row {
        match &self.whole {
            Whole::Written(rows, line) => rows.row(line),
            Whole::Merged(row) => row.as_ref().clone(),
        }
    }

    fn extended(&self, more: Row) -> Self {
        let mut row = self.row();
        row.extend(more);
        let (digest, loose) = digests(&row);
        Self { row: digest, loose, whole: Whole::Merged(Arc::new(row)) }
    }
}

/// How alike two rows have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alike {
    /// The same in every value.
    Exactly,
    /// A number and its text are the same.
    AsText,
}

/// What is said of rows that were not expected: where the source gave them, it is the first run that lost them.
const NOT_BEFORE: &str = "that the first run did not bring";

impl Tables {
    /// Applies one batch; lines that are no objects are another rule's business.
    pub(super) fn apply(&mut self, batch: &Arc<Rows>) {
        let table = self.rows.entry(batch.table.clone()).or_default();
        if batch.kind == OperationKind::Truncate {
            table.clear();
        }
        for line in &batch.lines {
            match batch.kind {
                OperationKind::Upsert => {
                    let whole = Whole::Written(Arc::clone(batch), *line);
                    table.insert(line.key, There { row: line.row, loose: line.loose, whole });
                }
                OperationKind::Update => {
                    if let Some(there) = table.get_mut(&line.key) {
                        *there = there.extended(batch.row(line));
                    }
                }
                OperationKind::Delete => drop(table.remove(&line.key)),
                OperationKind::Truncate => {}
            }
        }
    }

    /// How many rows there are in all.
    pub(super) fn count(&self) -> usize {
        self.rows.values().map(HashMap::len).sum()
    }

    /// The row of a table with this key.
    pub(super) fn row(&self, table: &str, key: &str) -> Option<Row> {
        self.rows.get(table)?.get(&hash(key.as_bytes())).map(There::row)
    }

    /// Whether a table has a row of this key.
    pub(super) fn has(&self, table: &str, key: &str) -> bool {
        self.rows.get(table).is_some_and(|rows| rows.contains_key(&hash(key.as_bytes())))
    }

    /// All rows, with the names of their tables.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&str, Row)> {
        self.rows.iter().flat_map(|(table, rows)| rows.values().map(move |there| (table.as_str(), there.row())))
    }

    /// These tables without the rows, by key, that others have too.
    pub(super) fn without(&self, others: &Self) -> Self {
        let mut left = self.clone();
        for (table, rows) in &mut left.rows {
            if let Some(others) = others.rows.get(table) {
                rows.retain(|key, _| !others.contains_key(key));
            }
        }
        left
    }

    /// In what `found` differs from these tables, in a sentence that names the first row by the key that `declared` gives its
    /// table; none where it does not.
    pub(super) fn difference(&self, found: &Self, alike: Alike, key: &dyn Fn(&str) -> Vec<String>) -> Option<String> {
        let empty = HashMap::new();
        let names = self.rows.keys().chain(found.rows.keys().filter(|name| !self.rows.contains_key(*name)));
        let same = |one: &There, other: &There| match alike {
            Alike::Exactly => one.row == other.row,
            Alike::AsText => one.loose == other.loose,
        };
        let mut parts = Vec::new();
        for name in names {
            let (expected, got) = (self.rows.get(name).unwrap_or(&empty), found.rows.get(name).unwrap_or(&empty));
            let apart = |these: &HashMap<u128, There>, those: &HashMap<u128, There>| {
                these.iter().filter(|(key, _)| !those.contains_key(*key)).map(|(_, row)| row.clone()).collect()
            };
            let (lost, more): (Vec<There>, Vec<There>) = (apart(expected, got), apart(got, expected));
            let other = expected.iter().filter(|(key, row)| got.get(*key).is_some_and(|got| !same(row, got)));
            let other: Vec<There> = other.map(|(_, row)| row.clone()).collect();
            for (rows, what) in [(lost, "lost"), (more, NOT_BEFORE), (other, "different")] {
                if let Some(first) = first(&rows, &key(name)) {
                    parts.push(format!("{} of {name} {what}, the first {}", counted(rows.len()), cut(&first)));
                }
            }
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// The first row's key, in the order of keys.
fn first(rows: &[There], key: &[String]) -> Option<String> {
    let named = rows.iter().take(NAMED_MAX).map(|there| there.row());
    // By length first, so that 7 comes before 10.
    named.map(|row| key_text(&row, key)).min_by_key(|text| (text.len(), text.clone()))
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

#[cfg(test)]
mod tests {
    use super::super::digest::Store;
    use super::*;
    use model::{Batch, Table};

    fn tables(batches: &[(OperationKind, &str)]) -> Tables {
        let store = Store::new(&[Table { name: "t".into(), primary_key: vec!["id".into()], columns: vec![] }]);
        let mut tables = Tables::default();
        for (kind, rows) in batches {
            tables.apply(&store.keep(&Batch { table: "t".into(), kind: *kind, rows: (*rows).into() }));
        }
        tables
    }

    fn difference(one: &Tables, other: &Tables) -> Option<String> {
        one.difference(other, Alike::Exactly, &|_| vec!["id".into()])
    }

    #[test]
    fn operations_are_applied_as_a_warehouse_does() {
        use OperationKind::{Delete, Truncate, Update, Upsert};
        let one =
            tables(&[(Upsert, "{\"id\":1,\"a\":1}\n{\"id\":2}"), (Update, "{\"id\":1,\"b\":2}\n{\"id\":9,\"b\":2}")]);
        assert_eq!(difference(&one, &tables(&[(Upsert, "{\"id\":2}\n{\"id\":1,\"b\":2,\"a\":1}")])), None);
        let truncated = tables(&[
            (Upsert, "{\"id\":1}"),
            (Truncate, ""),
            (Upsert, "{\"id\":3}\n{\"id\":4}"),
            (Delete, "{\"id\":4}"),
        ]);
        assert_eq!(truncated.count(), 1);
        assert_eq!(
            difference(&one, &truncated).as_deref(),
            Some("2 rows of t lost, the first id=1; 1 row of t that the first run did not bring, the first id=3")
        );
        assert_eq!(one.without(&tables(&[(Upsert, "{\"id\":1}")])).count(), 1);
    }

    #[test]
    fn a_row_with_another_value_is_found() {
        let (one, other) = (
            tables(&[(OperationKind::Upsert, "{\"id\":1,\"a\":1}")]),
            tables(&[(OperationKind::Upsert, "{\"id\":1,\"a\":\"1\"}")]),
        );
        assert_eq!(difference(&one, &other).as_deref(), Some("1 row of t different, the first id=1"));
        assert_eq!(one.difference(&other, Alike::AsText, &|_| Vec::new()), None);
    }
}
