//! When a connection is due next: cron and intervals with jitter, and patience after failures. Pure: time and chance come in.

use std::time::Duration;

use super::cron::Cron;
use super::types;
use model::error::{Code, Error, Result};
use sandbox::limits_text;

/// The shortest interval.
const EVERY_MIN: Duration = Duration::from_secs(1);
/// The longest interval or jitter.
const LENGTH_MAX: Duration = Duration::from_hours(366 * 24);
/// Attempts after a failure that may pass; then the schedule's next time counts again.
pub(super) const ATTEMPTS_MAX: u32 = 6;
/// The wait before the first of them; each further one waits twice as long.
const BACKOFF: Duration = Duration::from_secs(15);
const BACKOFF_MAX: Duration = Duration::from_mins(30);

/// A schedule, understood.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    rhythm: Rhythm,
    jitter: Duration,
}

#[derive(Clone, Debug)]
enum Rhythm {
    Every(Duration),
    Cron(Box<Cron>),
}

/// How a sync ended, as far as the next one is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is done, or failed for a reason that will not pass by itself, or was cancelled.
    Settled,
    /// It failed for a reason that may pass.
    MayPass,
    /// The server ended: it is to go on as soon as possible.
    Interrupted,
}

/// What follows a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// When, in microseconds since 1970; none: when somebody starts it.
    pub(super) due_at_us: Option<i64>,
    /// How many syncs in a row have failed for a reason that may pass.
    pub(super) attempts: u32,
}

impl Schedule {
    /// Understands a schedule, or says what is wrong with it.
    pub(super) fn parse(typed: &types::Schedule) -> Result<Self> {
        let rhythm = match (&typed.every, &typed.cron) {
            (Some(every), None) => Rhythm::Every(length("every", every, EVERY_MIN)?),
            (None, Some(cron)) => Rhythm::Cron(Box::new(Cron::parse(cron)?)),
            _ => {
                return Err(Error::new(
                    Code::RequestInvalid,
                    "understand the schedule: it needs `every` or `cron`, and not both",
                )
                .hint("Write {\"every\": \"15min\"} or {\"cron\": \"0 6 * * *\"}."));
            }
        };
        let jitter = match (&typed.jitter, &rhythm) {
            (Some(jitter), _) => length("jitter", jitter, Duration::ZERO)?,
            (None, Rhythm::Every(every)) => *every / 10,
            (None, Rhythm::Cron(_)) => Duration::ZERO,
        };
        Ok(Self { rhythm, jitter })
    }

    /// The next time after `now_us`; `chance`, from 0 to 1, is the share of the jitter. None: never again.
    pub(super) fn next(&self, now_us: i64, chance: f64) -> Option<i64> {
        let at = match &self.rhythm {
            Rhythm::Every(every) => now_us.checked_add(micros(*every))?,
            Rhythm::Cron(cron) => cron.next(now_us)?,
        };
        at.checked_add(micros(self.jitter.mul_f64(chance.clamp(0.0, 1.0))))
    }

    /// When a connection that has just got this schedule is due: one with an interval at once.
    pub(super) fn first(&self, now_us: i64, chance: f64) -> Option<i64> {
        match &self.rhythm {
            Rhythm::Every(_) => now_us.checked_add(micros(self.jitter.mul_f64(chance.clamp(0.0, 1.0)))),
            Rhythm::Cron(_) => self.next(now_us, chance),
        }
    }
}

/// What follows a sync that has ended now, after so many failed attempts before it.
pub(super) fn after(schedule: Option<&Schedule>, ended: Ended, attempts: u32, (now_us, chance): (i64, f64)) -> Next {
    let scheduled = || schedule.and_then(|schedule| schedule.next(now_us, chance));
    match ended {
        Ended::Settled => Next { due_at_us: scheduled(), attempts: 0 },
        Ended::Interrupted => Next { due_at_us: Some(now_us), attempts },
        Ended::MayPass if attempts >= ATTEMPTS_MAX => Next { due_at_us: scheduled(), attempts: 0 },
        Ended::MayPass => {
            let again = now_us.saturating_add(micros(backoff(attempts, chance)));
            // What is scheduled sooner comes sooner.
            let due_at_us = scheduled().map_or(again, |scheduled| scheduled.min(again));
            Next { due_at_us: Some(due_at_us), attempts: attempts + 1 }
        }
    }
}

/// The wait after so many failures: twice as long each time, half of it by chance.
fn backoff(attempts: u32, chance: f64) -> Duration {
    let whole = BACKOFF.saturating_mul(1 << attempts.min(16)).min(BACKOFF_MAX);
    whole.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
}

/// Whether a failure may pass by itself.
pub(super) fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::SourceUnavailable
            | Code::SourceRateLimited
            | Code::WarehouseUnreachable
            | Code::WarehouseInUse
            | Code::DiskFull
            | Code::FencedOff
            | Code::Conflict
            | Code::HostBug
    )
}

fn length(name: &str, text: &str, min: Duration) -> Result<Duration> {
    let refused = || {
        Error::new(Code::RequestInvalid, format!("understand the schedule: {name} is \"{text}\""))
            .hint(format!("Write a time with its unit, such as 30s, 15min or 24h, from {min:?} to a year."))
    };
    let length = if text == "0s" { Duration::ZERO } else { limits_text::duration(text).ok_or_else(refused)? };
    if length < min || length > LENGTH_MAX { Err(refused()) } else { Ok(length) }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn schedule(every: Option<&str>, cron: Option<&str>, jitter: Option<&str>) -> Result<Schedule> {
        let text = |text: &str| text.to_owned();
        Schedule::parse(&types::Schedule { every: every.map(text), cron: cron.map(text), jitter: jitter.map(text) })
    }

    #[test]
    fn an_interval_has_a_tenth_of_jitter() {
        let hourly = schedule(Some("1h"), None, None).unwrap();
        assert_eq!(hourly.next(0, 0.0), Some(3_600 * SECOND));
        assert_eq!(hourly.next(0, 1.0), Some(3_960 * SECOND));
        assert_eq!((hourly.first(7, 0.0), hourly.first(0, 0.5)), (Some(7), Some(180 * SECOND)));
    }

    #[test]
    fn cron_is_exact_unless_told_otherwise() {
        let daily = schedule(None, Some("30 6 * * *"), None).unwrap();
        assert_eq!(daily.next(0, 1.0), Some((6 * 3_600 + 30 * 60) * SECOND));
        assert_eq!(daily.first(0, 1.0), daily.next(0, 1.0));
        let spread = schedule(None, Some("30 6 * * *"), Some("10min")).unwrap();
        assert_eq!(spread.next(0, 0.5), Some((6 * 3_600 + 35 * 60) * SECOND));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for (every, cron, jitter) in [
            (None, None, None),
            (Some("1h"), Some("* * * * *"), None),
            (Some("15"), None, None),
            (Some("0s"), None, None),
            (Some("500ms"), None, None),
            (Some("99999h"), None, None),
            (None, Some("* * *"), None),
            (None, Some("61 * * * *"), None),
            (None, Some("* * * * * *"), None),
            (Some("1h"), None, Some("x")),
        ] {
            let error = schedule(every, cron, jitter).unwrap_err();
            assert_eq!(error.code(), Code::RequestInvalid, "{every:?} {cron:?} {jitter:?}");
            assert!(error.advice().is_some());
        }
    }

    #[test]
    fn failures_that_may_pass_are_tried_again_and_then_left_to_the_schedule() {
        let daily = schedule(Some("24h"), None, Some("0s")).unwrap();
        let mut attempts = 0;
        let mut waits = Vec::new();
        for _ in 0..=ATTEMPTS_MAX {
            let next = after(Some(&daily), Ended::MayPass, attempts, (0, 1.0));
            attempts = next.attempts;
            waits.push(next.due_at_us.unwrap() / SECOND);
        }
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 86_400]);
        assert_eq!(attempts, 0);
    }

    #[test]
    fn what_is_scheduled_sooner_than_a_retry_comes_sooner() {
        let often = schedule(Some("10s"), None, Some("0s")).unwrap();
        assert_eq!(after(Some(&often), Ended::MayPass, 3, (0, 0.0)).due_at_us, Some(10 * SECOND));
        assert_eq!(after(None, Ended::MayPass, 0, (0, 0.0)).due_at_us, Some(7_500_000));
        assert_eq!(after(None, Ended::MayPass, ATTEMPTS_MAX, (0, 0.0)).due_at_us, None);
    }

    #[test]
    fn an_interrupted_sync_goes_on_at_once_and_a_settled_one_waits() {
        let hourly = schedule(Some("1h"), None, Some("0s")).unwrap();
        assert_eq!(after(None, Ended::Interrupted, 2, (5, 0.0)), Next { due_at_us: Some(5), attempts: 2 });
        let next = after(Some(&hourly), Ended::Settled, 2, (0, 0.0));
        assert_eq!(next, Next { due_at_us: Some(3_600 * SECOND), attempts: 0 });
        assert_eq!(after(None, Ended::Settled, 0, (0, 0.0)).due_at_us, None);
    }

    proptest! {
        #[test]
        fn the_next_time_is_later_and_within_the_jitter(
            seconds in 1..1_000_000i64, jitter in 0..10_000i64, now in 0..4_000_000_000_000_000i64, chance in 0.0..=1.0f64,
        ) {
            let schedule = schedule(Some(&format!("{seconds}s")), None, Some(&format!("{jitter}s"))).unwrap();
            let waited = schedule.next(now, chance).unwrap() - now;
            let (seconds, jitter) = (seconds * SECOND, jitter * SECOND);
            prop_assert!(waited >= seconds && waited <= seconds + jitter);
        }

        #[test]
        fn retries_wait_longer_and_longer_up_to_a_bound(attempts in 0..100u32, chance in 0.0..=1.0f64) {
            let wait = backoff(attempts, chance);
            prop_assert!(wait <= BACKOFF_MAX && wait >= BACKOFF / 2);
            prop_assert!(backoff(attempts + 1, chance) >= wait);
        }
    }
}
