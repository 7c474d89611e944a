//! Runs a program and measures what it used: time, processor time, memory, what it wrote.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::run::plain;
use crate::workspace::Workspace;

/// What one run of a program used, its own children included.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) peak_memory_bytes: u64,
    /// Bytes of files that it changed in memory, for the system to write to disk.
    pub(crate) written_bytes: u64,
}

/// Runs a program to its end and returns what it used and the last of what it said, on both its outputs.
pub(crate) fn measure(workspace: &Workspace, mut command: Command) -> Result<(Usage, String)> {
    let [output, errors] = ["bench.out", "bench.err"].map(|name| workspace.target.join(name));
    let create =
        |path: &Path| File::create(path).map_err(|error| format!("failed to create {}: {error}", path.display()));
    command.stdin(Stdio::null()).stdout(create(&output)?).stderr(create(&errors)?);
    let started = Instant::now();
    let process = command.spawn().map_err(|error| format!("failed to start {}: {error}", plain(&command)))?;
    let (status, used) = system::wait(process.id())?;
    let wall = started.elapsed();
    let said = format!("{}\n{}", last_of(&output)?, last_of(&errors)?);
    // The output may be rows, as many as there are.
    let _ = std::fs::remove_file(&output);
    if status != 0 {
        return Err(format!("failed to measure {}: wait status {status}\n{said}", plain(&command)));
    }
    Ok((Usage { wall, ..used }, said))
}

/// The end of a file.
fn last_of(path: &Path) -> Result<String> {
    const BYTES: u64 = 64 << 10;
    let read = || -> std::io::Result<Vec<u8>> {
        let (mut file, mut bytes) = (File::open(path)?, Vec::new());
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The one system call that tells what a child used; the standard library waits for children without asking.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(crate) mod system {
    use super::{Duration, Result, Usage};

    /// `struct rusage` of 64-bit Linux: two times of seconds and microseconds, then fourteen numbers.
    #[repr(C)]
    #[derive(Default)]
    struct Rusage {
        user: [i64; 2],
        system: [i64; 2],
        peak_memory_kib: i64,
        others: [i64; 7],
        written_blocks: i64,
        signals_and_switches: [i64; 5],
    }

    const BLOCK_BYTES: u64 = 512;

    unsafe extern "C" {
        fn wait4(process: i32, status: *mut i32, options: i32, usage: *mut Rusage) -> i32;
    }

    /// Waits for a child and returns its wait status with what it used; `wall` is left at zero.
    pub(crate) fn wait(process: u32) -> Result<(i32, Usage)> {
        let process = i32::try_from(process).map_err(|error| format!("failed to wait for {process}: {error}"))?;
        let (mut status, mut usage) = (0, Rusage::default());
        // SAFETY: both pointers are to live values of the type that the call writes, and it keeps neither of them.
        let waited = unsafe { wait4(process, &raw mut status, 0, &raw mut usage) };
        if waited != process {
            return Err(format!("failed to wait for a program: {}", std::io::Error::last_os_error()));
        }
        let positive = |number: i64| u64::try_from(number).unwrap_or(0);
        let time = |[s, us]: [i64; 2]| Duration::from_secs(positive(s)) + Duration::from_micros(positive(us));
        let cpu = time(usage.user) + time(usage.system);
        let peak_memory_bytes = positive(usage.peak_memory_kib) * 1024;
        let written_bytes = positive(usage.written_blocks) * BLOCK_BYTES;
        Ok((status, Usage { wall: Duration::ZERO, cpu, peak_memory_bytes, written_bytes }))
    }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub(crate) mod system {
    use super::{Result, Usage};

    pub(crate) fn wait(_process: u32) -> Result<(i32, Usage)> {
        Err("failed to measure: the benchmark reads processor times as 64-bit Linux gives them".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    fn a_program_that_computes_and_writes_uses_the_processor_and_the_disk() {
        let mut command = Command::new("sh");
        let file = std::env::current_exe().unwrap().with_extension("written");
        command.args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; head -c 1000000 /dev/zero > \"$0\""]);
        let (status, used) = system::wait(command.arg(&file).spawn().unwrap().id()).unwrap();
        std::fs::remove_file(file).unwrap();
        assert_eq!(status, 0);
        assert!(used.cpu > Duration::from_millis(5) && used.peak_memory_bytes > 500_000, "{used:?}");
        assert!((1_000_000..2_000_000).contains(&used.written_bytes), "{used:?}");
    }
}
