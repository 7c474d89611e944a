//! Runs a program and measures what it used: time, processor time, memory.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::run::plain;
use crate::workspace::{Workspace, read};

/// What one run of a program used, its own children included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) peak_memory_bytes: u64,
}

/// Runs a program to its end and returns what it used and what it wrote.
pub(crate) fn measure(workspace: &Workspace, mut command: Command) -> Result<(Usage, String)> {
    let log = workspace.target.join("bench.log");
    let file = File::create(&log).map_err(|error| format!("failed to create {}: {error}", log.display()))?;
    let errors = file.try_clone().map_err(|error| format!("failed to share {}: {error}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file).stderr(errors);
    let started = Instant::now();
    let process = command.spawn().map_err(|error| format!("failed to start {}: {error}", plain(&command)))?;
    let (status, used) = system::wait(process.id())?;
    let wall = started.elapsed();
    if status != 0 {
        return Err(format!("failed to measure {}: wait status {status}\n{}", plain(&command), read(&log)?));
    }
    Ok((Usage { wall, ..used }, read(&log)?))
}

/// The one system call that tells what a child used; the standard library waits for children without asking.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod system {
    use super::{Duration, Result, Usage};

    /// `struct rusage` of 64-bit Linux: two times of seconds and microseconds, then fourteen numbers.
    #[repr(C)]
    #[derive(Default)]
    struct Rusage {
        user: [i64; 2],
        system: [i64; 2],
        peak_memory_kib: i64,
        others: [i64; 13],
    }

    unsafe extern "C" {
        fn wait4(process: i32, status: *mut i32, options: i32, usage: *mut Rusage) -> i32;
    }

    /// Waits for a child and returns its wait status with what it used; `wall` is left at zero.
    pub(super) fn wait(process: u32) -> Result<(i32, Usage)> {
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
        Ok((status, Usage { wall: Duration::ZERO, cpu, peak_memory_bytes }))
    }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
mod system {
    use super::{Result, Usage};

    pub(super) fn wait(_process: u32) -> Result<(i32, Usage)> {
        Err("failed to measure: the benchmark reads processor times as 64-bit Linux gives them".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    fn a_program_that_computes_uses_the_processor() {
        let mut command = Command::new("sh");
        command.args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"]);
        let (status, used) = system::wait(command.spawn().unwrap().id()).unwrap();
        assert_eq!(status, 0);
        assert!(used.cpu > Duration::from_millis(5) && used.peak_memory_bytes > 500_000, "{used:?}");
    }
}
