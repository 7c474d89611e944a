//! Sends a request again: with a new token where its login was refused, and later where the answer, whatever its
//! status, says that the time was bad.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::request::Request;
use super::response::Response;
use crate::error::{Error, Result};
use crate::imports;

/// How long the waits may be in all: the source's minute of rest, and the one after, and then some.
const PATIENCE: Duration = Duration::from_mins(5);
/// The longest wait after the first attempt; it doubles from attempt to attempt.
const BASE: Duration = Duration::from_millis(500);
/// Where doubling ends.
const CAP: Duration = Duration::from_secs(30);
/// So many attempts are made just when the source asks for them.
const TRUST: u32 = 3;
/// The shortest wait, where it asks for none.
const WAIT_MIN: Duration = Duration::from_millis(10);

/// What it takes to send a request again.
pub(super) struct Again {
    pub(super) request: Request,
    /// The token it was sent with.
    pub(super) generation: u64,
}

impl Again {
    /// The answer to be given: `answer`, or that of a later attempt.
    pub(super) fn settle(mut self, mut answer: Response) -> Result<Response> {
        let (mut patience, mut renewed) = (Patience::default(), false);
        loop {
            let judged = self.request.judge(&answer);
            let refused = matches!(judged, Err(Error::Authentication(_))) || answer.status() == 401;
            if refused && !renewed && self.request.has_login() {
                self.request.renew_login(self.generation)?;
                renewed = true;
            } else {
                let Err(error) = judged else { return Ok(answer) };
                let waited = self.request.is_repeatable() && patience.wait(&error);
                if !waited {
                    return Err(error);
                }
            }
            (answer, self.generation) = self.request.attempt()?.wait_once()?;
        }
    }
}

/// How often a request was sent, and how long was waited in between.
#[derive(Default)]
pub(super) struct Patience {
    attempts: u32,
    waited: Duration,
}

impl Patience {
    /// Waits after an attempt that ended so; false where it is no use, or has taken long enough.
    pub(super) fn wait(&mut self, error: &Error) -> bool {
        self.attempts += 1;
        let wait = wait(error, self.attempts).filter(|wait| self.waited + *wait <= PATIENCE);
        if let Some(wait) = wait {
            imports::sleep(wait);
            self.waited += wait;
        }
        wait.is_some()
    }
}

/// How long to wait after attempt number `attempt`, counted from 1; `None`: it is no use.
fn wait(error: &Error, attempt: u32) -> Option<Duration> {
    match error {
        // A source that refuses again and again at its own time is not taken at its word for ever.
        Error::RateLimited { retry_after: Some(wait), .. } if attempt <= TRUST => Some((*wait).max(WAIT_MIN)),
        Error::RateLimited { retry_after: Some(wait), .. } => Some((*wait).max(back_off(attempt))),
        Error::RateLimited { retry_after: None, .. } | Error::Transient(_) => Some(back_off(attempt)),
        _ => None,
    }
}

/// Doubles up to a cap, with jitter: many connectors that were refused together do not come back together.
fn back_off(attempt: u32) -> Duration {
    let longest = (BASE * 2_u32.pow((attempt - 1).min(16))).min(CAP);
    longest.mul_f64(f64::midpoint(1.0, chance()))
}

/// From 0 to 1, by what the standard library seeds its maps with.
fn chance() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_chance_up_to_a_cap() {
        let throttled = Error::RateLimited { message: String::new().into(), retry_after: None };
        for attempt in [1, 2, 4, 7, 100] {
            let longest = (BASE * 2_u32.pow((attempt - 1).min(16))).min(CAP);
            let waits: Vec<_> = (0..100).map(|_| wait(&throttled, attempt).unwrap()).collect();
            assert!(waits.iter().all(|wait| *wait <= longest && *wait >= longest / 2));
        }
    }

    #[test]
    fn what_the_source_asks_for_is_waited_for() {
        let asked = |wait| Error::RateLimited { message: String::new().into(), retry_after: Some(wait) };
        assert_eq!(wait(&asked(Duration::from_secs(7)), 1), Some(Duration::from_secs(7)));
        assert_eq!(wait(&asked(Duration::ZERO), 1), Some(WAIT_MIN));
        assert!(wait(&asked(Duration::from_millis(50)), 9) >= Some(Duration::from_secs(15)));
        assert_eq!(wait(&Error::source("gone"), 1), None);
    }
}
