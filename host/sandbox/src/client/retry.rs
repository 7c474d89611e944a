//! Whether to try a request again, and when. Pure: time and chance are given.

use std::time::{Duration, SystemTime};

use super::ErrorKind;

/// How often and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Attempts in all, the first included.
    pub(crate) attempts_max: u32,
    /// The longest wait after the first attempt; it doubles from attempt to attempt.
    pub(crate) base: Duration,
    /// Where doubling ends.
    pub(crate) cap: Duration,
    /// The longest wait that `Retry-After` may ask for.
    pub(crate) retry_after_max: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            attempts_max: 5,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            retry_after_max: Duration::from_mins(5),
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome<'a> {
    /// With an answer.
    Status {
        /// Its status code.
        status: u16,
        /// Its `Retry-After`, as received.
        retry_after: Option<&'a str>,
    },
    /// Without one.
    Failed(ErrorKind),
}

/// The circumstances of a decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Which attempt ended, counted from 1.
    pub(super) attempt: u32,
    /// Whether the request may be sent twice.
    pub(super) repeatable: bool,
    /// The time.
    pub(super) now: SystemTime,
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

/// Decides after an attempt.
pub(super) fn decide(options: &Options, moment: Moment, outcome: Outcome<'_>) -> Decision {
    if !moment.repeatable || !passing(outcome) {
        return Decision::HandOver;
    }
    let asked = match outcome {
        Outcome::Status { retry_after: Some(text), .. } => retry_after(text, moment.now),
        _ => None,
    };
    let asked = asked.unwrap_or_default();
    // Even after the last attempt: that the source wants to be left alone says more than its status.
    if asked > options.retry_after_max {
        return Decision::TooLong(asked);
    }
    if moment.attempt >= options.attempts_max {
        return Decision::HandOver;
    }
    Decision::Retry(asked.max(backoff(options, moment.attempt, moment.chance)))
}

/// Whether the trouble may pass by itself.
fn passing(outcome: Outcome<'_>) -> bool {
    match outcome {
        Outcome::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
        Outcome::Failed(kind) => matches!(kind, ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Protocol),
    }
}

/// Exponential, with full jitter: many clients that failed together do not come back together.
fn backoff(options: &Options, attempt: u32, chance: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(31);
    let longest = options.base.saturating_mul(1 << doublings).min(options.cap);
    longest.mul_f64(chance.clamp(0.0, 1.0))
}

/// Reads `Retry-After`: seconds or a date (RFC 9110, section 10.2.3). A date in the past is no wait; what is neither
/// is not heard.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are still a number, and a long wait.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: Duration = Duration::from_hours(365 * 24);

    fn moment(attempt: u32) -> Moment {
        // Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        Moment { attempt, repeatable: true, now, chance: 1.0 }
    }

    fn status(status: u16, retry_after: Option<&str>) -> Outcome<'_> {
        Outcome::Status { status, retry_after }
    }

    fn decided(attempt: u32, outcome: Outcome<'_>) -> Decision {
        decide(&Options::default(), moment(attempt), outcome)
    }

    #[test]
    fn only_trouble_that_may_pass_is_tried_again() {
        for code in [408, 429, 500, 501, 502, 503, 504, 520, 599] {
            assert_eq!(decided(1, status(code, None)), Decision::Retry(Duration::from_millis(500)), "{code}");
        }
        for code in [100, 200, 204, 206, 301, 304, 400, 401, 403, 404, 409, 410, 418, 422, 425, 451, 600, 999] {
            assert_eq!(decided(1, status(code, Some("9"))), Decision::HandOver, "{code}");
        }
        for kind in [ErrorKind::Connect, ErrorKind::Timeout, ErrorKind::Protocol] {
            assert_eq!(decided(1, Outcome::Failed(kind)), Decision::Retry(Duration::from_millis(500)), "{kind:?}");
        }
        for kind in [ErrorKind::Denied, ErrorKind::InvalidRequest, ErrorKind::Redirect, ErrorKind::RateLimited] {
            assert_eq!(decided(1, Outcome::Failed(kind)), Decision::HandOver, "{kind:?}");
        }
    }

    #[test]
    fn waits_double_up_to_the_cap_and_attempts_end() {
        let waits: Vec<_> = (1..=6).map(|attempt| decided(attempt, status(500, None))).collect();
        let retry = |ms| Decision::Retry(Duration::from_millis(ms));
        assert_eq!(waits, [retry(500), retry(1000), retry(2000), retry(4000), Decision::HandOver, Decision::HandOver]);
        let endless = Options { attempts_max: u32::MAX, ..Options::default() };
        for attempt in [8, 32, 33, 64, 1000, u32::MAX - 1] {
            assert_eq!(decide(&endless, moment(attempt), status(500, None)), retry(30_000), "{attempt}");
        }
    }

    #[test]
    fn jitter_takes_any_part_of_the_wait() {
        for (chance, ms) in [(0.0, 0), (0.25, 250), (1.0, 1000), (7.0, 1000), (-1.0, 0)] {
            let moment = Moment { chance, ..moment(2) };
            let decision = decide(&Options::default(), moment, status(503, None));
            assert_eq!(decision, Decision::Retry(Duration::from_millis(ms)), "{chance}");
        }
    }

    #[test]
    fn what_must_not_be_sent_twice_is_not() {
        let once = Moment { repeatable: false, ..moment(1) };
        for outcome in [status(429, Some("1")), status(500, None), Outcome::Failed(ErrorKind::Connect)] {
            assert_eq!(decide(&Options::default(), once, outcome), Decision::HandOver);
        }
    }

    #[test]
    fn retry_after_is_heard_in_both_forms() {
        let seconds = |n| Decision::Retry(Duration::from_secs(n));
        let usual = Decision::Retry(Duration::from_millis(500));
        let too_long = |n| Decision::TooLong(Duration::from_secs(n));
        for (text, wanted) in [
            ("7", seconds(7)),
            (" 7 ", seconds(7)),
            ("0", usual),
            ("300", seconds(300)),
            ("301", too_long(301)),
            ("31536000", Decision::TooLong(YEAR)),
            ("99999999999999999999999999", Decision::TooLong(Duration::from_secs(u64::MAX))),
            ("Sun, 06 Nov 1994 08:49:57 GMT", seconds(20)),
            ("Sunday, 06-Nov-94 08:49:57 GMT", seconds(20)),
            ("Sun Nov  6 08:49:57 1994", seconds(20)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", usual),
            ("Wed, 06 Nov 1991 08:49:37 GMT", usual),
            ("Mon, 06 Nov 1995 08:49:37 GMT", Decision::TooLong(YEAR)),
            ("", usual),
            ("soon", usual),
            ("-1", usual),
            ("+1", usual),
            ("1.5", usual),
            ("1e9", usual),
            ("0x10", usual),
            ("Sun, 99 Nov 1994 08:49:57 GMT", usual),
        ] {
            assert_eq!(decided(1, status(429, Some(text))), wanted, "{text:?}");
            assert_eq!(decided(1, status(503, Some(text))), wanted, "{text:?}");
        }
        // A wait that is too long is told even after the last attempt, a short one is not waited for.
        assert_eq!(decided(5, status(429, Some("301"))), too_long(301));
        assert_eq!(decided(5, status(429, Some("3"))), Decision::HandOver);
    }
}
