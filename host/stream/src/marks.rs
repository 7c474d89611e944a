//! Which rows of a column have a value: nothing is kept while all of them do.

use arrow::buffer::{BooleanBuffer, NullBuffer};

/// Whether a row has a value in a column: not named in the record, named as null, or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Absent,
    Null,
    Value,
}

/// A mark for each row.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    rows: usize,
    /// One for each row, or none at all while every row has a value, as in most columns: less to write for each value.
    list: Vec<Mark>,
}

impl Marks {
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// The mark of a row; beyond the last, absent.
    pub(super) fn get(&self, row: usize) -> Mark {
        let listed = self.list.get(row).copied();
        listed.unwrap_or(if self.list.is_empty() && row < self.rows { Mark::Value } else { Mark::Absent })
    }

    pub(super) fn push(&mut self, mark: Mark) {
        if mark != Mark::Value || !self.list.is_empty() {
            self.listed().push(mark);
        }
        self.rows += 1;
    }

    /// Takes back the last row.
    pub(super) fn pop(&mut self) {
        self.list.pop();
        self.rows = self.rows.saturating_sub(1);
    }

    pub(super) fn append(&mut self, other: &Self) {
        if !self.list.is_empty() || !other.list.is_empty() {
            let rows = self.rows + other.rows;
            let list = self.listed();
            list.extend_from_slice(&other.list);
            list.resize(rows, Mark::Value);
        }
        self.rows += other.rows;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Mark> {
        (0..self.rows).map(|row| self.get(row))
    }

    /// Whether each row names the column.
    pub(super) fn given(&self) -> BooleanBuffer {
        BooleanBuffer::collect_bool(self.rows, |row| self.get(row) != Mark::Absent)
    }

    /// The rows without a value, if there are any.
    pub(super) fn nulls(&self) -> Option<NullBuffer> {
        if self.list.iter().all(|mark| *mark == Mark::Value) {
            return None;
        }
        Some(NullBuffer::new(BooleanBuffer::collect_bool(self.rows, |row| self.get(row) == Mark::Value)))
    }

    /// The list, with a mark for each row so far.
    fn listed(&mut self) -> &mut Vec<Mark> {
        if self.list.is_empty() {
            self.list.resize(self.rows, Mark::Value);
        }
        &mut self.list
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marks(list: &[Mark]) -> Marks {
        let mut marks = Marks::default();
        for mark in list {
            marks.push(*mark);
        }
        marks
    }

    /// Lists in which all have a value are as frequent as others.
    fn lists() -> impl Strategy<Value = Vec<Mark>> {
        let any = prop_oneof![3 => Just(Mark::Value), 1 => Just(Mark::Null), 1 => Just(Mark::Absent)];
        prop_oneof![prop::collection::vec(Just(Mark::Value), 0..9), prop::collection::vec(any, 0..9)]
    }

    proptest! {
        #[test]
        fn marks_are_those_that_were_pushed(first in lists(), second in lists(), popped in 0usize..4) {
            let mut found = marks(&first);
            found.append(&marks(&second));
            let mut expected: Vec<Mark> = first.iter().chain(&second).copied().collect();
            for _ in 0..popped {
                found.pop();
                expected.pop();
            }
            found.push(Mark::Value);
            expected.push(Mark::Value);
            prop_assert_eq!(found.len(), expected.len());
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(found.get(expected.len()), Mark::Absent);
            prop_assert_eq!(found.given().iter().collect::<Vec<_>>(), expected.iter().map(|mark| *mark != Mark::Absent).collect::<Vec<_>>());
            let nulls: Vec<bool> = expected.iter().map(|mark| *mark != Mark::Value).collect();
            prop_assert_eq!(found.nulls().is_some(), nulls.contains(&true));
            if let Some(found) = found.nulls() {
                prop_assert_eq!(found.iter().map(|valid| !valid).collect::<Vec<_>>(), nulls);
            }
        }
    }
}
