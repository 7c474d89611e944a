//! The body of an answer as the guest reads it: decompressed, counted before it is kept, partly read ahead.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZstdDecoder};
use bytes::{BufMut, Bytes};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

use super::audit::Audit;
use super::budget::{Budget, Held, OpenStream};
use super::wire::{Wire, WireError};
use super::{ErrorKind, Failure, HttpError, Stats};
use crate::secrets::Masker;

/// The largest piece read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// How an answer's body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Brotli,
    Zstd,
}

impl Coding {
    /// Reads `Content-Encoding`. What the host did not ask for stays as it is, and keeps its header field.
    pub(super) fn of(content_encoding: &[u8]) -> Self {
        match content_encoding.trim_ascii().to_ascii_lowercase().as_slice() {
            b"gzip" | b"x-gzip" => Self::Gzip,
            b"br" => Self::Brotli,
            b"zstd" => Self::Zstd,
            _ => Self::Identity,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Identity => "plain",
            Self::Gzip => "gzip",
            Self::Brotli => "brotli",
            Self::Zstd => "zstd",
        }
    }

    fn decode(self, wire: StreamReader<Wire, Bytes>) -> Pin<Box<dyn AsyncRead + Send>> {
        /// RFC 9659 has decoders of `Content-Encoding: zstd` take windows of 8 MiB and no larger.
        const ZSTD_WINDOW_LOG_MAX: u32 = 23;
        match self {
            Self::Identity => Box::pin(wire),
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(wire);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
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
}

struct Source {
    bytes: Pin<Box<dyn AsyncRead + Send>>,
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
        let mut flow = Flow { label, coding, accounts, source: None, broken: None };
        let mut wire = StreamReader::new(wire);
        // No byte at all is an empty body in every coding (answers to HEAD, 204, 304).
        let empty = match wire.fill_buf().await {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => {
                let failure = flow.failure(&error);
                flow.accounts.audit.failed(&failure);
                return Err(failure);
            }
        };
        if empty {
            flow.accounts.audit.completed();
        } else {
            flow.source = Some(Source { bytes: coding.decode(wire), _open: open });
        }
        let rest = Rest { flow, masker, total: 0 };
        Ok(Self { rest, ahead: Vec::new(), taken: 0, held })
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
            Some(WireError::Broken(error)) => Failure::from_library(&self.label, error),
            Some(slow) => Failure::new(ErrorKind::Timeout, &self.label, format!("the body stopped: {slow}")),
            None => {
                let what = format!("its {} body is damaged or cut short: {error}", self.coding.name());
                Failure::new(ErrorKind::Protocol, &self.label, what)
            }
        }
    }
}
