//! Sends a request again: with a new token where its login was refused, and later where the answer, whatever its
//! status, says that the time was bad.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::request::Request;
use super::response::Response;
use crate::error::{Error, Result};
use crate::imports;

/// Attempts in all, as many as the host makes where the status tells.
const ATTEMPTS_MAX: u32 = 5;
/// The longest wait after the first attempt; it doubles from attempt to attempt.
const BASE: Duration = Duration::from_millis(500);
/// Where doubling ends.
const CAP: Duration = Duration::from_secs(30);
/// A source that asks for more ends the sync.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);

/// What it takes to send a request again.
pub(super) struct Again {
    pub(super) request: Request,
    /// The token it was sent with.
    pub(super) generation: u64,
}

impl Again {
    /// The answer to be given: `answer`, or that of a later attempt.
    pub(super) fn settle(mut self, mut answer: Response) -> Result<Response> {
        let (mut attempt, mut renewed) = (1, false);
        loop {
            let judged = self.request.judge(&answer);
            let refused = matches!(judged, Err(Error::Authentication(_))) || answer.status() == 401;
            if refused && !renewed && self.request.has_login() {
                self.request.renew_login(self.generation)?;
                renewed = true;
            } else {
                let Err(error) = judged else { return Ok(answer) };
                let wait = self.request.is_repeatable().then(|| wait(&error, attempt)).flatten();
                imports::sleep(wait.ok_or(error)?);
                attempt += 1;
            }
            (answer, self.generation) = self.request.attempt()?.wait_once()?;
        }
    }
}

/// How long to wait after attempt number `attempt`, counted from 1; `None`: it is no use.
pub(super) fn wait(error: &Error, attempt: u32) -> Option<Duration> {
    if attempt >= ATTEMPTS_MAX {
        return None;
    }
    match error {
        Error::RateLimited { retry_after: Some(wait), .. } => (*wait <= RETRY_AFTER_MAX).then_some(*wait),
        Error::RateLimited { retry_after: None, .. } | Error::Transient(_) => {
            // Full jitter: many connectors that were refused together do not come back together.
            Some((BASE * 2_u32.pow(attempt - 1)).min(CAP).mul_f64(chance()))
        }
        _ => None,
    }
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
    fn waits_double_within_chance_and_end() {
        let throttled = Error::RateLimited { message: String::new().into(), retry_after: None };
        for attempt in 1..=4 {
            let longest = BASE * 2_u32.pow(attempt - 1);
            let waits: Vec<_> = (0..100).map(|_| wait(&throttled, attempt).unwrap()).collect();
            assert!(waits.iter().all(|wait| *wait <= longest) && waits.iter().any(|wait| *wait > longest / 4));
        }
        assert_eq!(wait(&throttled, 5), None);
    }

    #[test]
    fn what_the_source_asks_for_is_waited_for_unless_it_is_long() {
        let asked = |wait| Error::RateLimited { message: String::new().into(), retry_after: Some(wait) };
        assert_eq!(wait(&asked(Duration::from_secs(7)), 1), Some(Duration::from_secs(7)));
        assert_eq!(wait(&asked(Duration::from_secs(301)), 1), None);
        assert_eq!(wait(&Error::source("gone"), 1), None);
    }
}
