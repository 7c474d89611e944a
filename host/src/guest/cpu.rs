//! How long a guest has computed: in all, and since it last called the host.

use std::time::{Duration, Instant};

use super::Limits;
use crate::error::{Code, Error};

/// A clock that runs only while the guest's own code does.
#[derive(Debug)]
pub(super) struct CpuClock {
    /// When the guest's code was entered; none while the host works.
    entered: Option<Instant>,
    spent: Duration,
    max: Duration,
    without_call_max: Duration,
}

impl CpuClock {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            entered: None,
            spent: Duration::ZERO,
            max: limits.cpu_max,
            without_call_max: limits.cpu_without_call_max,
        }
    }

    pub(super) fn enter_guest(&mut self) {
        self.entered = Some(Instant::now());
    }

    pub(super) fn leave_guest(&mut self) {
        if let Some(entered) = self.entered.take() {
            self.spent += entered.elapsed();
        }
    }

    /// Called every few milliseconds while the guest computes: says when it is over a limit.
    pub(super) fn check(&self) -> Result<(), Error> {
        let since_call = self.entered.map_or(Duration::ZERO, |entered| entered.elapsed());
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
        if self.spent + since_call > self.max {
            return over("cpu", self.max, "Raise the limit with --limit cpu=… if the connector really needs the time.");
        }
        Ok(())
    }
}
