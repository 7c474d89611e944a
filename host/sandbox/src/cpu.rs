//! How long a guest has computed: in all, and since it last called the host.

use std::time::{Duration, Instant};

use super::Limits;
use model::error::{Code, Error};

/// A clock that runs only while the guest's own code does.
#[derive(Debug)]
pub(super) struct CpuClock {
    /// When the guest's code was entered; none while the host works.
    entered: Option<Instant>,
    spent: Duration,
    /// The part of `spent` since the last call of the host.
    since_call: Duration,
    /// The guest was left for a look at this clock, not by a call of its own.
    looked_at: bool,
    max: Duration,
    without_call_max: Duration,
}

impl CpuClock {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            entered: None,
            spent: Duration::ZERO,
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
            self.spent += stretch;
            self.since_call += stretch;
        }
    }

    /// How long the guest has computed, up to when it was last left.
    pub(super) fn spent(&self) -> Duration {
        self.spent
    }

    /// Called every few milliseconds while the guest computes: says when it is over a limit. The engine leaves the
    /// guest for this and enters it again, as it does for a call of the host.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        self.looked_at = self.entered.is_none();
        let now = self.entered.map_or(Duration::ZERO, |entered| entered.elapsed());
        let since_call = self.since_call + now;
        let over = |name: &str, max: Duration, hint: &str| {
            let message = format!("go on: the connector computed for more than {max:?} (limit {name})");
            Err(Error::new(Code::LimitCpu, message).hint(hint))
        };
        if since_call > self.without_call_max {
            return over(
                "cpu-without-call",
                self.without_call_max,
                "Look for an endless loop in the connector; raise the limit with --limit cpu-without-call=… if it really needs the time.",
            );
        }
        if self.spent + now > self.max {
            return over("cpu", self.max, "Raise the limit with --limit cpu=… if the connector really needs the time.");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guest that has computed for 20 ms, left the way the engine leaves it to look at the clock.
    fn computed() -> CpuClock {
        let limits = Limits { cpu_without_call_max: Duration::from_millis(30), ..Limits::default() };
        let mut clock = CpuClock::new(&limits);
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
        assert!(clock.spent >= Duration::from_millis(20));
    }
}
