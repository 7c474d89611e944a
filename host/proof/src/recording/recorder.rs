//! Makes a recording of a sync while it runs.
//!
//! What crosses is kept in a spool, a file without a name. Only at the end, when every secret is known that the source
//! handed out on the way, is the recording written, without them. A host that is killed leaves neither.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::entry::{Entry, hex};
use super::file::{Reader, Writer};
use model::error::{Code, Error, Result};
use sandbox::{Call, Crossing, Ending, Given, Scrub, Sent, World};

/// What bodies that are being read may take together while they are kept.
const OPEN_BYTES_MAX: usize = 512 << 20;

/// Watches a sync and writes its recording.
pub struct Recorder {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    /// None once it is finished, or has failed.
    spool: Option<Writer<BufWriter<File>>>,
    failed: Option<io::Error>,
    open: HashMap<u64, OpenAnswer>,
    open_bytes: usize,
    scrub: Option<Scrub>,
    seed: [u8; 32],
    in_call: bool,
}

struct OpenAnswer {
    status: u16,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Recorder {
    /// Prepares to write `path`, in whose folder there must be room for the recording twice.
    pub fn create(path: &Path) -> Result<Self> {
        let opened = spool(path).and_then(|file| Ok((Writer::new(BufWriter::new(file))?, random_seed()?)));
        let (spool, seed) = opened.map_err(|error| failure(path, error))?;
        let (open, scrub) = (HashMap::new(), None);
        let state = State { spool: Some(spool), failed: None, open, open_bytes: 0, scrub, seed, in_call: false };
        Ok(Self { path: path.to_path_buf(), state: Mutex::new(state) })
    }

    /// Writes the recording, without secrets; returns its size in bytes.
    pub fn finish(&self) -> Result<u64> {
        let mut state = self.state();
        if let Some(error) = state.failed.take() {
            return Err(failure(&self.path, error));
        }
        if state.in_call {
            // It was not let finish: by a signal, or by a limit on its time.
            let code = Some(Code::Interrupted.to_string());
            state.put(&Entry::End { code, message: None }, &[]);
        }
        let (Some(spool), scrub) = (state.spool.take(), state.scrub.take()) else { return Ok(0) };
        let partial = self.path.with_added_extension("partial");
        let written = write_scrubbed(spool, scrub.as_ref(), &partial).and_then(|bytes| {
            fs::rename(&partial, &self.path)?;
            Ok(bytes)
        });
        written.map_err(|error| {
            // There may be none; the error that counts is the other one.
            let _ = fs::remove_file(&partial);
            failure(&self.path, error)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failure(path: &Path, error: io::Error) -> Error {
    Error::new(Code::RecordingInvalid, format!("write the recording {}", path.display()))
        .hint("Look for room and permissions in that folder. The sync itself is not affected.")
        .because(error)
}

/// A file beside the recording that has no name any more.
fn spool(path: &Path) -> io::Result<File> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    let path = path.with_file_name(format!(".{name}.{:016x}", fastrand::u64(..)));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn random_seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}

fn write_scrubbed(spool: Writer<BufWriter<File>>, scrub: Option<&Scrub>, path: &Path) -> io::Result<u64> {
    let mut spool = spool.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    spool.rewind()?;
    let mut reader = Reader::new(BufReader::new(spool)).map_err(io::Error::other)?;
    let mut writer = Writer::new(BufWriter::new(File::create(path)?))?;
    while let Some((mut entry, mut bytes)) = reader.next().map_err(io::Error::other)? {
        let Some(scrub) = scrub else { continue };
        bytes = scrub(&bytes);
        if let Some(count) = entry.bytes_mut() {
            *count = bytes.len() as u64;
        }
        writer.put_line(scrub(&serde_json::to_vec(&entry)?), &bytes)?;
    }
    let mut out = writer.finish()?;
    out.flush()?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

impl State {
    fn put(&mut self, entry: &Entry, bytes: &[u8]) {
        let Some(spool) = &mut self.spool else { return };
        if let Err(error) = spool.put(entry, bytes) {
            self.fail(error);
        }
    }

    /// Gives up: the sync goes on without a recording.
    fn fail(&mut self, error: io::Error) {
        self.spool = None;
        self.open.clear();
        self.failed = Some(error);
    }

    fn read(&mut self, exchange: u64, bytes: &[u8]) {
        if self.open_bytes + bytes.len() > OPEN_BYTES_MAX {
            let what = format!("more than {OPEN_BYTES_MAX} bytes of answers are being read at one time");
            return self.fail(io::Error::other(what));
        }
        if let Some(answer) = self.open.get_mut(&exchange) {
            answer.body.extend_from_slice(bytes);
            self.open_bytes += bytes.len();
        }
    }

    fn close(&mut self, exchange: u64, ending: Ending) {
        let Some(OpenAnswer { status, url, headers, body }) = self.open.remove(&exchange) else { return };
        self.open_bytes -= body.len();
        let bytes = body.len() as u64;
        self.put(&Entry::Answer { exchange, status, url, headers, ending, bytes }, &body);
    }

    fn cross(&mut self, crossing: Crossing<'_>) {
        match crossing {
            Crossing::Answered { exchange, status, url, headers } => {
                let answer = OpenAnswer { status, url: url.to_owned(), headers: headers.to_vec(), body: Vec::new() };
                self.open.insert(exchange, answer);
            }
            Crossing::Failed(exchange, trouble) => {
                self.put(&Entry::Failure { exchange, trouble: trouble.clone() }, &[]);
            }
            Crossing::Read(exchange, bytes) => self.read(exchange, bytes),
            Crossing::Closed(exchange, ending) => self.close(exchange, ending),
            Crossing::Protected(placeholder) => {
                self.put(&Entry::Protect { placeholder: placeholder.to_owned() }, &[]);
            }
            Crossing::Written(batch) => {
                let (table, bytes) = (batch.table.clone(), batch.rows.len() as u64);
                self.put(&Entry::Write { table, kind: batch.kind.into(), bytes }, &batch.rows);
            }
            Crossing::Saved(state) => self.put(&Entry::Save { bytes: state.len() as u64 }, state.as_bytes()),
            Crossing::Flushed => self.put(&Entry::Flush {}, &[]),
            Crossing::Logged(level, message) => {
                self.put(&Entry::Log { level: level.into(), message: message.to_owned() }, &[]);
            }
        }
    }
}

impl World for Recorder {
    fn begin(&self, call: &Call<'_>) {
        let mut state = self.state();
        state.scrub = Some(call.scrub.clone());
        state.in_call = true;
        let seed = hex(&state.seed);
        let entry = Entry::call_of(call, seed);
        state.put(&entry, &[]);
    }

    fn seed(&self) -> [u8; 32] {
        self.state().seed
    }

    fn wall_clock(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.state().put(&Entry::Wall { ns }, &[]);
        Duration::from_nanos(ns)
    }

    fn monotonic_clock(&self, real: u64) -> u64 {
        self.state().put(&Entry::Monotonic { ns: real }, &[]);
        real
    }

    fn send(&self, exchange: u64, request: &Sent) -> Given {
        let bytes = request.body.len() as u64;
        self.state().put(&Entry::Send { exchange, request: request.clone(), bytes }, &request.body);
        Given::Network
    }

    fn crossed(&self, crossing: Crossing<'_>) {
        self.state().cross(crossing);
    }

    fn keeps_tokens(&self) -> bool {
        true
    }

    fn end(&self, error: Option<&Error>) {
        let (code, message) = (error.map(|error| error.code().to_string()), error.map(Error::chain));
        let mut state = self.state();
        state.in_call = false;
        state.put(&Entry::End { code, message }, &[]);
    }
}
