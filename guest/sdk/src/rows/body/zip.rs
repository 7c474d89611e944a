//! Reads one file of a zip from its beginning on, without a way back: APPNOTE 6.3, local headers first.

use std::io::{self, Read, Take};
use std::mem;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::super::peeked::Peeked;
use crate::error::Error;

const FILE: &[u8] = b"PK\x03\x04";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";
const DIRECTORY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
/// What stands in a local header where the size is elsewhere.
const SIZE_ELSEWHERE: u32 = u32::MAX;

/// The bytes of the file, checked against its sum, and the rest of the zip against its form.
pub(in crate::rows) struct Zip<R> {
    place: Place<R>,
    wanted: Option<String>,
    /// Files that were passed by or read.
    found: Vec<String>,
    /// Whether the file that was wanted has been read.
    done: bool,
}

/// Where reading has come to.
enum Place<R> {
    Between(Peeked<R>),
    Stored(Take<Peeked<R>>, Entry),
    Deflated(DeflateDecoder<Peeked<R>>, Entry),
    Ended,
}

/// A file in a zip.
struct Entry {
    name: String,
    crc: Crc,
    /// `None`: it stands behind the file.
    expected: Option<u32>,
    is_wanted: bool,
}

impl<R: Read> Zip<R> {
    pub(super) fn new(input: Peeked<R>, wanted: Option<&str>) -> Self {
        let wanted = wanted.map(str::to_owned);
        Self { place: Place::Between(input), wanted, found: Vec::new(), done: false }
    }

    /// Goes on to the next file, or to the end.
    fn next_entry(&mut self, mut input: Peeked<R>) -> io::Result<()> {
        let signature = input.peek(4)?;
        if signature == DIRECTORY || signature == END {
            finish(&mut input)?;
            return if self.done { Ok(()) } else { Err(self.none_there()) };
        }
        if signature.len() < 4 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if signature != FILE {
            return Err(damaged("what follows a file is no zip"));
        }
        let header = Header::read(&mut input)?;
        let is_file = !header.name.ends_with('/') && !header.name.starts_with("__MACOSX/");
        let is_wanted = is_file && self.wanted.as_ref().is_none_or(|wanted| *wanted == header.name);
        if is_file {
            self.found.push(header.name.clone());
        }
        if is_wanted && self.done {
            return Err(self.several());
        }
        self.done |= is_wanted;
        self.place = header.open(input, is_wanted)?;
        Ok(())
    }

    fn several(&self) -> io::Error {
        let names = self.found.join("`, `");
        let workbook = if names.contains("[Content_Types].xml") { "; it is an Excel workbook" } else { "" };
        Error::source(format_args!("the zip holds several files, `{names}`{workbook}; name one by `entry`")).into()
    }

    fn none_there(&self) -> io::Error {
        match &self.wanted {
            Some(wanted) => {
                Error::source(format_args!("the zip has no `{wanted}`, but `{}`", self.found.join("`, `"))).into()
            }
            None => Error::source("the zip holds no file").into(),
        }
    }
}

/// What stands before a file.
struct Header {
    name: String,
    method: u16,
    expected: Option<u32>,
    packed_bytes: Option<u64>,
}

impl Header {
    fn read<R: Read>(input: &mut Peeked<R>) -> io::Result<Self> {
        let bytes = input.take_exactly(30)?;
        let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let long = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (flags, method) = (short(6), short(8));
        let name = input.take_exactly(usize::from(short(26)))?;
        let extra = input.take_exactly(usize::from(short(28)))?;
        let name = String::from_utf8_lossy(&name).into_owned();
        if flags & 1 != 0 {
            return Err(damaged(format_args!("`{name}` is encrypted")));
        }
        // Streaming writers set this flag: sum and sizes come behind the file.
        let is_behind = flags & 8 != 0;
        let packed_bytes = match long(18) {
            _ if is_behind => None,
            SIZE_ELSEWHERE => long_size(&extra),
            size => Some(u64::from(size)),
        };
        Ok(Self { name, method, expected: (!is_behind).then_some(long(14)), packed_bytes })
    }

    fn open<R: Read>(self, input: Peeked<R>, is_wanted: bool) -> io::Result<Place<R>> {
        let entry = Entry { name: self.name, crc: Crc::new(), expected: self.expected, is_wanted };
        match (self.method, self.packed_bytes) {
            (0, Some(size)) => Ok(Place::Stored(input.take(size), entry)),
            (8, _) => Ok(Place::Deflated(DeflateDecoder::new(input), entry)),
            (0, None) => Err(damaged(format_args!("`{}` is stored without its size", entry.name))),
            (method, _) => Err(damaged(format_args!("`{}` is packed by method {method}", entry.name))),
        }
    }
}

/// The packed size in the extra field of Zip64, behind the unpacked one.
fn long_size(mut extra: &[u8]) -> Option<u64> {
    loop {
        let (head, rest) = extra.split_at_checked(4)?;
        let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let (field, rest) = rest.split_at_checked(length)?;
        if head[..2] == [1, 0] {
            return field.get(8..16)?.try_into().ok().map(u64::from_le_bytes);
        }
        extra = rest;
    }
}

impl Entry {
    /// The file has ended: is it what it was?
    fn check<R: Read>(&self, input: &mut Peeked<R>) -> io::Result<()> {
        let expected = self.expected.map_or_else(|| descriptor(input), Ok)?;
        if self.crc.sum() == expected { Ok(()) } else { Err(damaged(format_args!("`{}` has another sum", self.name))) }
    }
}

/// Sum and sizes behind a file: with a signature or without, sizes of four bytes or eight; what follows tells.
fn descriptor<R: Read>(input: &mut Peeked<R>) -> io::Result<u32> {
    let bytes = input.peek(28)?.to_vec();
    let signed = if bytes.starts_with(DESCRIPTOR) { 4 } else { 0 };
    let length = [signed + 12, signed + 20]
        .into_iter()
        .find(|&end| bytes.get(end..end + 4).is_some_and(|next| [FILE, DIRECTORY].contains(&next)))
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    input.take_exactly(length)?;
    Ok(u32::from_le_bytes([bytes[signed], bytes[signed + 1], bytes[signed + 2], bytes[signed + 3]]))
}

/// Reads the directory; its own end proves that nothing is cut.
fn finish<R: Read>(input: &mut Peeked<R>) -> io::Result<()> {
    let (mut tail, mut piece) = (Vec::new(), [0; 4096]);
    let mut ended = false;
    loop {
        let count = input.read(&mut piece)?;
        if count == 0 {
            break;
        }
        tail.extend_from_slice(&piece[..count]);
        ended |= tail.windows(4).any(|bytes| bytes == END);
        tail.drain(..tail.len().saturating_sub(3));
    }
    if ended { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn damaged(problem: impl std::fmt::Display) -> io::Error {
    Error::source(format_args!("the export's zip cannot be read: {problem}")).into()
}

impl<R: Read> Read for Zip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let (count, entry) = match &mut self.place {
                Place::Ended => return Ok(0),
                Place::Between(_) => (0, None),
                Place::Stored(input, entry) => (input.read(into)?, Some((entry, input.limit() > 0))),
                Place::Deflated(input, entry) => (input.read(into)?, Some((entry, false))),
            };
            if let Some((entry, is_cut)) = entry {
                if count == 0 && is_cut && !into.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                entry.crc.update(&into[..count]);
                if count > 0 || into.is_empty() {
                    if entry.is_wanted {
                        return Ok(count);
                    }
                    continue;
                }
            }
            match mem::replace(&mut self.place, Place::Ended) {
                Place::Between(input) => self.next_entry(input)?,
                Place::Stored(input, entry) => self.leave(input.into_inner(), &entry)?,
                Place::Deflated(input, entry) => self.leave(input.into_inner(), &entry)?,
                Place::Ended => return Ok(0),
            }
        }
    }
}

impl<R: Read> Zip<R> {
    fn leave(&mut self, mut input: Peeked<R>, entry: &Entry) -> io::Result<()> {
        entry.check(&mut input)?;
        self.place = Place::Between(input);
        Ok(())
    }
}
