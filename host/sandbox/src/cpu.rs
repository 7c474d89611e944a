//! How long a guest has computed, and the host for it: in all, and since it last called the host.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Limits;
use model::error::{Code, Error};

/// Processor time of a sync, of the guest and of the host for it. Copies count together.
#[derive(Clone, Debug, Default)]
pub struct CpuTime(Arc<AtomicU64>);

impl CpuTime {
    /// Counts more of it.
    pub fn add(&self, more: Duration) {
        let nanoseconds = more.as_secs() * 1_000_000_000 + u64::from(more.subsec_nanos());
        self.0.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// All so far.
    pub fn spent(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// Does work on this thread and counts its time.
    pub(super) fn charged<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut clock = ThreadClock::start();
        let done = work();
        self.add(clock.lap());
        done
    }
}

/// The processor time of the thread that asks.
#[derive(Debug)]
pub struct ThreadClock(Duration);

impl ThreadClock {
    /// Counts from now on.
    pub fn start() -> Self {
        Self(Self::now())
    }

    /// What the thread has computed since it last asked.
    pub fn lap(&mut self) -> Duration {
        let before = std::mem::replace(&mut self.0, Self::now());
        self.0.saturating_sub(before)
    }

    #[expect(unsafe_code, reason = "the standard library has no clock of a thread's processor time")]
    fn now() -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: it writes to `time`, which lives longer than the call. For this clock and a place to write to it cannot fail.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        // Neither is ever negative.
        Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_nanos(time.tv_nsec.unsigned_abs())
    }
}

/// The error of a sync that has computed too long.
pub fn over_cpu(max: Duration) -> Error {
    let message = format!("go on: the connector, and the host for it, computed for more than {max:?} (limit cpu)");
    Error::new(Code::LimitCpu, message)
        .hint("Raise the limit with --limit cpu=… if the connector really needs the time.")
}

/// A clock that runs only while the guest's own code does.
#[derive(Debug)]
pub(super) struct CpuClock {
    /// When the guest's code was entered; none while the host works.
    entered: Option<Instant>,
    /// What was computed for the sync so far, by others too.
    time: CpuTime,
    /// The part of it that is the guest's since the last call of the host.
    since_call: Duration,
    /// The guest was left for a look at this clock, not by a call of its own.
    looked_at: bool,
    max: Duration,
    without_call_max: Duration,
}

impl CpuClock {
    pub(super) fn new(limits: &Limits, time: CpuTime) -> Self {
        Self {
            entered: None,
            time,
            since_call: Duration::ZERO,
            looked_at: false,
            max: limits.cpu_max,
            without_call_max: limits.cpu_without_call_max,
        }
    }

    pub(super) fn enter_guest(&mut self) {
        if !std::mem::take(&mut self.looked_at) {
            self.since_call = Duration::ZERO;
        }
        self.entered = Some(Instant::now());
    }

    pub(super) fn leave_guest(&mut self) {
        if let Some(entered) = self.entered.take() {
            let stretch = entered.elapsed();
            self.time.add(stretch);
            self.since_call += stretch;
        }
    }

    /// What was computed for the sync, by the guest up to when it was last left.
    pub(super) fn time(&self) -> &CpuTime {
        &self.time
    }

    /// Called every few milliseconds while the guest computes: says when it is over a limit. The engine leaves the
    /// guest for this and enters it again, as it does for a call of the host.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        self.looked_at = self.entered.is_none();
        let now = self.entered.map_or(Duration::ZERO, |entered| entered.elapsed());
        let since_call = self.since_call + now;
        if since_call > self.without_call_max {
            let max = self.without_call_max;
            let message = format!("go on: the connector computed for more than {max:?} (limit cpu-without-call)");
            return Err(Error::new(Code::LimitCpu, message).hint(
                "Look for an endless loop in the connector; raise the limit with --limit cpu-without-call=… if it really needs the time.",
            ));
        }
        if self.time.spent() + now > self.max { Err(over_cpu(self.max)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guest that has computed for 20 ms, left the way the engine leaves it to look at the clock.
    fn computed() -> CpuClock {
        let limits = Limits { cpu_without_call_max: Duration::from_millis(30), ..Limits::default() };
        let mut clock = CpuClock::new(&limits, CpuTime::default());
        clock.enter_guest();
        std::thread::sleep(Duration::from_millis(20));
        clock.leave_guest();
        clock
    }

    #[test]
    fn looking_at_the_clock_is_no_call_of_the_host() {
        let mut clock = computed();
        let _ = clock.check();
        clock.enter_guest();
        std::thread::sleep(Duration::from_millis(20));
        clock.leave_guest();
        assert!(clock.check().is_err());
    }

    #[test]
    fn a_call_of_the_host_is_one() {
        let mut clock = computed();
        clock.enter_guest();
        assert_eq!(clock.since_call, Duration::ZERO);
        assert!(clock.time.spent() >= Duration::from_millis(20));
    }

    #[test]
    fn what_the_host_computes_counts_too() {
        let limits = Limits { cpu_max: Duration::from_millis(30), ..Limits::default() };
        let time = CpuTime::default();
        let mut clock = CpuClock::new(&limits, time.clone());
        assert!(clock.check().is_ok());
        time.add(Duration::from_millis(31));
        assert!(clock.check().is_err());
    }

    #[test]
    fn work_is_charged_by_the_thread_that_does_it() {
        let time = CpuTime::default();
        let sum = time.charged(|| (0..5_000_000_u64).fold(0, |sum, number| std::hint::black_box(sum ^ number)));
        std::hint::black_box(sum);
        assert!(time.spent() > Duration::ZERO);
    }
}
