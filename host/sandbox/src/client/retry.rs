//! Whether to try a request again, and when. Pure: time and chance are given.
//!
//! Three kinds of trouble pass. A source that says "too often" or "not now" has done nothing yet, so that every request
//! is sent again, for as long as the patience lasts. A connection that was refused has carried nothing either. All else
//! (5xx, a cut answer, silence) is tried again a few times, and only where sending twice does no harm.

use std::time::Duration;

use super::ErrorKind;
use super::hint::Hint;

/// How often and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Attempts in all, the first included; more while patience lasts.
    pub(crate) attempts_max: u32,
    /// The longest wait after the first attempt; it doubles from attempt to attempt.
    pub(crate) base: Duration,
    /// Where doubling ends.
    pub(crate) cap: Duration,
    /// How long a source that is asked too often, or has no time, is asked again. The longest wait that it may ask for.
    pub(crate) patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            attempts_max: 5,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            patience: Duration::from_mins(5),
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With an answer.
    Status {
        /// Its status code.
        status: u16,
        /// What it says about being asked again.
        hint: Hint,
    },
    /// With a success that is none: an empty body or a web page where JSON was expected.
    Unfit,
    /// Without one.
    Failed(ErrorKind),
    /// Before anything was sent.
    Unsent,
}

/// The circumstances of a decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Which attempt ended, counted from 1.
    pub(super) attempt: u32,
    /// How long ago the first one began.
    pub(super) spent: Duration,
    /// Whether the request may be sent twice.
    pub(super) repeatable: bool,
    /// Chance, from 0 to 1.
    pub(super) chance: f64,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Give the guest what came.
    HandOver,
    /// Wait, then try again.
    Retry(Duration),
    /// Give up: the source asks for a wait of this length.
    TooLong(Duration),
}

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The source asks for patience.
    Throttled,
    /// Nothing was sent.
    Unsent,
    /// It may pass by itself.
    Passing,
}

/// Decides after an attempt.
pub(super) fn decide(options: &Options, moment: Moment, outcome: Outcome) -> Decision {
    let Some(trouble) = trouble(outcome) else { return Decision::HandOver };
    if trouble == Trouble::Passing && !moment.repeatable {
        return Decision::HandOver;
    }
    let asked = match outcome {
        Outcome::Status { status, hint } => hint.wait(status).unwrap_or_default(),
        _ => Duration::ZERO,
    };
    // Even after the last attempt: that the source wants to be left alone says more than its status.
    if asked > options.patience {
        return Decision::TooLong(asked);
    }
    let wait = asked.max(backoff(options, moment.attempt, moment.chance));
    let is_patient = trouble == Trouble::Throttled && moment.spent.saturating_add(wait) <= options.patience;
    if moment.attempt < options.attempts_max || is_patient { Decision::Retry(wait) } else { Decision::HandOver }
}

/// Whether the trouble may pass, and how.
fn trouble(outcome: Outcome) -> Option<Trouble> {
    match outcome {
        // 420, 430, 509 and 529 are what some sources say instead of 429 and 503.
        Outcome::Status { status: 420 | 429 | 430 | 503 | 509 | 529, .. } => Some(Trouble::Throttled),
        Outcome::Status { status: 403, hint } if hint.is_throttled() => Some(Trouble::Throttled),
        Outcome::Status { status: 408 | 500..=599, .. } | Outcome::Unfit => Some(Trouble::Passing),
        Outcome::Status { .. } => None,
        Outcome::Unsent => Some(Trouble::Unsent),
        Outcome::Failed(ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Protocol) => Some(Trouble::Passing),
        Outcome::Failed(_) => None,
    }
}

/// Exponential, with full jitter: many clients that failed together do not come back together.
fn backoff(options: &Options, attempt: u32, chance: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(31);
    let longest = options.base.saturating_mul(1 << doublings).min(options.cap);
    longest.mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    const YEAR: Duration = Duration::from_hours(365 * 24);
    const KINDS_PASSING: [ErrorKind; 3] = [ErrorKind::Connect, ErrorKind::Timeout, ErrorKind::Protocol];

    fn moment(attempt: u32) -> Moment {
        Moment { attempt, spent: Duration::ZERO, repeatable: true, chance: 1.0 }
    }

    fn status(status: u16, retry_after: Option<&str>) -> Outcome {
        let fields = retry_after.map(|text| (RETRY_AFTER, HeaderValue::from_str(text).unwrap()));
        Outcome::Status { status, hint: Hint::read(&HeaderMap::from_iter(fields), SystemTime::now()) }
    }

    fn decided(attempt: u32, outcome: Outcome) -> Decision {
        decide(&Options::default(), moment(attempt), outcome)
    }

    fn retry(ms: u64) -> Decision {
        Decision::Retry(Duration::from_millis(ms))
    }

    #[test]
    fn only_trouble_that_may_pass_is_tried_again() {
        for code in [408, 420, 429, 430, 500, 501, 502, 503, 504, 509, 520, 529, 599] {
            assert_eq!(decided(1, status(code, None)), retry(500), "{code}");
        }
        for code in [100, 200, 204, 206, 301, 304, 400, 401, 404, 409, 410, 418, 422, 425, 451, 600, 999] {
            assert_eq!(decided(1, status(code, Some("9"))), Decision::HandOver, "{code}");
        }
        for kind in KINDS_PASSING {
            assert_eq!(decided(1, Outcome::Failed(kind)), retry(500), "{kind:?}");
        }
        for kind in [ErrorKind::Denied, ErrorKind::InvalidRequest, ErrorKind::Redirect, ErrorKind::RateLimited] {
            assert_eq!(decided(1, Outcome::Failed(kind)), Decision::HandOver, "{kind:?}");
        }
        assert_eq!((decided(1, Outcome::Unfit), decided(1, Outcome::Unsent)), (retry(500), retry(500)));
        assert_eq!((decided(5, Outcome::Unfit), decided(5, Outcome::Unsent)), (Decision::HandOver, Decision::HandOver));
    }

    #[test]
    fn a_403_is_throttling_where_it_says_so() {
        assert_eq!(decided(1, status(403, Some("7"))), Decision::Retry(Duration::from_secs(7)));
        assert_eq!(decided(1, status(403, None)), Decision::HandOver);
        assert_eq!(decided(1, status(403, Some("soon"))), Decision::HandOver);
    }

    #[test]
    fn waits_double_up_to_the_cap_and_attempts_end() {
        let waits: Vec<_> = (1..=6).map(|attempt| decided(attempt, status(500, None))).collect();
        assert_eq!(waits, [retry(500), retry(1000), retry(2000), retry(4000), Decision::HandOver, Decision::HandOver]);
        let endless = Options { attempts_max: u32::MAX, ..Options::default() };
        for attempt in [8, 32, 33, 64, 1000, u32::MAX - 1] {
            assert_eq!(decide(&endless, moment(attempt), status(500, None)), retry(30_000), "{attempt}");
        }
    }

    #[test]
    fn who_asks_for_patience_is_asked_again_while_it_lasts() {
        let after = |seconds, outcome| {
            decide(&Options::default(), Moment { spent: Duration::from_secs(seconds), ..moment(7) }, outcome)
        };
        for code in [429, 503] {
            assert_eq!(after(200, status(code, None)), retry(30_000), "{code}");
            assert_eq!(after(271, status(code, None)), Decision::HandOver, "{code}");
            assert_eq!(after(200, status(code, Some("99"))), retry(99_000), "{code}");
            assert_eq!(after(202, status(code, Some("99"))), Decision::HandOver, "{code}");
        }
        // All else has its attempts and no more.
        assert_eq!(after(0, status(500, None)), Decision::HandOver);
        assert_eq!(after(0, Outcome::Failed(ErrorKind::Connect)), Decision::HandOver);
        // The first attempts are made whatever they take.
        let late = Moment { spent: YEAR, ..moment(4) };
        assert_eq!(decide(&Options::default(), late, status(429, Some("9"))), retry(9_000));
    }

    #[test]
    fn jitter_takes_any_part_of_the_wait() {
        for (chance, ms) in [(0.0, 0), (0.25, 250), (1.0, 1000), (7.0, 1000), (-1.0, 0)] {
            let moment = Moment { chance, ..moment(2) };
            assert_eq!(decide(&Options::default(), moment, status(503, None)), retry(ms), "{chance}");
        }
    }

    #[test]
    fn what_must_not_be_sent_twice_is_sent_again_only_where_it_was_not_taken() {
        let once = Moment { repeatable: false, ..moment(1) };
        for outcome in [status(500, None), status(408, None), status(504, Some("1")), Outcome::Unfit] {
            assert_eq!(decide(&Options::default(), once, outcome), Decision::HandOver, "{outcome:?}");
        }
        for kind in KINDS_PASSING {
            assert_eq!(decide(&Options::default(), once, Outcome::Failed(kind)), Decision::HandOver, "{kind:?}");
        }
        for outcome in [status(429, None), status(503, None), Outcome::Unsent] {
            assert_eq!(decide(&Options::default(), once, outcome), retry(500), "{outcome:?}");
        }
    }

    #[test]
    fn a_wait_that_is_too_long_is_told_even_after_the_last_attempt() {
        let too_long = |n| Decision::TooLong(Duration::from_secs(n));
        assert_eq!(decided(1, status(429, Some("300"))), retry(300_000));
        assert_eq!(decided(1, status(429, Some("301"))), too_long(301));
        assert_eq!(decided(5, status(429, Some("301"))), too_long(301));
        assert_eq!(decided(1, status(503, Some("31536000"))), Decision::TooLong(YEAR));
        assert_eq!(decided(1, status(403, Some("31536000"))), Decision::TooLong(YEAR));
    }
}
