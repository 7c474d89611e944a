//! An export's bytes as UTF-8: which encoding they are in, and its decoding.

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE};

use super::Kind;
use super::peeked::Peeked;
use crate::error::{Error, Result};

/// So many of the first bytes tell an encoding and are shown in messages.
const START_BYTES: usize = 1024;

/// A text, whatever it was encoded in. UTF-8 passes as it is; whoever reads it sees to its being valid.
pub(super) struct Text<R> {
    input: Peeked<R>,
    /// `None` for UTF-8.
    decoder: Option<Decoder>,
    encoding: &'static Encoding,
    /// Decoded bytes; those before `at` are read.
    decoded: Vec<u8>,
    at: usize,
    ended: bool,
    malformed: bool,
}

impl<R: Read> Text<R> {
    /// Reads the encoding off the first bytes; `author` and `charset` are what the connector and the answer say.
    pub(super) fn new(input: R, kind: Kind, author: Option<&str>, charset: Option<&str>) -> Result<Self> {
        let mut input = Peeked::new(input);
        let start = input.peek(START_BYTES)?;
        let mark = Encoding::for_bom(start);
        let encoding = match (mark, author, charset) {
            (Some((encoding, _)), ..) => encoding,
            (None, Some(name), _) => {
                named(name).ok_or_else(|| Error::internal(format_args!("`{name}` is no encoding that is known")))?
            }
            (None, None, charset) => match nulls(start) {
                Some(encoding) => encoding,
                None => said(charset, declared(start, kind).as_deref())?,
            },
        };
        let mark_bytes = mark.map_or(0, |(_, length)| length);
        input.consume(mark_bytes);
        let decoder = (encoding != UTF_8).then(|| encoding.new_decoder_without_bom_handling());
        Ok(Self { input, decoder, encoding, decoded: Vec::new(), at: 0, ended: false, malformed: false })
    }

    /// The first kilobyte as text, for messages and a first look, and whether that is all.
    pub(super) fn start(&mut self) -> Result<(String, bool)> {
        let encoding = self.encoding;
        let bytes = self.input.peek(START_BYTES + 1)?;
        let (text, _) = encoding.decode_without_bom_handling(&bytes[..bytes.len().min(START_BYTES)]);
        Ok((text.into_owned(), bytes.len() <= START_BYTES))
    }

    /// Decodes the next piece.
    fn decode(&mut self) -> io::Result<()> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        while self.at == self.decoded.len() && !self.ended {
            if self.malformed {
                return Err(Error::source(format_args!("is no text in {}", self.encoding.name())).into());
            }
            let piece = self.input.fill_buf()?;
            let last = piece.is_empty();
            let room = decoder.max_utf8_buffer_length_without_replacement(piece.len()).unwrap_or(piece.len());
            self.decoded.resize(room.max(16), 0);
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(piece, &mut self.decoded, last);
            self.input.consume(read);
            self.decoded.truncate(written);
            self.at = 0;
            match result {
                encoding_rs::DecoderResult::InputEmpty => self.ended = last,
                encoding_rs::DecoderResult::OutputFull => {}
                encoding_rs::DecoderResult::Malformed(..) => self.malformed = true,
            }
        }
        Ok(())
    }
}

/// The encoding of that name, also in the spellings of other languages: `latin-1`, `utf_16_le`, `UTF16`.
fn named(name: &str) -> Option<&'static Encoding> {
    let name = name.trim().trim_matches('"').to_ascii_lowercase();
    let bare: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let other = match bare.as_str() {
        "utf16" | "utf16le" | "ucs2" => Some(UTF_16LE),
        "utf16be" => Some(UTF_16BE),
        bare => Encoding::for_label(bare.as_bytes()),
    };
    Encoding::for_label(name.as_bytes()).or(other).filter(|&encoding| encoding != REPLACEMENT)
}

/// UTF-16 without its mark shows by the zeros of its first characters; no text has any.
fn nulls(start: &[u8]) -> Option<&'static Encoding> {
    match start {
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => Some(UTF_16BE),
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => Some(UTF_16LE),
        _ => None,
    }
}

/// By the answer's word, then by the document's own; without either it is UTF-8.
fn said(charset: Option<&str>, declared: Option<&str>) -> Result<&'static Encoding> {
    let Some(name) = charset.or(declared) else { return Ok(UTF_8) };
    let unknown =
        || Error::source(format_args!("is in an encoding that is not known, `{name}`; name it by `encoding`"));
    let encoding = named(name).ok_or_else(unknown)?;
    // A declaration that could be read byte by byte is in no UTF-16.
    let wide = encoding == UTF_16LE || encoding == UTF_16BE;
    Ok(if charset.is_none() && wide { UTF_8 } else { encoding })
}

/// `<?xml version="1.0" encoding="ISO-8859-1"?>`
fn declared(start: &[u8], kind: Kind) -> Option<String> {
    let text = String::from_utf8_lossy(start);
    let (declaration, _) = text.trim_start().strip_prefix("<?xml")?.split_once("?>").filter(|_| kind == Kind::Xml)?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| "\"'".contains(*c))?;
    value[1..].split_once(quote).map(|(name, _)| name.to_owned())
}

impl<R: Read> BufRead for Text<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.decoder.is_none() {
            return self.input.fill_buf();
        }
        self.decode()?;
        Ok(&self.decoded[self.at..])
    }

    fn consume(&mut self, count: usize) {
        if self.decoder.is_none() {
            self.input.consume(count);
        } else {
            self.at = self.decoded.len().min(self.at + count);
        }
    }
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}
