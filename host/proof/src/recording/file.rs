//! Reads and writes recordings: entries in a stream of zstd.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::entry::{Entry, FORMAT, Head, VERSION};
use model::error::{Code, Error, Result};
use sandbox::{Answer, Sent, Trouble};

/// A line is JSON without bodies and rows: requests, header fields, a state to begin with.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// What a recording may take, decompressed, when it is read into memory.
const RECORDING_BYTES_MAX: u64 = 2 << 30;
/// Fast; bodies and the rows made of them are much alike, and that is most of what there is to gain.
const LEVEL: i32 = 3;

/// Writes entries, compressed.
pub(super) struct Writer<W: Write> {
    stream: zstd::Encoder<'static, W>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { stream: zstd::Encoder::new(out, LEVEL)? };
        let head = Head { format: FORMAT.into(), version: VERSION, host: env!("CARGO_PKG_VERSION").into() };
        writer.line(serde_json::to_vec(&head)?)?;
        Ok(writer)
    }

    /// Writes an entry and the bytes that follow it.
    pub(super) fn put(&mut self, entry: &Entry, bytes: &[u8]) -> io::Result<()> {
        self.put_line(serde_json::to_vec(entry)?, bytes)
    }

    /// The same for a line that is made already.
    pub(super) fn put_line(&mut self, line: Vec<u8>, bytes: &[u8]) -> io::Result<()> {
        self.line(line)?;
        if bytes.is_empty() {
            return Ok(());
        }
        self.stream.write_all(bytes)?;
        self.stream.write_all(b"\n")
    }

    fn line(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        line.push(b'\n');
        self.stream.write_all(&line)
    }

    pub(super) fn finish(self) -> io::Result<W> {
        self.stream.finish()
    }
}

/// Reads entries one after another.
pub(super) struct Reader<R: Read> {
    stream: BufReader<zstd::Decoder<'static, BufReader<R>>>,
    left: u64,
}

/// Why a recording cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error(transparent)]
    Stream(#[from] io::Error),
    #[error("it is not what a recording consists of")]
    Entry(#[from] serde_json::Error),
    #[error("it is a file of another kind")]
    Kind,
    #[error("it is of version {0} of the format; this host reads up to {VERSION}")]
    Version(u32),
    #[error("it is larger than {RECORDING_BYTES_MAX} bytes, decompressed")]
    Size,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(from: R) -> Result<Self, Unreadable> {
        let mut reader = Self { stream: BufReader::new(zstd::Decoder::new(from)?), left: RECORDING_BYTES_MAX };
        let line = reader.line()?.ok_or(Unreadable::Kind)?;
        let head: Head = serde_json::from_slice(&line).map_err(|_| Unreadable::Kind)?;
        if head.format != FORMAT {
            return Err(Unreadable::Kind);
        }
        if head.version > VERSION {
            return Err(Unreadable::Version(head.version));
        }
        Ok(reader)
    }

    /// The next entry and the bytes that follow it; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Entry, Vec<u8>)>, Unreadable> {
        let Some(line) = self.line()? else { return Ok(None) };
        let mut entry: Entry = serde_json::from_slice(&line)?;
        let count = entry.bytes_mut().map_or(0, |bytes| *bytes);
        let mut bytes = Vec::new();
        if count > 0 {
            self.take(count)?;
            (&mut self.stream).take(count).read_to_end(&mut bytes)?;
            let mut end = [0];
            self.stream.read_exact(&mut end)?;
            if bytes.len() as u64 != count || end != [b'\n'] {
                return Err(io::Error::from(io::ErrorKind::InvalidData).into());
            }
        }
        Ok(Some((entry, bytes)))
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, Unreadable> {
        let mut line = Vec::new();
        (&mut self.stream).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        self.take(line.len() as u64)?;
        match line.pop() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(line)),
            Some(_) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }

    fn take(&mut self, bytes: u64) -> Result<(), Unreadable> {
        self.left = self.left.checked_sub(bytes).ok_or(Unreadable::Size)?;
        Ok(())
    }
}

/// A request with the body that follows it.
fn with_body((mut entry, bytes): (Entry, Vec<u8>)) -> (Entry, Vec<u8>) {
    if let Entry::Send { request, .. } = &mut entry {
        request.body.clone_from(&bytes);
    }
    (entry, bytes)
}

/// A recording, whole, in memory.
#[derive(Debug)]
pub struct Recording {
    pub(super) entries: Vec<(Entry, Vec<u8>)>,
}

impl Recording {
    /// Reads a recording of any version up to this host's.
    pub fn read(path: &Path) -> Result<Self> {
        let subject = || format!("read the recording {}", path.display());
        let invalid = |error: Unreadable| {
            Error::new(Code::RecordingInvalid, subject())
                .hint("Give a file that `host run --record FILE` made.")
                .because(error)
        };
        let file = File::open(path).map_err(|error| invalid(error.into()))?;
        let mut reader = Reader::new(file).map_err(invalid)?;
        let mut entries = Vec::new();
        while let Some(entry) = reader.next().map_err(invalid)? {
            entries.push(with_body(entry));
        }
        if !matches!(entries.last(), Some((Entry::End { .. }, _))) {
            return Err(Error::new(Code::RecordingInvalid, format!("{}: it has no end", subject()))
                .hint("It was not finished; record again."));
        }
        Ok(Self { entries })
    }

    /// Every request that was answered, or that failed, with what came of it, in the order in which that was known.
    pub(crate) fn exchanges(&self) -> impl Iterator<Item = (&Sent, Result<Answer, Trouble>)> {
        let mut sent: HashMap<u64, &Sent> = HashMap::new();
        self.entries.iter().filter_map(move |(entry, bytes)| match entry {
            Entry::Call { .. } => {
                sent.clear();
                None
            }
            Entry::Send { exchange, request, .. } => {
                sent.insert(*exchange, request);
                None
            }
            Entry::Answer { exchange, status, url, headers, ending, .. } => {
                let (url, headers, body) = (url.clone(), headers.clone(), Arc::from(&bytes[..]));
                let answer = Answer { status: *status, url, headers, body, ending: ending.clone() };
                sent.get(exchange).map(|request| (*request, Ok(answer)))
            }
            Entry::Failure { exchange, trouble } => sent.get(exchange).map(|request| (*request, Err(trouble.clone()))),
            _ => None,
        })
    }

    /// What the wall clock said first.
    pub(crate) fn started_at(&self) -> Option<Duration> {
        self.entries.iter().find_map(|(entry, _)| match entry {
            Entry::Wall { ns } => Some(Duration::from_nanos(*ns)),
            _ => None,
        })
    }

    /// What began the sync: connector, configuration, state and tables of its `update`, if it came so far, or of the
    /// first call.
    pub(super) fn call(&self) -> Option<&Entry> {
        let calls = || self.entries.iter().map(|(entry, _)| entry).filter(|entry| matches!(entry, Entry::Call { .. }));
        calls()
            .find(|entry| matches!(entry, Entry::Call { export, .. } if export == "update"))
            .or_else(|| calls().next())
    }
}
