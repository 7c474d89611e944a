//! What an export is packed in, told by its first bytes whatever the answer says: nothing, gzip, a zip.

mod zip;

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;

use super::peeked::Peeked;
use crate::error::{Error, Result};
use zip::Zip;

/// An export's bytes, unpacked.
pub(super) enum Body<R> {
    Plain(Peeked<R>),
    Gzip(MultiGzDecoder<Peeked<R>>),
    Zip(Zip<R>),
}

/// What begins so is known, and not understood.
const FOREIGN: [(&[u8], &str); 7] = [
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"PAR1", "Parquet"),
    (b"Obj\x01", "Avro"),
    (b"%PDF", "PDF"),
];

impl<R: Read> Body<R> {
    /// `entry` is the file to read of a zip.
    pub(super) fn new(input: R, entry: Option<&str>) -> Result<Self> {
        let mut input = Peeked::new(input);
        let start = input.peek(8)?;
        if let Some((_, name)) = FOREIGN.iter().find(|(magic, _)| start.starts_with(magic)) {
            return Err(Error::source(format_args!("the export is {name}, which is not understood")));
        }
        if start.starts_with(b"\x1f\x8b") {
            return Ok(Self::Gzip(MultiGzDecoder::new(input)));
        }
        if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
            return Ok(Self::Zip(Zip::new(input, entry)));
        }
        Ok(Self::Plain(input))
    }

    /// Whether it ends by itself: cut, it is an error.
    pub(super) fn is_packed(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(into),
            Self::Gzip(input) => input.read(into).map_err(|error| told(error, "gzip")),
            Self::Zip(input) => input.read(into).map_err(|error| told(error, "zip")),
        }
    }
}

/// An error of the answer itself comes back as it was.
fn told(error: io::Error, packed: &str) -> io::Error {
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Error>) {
        return error;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Error::transient(format_args!("the export is cut: its {packed} ends in the middle")).into()
        }
        _ => Error::source(format_args!("the export's {packed} is damaged: {error}")).into(),
    }
}
