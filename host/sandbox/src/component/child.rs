//! Compiles a component in a process of its own, with bounds on memory and time: the compiler reads what a stranger wrote.
//!
//! The host starts itself with a hidden command, sends the component to its stdin and reads compiled code from its stdout.
//! Whatever happens there, a panic, a crash, a loop, ends that process alone. Nothing of the host's environment goes along.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::Limits;
use crate::engine::{self, BoxedError};
use model::error::{Code, Error, Result};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};

/// The hidden command that compiles.
pub const COMMAND: &str = "compile-component";
/// The status by which the child says that the component is at fault; what it says on stderr is why.
pub const REFUSED: u8 = 3;
/// The most compiled code that is taken from a child.
const CODE_BYTES_MAX: u64 = 512 << 20;
/// The most words that are taken from a child.
const WORDS_BYTES_MAX: u64 = 4 * 1024;

/// The program that compiles: the host itself, as a child.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// The host's own program.
    pub program: PathBuf,
    /// The variables that it needs to start; it gets no others.
    pub environment: Vec<(String, OsString)>,
}

/// What became of a child.
struct Ended {
    status: ExitStatus,
    code: Vec<u8>,
    words: String,
    in_time: bool,
}

impl Compiler {
    /// Compiles a component.
    pub(super) fn compile(&self, component: &[u8], limits: &Limits) -> Result<Vec<u8>> {
        let mut child = Command::new(&self.program)
            .arg(COMMAND)
            .arg(limits.compile_memory_bytes_max.to_string())
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Error::new(Code::HostBug, "start the compiler").because(error))?;
        let ended = drive(&mut child, component, limits.compile_time_max);
        // However it went, nothing is left running.
        let _ = child.kill();
        let _ = child.wait();
        judge(ended.map_err(|error| Error::new(Code::HostBug, "talk to the compiler").because(error))?, limits)
    }
}

/// Sends the component, takes what comes back, and ends the child when its time is over.
fn drive(child: &mut Child, component: &[u8], time_max: Duration) -> std::io::Result<Ended> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(std::io::Error::other("its streams are not there"));
    };
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    std::thread::scope(|scope| {
        // A child that ends early leaves the rest unread.
        scope.spawn(move || drop(stdin.write_all(component)));
        let words = scope.spawn(move || read(stderr, WORDS_BYTES_MAX));
        let (done, waiting) = channel::<()>();
        let clock = scope.spawn(move || {
            let in_time = waiting.recv_timeout(time_max) != Err(RecvTimeoutError::Timeout);
            if let (false, Some(pid)) = (in_time, pid) {
                let _ended_by_itself = kill_process(pid, Signal::KILL);
            }
            in_time
        });
        let code = read(stdout, CODE_BYTES_MAX);
        let words = words.join().unwrap_or_default();
        // It may have closed its streams and go on all the same.
        let status = child.wait()?;
        drop(done);
        let in_time = clock.join().unwrap_or(true);
        Ok(Ended { status, code, words: String::from_utf8_lossy(&words).into_owned(), in_time })
    })
}

fn read(stream: impl Read, bytes_max: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut stream = stream.take(bytes_max);
    // What came before the stream broke is all there is.
    let _broken = stream.read_to_end(&mut bytes);
    // Nothing that the child has still to say may hold it up.
    let _rest = std::io::copy(&mut stream.into_inner(), &mut std::io::sink());
    bytes
}

fn judge(ended: Ended, limits: &Limits) -> Result<Vec<u8>> {
    let Ended { status, code, words, in_time } = ended;
    if status.success() && in_time {
        return Ok(code);
    }
    if !in_time {
        let message = format!("compile the component within {:?} (limit compile-time)", limits.compile_time_max);
        return Err(too_much(message, "compile-time"));
    }
    let words = words.trim();
    if status.code() == Some(REFUSED.into()) {
        return Err(super::invalid().because(words.to_owned()));
    }
    // As the allocator, the standard library and the operating system say it.
    let no_memory = ["memory allocation of", "Cannot allocate memory", "Resource temporarily unavailable"];
    if no_memory.iter().any(|reason| words.contains(reason)) {
        let max = limits.compile_memory_bytes_max;
        let message = format!("compile the component in {max} bytes of memory (limit compile-memory-bytes)");
        return Err(too_much(message, "compile-memory-bytes"));
    }
    tracing::debug!("the compiler broke: {words}");
    let how = status.signal().map_or_else(|| format!("{status}"), |signal| format!("signal {signal}"));
    Err(super::invalid().because(format!("the compiler broke on it ({how})")))
}

fn too_much(message: String, limit: &str) -> Error {
    Error::new(Code::LimitCompile, message).hint(format!(
        "A component of a usual size takes a second; raise the limit with --limit {limit}=… if this one is to be trusted."
    ))
}

/// The child's side: bounds itself, then compiles what comes in. Fails with why the component is at fault.
pub fn compile_in_child(memory_bytes_max: u64, mut input: impl Read) -> Result<Vec<u8>, String> {
    let bound = |resource, max| setrlimit(resource, Rlimit { current: Some(max), maximum: Some(max) });
    bound(Resource::Data, memory_bytes_max).map_err(|error| format!("cannot bound its memory: {error}"))?;
    bound(Resource::Core, 0).map_err(|error| format!("cannot switch off core dumps: {error}"))?;
    let mut component = Vec::new();
    input.read_to_end(&mut component).map_err(|error| error.to_string())?;
    let engine = engine::engine().map_err(|error| error.chain())?;
    engine.precompile_component(&component).map_err(|error| BoxedError(error).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// What becomes of a component when this script is the compiler.
    fn compiled_by(script: &str) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("compiler");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let compiler = Compiler { program, environment: vec![("ONLY".to_owned(), "this".into())] };
        let limits = Limits { compile_time_max: Duration::from_secs(2), ..Limits::default() };
        compiler.compile(&vec![b'x'; 1 << 20], &limits)
    }

    fn failed(script: &str) -> (Code, String) {
        let error = compiled_by(script).unwrap_err();
        (error.code(), error.chain())
    }

    #[test]
    fn code_comes_back_and_the_environment_does_not_go_along() {
        assert_eq!(compiled_by("wc -c | tr -d ' '; echo $ONLY $HOME $#").unwrap(), b"1048576\nthis 2\n");
    }

    #[test]
    fn a_compiler_that_breaks_or_refuses_is_the_components_fault() {
        assert_eq!(
            failed("kill -SEGV $$"),
            (Code::ComponentInvalid, "failed to compile the component: the compiler broke on it (signal 11)".into())
        );
        assert_eq!(failed("echo panicked >&2; exit 101").0, Code::ComponentInvalid);
        let (code, words) = failed("echo 'unexpected end' >&2; exit 3");
        assert_eq!((code, &*words), (Code::ComponentInvalid, "failed to compile the component: unexpected end"));
    }

    #[test]
    fn a_compiler_that_takes_too_much_is_ended() {
        assert_eq!(failed("exec sleep 1000").0, Code::LimitCompile);
        assert_eq!(failed("exec cat /dev/zero >&2").0, Code::LimitCompile);
        let (code, words) = failed("echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$");
        assert_eq!(code, Code::LimitCompile);
        assert!(words.contains("limit compile-memory-bytes"), "{words}");
    }
}
