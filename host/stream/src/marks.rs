//! Which rows of a column have an entry, and whether that is a value: rows without one cost nothing.

use std::ops::Range;

use arrow::buffer::{BooleanBuffer, NullBuffer};

/// Whether a row has a value in a column: not named in the record, named as null, or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Absent,
    Null,
    Value,
}

/// So many rows without a value get entries all the same, beside one for each value: then entry and row are one number.
const FILLERS_MIN: usize = 64;

/// A mark for each entry, and the row that it belongs to.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    rows: usize,
    entries: usize,
    /// One for each entry, or none at all while every entry is a value, as in most columns: less to write for each value.
    list: Vec<Mark>,
    /// How many entries were added for rows without a value.
    fillers: usize,
    /// The rows of the entries, ascending, once most rows have none; until then entry `i` is that of row `i`.
    places: Option<Vec<usize>>,
}

impl Marks {
    /// How many rows there are; those behind the last entry count as far as they are known.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// Whether entry `i` is that of row `i`, for all that there are.
    pub(super) fn is_dense(&self) -> bool {
        self.places.is_none()
    }

    /// Whether each row names the column; the marks are dense.
    pub(super) fn given(&self) -> BooleanBuffer {
        BooleanBuffer::collect_bool(self.entries, |entry| self.of_entry(entry) != Mark::Absent)
    }

    /// The rows without a value, if there are any; the marks are dense.
    pub(super) fn nulls(&self) -> Option<NullBuffer> {
        if self.list.iter().all(|mark| *mark == Mark::Value) {
            return None;
        }
        Some(NullBuffer::new(BooleanBuffer::collect_bool(self.entries, |entry| self.of_entry(entry) == Mark::Value)))
    }

    /// The entry of a row, if it has one.
    pub(super) fn entry(&self, row: usize) -> Option<usize> {
        match &self.places {
            None => (row < self.entries).then_some(row),
            Some(places) => places.binary_search(&row).ok(),
        }
    }

    /// The mark of a row; absent without an entry.
    pub(super) fn get(&self, row: usize) -> Mark {
        self.entry(row).map_or(Mark::Absent, |entry| self.of_entry(entry))
    }

    /// The mark of an entry.
    pub(super) fn of_entry(&self, entry: usize) -> Mark {
        if self.list.is_empty() { Mark::Value } else { self.list.get(entry).copied().unwrap_or(Mark::Absent) }
    }

    /// Adds an entry for the next row.
    pub(super) fn push(&mut self, mark: Mark) {
        if let Some(places) = &mut self.places {
            places.push(self.rows);
        }
        if mark != Mark::Value || !self.list.is_empty() {
            self.listed().push(mark);
            self.fillers += usize::from(mark == Mark::Absent);
        }
        self.entries += 1;
        self.rows += 1;
    }

    /// Takes back the last row if it has an entry; returns whether it had.
    pub(super) fn pop(&mut self) -> bool {
        let had = self.rows.checked_sub(1).is_some_and(|last| self.entry(last).is_some());
        if had {
            self.fillers -= usize::from(self.list.pop() == Some(Mark::Absent));
            if let Some(places) = &mut self.places {
                places.pop();
            }
            self.rows -= 1;
            self.entries -= 1;
        }
        had
    }

    /// Adds rows without a value until there are `rows`. Returns how many entries were added for them: few, or none.
    pub(super) fn pad(&mut self, rows: usize) -> usize {
        let Some(missing) = rows.checked_sub(self.rows).filter(|missing| *missing > 0) else { return 0 };
        if self.places.is_none() && self.fillers + missing > FILLERS_MIN + (self.entries - self.fillers) {
            self.places = Some((0..self.entries).collect());
        }
        if self.places.is_some() {
            self.rows = rows;
            return 0;
        }
        self.fill(rows)
    }

    /// Adds rows without a value until there are `rows`, each with an entry, of marks that are dense. Returns how many.
    pub(super) fn fill(&mut self, rows: usize) -> usize {
        let Some(missing) = rows.checked_sub(self.rows).filter(|missing| *missing > 0) else { return 0 };
        let entries = self.entries + missing;
        self.listed().resize(entries, Mark::Absent);
        (self.entries, self.rows) = (entries, rows);
        self.fillers += missing;
        missing
    }

    /// Marks an entry anew.
    pub(super) fn set(&mut self, entry: usize, mark: Mark) {
        if mark != Mark::Value {
            self.listed();
        }
        if let Some(listed) = self.list.get_mut(entry) {
            self.fillers += usize::from(mark == Mark::Absent);
            self.fillers -= usize::from(std::mem::replace(listed, mark) == Mark::Absent);
        }
    }

    /// Adds all entries of `other` behind the rows that there are, of which each has an entry, as in `other`.
    pub(super) fn append(&mut self, other: &Self) {
        if !self.list.is_empty() || !other.list.is_empty() {
            let entries = self.entries + other.entries;
            let list = self.listed();
            list.extend_from_slice(&other.list);
            list.resize(entries, Mark::Value);
        }
        self.fillers += other.fillers;
        self.entries += other.entries;
        self.rows += other.rows;
    }

    /// The entries of a range of rows.
    pub(super) fn entries_of(&self, rows: &Range<usize>) -> Range<usize> {
        match &self.places {
            None => rows.start.min(self.entries)..rows.end.min(self.entries),
            Some(places) => {
                let before = |end: usize| places.partition_point(|place| *place < end);
                before(rows.start)..before(rows.end)
            }
        }
    }

    /// The row of an entry.
    pub(super) fn row(&self, entry: usize) -> usize {
        self.places.as_ref().and_then(|places| places.get(entry).copied()).unwrap_or(entry)
    }

    /// What is kept for all of this.
    pub(super) fn memory_bytes(&self) -> usize {
        self.list.len() * size_of::<Mark>() + self.places.as_ref().map_or(0, |places| places.len() * size_of::<usize>())
    }

    /// The list, with a mark for each entry so far.
    fn listed(&mut self) -> &mut Vec<Mark> {
        if self.list.is_empty() {
            self.list.resize(self.entries, Mark::Value);
        }
        &mut self.list
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happens to a column, row after row.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push(Mark),
        Pad(usize),
        Pop,
        Set(usize, Mark),
    }

    fn mark() -> impl Strategy<Value = Mark> {
        prop_oneof![6 => Just(Mark::Value), 1 => Just(Mark::Null)]
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => mark().prop_map(Step::Push),
            2 => (1usize..300).prop_map(Step::Pad),
            1 => Just(Step::Pop),
            2 => (0usize..400, mark()).prop_map(|(row, mark)| Step::Set(row, mark)),
        ];
        prop::collection::vec(step, 0..60)
    }

    /// The marks after these steps, and what each row's mark should be.
    fn marked(steps: &[Step]) -> (Marks, Vec<Mark>) {
        let (mut marks, mut expected) = (Marks::default(), Vec::new());
        for step in steps {
            match *step {
                Step::Push(mark) => {
                    marks.push(mark);
                    expected.push(mark);
                }
                Step::Pad(more) => {
                    expected.resize(expected.len() + more, Mark::Absent);
                    marks.pad(expected.len());
                }
                Step::Pop => {
                    if marks.pop() {
                        expected.pop();
                    }
                }
                Step::Set(row, mark) => {
                    if let Some(entry) = marks.entry(row) {
                        marks.set(entry, mark);
                        expected[row] = mark;
                    }
                }
            }
        }
        (marks, expected)
    }

    proptest! {
        #[test]
        fn marks_are_those_that_were_pushed(steps in steps(), from in 0usize..500, rows in 0usize..500) {
            let (marks, expected) = marked(&steps);
            prop_assert_eq!(marks.len(), expected.len());
            for (row, mark) in expected.iter().enumerate() {
                prop_assert_eq!(marks.get(row), *mark, "row {}", row);
            }
            prop_assert_eq!(marks.get(expected.len()), Mark::Absent);
            let range = from..from + rows;
            let found: Vec<usize> = marks.entries_of(&range).map(|entry| marks.row(entry)).collect();
            prop_assert!(found.iter().all(|row| range.contains(row)));
            for row in range {
                let named = expected.get(row).is_some_and(|mark| *mark != Mark::Absent);
                prop_assert!(!named || found.contains(&row), "row {}", row);
            }
        }

        #[test]
        fn rows_without_a_value_cost_nothing(gaps in prop::collection::vec(0usize..100_000, 1..50)) {
            let mut marks = Marks::default();
            for gap in &gaps {
                marks.pad(marks.len() + gap);
                marks.push(Mark::Value);
            }
            prop_assert!(marks.entries() <= 2 * (gaps.len() + FILLERS_MIN), "{} entries", marks.entries());
            prop_assert!(marks.memory_bytes() <= 18 * (gaps.len() + FILLERS_MIN), "{} bytes", marks.memory_bytes());
        }
    }

    #[test]
    fn appended_marks_follow() {
        let (mut first, _) = marked(&[Step::Push(Mark::Value), Step::Push(Mark::Null)]);
        let (second, _) = marked(&[Step::Push(Mark::Value), Step::Push(Mark::Value)]);
        first.append(&second);
        let found: Vec<Mark> = (0..5).map(|row| first.get(row)).collect();
        assert_eq!(found, [Mark::Value, Mark::Null, Mark::Value, Mark::Value, Mark::Absent]);
    }
}
