//! JSON lines on stdout as a destination: what a sync does to its tables, one JSON object a line (docs/formats/jsonl.md).
//!
//! A pipe cannot hold a state, so it is kept in a file of this machine (`state_file`) and written after the lines of its
//! commit were handed over. A host that dies in between writes the same commit again: at least once, every line numbered.

mod line;
mod state_file;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::os::fd::AsFd as _;
use std::path::Path;

use arrow::array::AsArray as _;
use rustix::fs::{FileType, fstat, stat};

use self::line::RowLines;
use self::state_file::{Kept, StateFile};
use super::file::DISK_FULL;
use super::{Commit, Committed, Destination, OpenRequest, Opened, Segment, ShrinkMax, SyncRecord, shrinks};
use model::error::{Code, Error, Result};
use model::schema::TableSchema;

/// Bytes that wait before they are handed over.
const BUFFER_BYTES: usize = 1 << 20;

/// Writes lines to a stream, and the state to its file.
pub(super) struct JsonLines<W: Write> {
    out: BufWriter<W>,
    file: StateFile,
    connection: String,
    kept: Kept,
    /// The tables as the reader was told.
    told: Vec<TableSchema>,
    upserted: Vec<u64>,
    /// The tables that hold rows, if the reader keeps them, once everything written is committed.
    filled: BTreeSet<String>,
    shrink_max: ShrinkMax,
}

impl JsonLines<File> {
    /// To stdout, with the state in a file of `folder`.
    pub(super) fn open(folder: &Path, request: OpenRequest) -> Result<(Self, Opened)> {
        Self::to(stdout()?, folder, request, BUFFER_BYTES)
    }
}

/// Stdout as a file: the standard library's own takes a descriptor that cannot be written for one that takes everything.
///
/// Refuses `/dev/null`, where rows would be lost while the state says that they were handed over. A stdout that was closed is
/// `/dev/null` too: the start of every Rust program puts it there, so that no file is given the number of stdout.
fn stdout() -> Result<File> {
    let stdout = std::io::stdout().as_fd().try_clone_to_owned().map_err(unwritten)?;
    let found = fstat(&stdout).map_err(|error| unwritten(error.into()))?;
    let is_device = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice;
    if is_device && stat("/dev/null").is_ok_and(|null| null.st_rdev == found.st_rdev) {
        return Err(Error::new(Code::DestinationFailed, "write lines to stdout: it is closed, or it is /dev/null").hint(
            "The rows would be lost. Send stdout to a program or a file; --destination null: reads a source and writes nothing.",
        ));
    }
    Ok(stdout.into())
}

impl<W: Write> JsonLines<W> {
    fn to(out: W, folder: &Path, request: OpenRequest, buffer_bytes: usize) -> Result<(Self, Opened)> {
        let (file, kept) = StateFile::open(folder, &request.connection)?;
        let opened = Opened {
            state: kept.state.clone(),
            sequence: kept.sequence,
            tables: kept.tables.clone(),
            // The reader's tables may hold anything; nobody here has to delete before an insert.
            empty: vec![false; kept.tables.len()],
            ..Opened::default()
        };
        let out = BufWriter::with_capacity(buffer_bytes, out);
        let (connection, shrink_max, filled) = (request.connection, request.shrink_max, kept.filled.clone());
        let (told, upserted) = (Vec::new(), Vec::new());
        Ok((Self { out, file, connection, kept, told, upserted, filled, shrink_max }, opened))
    }

    /// Writes tables that changed and rows. What no commit line follows does not count for a reader.
    fn write(&mut self, tables: &[TableSchema], segments: &[Segment]) -> std::io::Result<()> {
        let sequence = self.kept.sequence + 1;
        let mut text = Vec::with_capacity(BUFFER_BYTES);
        for (index, table) in tables.iter().enumerate() {
            if self.told.get(index) != Some(table) && !table.is_rejected() {
                line::schema(&mut text, (&self.connection, sequence), table);
            }
        }
        self.told = tables.to_vec();
        self.upserted.resize(tables.len(), 0);
        for segment in segments {
            let Some(table) = tables.get(segment.table) else { continue };
            self.upserted[segment.table] += segment.rows.num_rows() as u64;
            if segment.truncates {
                self.filled.remove(&table.name);
            }
            if has_rows(segment) && !table.is_rejected() {
                self.filled.insert(table.name.clone());
            }
            let mut lines = RowLines::new(&self.connection, sequence, table, segment);
            while lines.next(&mut text) {
                if text.len() >= BUFFER_BYTES {
                    self.out.write_all(&text)?;
                    text.clear();
                }
            }
        }
        self.out.write_all(&text)
    }

    fn write_commit(&mut self, state: Option<&str>) -> std::io::Result<()> {
        let mut text = Vec::new();
        line::commit(&mut text, (&self.connection, self.kept.sequence + 1), state);
        self.out.write_all(&text)?;
        self.out.flush()
    }
}

/// Whether there are rows in a segment that are not deleted again.
fn has_rows(segment: &Segment) -> bool {
    let marks = segment.rows.columns().last().and_then(|marks| marks.as_boolean_opt());
    segment.rows.num_rows() > marks.map_or(0, arrow::array::BooleanArray::true_count)
}

fn unwritten(error: std::io::Error) -> Error {
    let (code, hint) = match error.kind() {
        ErrorKind::BrokenPipe => (
            Code::DestinationFailed,
            "The program that reads them has ended. What it was given up to the last commit counts; run again.",
        ),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (Code::DiskFull, DISK_FULL),
        _ => (Code::DestinationFailed, "Check where stdout goes."),
    };
    Error::new(code, "write lines to stdout").hint(hint).because(error)
}

impl<W: Write + Send> Destination for JsonLines<W> {
    fn stage(&mut self, segments: Vec<Segment>, tables: &[TableSchema]) -> Result<()> {
        self.write(tables, &segments).map_err(unwritten)
    }

    fn commit(&mut self, commit: Commit) -> Result<Committed> {
        let Commit { tables, segments, state, .. } = commit;
        self.write(&tables, &segments).map_err(unwritten)?;
        // How many rows the reader holds only the reader knows: that there are some and then none is all that is seen here.
        let emptied = self.kept.filled.difference(&self.filled).next().filter(|_| !self.shrink_max.allows(1, 0));
        if let Some(table) = emptied {
            return Err(shrinks(&self.connection, table, "be emptied"));
        }
        self.write_commit(state.as_deref()).map_err(unwritten)?;
        let nothing = Committed::nothing(tables.len());
        self.kept = Kept { sequence: self.kept.sequence + 1, state, tables, filled: self.filled.clone() };
        self.file.save(&self.kept)?;
        Ok(nothing)
    }

    /// What was written cannot be taken back, and does not count without a commit.
    fn discard(&mut self) -> Result<()> {
        Ok(())
    }

    /// The rows written: how many the reader holds only the reader knows.
    fn finish(&mut self, _sync: &SyncRecord) -> Result<Vec<u64>> {
        Ok(self.upserted.clone())
    }

    fn memory_bytes(&mut self) -> Option<u64> {
        Some(0)
    }
}

#[cfg(test)]
mod tests;
