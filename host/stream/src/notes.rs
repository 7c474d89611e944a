//! What was not stored as it came because the schema contract says so: counted by column, the first of each told at once.

/// What became of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// They did not fit their column's fixed type, and NULL was stored.
    Nulled,
    /// Their field has no column, and gets none.
    LeftOut,
    /// Their texts have characters that the destination cannot hold, and U+FFFD was stored in their place.
    Replaced,
}

/// Values of one column or field that were not stored as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The table's name in the warehouse.
    pub table: String,
    /// The column, or the field that has none.
    pub column: String,
    /// What became of them.
    pub kind: NoteKind,
    /// How many values.
    pub values: u64,
    /// The number of the first record in the sync.
    pub first_record: u64,
    /// The first value, as JSON, shortened.
    pub first_value: String,
}

/// The columns that are told apart; a hostile source has a new field in every record.
const NOTES_MAX: usize = 1_000;
/// The field's name under which the rest is counted.
const REST: &str = "(further fields)";

/// All notes of a sync.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    notes: Vec<Note>,
    told: usize,
}

impl Notes {
    /// Counts a value.
    pub(crate) fn add(&mut self, note: Note) {
        let same =
            |known: &&mut Note| (&known.table, &known.column, known.kind) == (&note.table, &note.column, note.kind);
        if let Some(known) = self.notes.iter_mut().find(same) {
            known.values += 1;
        } else if self.notes.len() < NOTES_MAX || note.column == REST {
            self.notes.push(note);
        } else {
            self.add(Note { column: REST.to_owned(), ..note });
        }
    }

    /// Those that came since this was last asked.
    pub(crate) fn untold(&mut self) -> Vec<Note> {
        let new = self.notes[self.told..].to_vec();
        self.told = self.notes.len();
        new
    }

    pub(crate) fn all(&self) -> &[Note] {
        &self.notes
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { table, column, first_record, first_value, .. } = self;
        let fate = match self.kind {
            NoteKind::Nulled => "does not fit the column's type; NULL is stored instead",
            NoteKind::LeftOut => "has no column and gets none; it is left out",
            NoteKind::Replaced => "has what the destination cannot hold; U+FFFD is stored in its place",
        };
        write!(f, "record {first_record} of table \"{table}\": {first_value} in \"{column}\" {fate}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(column: &str) -> Note {
        Note {
            table: "t".into(),
            column: column.into(),
            kind: NoteKind::LeftOut,
            values: 1,
            first_record: 7,
            first_value: "1".into(),
        }
    }

    #[test]
    fn values_are_counted_by_column_and_told_once() {
        let mut notes = Notes::default();
        notes.add(note("a"));
        notes.add(note("a"));
        assert_eq!(notes.untold().len(), 1);
        notes.add(note("b"));
        assert_eq!(notes.untold()[0].column, "b");
        assert_eq!(notes.all().iter().map(|note| note.values).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn a_new_field_in_every_record_does_not_fill_the_memory() {
        let mut notes = Notes::default();
        (0..5_000).for_each(|number| notes.add(note(&number.to_string())));
        assert_eq!(notes.all().len(), NOTES_MAX + 1);
        assert_eq!(notes.all()[NOTES_MAX].values, 4_000);
    }
}
