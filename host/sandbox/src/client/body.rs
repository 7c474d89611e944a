//! The body of an answer as the guest reads it: decompressed, counted before it is kept, partly read ahead.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use bytes::{BufMut, Bytes};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

use super::audit::Audit;
use super::budget::{Budget, Held, OpenStream};
use super::wire::{Wire, WireError};
use super::{ErrorKind, Failure, HttpError, Stats};
use crate::secrets::Masker;

/// How much of a body's beginning tells how it is compressed.
const BEGINNING_BYTES: usize = 16;
/// The largest piece read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// How an answer's body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    /// With the frame that the standard asks for, or without, as some servers send it.
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// Reads `Content-Encoding`. What the host did not ask for stays as it is, and keeps its header field.
    pub(super) fn of(content_encoding: &[u8]) -> Self {
        match content_encoding.trim_ascii().to_ascii_lowercase().as_slice() {
            b"gzip" | b"x-gzip" => Self::Gzip,
            b"deflate" => Self::Deflate,
            b"br" => Self::Brotli,
            b"zstd" => Self::Zstd,
            _ => Self::Identity,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Identity => "plain",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "brotli",
            Self::Zstd => "zstd",
        }
    }

    /// Whether a body that begins so can be one of it.
    fn may_begin(self, bytes: &[u8]) -> bool {
        let magic: &[u8] = match self {
            Self::Gzip => &[0x1f, 0x8b],
            Self::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
            Self::Identity | Self::Deflate | Self::Brotli => &[],
        };
        let count = magic.len().min(bytes.len());
        // Frames that zstd has decoders skip begin otherwise.
        magic[..count] == bytes[..count] || (self == Self::Zstd && bytes[0] & 0xf0 == 0x50)
    }

    /// The memory that decompressing a body takes that begins so, at most.
    fn window_bytes(self, bytes: &[u8]) -> usize {
        const KIB: usize = 1 << 10;
        const ZSTD_WINDOW_BYTES_MAX: usize = 8 << 20;
        match self {
            Self::Identity => 0,
            Self::Gzip | Self::Deflate => 64 * KIB,
            // The bits that begin the stream (RFC 7932, section 9.1).
            Self::Brotli => {
                let first = bytes.first().copied().unwrap_or_default();
                let (three, four) = ((first >> 1) & 7, (first >> 4) & 7);
                let bits = match (first & 1, three, four) {
                    (0, ..) => 16,
                    (_, 0, 0) => 17,
                    (_, 0, 1) => 24,
                    (_, 0, four) => 8 + u32::from(four),
                    (_, three, _) => 17 + u32::from(three),
                };
                (1 << bits) + 256 * KIB
            }
            // The descriptor behind the magic number; a frame in one segment has its whole size for a window.
            Self::Zstd => {
                let window = match bytes {
                    [0x28, 0xb5, 0x2f, 0xfd, descriptor, window, ..] if descriptor & 0x20 == 0 => {
                        let base = 1_usize << (10 + u32::from(window >> 3)).min(40);
                        base + base / 8 * usize::from(window & 7)
                    }
                    _ => ZSTD_WINDOW_BYTES_MAX,
                };
                window.min(ZSTD_WINDOW_BYTES_MAX) + 256 * KIB
            }
        }
    }

    fn decode(self, wire: StreamReader<Wire, Bytes>, begins_with: &[u8]) -> Pin<Box<dyn AsyncRead + Send>> {
        /// RFC 9659 has decoders of `Content-Encoding: zstd` take windows of 8 MiB and no larger.
        const ZSTD_WINDOW_LOG_MAX: u32 = 23;
        match self {
            Self::Identity => Box::pin(wire),
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(wire);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
            // The frame begins with the number of its method, 8, which a bare stream never does.
            Self::Deflate if begins_with.first().is_some_and(|byte| byte & 0x0f == 8) => {
                Box::pin(ZlibDecoder::new(wire))
            }
            Self::Deflate => Box::pin(DeflateDecoder::new(wire)),
            Self::Brotli => Box::pin(BrotliDecoder::new(wire)),
            Self::Zstd => {
                let window = async_compression::zstd::DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX);
                let mut decoder = ZstdDecoder::with_params(wire, &[window]);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
        }
    }
}

/// What a body is counted against.
pub(super) struct Accounts {
    pub(super) budget: Arc<Budget>,
    pub(super) stats: Arc<Stats>,
    pub(super) audit: Audit,
}

/// A body being read.
pub(super) struct Body {
    rest: Rest,
    /// Read ahead; the guest has had the first `taken` bytes.
    ahead: Vec<u8>,
    taken: usize,
    held: Held,
}

/// What has not been read yet.
struct Rest {
    flow: Flow,
    /// Hides secrets, where there are any.
    masker: Option<Masker>,
    /// Bytes read, with placeholders in the place of secrets.
    total: u64,
}

/// The body on its way, decompressed.
struct Flow {
    label: String,
    coding: Coding,
    accounts: Accounts,
    /// None: the end was reached, or the body broke.
    source: Option<Source>,
    broken: Option<HttpError>,
    /// Whether the body begins as its coding does.
    is_labelled_right: bool,
}

struct Source {
    bytes: Pin<Box<dyn AsyncRead + Send>>,
    /// What the decoder takes.
    window: Held,
    _open: OpenStream,
}

impl Body {
    /// Waits for the first byte from the wire.
    pub(super) async fn open(
        label: String,
        wire: Wire,
        coding: Coding,
        mut accounts: Accounts,
        masker: Option<Masker>,
    ) -> Result<Self, Failure> {
        let open = accounts.budget.stream(&label).inspect_err(|failure| accounts.audit.failed(failure))?;
        let held = accounts.budget.hold();
        let mut flow = Flow { label, coding, accounts, source: None, broken: None, is_labelled_right: true };
        let mut wire = StreamReader::new(wire);
        // No byte at all is an empty body in every coding (answers to HEAD, 204, 304).
        let beginning = match wire.fill_buf().await {
            Ok(bytes) => Bytes::copy_from_slice(&bytes[..bytes.len().min(BEGINNING_BYTES)]),
            Err(error) => {
                let failure = flow.failure(&error);
                flow.accounts.audit.failed(&failure);
                return Err(failure);
            }
        };
        if beginning.is_empty() {
            flow.accounts.audit.completed();
        } else {
            flow.is_labelled_right = coding.may_begin(&beginning);
            let mut window = flow.accounts.budget.hold();
            let grown = window.grow(&flow.label, coding.window_bytes(&beginning) as u64);
            grown.inspect_err(|failure| flow.accounts.audit.failed(failure))?;
            flow.source = Some(Source { bytes: coding.decode(wire, &beginning), window, _open: open });
        }
        let rest = Rest { flow, masker, total: 0 };
        Ok(Self { rest, ahead: Vec::new(), taken: 0, held })
    }

    /// What the decoder of a body takes that is still on its way.
    pub(super) fn window_bytes(&self) -> usize {
        let window = self.rest.flow.source.as_ref().map_or(0, |source| source.window.bytes());
        usize::try_from(window).unwrap_or(usize::MAX)
    }

    /// What a body is that is no JSON, as far as it was read ahead.
    pub(super) fn unfit_for_json(&self) -> Option<&'static str> {
        let ahead = self.ahead[self.taken..].trim_ascii_start();
        let ahead = ahead.strip_prefix(b"\xef\xbb\xbf").unwrap_or(ahead).trim_ascii_start();
        match ahead.first() {
            None => self.rest.flow.source.is_none().then_some("an empty body"),
            Some(b'<') => Some("a web page"),
            Some(_) => None,
        }
    }

    /// Reads to the end.
    pub(super) async fn read_ahead_all(&mut self) -> Result<(), Failure> {
        while self.read_ahead().await? > 0 {}
        Ok(())
    }

    /// Waits for the first bytes and takes what is there already: small bodies are complete then, and their connection
    /// is free for the next request.
    pub(super) async fn read_ahead_some(&mut self) -> Result<(), Failure> {
        let mut bytes = self.read_ahead().await?;
        while bytes > 0 && self.ahead.len() < PIECE_BYTES {
            let mut next = pin!(self.read_ahead());
            let now = poll_fn(|context| match next.as_mut().poll(context) {
                Poll::Ready(result) => Poll::Ready(Some(result)),
                Poll::Pending => Poll::Ready(None),
            });
            bytes = now.await.transpose()?.unwrap_or_default();
        }
        Ok(())
    }

    /// The next bytes, at most `max`; none at the end.
    pub(super) async fn read(&mut self, max: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        if self.taken == self.ahead.len() {
            self.rest.pull(&mut bytes, max).await?;
            return Ok(bytes);
        }
        let end = self.ahead.len().min(self.taken.saturating_add(max));
        bytes.extend_from_slice(&self.ahead[self.taken..end]);
        self.taken = end;
        if end == self.ahead.len() {
            self.clear();
        }
        Ok(bytes)
    }

    /// The rest.
    pub(super) async fn read_all(&mut self) -> Result<Vec<u8>, Failure> {
        self.read_ahead_all().await?;
        let mut rest = std::mem::take(&mut self.ahead);
        rest.drain(..self.taken);
        self.clear();
        Ok(rest)
    }

    fn clear(&mut self) {
        self.ahead = Vec::new();
        self.taken = 0;
        self.held.release();
    }

    /// Keeps another piece; 0 is the end. May be cancelled.
    async fn read_ahead(&mut self) -> Result<usize, Failure> {
        let bytes = self.rest.pull(&mut self.ahead, PIECE_BYTES).await?;
        let flow = &mut self.rest.flow;
        self.held.grow(&flow.label, bytes as u64).inspect_err(|failure| flow.accounts.audit.failed(failure))?;
        Ok(bytes)
    }
}

impl Rest {
    /// Reads a piece into `into`, with placeholders for secrets; 0 is the end. May be cancelled.
    async fn pull(&mut self, into: &mut Vec<u8>, max: usize) -> Result<usize, Failure> {
        let max = max.min(PIECE_BYTES);
        let bytes = match &mut self.masker {
            None => self.flow.receive(into, max).await?,
            Some(masker) => self.flow.receive_masked(masker, into, max).await?,
        };
        self.total += bytes as u64;
        let Flow { label, accounts, .. } = &mut self.flow;
        let received = accounts.budget.receive(label, bytes as u64, self.total);
        received.inspect_err(|failure| accounts.audit.failed(failure))?;
        Ok(bytes)
    }
}

impl Flow {
    /// The same while there are secrets to hide.
    async fn receive_masked(&mut self, masker: &mut Masker, into: &mut Vec<u8>, max: usize) -> Result<usize, Failure> {
        loop {
            let bytes = masker.take(into, max);
            if bytes > 0 {
                return Ok(bytes);
            }
            let received = self.receive(masker.raw(), PIECE_BYTES).await?;
            masker.mask(received == 0);
            if received == 0 {
                return Ok(masker.take(into, max));
            }
        }
    }

    /// Reads a piece into `into`; 0 is the end. May be cancelled.
    async fn receive(&mut self, into: &mut Vec<u8>, max: usize) -> Result<usize, Failure> {
        if let Some(error) = &self.broken {
            return Err(Failure::Exchange(error.clone()));
        }
        let Some(source) = &mut self.source else { return Ok(0) };
        into.reserve(max);
        let result = source.bytes.read_buf(&mut into.limit(max)).await;
        if !matches!(result, Ok(1..)) {
            self.source = None;
        }
        match result {
            Ok(bytes) => {
                self.accounts.stats.count_bytes(bytes as u64);
                self.accounts.audit.count(bytes as u64);
                if bytes == 0 {
                    self.accounts.audit.completed();
                }
                Ok(bytes)
            }
            Err(error) => {
                let failure = self.failure(&error);
                self.accounts.audit.failed(&failure);
                if let Failure::Exchange(error) = &failure {
                    self.broken = Some(error.clone());
                }
                Err(failure)
            }
        }
    }

    fn failure(&self, error: &io::Error) -> Failure {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<WireError>()) {
            Some(WireError::Broken(error)) => Failure::cut_off(&self.label, error),
            Some(slow) => Failure::new(ErrorKind::Timeout, &self.label, format!("the body stopped: {slow}")),
            None if self.is_labelled_right => {
                let what = format!("its {} body is damaged or cut short: {error}", self.coding.name());
                Failure::new(ErrorKind::Protocol, &self.label, what)
            }
            None => {
                let name = self.coding.name();
                let what = format!(
                    "its header fields say that the body is {name}, and it is not: it is damaged, or the source labels it \
                     wrong (then the connector's author takes it `raw`)"
                );
                Failure::new(ErrorKind::Protocol, &self.label, what)
            }
        }
    }
}
